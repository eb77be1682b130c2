//! Functions, operators, casts, aggregates and window functions, with PostgreSQL's names and signatures, and
//! the rules by which a call finds its function.

use std::cmp::Ordering;
use std::fmt;

use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::{Datum, PgType};

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
    /// The implementation. Arguments have the argument types; the result has the result type.
    pub call: fn(&EvalContext<'_>, &[Datum]) -> Result<Datum>,
}

/// An aggregate function.
pub struct AggregateFunction {
    /// Its name.
    pub name: &'static str,
    /// Its argument types; none for `count(*)`.
    pub arguments: &'static [PgType],
    /// Its result type.
    pub result: PgType,
    /// Whether rows with a null argument are passed over.
    pub strict: bool,
    /// Whether it takes `WITHIN GROUP`.
    pub ordered_set: bool,
    /// Makes the state of one group.
    pub state: fn() -> Box<dyn Accumulator>,
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
    /// Its name.
    pub name: &'static str,
    /// Its argument types.
    pub arguments: &'static [PgType],
    /// Whether the last argument repeats.
    pub variadic: bool,
    /// The names and types of its rows' columns. One unnamed column takes the function's name or alias.
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
