//! `count`, `sum` and `avg`.

use num_bigint::BigInt;

use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::PgType::{self, *};
use crate::types::datetime::arithmetic::{scale, sum};
use crate::types::functions::define::aggregate;
use crate::types::functions::floats;
use crate::types::functions::integers::out_of_range;
use crate::types::functions::{Accumulator, AggregateFunction, Arguments};
use crate::types::numeric::power_of_ten;
use crate::types::{self, Datum};

/// Counts rows; those with null arguments do not come here.
#[derive(Debug, Default)]
struct Count(i64);

impl Accumulator for Count {
    fn add(&mut self, _: &EvalContext<'_>, _: &[Datum]) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(Datum::Int8(self.0))
    }
}

/// What becomes of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Sum,
    Average,
}

/// Integers of any width. 128 bits hold the sum of any number of rows.
#[derive(Debug)]
struct Integers {
    sum: i128,
    count: i64,
    wanted: Wanted,
    /// Whether the sum is a `bigint` rather than a `numeric`.
    narrow: bool,
}

impl Integers {
    fn boxed(wanted: Wanted, narrow: bool) -> Box<dyn Accumulator> {
        Box::new(Self { sum: 0, count: 0, wanted, narrow })
    }
}

impl Accumulator for Integers {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let value = match arguments {
            [Datum::Int8(it)] => *it,
            [Datum::Int4(it)] => i64::from(*it),
            _ => i64::from(arguments.int2(0)?),
        };
        self.sum += i128::from(value);
        self.count += 1;
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        if self.narrow {
            return i64::try_from(self.sum).map(Datum::Int8).map_err(|_| out_of_range(Int8));
        }
        let sum = types::Numeric::from(self.sum);
        match self.wanted {
            Wanted::Sum => Ok(Datum::from(sum)),
            Wanted::Average => sum.div(&types::Numeric::from(self.count)).map(Datum::from),
        }
    }
}

/// Exact decimals. What is not finite is counted apart, so that one NaN does not slow the others down.
#[derive(Debug)]
struct Numerics {
    sum: BigInt,
    scale: u32,
    count: i64,
    nan: bool,
    positive: bool,
    negative: bool,
    wanted: Wanted,
}

impl Numerics {
    fn boxed(wanted: Wanted) -> Box<dyn Accumulator> {
        let sum = BigInt::ZERO;
        Box::new(Self {
            sum,
            scale: 0,
            count: 0,
            nan: false,
            positive: false,
            negative: false,
            wanted,
        })
    }
}

impl Accumulator for Numerics {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        self.count += 1;
        match arguments.numeric(0)? {
            types::Numeric::NaN => self.nan = true,
            types::Numeric::Infinity => self.positive = true,
            types::Numeric::NegativeInfinity => self.negative = true,
            types::Numeric::Finite { coefficient, scale } if *scale == self.scale => {
                self.sum += coefficient;
            }
            types::Numeric::Finite { coefficient, scale } if *scale > self.scale => {
                self.sum *= power_of_ten(scale - self.scale);
                self.sum += coefficient;
                self.scale = *scale;
            }
            types::Numeric::Finite { coefficient, scale } => {
                self.sum += coefficient * power_of_ten(self.scale - scale);
            }
        }
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let sum = match (self.nan, self.positive, self.negative) {
            (true, ..) | (_, true, true) => types::Numeric::NaN,
            (_, true, _) => types::Numeric::Infinity,
            (_, _, true) => types::Numeric::NegativeInfinity,
            _ => types::numeric::checked(self.sum.clone(), self.scale)?,
        };
        match self.wanted {
            Wanted::Sum => Ok(Datum::from(sum)),
            Wanted::Average => sum.div(&types::Numeric::from(self.count)).map(Datum::from),
        }
    }
}

/// Floats, in the order of the rows.
#[derive(Debug)]
struct Floats {
    sum: f64,
    count: i64,
    wanted: Wanted,
    single: bool,
}

impl Floats {
    fn boxed(wanted: Wanted, single: bool) -> Box<dyn Accumulator> {
        Box::new(Self { sum: 0.0, count: 0, wanted, single })
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "rounds to nearest, as C does"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

impl Accumulator for Floats {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let value = match arguments {
            [Datum::Float8(it)] => *it,
            _ => f64::from(arguments.float4(0)?),
        };
        let before = if self.count == 0 { -0.0 } else { self.sum };
        let mut sum = before + value;
        if self.single && self.wanted == Wanted::Sum {
            sum = f64::from(narrow(sum));
        }
        if sum.is_infinite() && !before.is_infinite() && !value.is_infinite() {
            return Err(floats::overflow());
        }
        self.sum = sum;
        self.count += 1;
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(match self.wanted {
            _ if self.count == 0 => Datum::Null,
            Wanted::Average => Datum::Float8(self.sum / floats::from_int8(self.count)),
            Wanted::Sum if self.single => Datum::Float4(narrow(self.sum)),
            Wanted::Sum => Datum::Float8(self.sum),
        })
    }
}

/// Intervals.
#[derive(Debug)]
struct Intervals {
    sum: types::Interval,
    count: i64,
    wanted: Wanted,
}

impl Intervals {
    fn boxed(wanted: Wanted) -> Box<dyn Accumulator> {
        Box::new(Self { sum: types::Interval::default(), count: 0, wanted })
    }
}

impl Accumulator for Intervals {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        self.sum = sum(self.sum, arguments.interval(0)?)?;
        self.count += 1;
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(match self.wanted {
            _ if self.count == 0 => Datum::Null,
            Wanted::Sum => Datum::Interval(self.sum),
            Wanted::Average => {
                Datum::Interval(scale(self.sum, |part| part / floats::from_int8(self.count))?)
            }
        })
    }
}

fn count(_: &[PgType]) -> Box<dyn Accumulator> {
    Box::new(Count::default())
}

#[rustfmt::skip]
pub(super) static FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2803, "count", &[], Int8, count),
    aggregate(2147, "count", &[Any], Int8, count),
    aggregate(2109, "sum", &[Int2], Int8, |_| Integers::boxed(Wanted::Sum, true)),
    aggregate(2108, "sum", &[Int4], Int8, |_| Integers::boxed(Wanted::Sum, true)),
    aggregate(2107, "sum", &[Int8], Numeric, |_| Integers::boxed(Wanted::Sum, false)),
    aggregate(2110, "sum", &[Float4], Float4, |_| Floats::boxed(Wanted::Sum, true)),
    aggregate(2111, "sum", &[Float8], Float8, |_| Floats::boxed(Wanted::Sum, false)),
    aggregate(2114, "sum", &[Numeric], Numeric, |_| Numerics::boxed(Wanted::Sum)),
    aggregate(2113, "sum", &[Interval], Interval, |_| Intervals::boxed(Wanted::Sum)),
    aggregate(2102, "avg", &[Int2], Numeric, |_| Integers::boxed(Wanted::Average, false)),
    aggregate(2101, "avg", &[Int4], Numeric, |_| Integers::boxed(Wanted::Average, false)),
    aggregate(2100, "avg", &[Int8], Numeric, |_| Integers::boxed(Wanted::Average, false)),
    aggregate(2104, "avg", &[Float4], Float8, |_| Floats::boxed(Wanted::Average, true)),
    aggregate(2105, "avg", &[Float8], Float8, |_| Floats::boxed(Wanted::Average, false)),
    aggregate(2103, "avg", &[Numeric], Numeric, |_| Numerics::boxed(Wanted::Average)),
    aggregate(2106, "avg", &[Interval], Interval, |_| Intervals::boxed(Wanted::Average)),
];
