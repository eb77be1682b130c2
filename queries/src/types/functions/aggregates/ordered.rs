//! Ordered-set aggregates: percentiles and the mode. The rows come in order, without nulls. Hypothetical-set aggregates
//! are only declared here.

use std::sync::Arc;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{self, AnyArray, AnyElement, Float8, Float8Array};
use crate::types::datetime::arithmetic::{negate, scale, sum};
use crate::types::functions::define::aggregate;
use crate::types::functions::floats::from_int8;
use crate::types::functions::{Accumulator, AggregateFunction, CompareFn, WindowKind};
use crate::types::{ArrayValue, Datum, compare};

/// All values, and the fraction or the fractions wanted.
#[derive(Debug)]
struct Percentile {
    /// The type of the values.
    ty: PgType,
    continuous: bool,
    fraction: Datum,
    values: Vec<Datum>,
    bytes: usize,
}

impl Percentile {
    fn boxed(types: &[PgType], continuous: bool) -> Box<dyn Accumulator> {
        let ty = types.last().copied().unwrap_or(Float8);
        Box::new(Self { ty, continuous, fraction: Datum::Null, values: vec![], bytes: 0 })
    }

    fn at(&self, fraction: &Datum) -> Result<Datum> {
        let Datum::Float8(fraction) = *fraction else { return Ok(Datum::Null) };
        if fraction.is_nan() || !(0.0..=1.0).contains(&fraction) {
            let mut shown = Vec::new();
            crate::types::text::number::write_general(fraction, 6, &mut shown);
            let message = format!(
                "percentile value {} is not between 0 and 1",
                String::from_utf8_lossy(&shown)
            );
            return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        let count = from_int8(i64::try_from(self.values.len()).unwrap_or(0));
        if !self.continuous {
            let place = place_of((fraction * count).ceil()).saturating_sub(1);
            return Ok(self.values.get(place).cloned().unwrap_or_default());
        }
        let exact = fraction * (count - 1.0);
        let (low, high) = (place_of(exact.floor()), place_of(exact.ceil()));
        let (Some(first), Some(second)) = (self.values.get(low), self.values.get(high)) else {
            return Ok(Datum::Null);
        };
        if low == high {
            return Ok(first.clone());
        }
        between(first, second, exact - exact.floor())
    }
}

/// A value a part of the way from one to another.
fn between(low: &Datum, high: &Datum, part: f64) -> Result<Datum> {
    Ok(match (low, high) {
        (Datum::Float8(a), Datum::Float8(b)) => Datum::Float8(a + part * (b - a)),
        (Datum::Interval(a), Datum::Interval(b)) => {
            let difference = sum(*b, negate(*a)?)?;
            Datum::Interval(sum(scale(difference, |it| it * part)?, *a)?)
        }
        _ => low.clone(),
    })
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among the values, or saturated"
)]
fn place_of(value: f64) -> usize {
    value as usize
}

impl Accumulator for Percentile {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let [fraction, value] = arguments else {
            return Err(SqlError::internal("a percentile has a fraction and a value"));
        };
        if self.values.is_empty() {
            self.fraction = fraction.clone();
        }
        self.bytes += size_of::<Datum>() + value.bytes();
        self.values.push(value.clone());
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        match &self.fraction {
            Datum::Array(fractions) => {
                let elements =
                    fractions.elements.iter().map(|it| self.at(it)).collect::<Result<_>>()?;
                let dimensions = fractions.dimensions.clone();
                Ok(Datum::Array(Arc::new(ArrayValue { element: self.ty, dimensions, elements })))
            }
            fraction => self.at(fraction),
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The most frequent value; the first of several.
#[derive(Debug)]
struct Mode {
    order: CompareFn,
    current: Datum,
    run: usize,
    best: Datum,
    best_run: usize,
}

impl Accumulator for Mode {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let Some(value) = arguments.last() else { return Ok(()) };
        if self.run > 0 && (self.order)(&self.current, value).is_eq() {
            self.run += 1;
        } else {
            self.current = value.clone();
            self.run = 1;
        }
        if self.run > self.best_run {
            self.best = self.current.clone();
            self.best_run = self.run;
        }
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(self.best.clone())
    }
}

fn mode(types: &[PgType]) -> Box<dyn Accumulator> {
    let order = compare(types.last().copied().unwrap_or(PgType::Text));
    Box::new(Mode { order, current: Datum::Null, run: 0, best: Datum::Null, best_run: 0 })
}

/// The state of what has none: a hypothetical row is compared with the sorted rows where they are gathered.
#[derive(Debug)]
struct Nothing;

impl Accumulator for Nothing {
    fn add(&mut self, _: &EvalContext<'_>, _: &[Datum]) -> Result<()> {
        Err(SqlError::internal("a hypothetical-set aggregate has no state"))
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Err(SqlError::internal("a hypothetical-set aggregate has no state"))
    }
}

fn nothing(_: &[PgType]) -> Box<dyn Accumulator> {
    Box::new(Nothing)
}

#[rustfmt::skip]
pub(super) static FUNCTIONS: &[AggregateFunction] = &[
    aggregate(3974, "percentile_cont", &[Float8, Float8], Float8, |types| Percentile::boxed(types, true)).ordered_set(),
    aggregate(3976, "percentile_cont", &[Float8, PgType::Interval], PgType::Interval, |types| Percentile::boxed(types, true)).ordered_set(),
    aggregate(3980, "percentile_cont", &[Float8Array, Float8], Float8Array, |types| Percentile::boxed(types, true)).ordered_set(),
    aggregate(3982, "percentile_cont", &[Float8Array, PgType::Interval], PgType::IntervalArray, |types| Percentile::boxed(types, true)).ordered_set(),
    aggregate(3972, "percentile_disc", &[Float8, AnyElement], AnyElement, |types| Percentile::boxed(types, false)).ordered_set(),
    aggregate(3978, "percentile_disc", &[Float8Array, AnyElement], AnyArray, |types| Percentile::boxed(types, false)).ordered_set(),
    aggregate(3984, "mode", &[AnyElement], AnyElement, mode).ordered_set(),
    aggregate(3986, "rank", &[PgType::Any], PgType::Int8, nothing).hypothetical(WindowKind::Rank),
    aggregate(3988, "percent_rank", &[PgType::Any], Float8, nothing).hypothetical(WindowKind::PercentRank),
    aggregate(3990, "cume_dist", &[PgType::Any], Float8, nothing).hypothetical(WindowKind::CumeDist),
    aggregate(3992, "dense_rank", &[PgType::Any], PgType::Int8, nothing).hypothetical(WindowKind::DenseRank),
];
