//! Floats: arithmetic that fails on overflow and underflow, and the functions of C's mathematics.

use super::define::f;
use super::integers::{division_by_zero, out_of_range};
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::{self, *};
use crate::types::compare::float8s;
use crate::types::{Datum, Numeric};

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn range(message: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

/// The error for a result that is too large.
pub(crate) fn overflow() -> SqlError {
    range("value out of range: overflow")
}

fn underflow() -> SqlError {
    range("value out of range: underflow")
}

/// A result of finite operands, if it is finite.
fn finite(result: f64, operands: &[f64]) -> Result<f64> {
    if result.is_infinite() && !operands.iter().any(|it| it.is_infinite()) {
        Err(overflow())
    } else {
        Ok(result)
    }
}

/// A product or quotient: also an error if it vanished.
fn nonzero(result: f64, operands: &[f64], may_be_zero: bool) -> Result<f64> {
    if result == 0.0 && !may_be_zero { Err(underflow()) } else { finite(result, operands) }
}

fn add(a: f64, b: f64) -> Result<f64> {
    finite(a + b, &[a, b])
}

fn sub(a: f64, b: f64) -> Result<f64> {
    finite(a - b, &[a, b])
}

fn mul(a: f64, b: f64) -> Result<f64> {
    nonzero(a * b, &[a, b], a == 0.0 || b == 0.0)
}

fn div(a: f64, b: f64) -> Result<f64> {
    if b == 0.0 && !a.is_nan() {
        return Err(division_by_zero());
    }
    nonzero(a / b, &[a], a == 0.0 || b.is_infinite())
}

fn d(value: Result<f64>) -> Result<Datum> {
    value.map(Datum::Float8)
}

/// A result of single precision, which may overflow where the double did not.
fn s(value: Result<f64>, operands: [f32; 2], may_be_zero: bool) -> Result<Datum> {
    let result = narrow(value?);
    let operands = operands.map(f64::from);
    let wide = f64::from(result);
    if may_be_zero {
        finite(wide, &operands)?
    } else {
        nonzero(wide, &operands, false)?
    };
    Ok(Datum::Float4(result))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "rounds to nearest, as C does"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn to_float4(value: f64) -> Result<Datum> {
    let result = narrow(value);
    if result.is_infinite() && !value.is_infinite() {
        return Err(overflow());
    }
    if result == 0.0 && value != 0.0 {
        return Err(underflow());
    }
    Ok(Datum::Float4(result))
}

/// A float rounded to an integer (half to even) of a type.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "checked before")]
fn to_integer(value: f64, ty: PgType) -> Result<i64> {
    let limit = match ty {
        Int2 => 32_768.0,
        Int4 => 2_147_483_648.0,
        _ => 9_223_372_036_854_775_808.0,
    };
    let rounded = value.round_ties_even();
    if rounded.is_nan() || rounded < -limit || rounded >= limit {
        return Err(out_of_range(ty));
    }
    Ok(rounded as i64)
}

fn int2(value: f64) -> Result<Datum> {
    Ok(Datum::Int2(i16::try_from(to_integer(value, Int2)?).map_err(|_| out_of_range(Int2))?))
}

fn int4(value: f64) -> Result<Datum> {
    Ok(Datum::Int4(i32::try_from(to_integer(value, Int4)?).map_err(|_| out_of_range(Int4))?))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "rounds to nearest, as C does"
)]
pub(crate) fn from_int8(value: i64) -> f64 {
    value as f64
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "rounds to nearest, as C does"
)]
fn float4_from_int8(value: i64) -> f32 {
    value as f32
}

#[expect(clippy::float_cmp, reason = "the special cases are exact")]
fn power(a: f64, b: f64) -> Result<f64> {
    let invalid =
        |message: &str| SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message);
    if a.is_nan() || b.is_nan() {
        return Ok(if b == 0.0 || a == 1.0 { 1.0 } else { f64::NAN });
    }
    if a == 0.0 && b < 0.0 {
        return Err(invalid("zero raised to a negative power is undefined"));
    }
    if a < 0.0 && b.floor() != b {
        return Err(invalid(
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let result = a.powf(b);
    if a.is_infinite() || b.is_infinite() {
        return Ok(result);
    }
    nonzero(result, &[a, b], a == 0.0)
}

fn sqrt(a: f64) -> Result<f64> {
    if a < 0.0 {
        let message = "cannot take square root of a negative number";
        return Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    Ok(a.sqrt())
}

fn exp(a: f64) -> Result<f64> {
    if a.is_infinite() || a.is_nan() { Ok(a.exp()) } else { nonzero(a.exp(), &[a], false) }
}

fn logarithm(a: f64, of: fn(f64) -> f64) -> Result<f64> {
    let invalid = |message: &str| SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, message);
    if a == 0.0 {
        return Err(invalid("cannot take logarithm of zero"));
    }
    if a < 0.0 {
        return Err(invalid("cannot take logarithm of a negative number"));
    }
    Ok(of(a))
}

/// A function that takes no infinity.
fn bounded(a: f64, of: fn(f64) -> f64) -> Result<f64> {
    if a.is_infinite() { Err(range("input is out of range")) } else { finite(of(a), &[]) }
}

/// A function of a value from -1 to 1.
fn inverse(a: f64, of: fn(f64) -> f64) -> Result<f64> {
    if a.is_nan() || (-1.0..=1.0).contains(&a) {
        Ok(of(a))
    } else {
        Err(range("input is out of range"))
    }
}

fn sign(a: f64) -> f64 {
    if a > 0.0 {
        1.0
    } else if a < 0.0 {
        -1.0
    } else {
        a.abs().min(0.0) + if a.is_nan() { f64::NAN } else { 0.0 }
    }
}

/// A trigonometric function of degrees, exact where the result is.
fn degrees(a: f64, of: fn(f64) -> f64) -> Result<f64> {
    if a.is_nan() {
        return Ok(a);
    }
    bounded(a, of)
}

fn sine(a: f64) -> f64 {
    let turn = a % 360.0;
    let (sign, a) = if turn < 0.0 { (-1.0, -turn) } else { (1.0, turn) };
    let (sign, a) = if a > 180.0 { (-sign, 360.0 - a) } else { (sign, a) };
    let a = if a > 90.0 { 180.0 - a } else { a };
    sign * if a <= 30.0 {
        a.to_radians().sin() / 30_f64.to_radians().sin() / 2.0
    } else {
        cosine_first(90.0 - a)
    }
}

fn cosine_first(a: f64) -> f64 {
    if a <= 60.0 {
        1.0 - (1.0 - a.to_radians().cos()) / (1.0 - 60_f64.to_radians().cos()) / 2.0
    } else {
        sine(90.0 - a)
    }
}

fn cosine(a: f64) -> f64 {
    let a = (a % 360.0).abs();
    let a = if a > 180.0 { 360.0 - a } else { a };
    if a > 90.0 { -cosine_first(180.0 - a) } else { cosine_first(a) }
}

fn tangent(a: f64) -> f64 {
    let value = sine(a) / cosine(a) / (sine(45.0) / cosine(45.0));
    if value == 0.0 { 0.0 } else { value }
}

fn cotangent(a: f64) -> f64 {
    let value = cosine(a) / sine(a) / (cosine(45.0) / sine(45.0));
    if value == 0.0 { 0.0 } else { value }
}

fn width_bucket(operand: f64, low: f64, high: f64, count: i32) -> Result<Datum> {
    let invalid =
        |message: &str| SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message);
    if count <= 0 {
        return Err(invalid("count must be greater than zero"));
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return Err(invalid("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(invalid("lower and upper bounds must be finite"));
    }
    let last = count.checked_add(1).ok_or_else(|| out_of_range(Int4));
    let bucket = |share: f64| to_integer((share * f64::from(count)).floor(), Int4).map(|it| it + 1);
    let found = match float8s(low, high) {
        std::cmp::Ordering::Less if operand < low => 0,
        std::cmp::Ordering::Less if operand >= high => i64::from(last?),
        std::cmp::Ordering::Less => bucket((operand - low) / (high - low))?.min(i64::from(count)),
        std::cmp::Ordering::Greater if operand > low => 0,
        std::cmp::Ordering::Greater if operand <= high => i64::from(last?),
        std::cmp::Ordering::Greater => {
            bucket((low - operand) / (low - high))?.min(i64::from(count))
        }
        std::cmp::Ordering::Equal => return Err(invalid("lower bound cannot equal upper bound")),
    };
    Ok(Datum::Int4(i32::try_from(found).map_err(|_| out_of_range(Int4))?))
}

fn larger(a: f64, b: f64) -> f64 {
    if float8s(a, b).is_gt() { a } else { b }
}

fn smaller(a: f64, b: f64) -> f64 {
    if float8s(a, b).is_lt() { a } else { b }
}

/// A random float from 0 to below 1.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "53 bits fit")]
fn random(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(218, "float8pl", &[Float8, Float8], Float8, |_, a| d(add(a.float8(0)?, a.float8(1)?))),
    f(219, "float8mi", &[Float8, Float8], Float8, |_, a| d(sub(a.float8(0)?, a.float8(1)?))),
    f(216, "float8mul", &[Float8, Float8], Float8, |_, a| d(mul(a.float8(0)?, a.float8(1)?))),
    f(217, "float8div", &[Float8, Float8], Float8, |_, a| d(div(a.float8(0)?, a.float8(1)?))),
    f(281, "float48pl", &[Float4, Float8], Float8, |_, a| d(add(a.float4(0)?.into(), a.float8(1)?))),
    f(282, "float48mi", &[Float4, Float8], Float8, |_, a| d(sub(a.float4(0)?.into(), a.float8(1)?))),
    f(279, "float48mul", &[Float4, Float8], Float8, |_, a| d(mul(a.float4(0)?.into(), a.float8(1)?))),
    f(280, "float48div", &[Float4, Float8], Float8, |_, a| d(div(a.float4(0)?.into(), a.float8(1)?))),
    f(285, "float84pl", &[Float8, Float4], Float8, |_, a| d(add(a.float8(0)?, a.float4(1)?.into()))),
    f(286, "float84mi", &[Float8, Float4], Float8, |_, a| d(sub(a.float8(0)?, a.float4(1)?.into()))),
    f(283, "float84mul", &[Float8, Float4], Float8, |_, a| d(mul(a.float8(0)?, a.float4(1)?.into()))),
    f(284, "float84div", &[Float8, Float4], Float8, |_, a| d(div(a.float8(0)?, a.float4(1)?.into()))),
    f(204, "float4pl", &[Float4, Float4], Float4, |_, a| s(Ok(f64::from(a.float4(0)? + a.float4(1)?)), [a.float4(0)?, a.float4(1)?], true)),
    f(205, "float4mi", &[Float4, Float4], Float4, |_, a| s(Ok(f64::from(a.float4(0)? - a.float4(1)?)), [a.float4(0)?, a.float4(1)?], true)),
    f(202, "float4mul", &[Float4, Float4], Float4, |_, a| s(Ok(f64::from(a.float4(0)? * a.float4(1)?)), [a.float4(0)?, a.float4(1)?], a.float4(0)? == 0.0 || a.float4(1)? == 0.0)),
    f(203, "float4div", &[Float4, Float4], Float4, |_, a| { div(a.float4(0)?.into(), a.float4(1)?.into())?; s(Ok(f64::from(a.float4(0)? / a.float4(1)?)), [a.float4(0)?, 0.0], a.float4(0)? == 0.0 || a.float4(1)?.is_infinite()) }),
    f(220, "float8um", &[Float8], Float8, |_, a| Ok(Datum::Float8(-a.float8(0)?))),
    f(206, "float4um", &[Float4], Float4, |_, a| Ok(Datum::Float4(-a.float4(0)?))),
    f(1914, "float8up", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?))),
    f(1913, "float4up", &[Float4], Float4, |_, a| Ok(Datum::Float4(a.float4(0)?))),
    f(221, "float8abs", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.abs()))),
    f(207, "float4abs", &[Float4], Float4, |_, a| Ok(Datum::Float4(a.float4(0)?.abs()))),
    f(1395, "abs", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.abs()))),
    f(1394, "abs", &[Float4], Float4, |_, a| Ok(Datum::Float4(a.float4(0)?.abs()))),
    f(223, "float8larger", &[Float8, Float8], Float8, |_, a| Ok(Datum::Float8(larger(a.float8(0)?, a.float8(1)?)))),
    f(224, "float8smaller", &[Float8, Float8], Float8, |_, a| Ok(Datum::Float8(smaller(a.float8(0)?, a.float8(1)?)))),
    f(228, "dround", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.round_ties_even()))),
    f(1342, "round", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.round_ties_even()))),
    f(229, "dtrunc", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.trunc()))),
    f(1343, "trunc", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.trunc()))),
    f(2308, "ceil", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.ceil()))),
    f(2320, "ceiling", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.ceil()))),
    f(2309, "floor", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.floor()))),
    f(2310, "sign", &[Float8], Float8, |_, a| Ok(Datum::Float8(sign(a.float8(0)?)))),
    f(230, "dsqrt", &[Float8], Float8, |_, a| d(sqrt(a.float8(0)?))),
    f(1344, "sqrt", &[Float8], Float8, |_, a| d(sqrt(a.float8(0)?))),
    f(231, "dcbrt", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.cbrt()))),
    f(1345, "cbrt", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.cbrt()))),
    f(232, "dpow", &[Float8, Float8], Float8, |_, a| d(power(a.float8(0)?, a.float8(1)?))),
    f(1346, "pow", &[Float8, Float8], Float8, |_, a| d(power(a.float8(0)?, a.float8(1)?))),
    f(1368, "power", &[Float8, Float8], Float8, |_, a| d(power(a.float8(0)?, a.float8(1)?))),
    f(1347, "exp", &[Float8], Float8, |_, a| d(exp(a.float8(0)?))),
    f(233, "dexp", &[Float8], Float8, |_, a| d(exp(a.float8(0)?))),
    f(1341, "ln", &[Float8], Float8, |_, a| d(logarithm(a.float8(0)?, f64::ln))),
    f(234, "dlog1", &[Float8], Float8, |_, a| d(logarithm(a.float8(0)?, f64::ln))),
    f(1340, "log", &[Float8], Float8, |_, a| d(logarithm(a.float8(0)?, f64::log10))),
    f(1194, "log10", &[Float8], Float8, |_, a| d(logarithm(a.float8(0)?, f64::log10))),
    f(1339, "dlog10", &[Float8], Float8, |_, a| d(logarithm(a.float8(0)?, f64::log10))),
    f(1604, "sin", &[Float8], Float8, |_, a| d(bounded(a.float8(0)?, f64::sin))),
    f(1605, "cos", &[Float8], Float8, |_, a| d(bounded(a.float8(0)?, f64::cos))),
    f(1606, "tan", &[Float8], Float8, |_, a| d(bounded(a.float8(0)?, f64::tan))),
    f(1607, "cot", &[Float8], Float8, |_, a| d(bounded(a.float8(0)?, |x| 1.0 / x.tan()))),
    f(1600, "asin", &[Float8], Float8, |_, a| d(inverse(a.float8(0)?, f64::asin))),
    f(1601, "acos", &[Float8], Float8, |_, a| d(inverse(a.float8(0)?, f64::acos))),
    f(1602, "atan", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.atan()))),
    f(1603, "atan2", &[Float8, Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.atan2(a.float8(1)?)))),
    f(2462, "sinh", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.sinh()))),
    f(2463, "cosh", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.cosh()))),
    f(2464, "tanh", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.tanh()))),
    f(2465, "asinh", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.asinh()))),
    f(2466, "acosh", &[Float8], Float8, |_, a| if a.float8(0)? < 1.0 { Err(range("input is out of range")) } else { Ok(Datum::Float8(a.float8(0)?.acosh())) }),
    f(2467, "atanh", &[Float8], Float8, |_, a| d(inverse(a.float8(0)?, f64::atanh))),
    f(2735, "sind", &[Float8], Float8, |_, a| d(degrees(a.float8(0)?, sine))),
    f(2736, "cosd", &[Float8], Float8, |_, a| d(degrees(a.float8(0)?, cosine))),
    f(2737, "tand", &[Float8], Float8, |_, a| d(if a.float8(0)?.is_infinite() { Err(range("input is out of range")) } else { Ok(tangent(a.float8(0)?)) })),
    f(2738, "cotd", &[Float8], Float8, |_, a| d(if a.float8(0)?.is_infinite() { Err(range("input is out of range")) } else { Ok(cotangent(a.float8(0)?)) })),
    f(2731, "asind", &[Float8], Float8, |_, a| d(inverse(a.float8(0)?, |x| x.asin() / 1_f64.asin() * 90.0))),
    f(2732, "acosd", &[Float8], Float8, |_, a| d(inverse(a.float8(0)?, |x| 90.0 - x.asin() / 1_f64.asin() * 90.0))),
    f(2733, "atand", &[Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.atan() / 1_f64.atan() * 45.0))),
    f(2734, "atan2d", &[Float8, Float8], Float8, |_, a| Ok(Datum::Float8(a.float8(0)?.atan2(a.float8(1)?) / 1_f64.atan() * 45.0))),
    f(1608, "degrees", &[Float8], Float8, |_, a| d(div(a.float8(0)?, std::f64::consts::PI / 180.0))),
    f(1609, "radians", &[Float8], Float8, |_, a| d(mul(a.float8(0)?, std::f64::consts::PI / 180.0))),
    f(1610, "pi", &[], Float8, |_, _| Ok(Datum::Float8(std::f64::consts::PI))),
    f(1598, "random", &[], Float8, |c, _| Ok(Datum::Float8(random(c.exec.random.next_u64())))).volatile(),
    f(320, "width_bucket", &[Float8, Float8, Float8, Int4], Int4, |_, a| width_bucket(a.float8(0)?, a.float8(1)?, a.float8(2)?, a.int4(3)?)),
    f(235, "float8", &[Int2], Float8, |_, a| Ok(Datum::Float8(f64::from(a.int2(0)?)))),
    f(316, "float8", &[Int4], Float8, |_, a| Ok(Datum::Float8(f64::from(a.int4(0)?)))),
    f(482, "float8", &[Int8], Float8, |_, a| Ok(Datum::Float8(from_int8(a.int8(0)?)))),
    f(311, "float8", &[Float4], Float8, |_, a| Ok(Datum::Float8(f64::from(a.float4(0)?)))),
    f(1746, "float8", &[Numeric], Float8, |_, a| d(a.numeric(0)?.to_float8())),
    f(236, "float4", &[Int2], Float4, |_, a| Ok(Datum::Float4(f32::from(a.int2(0)?)))),
    f(318, "float4", &[Int4], Float4, |_, a| Ok(Datum::Float4(float4_from_int8(i64::from(a.int4(0)?))))),
    f(652, "float4", &[Int8], Float4, |_, a| Ok(Datum::Float4(float4_from_int8(a.int8(0)?)))),
    f(312, "float4", &[Float8], Float4, |_, a| to_float4(a.float8(0)?)),
    f(1745, "float4", &[Numeric], Float4, |_, a| a.numeric(0)?.to_float4().map(Datum::Float4)),
    f(238, "int2", &[Float4], Int2, |_, a| int2(f64::from(a.float4(0)?))),
    f(237, "int2", &[Float8], Int2, |_, a| int2(a.float8(0)?)),
    f(319, "int4", &[Float4], Int4, |_, a| int4(f64::from(a.float4(0)?))),
    f(317, "int4", &[Float8], Int4, |_, a| int4(a.float8(0)?)),
    f(653, "int8", &[Float4], Int8, |_, a| to_integer(f64::from(a.float4(0)?), Int8).map(Datum::Int8)),
    f(483, "int8", &[Float8], Int8, |_, a| to_integer(a.float8(0)?, Int8).map(Datum::Int8)),
    f(1742, "numeric", &[Float4], Numeric, |_, a| Numeric::from_float4(a.float4(0)?).map(Datum::from)),
    f(1743, "numeric", &[Float8], Numeric, |_, a| Numeric::from_float8(a.float8(0)?).map(Datum::from)),
];
