//! `bool_and`, `bool_or`, and the bits of integers.

use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::define::aggregate;
use crate::types::functions::{Accumulator, AggregateFunction, Arguments};

/// A value joined with the next one by an operation.
#[derive(Debug)]
struct Joined {
    value: Datum,
    join: fn(&Datum, &[Datum]) -> Result<Datum>,
}

impl Accumulator for Joined {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        self.value = if self.value.is_null() {
            arguments.first().cloned().unwrap_or_default()
        } else {
            (self.join)(&self.value, arguments)?
        };
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(self.value.clone())
    }
}

fn joined(join: fn(&Datum, &[Datum]) -> Result<Datum>) -> Box<dyn Accumulator> {
    Box::new(Joined { value: Datum::Null, join })
}

fn and(before: &Datum, next: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(matches!(before, Datum::Bool(true)) && next.bool(0)?))
}

fn or(before: &Datum, next: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(matches!(before, Datum::Bool(true)) || next.bool(0)?))
}

#[expect(clippy::unnecessary_wraps, reason = "joining by a function pointer that may fail")]
/// Joins integers of any width by an operation on 64 bits.
fn bits(before: &Datum, next: &[Datum], join: fn(i64, i64) -> i64) -> Result<Datum> {
    let wide = |it: &Datum| match it {
        Datum::Int2(it) => i64::from(*it),
        Datum::Int4(it) => i64::from(*it),
        Datum::Int8(it) => *it,
        _ => 0,
    };
    let value = join(wide(before), next.first().map_or(0, wide));
    Ok(match before {
        Datum::Int2(_) => Datum::Int2(i16::try_from(value).unwrap_or_default()),
        Datum::Int4(_) => Datum::Int4(i32::try_from(value).unwrap_or_default()),
        _ => Datum::Int8(value),
    })
}

fn bit_and() -> Box<dyn Accumulator> {
    joined(|before, next| bits(before, next, |a, b| a & b))
}

fn bit_or() -> Box<dyn Accumulator> {
    joined(|before, next| bits(before, next, |a, b| a | b))
}

fn bit_xor() -> Box<dyn Accumulator> {
    joined(|before, next| bits(before, next, |a, b| a ^ b))
}

#[rustfmt::skip]
pub(super) static FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2517, "bool_and", &[Bool], Bool, |_| joined(and)),
    aggregate(2519, "every", &[Bool], Bool, |_| joined(and)),
    aggregate(2518, "bool_or", &[Bool], Bool, |_| joined(or)),
    aggregate(2236, "bit_and", &[Int2], Int2, |_| bit_and()),
    aggregate(2238, "bit_and", &[Int4], Int4, |_| bit_and()),
    aggregate(2240, "bit_and", &[Int8], Int8, |_| bit_and()),
    aggregate(2237, "bit_or", &[Int2], Int2, |_| bit_or()),
    aggregate(2239, "bit_or", &[Int4], Int4, |_| bit_or()),
    aggregate(2241, "bit_or", &[Int8], Int8, |_| bit_or()),
    aggregate(6164, "bit_xor", &[Int2], Int2, |_| bit_xor()),
    aggregate(6165, "bit_xor", &[Int4], Int4, |_| bit_xor()),
    aggregate(6166, "bit_xor", &[Int8], Int8, |_| bit_xor()),
];
