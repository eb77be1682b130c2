//! `generate_series`.

use std::cmp::Ordering;

use jiff::tz::TimeZone;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::*;
use crate::types::compare::span;
use crate::types::datetime::arithmetic::{add, add_with_zone, is_finite};
use crate::types::functions::define::{Rows, rows};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, SetFunction};
use crate::types::numeric::compare;
use crate::types::{self, Datum};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: &[],
    aggregates: &[],
    sets: FUNCTIONS,
    windows: &[],
};

fn invalid(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn zero_step() -> SqlError {
    invalid("step size cannot equal zero")
}

fn integers(start: i64, end: i64, step: i64, make: fn(i64) -> Datum) -> Result<Rows> {
    if step == 0 {
        return Err(zero_step());
    }
    let within = move |value: &i64| if step > 0 { *value <= end } else { *value >= end };
    let values = std::iter::successors(Some(start), move |value| value.checked_add(step));
    Ok(Box::new(values.take_while(within).map(move |value| Ok(vec![make(value)]))))
}

fn int4(value: i64) -> Datum {
    Datum::Int4(i32::try_from(value).unwrap_or_default())
}

fn series4(a: &[Datum]) -> Result<Rows> {
    let step = if a.len() > 2 { a.int4(2)? } else { 1 };
    integers(i64::from(a.int4(0)?), i64::from(a.int4(1)?), i64::from(step), int4)
}

fn series8(a: &[Datum]) -> Result<Rows> {
    let step = if a.len() > 2 { a.int8(2)? } else { 1 };
    integers(a.int8(0)?, a.int8(1)?, step, Datum::Int8)
}

fn numerics(a: &[Datum]) -> Result<Rows> {
    let check = |value: &types::Numeric, what: &str| match value {
        types::Numeric::Finite { .. } => Ok(value.clone()),
        types::Numeric::NaN => Err(invalid(&format!("{what} cannot be NaN"))),
        _ => Err(invalid(&format!("{what} cannot be infinity"))),
    };
    let start = check(a.numeric(0)?, "start value")?;
    let end = check(a.numeric(1)?, "stop value")?;
    let step =
        if a.len() > 2 { check(a.numeric(2)?, "step size")? } else { types::Numeric::from(1_i64) };
    if step.is_zero() {
        return Err(zero_step());
    }
    let beyond = if step.signum() > 0 { Ordering::Greater } else { Ordering::Less };
    let mut next = Some(start);
    Ok(Box::new(std::iter::from_fn(move || {
        let value = next.take()?;
        if compare(&value, &end) == beyond {
            return None;
        }
        match value.add(&step) {
            Ok(following) => next = Some(following),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(vec![Datum::from(value)]))
    })))
}

/// Timestamps; with a zone, steps are taken in its local time.
fn moments(start: i64, end: i64, step: types::Interval, zone: Option<TimeZone>) -> Result<Rows> {
    let direction = span(step).cmp(&0);
    if direction.is_eq() {
        return Err(zero_step());
    }
    let mut next = Some(start);
    let with_zone = zone.is_some();
    Ok(Box::new(std::iter::from_fn(move || {
        let value = next.take()?;
        if value.cmp(&end) == direction {
            return None;
        }
        // An infinite start would repeat for ever.
        if !is_finite(value) {
            return Some(Ok(vec![if with_zone {
                Datum::TimestampTz(value)
            } else {
                Datum::Timestamp(value)
            }]));
        }
        let following = match &zone {
            Some(zone) => add_with_zone(value, step, zone),
            None => add(value, step),
        };
        match following {
            Ok(following) => next = Some(following),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(vec![if with_zone { Datum::TimestampTz(value) } else { Datum::Timestamp(value) }]))
    })))
}

fn moments_tz(context: &EvalContext<'_>, a: &[Datum]) -> Result<Rows> {
    let zone = context.exec.settings.time_zone.clone();
    moments(a.timestamp_tz(0)?, a.timestamp_tz(1)?, a.interval(2)?, Some(zone))
}

#[rustfmt::skip]
static FUNCTIONS: &[SetFunction] = &[
    rows(1066, "generate_series", &[Int4, Int4, Int4], &[("", Int4)], |_, a| series4(a)),
    rows(1067, "generate_series", &[Int4, Int4], &[("", Int4)], |_, a| series4(a)),
    rows(1068, "generate_series", &[Int8, Int8, Int8], &[("", Int8)], |_, a| series8(a)),
    rows(1069, "generate_series", &[Int8, Int8], &[("", Int8)], |_, a| series8(a)),
    rows(3259, "generate_series", &[Numeric, Numeric, Numeric], &[("", Numeric)], |_, a| numerics(a)),
    rows(3260, "generate_series", &[Numeric, Numeric], &[("", Numeric)], |_, a| numerics(a)),
    rows(938, "generate_series", &[Timestamp, Timestamp, Interval], &[("", Timestamp)], |_, a| moments(a.timestamp(0)?, a.timestamp(1)?, a.interval(2)?, None)),
    rows(939, "generate_series", &[TimestampTz, TimestampTz, Interval], &[("", TimestampTz)], moments_tz),
];
