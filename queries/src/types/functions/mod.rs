//! Functions, operators, casts, aggregates and window functions, with PostgreSQL's names and signatures, and
//! the rules by which a call finds its function.
//!
//! The functions stand in one table for each topic ([`registry::TABLES`]); other modules of the crate may add
//! tables of their own there. [`registry`] indexes them by name, and [`resolve`] chooses among them by the rules
//! of chapter 10 of PostgreSQL's manual. Implementations see values and an [`EvalContext`]: they know neither
//! expressions nor plans.

mod aggregates;
mod arguments;
mod arrays;
mod boolean;
mod bytes;
pub(crate) mod compare;
mod datetime;
pub(crate) mod define;
pub(crate) mod floats;
pub(crate) mod hashes;
mod integers;
mod io;
mod json;
mod like;
mod numerics;
mod regexp;
pub mod registry;
pub mod resolve;
mod sets;
mod string_any;
mod string_casts;
mod strings;
mod system;
pub mod tables;
mod to_char;
mod unistr;
mod windows;

use std::cmp::Ordering;
use std::fmt;

use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::{Datum, PgType};

pub use aggregates::JSON_AGG_OF_ROWS;
pub(crate) use arguments::Arguments;
#[allow(unused_imports)]
pub(crate) use io::apply;
pub use io::is_conversion;
pub use json::build::RECORD_TO_JSON;
pub use registry::{all, function_by_oid};
pub use resolve::{
    Callee, Coercion, CoercionContext, ResolvedFunction, ResolvedOperator, Step, common_type,
    length_coercion, resolve_cast, resolve_function, resolve_operator,
};
pub use string_any::{quote_ident, quote_literal};
pub(crate) use strings::{lower, upper};

/// How a call may be folded into a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// The same arguments always give the same result.
    Immutable,
    /// The same within one statement.
    Stable,
    /// Any call may differ.
    Volatile,
}

/// A function, an operator's function or a cast: from values to a value.
pub struct ScalarFunction {
    /// Its OID in `pg_proc`; 0 if it is none of PostgreSQL's (conversions through text, for example).
    pub oid: u32,
    /// Its name in `pg_proc`.
    pub name: &'static str,
    /// Its argument types; pseudo-types allowed.
    pub arguments: &'static [PgType],
    /// Whether the last argument repeats.
    pub variadic: bool,
    /// Its result type; pseudo-types allowed.
    pub result: PgType,
    /// Whether a null argument makes the result null without a call.
    pub strict: bool,
    /// When it may be folded.
    pub volatility: Volatility,
    /// Whether the call has one argument more, after all others: an `oid[]` literal with the types of the
    /// arguments. Functions over `any` need it to know a `regclass` from an `oid`. The resolver supplies it.
    pub typed: bool,
    /// The implementation. Arguments have the argument types; the result has the result type.
    pub call: fn(&EvalContext<'_>, &[Datum]) -> Result<Datum>,
}

/// An aggregate function.
pub struct AggregateFunction {
    /// Its OID in `pg_proc`.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Its argument types; none for `count(*)`. Of an ordered-set aggregate the direct ones come first, then those
    /// of `WITHIN GROUP`.
    pub arguments: &'static [PgType],
    /// Whether the last argument repeats.
    pub variadic: bool,
    /// Its result type.
    pub result: PgType,
    /// Whether rows with a null argument are passed over.
    pub strict: bool,
    /// Whether it takes `WITHIN GROUP`. Rows are then added in that order, each with the direct arguments and
    /// after them the values sorted by; rows with a null among the latter are passed over.
    pub ordered_set: bool,
    /// Of a hypothetical-set aggregate, what it asks of the row that its direct arguments make up. It has as many of
    /// them as values to sort by, and no state.
    pub hypothetical: Option<WindowKind>,
    /// Makes the state of one group, from the types of the arguments as [`Accumulator::add`] gets them.
    pub state: fn(&[PgType]) -> Box<dyn Accumulator>,
}

/// The state of an aggregate over one group.
pub trait Accumulator: Send + fmt::Debug {
    /// Takes in a row's argument values.
    fn add(&mut self, context: &EvalContext<'_>, arguments: &[Datum]) -> Result<()>;
    /// The value over the rows so far; may be called again after further rows.
    fn value(&self, context: &EvalContext<'_>) -> Result<Datum>;
    /// Roughly how many bytes the state holds beyond its own size.
    fn bytes(&self) -> usize {
        0
    }
}

/// A set-returning function.
pub struct SetFunction {
    /// Its OID in `pg_proc`.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Its argument types.
    pub arguments: &'static [PgType],
    /// Whether the last argument repeats.
    pub variadic: bool,
    /// The names and types of its rows' columns. One unnamed column takes the function's name or alias. Of a function
    /// that returns `record` there are none here: the query defines them, and three arguments more say which, arrays of
    /// their names, types and type modifiers.
    pub columns: &'static [(&'static str, PgType)],
    /// Whether a null argument gives no rows without a call.
    pub strict: bool,
    /// The rows, made as they are asked for.
    #[allow(clippy::type_complexity, reason = "said once, here")]
    pub call: fn(
        &EvalContext<'_>,
        &[Datum],
    ) -> Result<Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>>,
}

/// Which window function; the window operator knows what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum WindowKind {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
}

/// A window function that is no aggregate.
#[derive(Debug)]
pub struct WindowFunction {
    /// Its OID in `pg_proc`.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Its argument types.
    pub arguments: &'static [PgType],
    /// Its result type.
    pub result: PgType,
    /// Which one it is.
    pub kind: WindowKind,
}

macro_rules! debug_by_name {
    ($($ty:ident),*) => {
        $(impl fmt::Debug for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name)
            }
        })*
    };
}
debug_by_name!(ScalarFunction, AggregateFunction, SetFunction);

/// Compares two values of one type, neither of them null, by the type's default order (btree operator class).
pub type CompareFn = fn(&Datum, &Datum) -> Ordering;
