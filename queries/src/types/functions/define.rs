//! The short hand in which the tables of functions are written.

use super::{Accumulator, AggregateFunction, ScalarFunction, SetFunction, Volatility, WindowKind};
use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::{Datum, PgType};

/// What a scalar function is implemented by.
pub(crate) type Implementation = fn(&EvalContext<'_>, &[Datum]) -> Result<Datum>;

/// The rows of a set-returning function.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>;

/// A strict, immutable function.
pub(crate) const fn f(
    oid: u32,
    name: &'static str,
    arguments: &'static [PgType],
    result: PgType,
    call: Implementation,
) -> ScalarFunction {
    ScalarFunction {
        oid,
        name,
        arguments,
        variadic: false,
        result,
        strict: true,
        volatility: Volatility::Immutable,
        typed: false,
        call,
    }
}

impl ScalarFunction {
    /// Stable rather than immutable.
    pub(crate) const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }

    /// Volatile rather than immutable.
    pub(crate) const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    /// Called with null arguments too.
    pub(crate) const fn lax(mut self) -> Self {
        self.strict = false;
        self
    }

    /// The last argument repeats.
    pub(crate) const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// Gets the types of its arguments, see [`ScalarFunction::typed`].
    pub(crate) const fn typed(mut self) -> Self {
        self.typed = true;
        self
    }
}

/// A strict set-returning function.
pub(crate) const fn rows(
    oid: u32,
    name: &'static str,
    arguments: &'static [PgType],
    columns: &'static [(&'static str, PgType)],
    call: fn(&EvalContext<'_>, &[Datum]) -> Result<Rows>,
) -> SetFunction {
    SetFunction { oid, name, arguments, variadic: false, columns, strict: true, call }
}

impl SetFunction {
    /// Called with null arguments too.
    pub(crate) const fn lax(mut self) -> Self {
        self.strict = false;
        self
    }
}

/// An aggregate that passes over rows with null arguments.
pub(crate) const fn aggregate(
    oid: u32,
    name: &'static str,
    arguments: &'static [PgType],
    result: PgType,
    state: fn(&[PgType]) -> Box<dyn Accumulator>,
) -> AggregateFunction {
    AggregateFunction {
        oid,
        name,
        arguments,
        variadic: false,
        result,
        strict: true,
        ordered_set: false,
        hypothetical: None,
        state,
    }
}

impl AggregateFunction {
    /// Takes in rows with null arguments too.
    pub(crate) const fn lax(mut self) -> Self {
        self.strict = false;
        self
    }

    /// A hypothetical-set aggregate.
    pub(crate) const fn hypothetical(mut self, kind: WindowKind) -> Self {
        self.hypothetical = Some(kind);
        self.strict = false;
        self.variadic = true;
        self.ordered_set()
    }

    /// An ordered-set aggregate.
    pub(crate) const fn ordered_set(mut self) -> Self {
        self.ordered_set = true;
        self
    }
}
