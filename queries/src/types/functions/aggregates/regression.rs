//! Correlation, covariance and linear regression over pairs of floats.

use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::define::aggregate;
use crate::types::functions::floats::{from_int8, overflow};
use crate::types::functions::{Accumulator, AggregateFunction, Arguments};

/// Sums over the pairs, the dependent variable first (`float8_regr_accum`).
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: i64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

impl Sums {
    fn n(&self) -> f64 {
        from_int8(self.count)
    }

    fn add(&mut self, y: f64, x: f64) -> Result<()> {
        let (before, old) = (self.n(), *self);
        self.count += 1;
        self.x += x;
        self.y += y;
        if before > 0.0 {
            let (step_x, step_y) = (x * self.n() - self.x, y * self.n() - self.y);
            let scale = 1.0 / (self.n() * before);
            self.xx += step_x * step_x * scale;
            self.yy += step_y * step_y * scale;
            self.xy += step_x * step_y * scale;
            let sums = [self.x, self.xx, self.y, self.yy, self.xy];
            if sums.iter().any(|it| it.is_infinite()) {
                if [old.x, x, old.y, y].iter().all(|it| !it.is_infinite()) {
                    return Err(overflow());
                }
                self.xx = if self.xx.is_infinite() { f64::NAN } else { self.xx };
                self.yy = if self.yy.is_infinite() { f64::NAN } else { self.yy };
                self.xy = if self.xy.is_infinite() { f64::NAN } else { self.xy };
            }
            return Ok(());
        }
        if !x.is_finite() {
            (self.xx, self.xy) = (f64::NAN, f64::NAN);
        }
        if !y.is_finite() {
            (self.yy, self.xy) = (f64::NAN, f64::NAN);
        }
        Ok(())
    }
}

/// What is made of the sums.
#[derive(Debug)]
struct Regression {
    sums: Sums,
    of: fn(&Sums) -> Option<f64>,
    least: i64,
}

impl Accumulator for Regression {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        self.sums.add(arguments.float8(0)?, arguments.float8(1)?)
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.sums.count < self.least {
            return Ok(Datum::Null);
        }
        Ok((self.of)(&self.sums).map_or(Datum::Null, Datum::Float8))
    }
}

/// How many pairs there are.
#[derive(Debug, Default)]
struct Pairs(i64);

impl Accumulator for Pairs {
    fn add(&mut self, _: &EvalContext<'_>, _: &[Datum]) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(Datum::Int8(self.0))
    }
}

fn regression(least: i64, of: fn(&Sums) -> Option<f64>) -> Box<dyn Accumulator> {
    Box::new(Regression { sums: Sums::default(), of, least })
}

#[rustfmt::skip]
pub(super) static FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2818, "regr_count", &[Float8, Float8], Int8, |_| Box::new(Pairs::default())),
    aggregate(2819, "regr_sxx", &[Float8, Float8], Float8, |_| regression(1, |s| Some(s.xx))),
    aggregate(2820, "regr_syy", &[Float8, Float8], Float8, |_| regression(1, |s| Some(s.yy))),
    aggregate(2821, "regr_sxy", &[Float8, Float8], Float8, |_| regression(1, |s| Some(s.xy))),
    aggregate(2822, "regr_avgx", &[Float8, Float8], Float8, |_| regression(1, |s| Some(s.x / s.n()))),
    aggregate(2823, "regr_avgy", &[Float8, Float8], Float8, |_| regression(1, |s| Some(s.y / s.n()))),
    aggregate(2827, "covar_pop", &[Float8, Float8], Float8, |_| regression(1, |s| Some(s.xy / s.n()))),
    aggregate(2828, "covar_samp", &[Float8, Float8], Float8, |_| regression(2, |s| Some(s.xy / (s.n() - 1.0)))),
    aggregate(2829, "corr", &[Float8, Float8], Float8, |_| regression(1, |s| (s.xx != 0.0 && s.yy != 0.0).then(|| s.xy / (s.xx * s.yy).sqrt()))),
    aggregate(2824, "regr_r2", &[Float8, Float8], Float8, |_| regression(1, |s| (s.xx != 0.0).then(|| if s.yy == 0.0 { 1.0 } else { s.xy * s.xy / (s.xx * s.yy) }))),
    aggregate(2825, "regr_slope", &[Float8, Float8], Float8, |_| regression(1, |s| (s.xx != 0.0).then(|| s.xy / s.xx))),
    aggregate(2826, "regr_intercept", &[Float8, Float8], Float8, |_| regression(1, |s| (s.xx != 0.0).then(|| (s.y - s.x * s.xy / s.xx) / s.n()))),
];
