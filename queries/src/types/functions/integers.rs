//! Integers: arithmetic that fails rather than wraps, bits, and conversions among them.

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;
use crate::types::PgType::{self, *};

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// The error for a result that its type cannot hold.
#[cold]
pub(crate) fn out_of_range(ty: PgType) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"))
}

/// The error for a division by zero.
#[cold]
pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

#[inline]
fn i2(value: Option<i16>) -> Result<Datum> {
    value.map(Datum::Int2).ok_or_else(|| out_of_range(Int2))
}

#[inline]
fn i4(value: Option<i32>) -> Result<Datum> {
    value.map(Datum::Int4).ok_or_else(|| out_of_range(Int4))
}

#[inline]
fn i8(value: Option<i64>) -> Result<Datum> {
    value.map(Datum::Int8).ok_or_else(|| out_of_range(Int8))
}

/// A divisor that is not zero.
#[inline]
fn divisor<T: Default + PartialEq>(value: T) -> Result<T> {
    if value == T::default() { Err(division_by_zero()) } else { Ok(value) }
}

fn l(value: i32) -> i64 {
    i64::from(value)
}

fn h(value: i16) -> i32 {
    i32::from(value)
}

fn hl(value: i16) -> i64 {
    i64::from(value)
}

fn gcd(a: u64, b: u64) -> u64 {
    num_integer::gcd(a, b)
}

fn gcd4(arguments: &[Datum]) -> Result<Datum> {
    let found = gcd(l(arguments.int4(0)?).unsigned_abs(), l(arguments.int4(1)?).unsigned_abs());
    i4(i32::try_from(found).ok())
}

fn gcd8(arguments: &[Datum]) -> Result<Datum> {
    i8(i64::try_from(gcd(arguments.int8(0)?.unsigned_abs(), arguments.int8(1)?.unsigned_abs()))
        .ok())
}

fn lcm(a: i64, b: i64) -> Option<i64> {
    if a == 0 || b == 0 {
        return Some(0);
    }
    let divisor = gcd(a.unsigned_abs(), b.unsigned_abs());
    i64::try_from((a.unsigned_abs() / divisor).checked_mul(b.unsigned_abs())?).ok()
}

/// Shifts by the count modulo the width, as the processor does.
fn shift(count: i32, bits: u32) -> u32 {
    count.cast_unsigned() % bits
}

fn low2(value: i32) -> i16 {
    let [a, b, ..] = value.to_le_bytes();
    i16::from_le_bytes([a, b])
}

fn oid_of(value: i64) -> Result<Datum> {
    u32::try_from(value)
        .map(Datum::Oid)
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range"))
}

fn to_hex(value: u64) -> Datum {
    Datum::text(format!("{value:x}"))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(176, "int2pl", &[Int2, Int2], Int2, |_, a| i2(a.int2(0)?.checked_add(a.int2(1)?))),
    f(180, "int2mi", &[Int2, Int2], Int2, |_, a| i2(a.int2(0)?.checked_sub(a.int2(1)?))),
    f(152, "int2mul", &[Int2, Int2], Int2, |_, a| i2(a.int2(0)?.checked_mul(a.int2(1)?))),
    f(153, "int2div", &[Int2, Int2], Int2, |_, a| i2(a.int2(0)?.checked_div(divisor(a.int2(1)?)?))),
    f(155, "int2mod", &[Int2, Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)?.wrapping_rem(divisor(a.int2(1)?)?)))),
    f(940, "mod", &[Int2, Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)?.wrapping_rem(divisor(a.int2(1)?)?)))),
    f(177, "int4pl", &[Int4, Int4], Int4, |_, a| i4(a.int4(0)?.checked_add(a.int4(1)?))),
    f(181, "int4mi", &[Int4, Int4], Int4, |_, a| i4(a.int4(0)?.checked_sub(a.int4(1)?))),
    f(141, "int4mul", &[Int4, Int4], Int4, |_, a| i4(a.int4(0)?.checked_mul(a.int4(1)?))),
    f(154, "int4div", &[Int4, Int4], Int4, |_, a| i4(a.int4(0)?.checked_div(divisor(a.int4(1)?)?))),
    f(156, "int4mod", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)?.wrapping_rem(divisor(a.int4(1)?)?)))),
    f(941, "mod", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)?.wrapping_rem(divisor(a.int4(1)?)?)))),
    f(463, "int8pl", &[Int8, Int8], Int8, |_, a| i8(a.int8(0)?.checked_add(a.int8(1)?))),
    f(464, "int8mi", &[Int8, Int8], Int8, |_, a| i8(a.int8(0)?.checked_sub(a.int8(1)?))),
    f(465, "int8mul", &[Int8, Int8], Int8, |_, a| i8(a.int8(0)?.checked_mul(a.int8(1)?))),
    f(466, "int8div", &[Int8, Int8], Int8, |_, a| i8(a.int8(0)?.checked_div(divisor(a.int8(1)?)?))),
    f(945, "int8mod", &[Int8, Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)?.wrapping_rem(divisor(a.int8(1)?)?)))),
    f(947, "mod", &[Int8, Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)?.wrapping_rem(divisor(a.int8(1)?)?)))),
    f(178, "int24pl", &[Int2, Int4], Int4, |_, a| i4(h(a.int2(0)?).checked_add(a.int4(1)?))),
    f(182, "int24mi", &[Int2, Int4], Int4, |_, a| i4(h(a.int2(0)?).checked_sub(a.int4(1)?))),
    f(170, "int24mul", &[Int2, Int4], Int4, |_, a| i4(h(a.int2(0)?).checked_mul(a.int4(1)?))),
    f(172, "int24div", &[Int2, Int4], Int4, |_, a| i4(h(a.int2(0)?).checked_div(divisor(a.int4(1)?)?))),
    f(179, "int42pl", &[Int4, Int2], Int4, |_, a| i4(a.int4(0)?.checked_add(h(a.int2(1)?)))),
    f(183, "int42mi", &[Int4, Int2], Int4, |_, a| i4(a.int4(0)?.checked_sub(h(a.int2(1)?)))),
    f(171, "int42mul", &[Int4, Int2], Int4, |_, a| i4(a.int4(0)?.checked_mul(h(a.int2(1)?)))),
    f(173, "int42div", &[Int4, Int2], Int4, |_, a| i4(a.int4(0)?.checked_div(h(divisor(a.int2(1)?)?)))),
    f(841, "int28pl", &[Int2, Int8], Int8, |_, a| i8(hl(a.int2(0)?).checked_add(a.int8(1)?))),
    f(942, "int28mi", &[Int2, Int8], Int8, |_, a| i8(hl(a.int2(0)?).checked_sub(a.int8(1)?))),
    f(943, "int28mul", &[Int2, Int8], Int8, |_, a| i8(hl(a.int2(0)?).checked_mul(a.int8(1)?))),
    f(948, "int28div", &[Int2, Int8], Int8, |_, a| i8(hl(a.int2(0)?).checked_div(divisor(a.int8(1)?)?))),
    f(837, "int82pl", &[Int8, Int2], Int8, |_, a| i8(a.int8(0)?.checked_add(hl(a.int2(1)?)))),
    f(838, "int82mi", &[Int8, Int2], Int8, |_, a| i8(a.int8(0)?.checked_sub(hl(a.int2(1)?)))),
    f(839, "int82mul", &[Int8, Int2], Int8, |_, a| i8(a.int8(0)?.checked_mul(hl(a.int2(1)?)))),
    f(840, "int82div", &[Int8, Int2], Int8, |_, a| i8(a.int8(0)?.checked_div(hl(divisor(a.int2(1)?)?)))),
    f(1278, "int48pl", &[Int4, Int8], Int8, |_, a| i8(l(a.int4(0)?).checked_add(a.int8(1)?))),
    f(1279, "int48mi", &[Int4, Int8], Int8, |_, a| i8(l(a.int4(0)?).checked_sub(a.int8(1)?))),
    f(1280, "int48mul", &[Int4, Int8], Int8, |_, a| i8(l(a.int4(0)?).checked_mul(a.int8(1)?))),
    f(1281, "int48div", &[Int4, Int8], Int8, |_, a| i8(l(a.int4(0)?).checked_div(divisor(a.int8(1)?)?))),
    f(1274, "int84pl", &[Int8, Int4], Int8, |_, a| i8(a.int8(0)?.checked_add(l(a.int4(1)?)))),
    f(1275, "int84mi", &[Int8, Int4], Int8, |_, a| i8(a.int8(0)?.checked_sub(l(a.int4(1)?)))),
    f(1276, "int84mul", &[Int8, Int4], Int8, |_, a| i8(a.int8(0)?.checked_mul(l(a.int4(1)?)))),
    f(1277, "int84div", &[Int8, Int4], Int8, |_, a| i8(a.int8(0)?.checked_div(l(divisor(a.int4(1)?)?)))),
    f(213, "int2um", &[Int2], Int2, |_, a| i2(a.int2(0)?.checked_neg())),
    f(212, "int4um", &[Int4], Int4, |_, a| i4(a.int4(0)?.checked_neg())),
    f(462, "int8um", &[Int8], Int8, |_, a| i8(a.int8(0)?.checked_neg())),
    f(1911, "int2up", &[Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)?))),
    f(1912, "int4up", &[Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)?))),
    f(1910, "int8up", &[Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)?))),
    f(1253, "int2abs", &[Int2], Int2, |_, a| i2(a.int2(0)?.checked_abs())),
    f(1251, "int4abs", &[Int4], Int4, |_, a| i4(a.int4(0)?.checked_abs())),
    f(1230, "int8abs", &[Int8], Int8, |_, a| i8(a.int8(0)?.checked_abs())),
    f(1398, "abs", &[Int2], Int2, |_, a| i2(a.int2(0)?.checked_abs())),
    f(1397, "abs", &[Int4], Int4, |_, a| i4(a.int4(0)?.checked_abs())),
    f(1396, "abs", &[Int8], Int8, |_, a| i8(a.int8(0)?.checked_abs())),
    f(1892, "int2and", &[Int2, Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)? & a.int2(1)?))),
    f(1893, "int2or", &[Int2, Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)? | a.int2(1)?))),
    f(1894, "int2xor", &[Int2, Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)? ^ a.int2(1)?))),
    f(1895, "int2not", &[Int2], Int2, |_, a| Ok(Datum::Int2(!a.int2(0)?))),
    f(1896, "int2shl", &[Int2, Int4], Int2, |_, a| Ok(Datum::Int2(low2(h(a.int2(0)?).wrapping_shl(shift(a.int4(1)?, 32)))))),
    f(1897, "int2shr", &[Int2, Int4], Int2, |_, a| Ok(Datum::Int2(low2(h(a.int2(0)?).wrapping_shr(shift(a.int4(1)?, 32)))))),
    f(1898, "int4and", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)? & a.int4(1)?))),
    f(1899, "int4or", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)? | a.int4(1)?))),
    f(1900, "int4xor", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)? ^ a.int4(1)?))),
    f(1901, "int4not", &[Int4], Int4, |_, a| Ok(Datum::Int4(!a.int4(0)?))),
    f(1902, "int4shl", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)?.wrapping_shl(shift(a.int4(1)?, 32))))),
    f(1903, "int4shr", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)?.wrapping_shr(shift(a.int4(1)?, 32))))),
    f(1904, "int8and", &[Int8, Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)? & a.int8(1)?))),
    f(1905, "int8or", &[Int8, Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)? | a.int8(1)?))),
    f(1906, "int8xor", &[Int8, Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)? ^ a.int8(1)?))),
    f(1907, "int8not", &[Int8], Int8, |_, a| Ok(Datum::Int8(!a.int8(0)?))),
    f(1908, "int8shl", &[Int8, Int4], Int8, |_, a| Ok(Datum::Int8(a.int8(0)?.wrapping_shl(shift(a.int4(1)?, 64))))),
    f(1909, "int8shr", &[Int8, Int4], Int8, |_, a| Ok(Datum::Int8(a.int8(0)?.wrapping_shr(shift(a.int4(1)?, 64))))),
    f(5044, "gcd", &[Int4, Int4], Int4, |_, a| gcd4(a)),
    f(5045, "gcd", &[Int8, Int8], Int8, |_, a| gcd8(a)),
    f(5046, "lcm", &[Int4, Int4], Int4, |_, a| i4(lcm(l(a.int4(0)?), l(a.int4(1)?)).and_then(|it| i32::try_from(it).ok()))),
    f(5047, "lcm", &[Int8, Int8], Int8, |_, a| i8(lcm(a.int8(0)?, a.int8(1)?))),
    f(770, "int2larger", &[Int2, Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)?.max(a.int2(1)?)))),
    f(771, "int2smaller", &[Int2, Int2], Int2, |_, a| Ok(Datum::Int2(a.int2(0)?.min(a.int2(1)?)))),
    f(768, "int4larger", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)?.max(a.int4(1)?)))),
    f(769, "int4smaller", &[Int4, Int4], Int4, |_, a| Ok(Datum::Int4(a.int4(0)?.min(a.int4(1)?)))),
    f(1236, "int8larger", &[Int8, Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)?.max(a.int8(1)?)))),
    f(1237, "int8smaller", &[Int8, Int8], Int8, |_, a| Ok(Datum::Int8(a.int8(0)?.min(a.int8(1)?)))),
    f(766, "int4inc", &[Int4], Int4, |_, a| i4(a.int4(0)?.checked_add(1))),
    f(1219, "int8inc", &[Int8], Int8, |_, a| i8(a.int8(0)?.checked_add(1))),
    f(754, "int8", &[Int2], Int8, |_, a| Ok(Datum::Int8(hl(a.int2(0)?)))),
    f(313, "int4", &[Int2], Int4, |_, a| Ok(Datum::Int4(h(a.int2(0)?)))),
    f(481, "int8", &[Int4], Int8, |_, a| Ok(Datum::Int8(l(a.int4(0)?)))),
    f(314, "int2", &[Int4], Int2, |_, a| i2(i16::try_from(a.int4(0)?).ok())),
    f(714, "int2", &[Int8], Int2, |_, a| i2(i16::try_from(a.int8(0)?).ok())),
    f(480, "int4", &[Int8], Int4, |_, a| i4(i32::try_from(a.int8(0)?).ok())),
    f(1287, "oid", &[Int8], Oid, |_, a| oid_of(a.int8(0)?)),
    f(1288, "int8", &[Oid], Int8, |_, a| Ok(Datum::Int8(i64::from(a.oid(0)?)))),
    f(2089, "to_hex", &[Int4], Text, |_, a| Ok(to_hex(u64::from(a.int4(0)?.cast_unsigned())))),
    f(2090, "to_hex", &[Int8], Text, |_, a| Ok(to_hex(a.int8(0)?.cast_unsigned()))),
];
