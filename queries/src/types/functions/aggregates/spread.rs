//! Variance and standard deviation: exact over exact numbers, by Youngs and Cramer's method over floats.

use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::PgType::*;
use crate::types::functions::define::aggregate;
use crate::types::functions::floats::{from_int8, overflow};
use crate::types::functions::{Accumulator, AggregateFunction, Arguments};
use crate::types::{self, Datum};

/// Which measure.
#[derive(Clone, Copy, Debug)]
struct Measure {
    /// Of a sample rather than of the whole population.
    sample: bool,
    /// The root of the variance.
    root: bool,
}

/// Sums of exact numbers and of their squares.
#[derive(Debug)]
struct Exact {
    measure: Measure,
    count: i64,
    sum: types::Numeric,
    squares: types::Numeric,
    /// Whether something was NaN or infinite.
    unusual: bool,
}

impl Accumulator for Exact {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let value = match arguments {
            [Datum::Int2(it)] => types::Numeric::from(i64::from(*it)),
            [Datum::Int4(it)] => types::Numeric::from(i64::from(*it)),
            [Datum::Int8(it)] => types::Numeric::from(*it),
            _ => arguments.numeric(0)?.clone(),
        };
        self.count += 1;
        if !matches!(value, types::Numeric::Finite { .. }) {
            self.unusual = true;
            return Ok(());
        }
        self.sum = self.sum.add(&value)?;
        self.squares = self.squares.add(&value.mul(&value)?)?;
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.count <= i64::from(self.measure.sample) {
            return Ok(Datum::Null);
        }
        if self.unusual {
            return Ok(Datum::from(types::Numeric::NaN));
        }
        let count = types::Numeric::from(self.count);
        let numerator = count.mul(&self.squares)?.sub(&self.sum.mul(&self.sum)?)?;
        if numerator.signum() <= 0 {
            return Ok(Datum::from(types::Numeric::zero()));
        }
        let divisor =
            count.mul(&types::Numeric::from(self.count - i64::from(self.measure.sample)))?;
        let variance = numerator.div(&divisor)?;
        let result = if self.measure.root { variance.sqrt_to(variance.scale())? } else { variance };
        Ok(Datum::from(result))
    }
}

/// The number of floats, their sum, and the sum of their squared differences from the mean.
#[derive(Debug)]
struct Floats {
    measure: Measure,
    count: i64,
    sum: f64,
    differences: f64,
}

impl Accumulator for Floats {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let value = match arguments {
            [Datum::Float4(it)] => f64::from(*it),
            _ => arguments.float8(0)?,
        };
        let before = from_int8(self.count);
        let sum_before = self.sum;
        self.count += 1;
        self.sum += value;
        if before > 0.0 {
            let count = from_int8(self.count);
            let step = value * count - self.sum;
            self.differences += step * step / (count * before);
            if self.sum.is_infinite() || self.differences.is_infinite() {
                if !sum_before.is_infinite() && !value.is_infinite() {
                    return Err(overflow());
                }
                self.differences = f64::NAN;
            }
        } else if !value.is_finite() {
            self.differences = f64::NAN;
        }
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.count <= i64::from(self.measure.sample) {
            return Ok(Datum::Null);
        }
        let variance = self.differences / from_int8(self.count - i64::from(self.measure.sample));
        Ok(Datum::Float8(if self.measure.root { variance.sqrt() } else { variance }))
    }
}

fn exact(sample: bool, root: bool) -> Box<dyn Accumulator> {
    let (sum, squares) = (types::Numeric::zero(), types::Numeric::zero());
    Box::new(Exact { measure: Measure { sample, root }, count: 0, sum, squares, unusual: false })
}

fn floats(sample: bool, root: bool) -> Box<dyn Accumulator> {
    Box::new(Floats { measure: Measure { sample, root }, count: 0, sum: 0.0, differences: 0.0 })
}

#[rustfmt::skip]
pub(super) static FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2150, "variance", &[Int2], Numeric, |_| exact(true, false)),
    aggregate(2149, "variance", &[Int4], Numeric, |_| exact(true, false)),
    aggregate(2148, "variance", &[Int8], Numeric, |_| exact(true, false)),
    aggregate(2153, "variance", &[Numeric], Numeric, |_| exact(true, false)),
    aggregate(2151, "variance", &[Float4], Float8, |_| floats(true, false)),
    aggregate(2152, "variance", &[Float8], Float8, |_| floats(true, false)),
    aggregate(2643, "var_samp", &[Int2], Numeric, |_| exact(true, false)),
    aggregate(2642, "var_samp", &[Int4], Numeric, |_| exact(true, false)),
    aggregate(2641, "var_samp", &[Int8], Numeric, |_| exact(true, false)),
    aggregate(2646, "var_samp", &[Numeric], Numeric, |_| exact(true, false)),
    aggregate(2644, "var_samp", &[Float4], Float8, |_| floats(true, false)),
    aggregate(2645, "var_samp", &[Float8], Float8, |_| floats(true, false)),
    aggregate(2720, "var_pop", &[Int2], Numeric, |_| exact(false, false)),
    aggregate(2719, "var_pop", &[Int4], Numeric, |_| exact(false, false)),
    aggregate(2718, "var_pop", &[Int8], Numeric, |_| exact(false, false)),
    aggregate(2723, "var_pop", &[Numeric], Numeric, |_| exact(false, false)),
    aggregate(2721, "var_pop", &[Float4], Float8, |_| floats(false, false)),
    aggregate(2722, "var_pop", &[Float8], Float8, |_| floats(false, false)),
    aggregate(2156, "stddev", &[Int2], Numeric, |_| exact(true, true)),
    aggregate(2155, "stddev", &[Int4], Numeric, |_| exact(true, true)),
    aggregate(2154, "stddev", &[Int8], Numeric, |_| exact(true, true)),
    aggregate(2159, "stddev", &[Numeric], Numeric, |_| exact(true, true)),
    aggregate(2157, "stddev", &[Float4], Float8, |_| floats(true, true)),
    aggregate(2158, "stddev", &[Float8], Float8, |_| floats(true, true)),
    aggregate(2714, "stddev_samp", &[Int2], Numeric, |_| exact(true, true)),
    aggregate(2713, "stddev_samp", &[Int4], Numeric, |_| exact(true, true)),
    aggregate(2712, "stddev_samp", &[Int8], Numeric, |_| exact(true, true)),
    aggregate(2717, "stddev_samp", &[Numeric], Numeric, |_| exact(true, true)),
    aggregate(2715, "stddev_samp", &[Float4], Float8, |_| floats(true, true)),
    aggregate(2716, "stddev_samp", &[Float8], Float8, |_| floats(true, true)),
    aggregate(2726, "stddev_pop", &[Int2], Numeric, |_| exact(false, true)),
    aggregate(2725, "stddev_pop", &[Int4], Numeric, |_| exact(false, true)),
    aggregate(2724, "stddev_pop", &[Int8], Numeric, |_| exact(false, true)),
    aggregate(2729, "stddev_pop", &[Numeric], Numeric, |_| exact(false, true)),
    aggregate(2727, "stddev_pop", &[Float4], Float8, |_| floats(false, true)),
    aggregate(2728, "stddev_pop", &[Float8], Float8, |_| floats(false, true)),
];
