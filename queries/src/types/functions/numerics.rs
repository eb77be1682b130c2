//! `numeric`: arithmetic, rounding, roots and powers, and the fitting to precision and scale.

use num_bigint::BigInt;
use num_traits::Signed;

use super::define::f;
use super::integers::{division_by_zero, out_of_range};
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::*;
use crate::types::numeric::{compare, factorial, power_of_ten};
use crate::types::typmod::precision_and_scale;
use crate::types::{Datum, Numeric};

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// Fits a value to `numeric(precision, scale)`.
pub(super) fn fit(value: &Numeric, typmod: i32) -> Result<Numeric> {
    let Some((precision, scale)) = precision_and_scale(typmod) else { return Ok(value.clone()) };
    let overflow = |detail: String| {
        Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
            .with_detail(detail))
    };
    match value {
        Numeric::NaN => return Ok(Numeric::NaN),
        Numeric::Infinity | Numeric::NegativeInfinity => {
            return overflow(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            ));
        }
        Numeric::Finite { .. } => {}
    }
    let rounded = value.round(i64::from(scale));
    let whole = precision - scale;
    let limit_holds = match (&rounded, u32::try_from(whole)) {
        (Numeric::Finite { coefficient, scale }, Ok(whole)) => {
            coefficient.abs() < power_of_ten(whole + scale)
        }
        (Numeric::Finite { coefficient, scale: shown }, Err(_)) => {
            let places = u32::try_from(i64::from(*shown) + i64::from(whole)).unwrap_or(0);
            coefficient.abs() < power_of_ten(places)
        }
        _ => true,
    };
    if !limit_holds {
        let bound = if whole == 0 { "1".to_owned() } else { format!("10^{whole}") };
        return overflow(format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
        ));
    }
    Ok(rounded)
}

/// How a value lies between bounds, as a bucket number.
fn width_bucket(arguments: &[Datum]) -> Result<Datum> {
    let invalid =
        |message: &str| SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message);
    let (operand, low, high) =
        (arguments.numeric(0)?, arguments.numeric(1)?, arguments.numeric(2)?);
    let count = arguments.int4(3)?;
    if count <= 0 {
        return Err(invalid("count must be greater than zero"));
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return Err(invalid("operand, lower bound, and upper bound cannot be NaN"));
    }
    if !matches!((low, high), (Numeric::Finite { .. }, Numeric::Finite { .. })) {
        return Err(invalid("lower and upper bounds must be finite"));
    }
    let order = compare(low, high);
    if order.is_eq() {
        return Err(invalid("lower bound cannot equal upper bound"));
    }
    let outside = |bound: &Numeric| compare(operand, bound);
    let found = if outside(low) == order {
        0
    } else if outside(high) != order {
        i64::from(count) + 1
    } else {
        let share = operand.sub(low)?.mul(&Numeric::from(i64::from(count)))?;
        share.div_trunc(&high.sub(low)?)?.to_integer(Int8)? + 1
    };
    i32::try_from(found).map(Datum::Int4).map_err(|_| out_of_range(Int4))
}

fn n(value: Result<Numeric>) -> Result<Datum> {
    value.map(Datum::from)
}

fn whole(value: &Numeric, ty: crate::types::PgType) -> Result<i64> {
    value.to_integer(ty)
}

fn ten() -> Numeric {
    Numeric::new(BigInt::from(10), 0)
}

fn gcd(a: &Numeric, b: &Numeric) -> Numeric {
    a.gcd(b)
}

fn modulo(a: &Numeric, b: &Numeric) -> Result<Datum> {
    n(a.rem(b))
}

fn checked_div(a: &Numeric, b: &Numeric) -> Result<Datum> {
    if b.is_zero() && !a.is_nan() { Err(division_by_zero()) } else { n(a.div(b)) }
}

fn scale(value: &Numeric, places: u32) -> Datum {
    match value {
        Numeric::Finite { .. } => Datum::Int4(i32::try_from(places).unwrap_or(i32::MAX)),
        _ => Datum::Null,
    }
}

/// Places of rounding as PostgreSQL limits them.
fn places(value: i32) -> i64 {
    i64::from(value).clamp(-2000, 2000)
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1724, "numeric_add", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.add(a.numeric(1)?))),
    f(1725, "numeric_sub", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.sub(a.numeric(1)?))),
    f(1726, "numeric_mul", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.mul(a.numeric(1)?))),
    f(1727, "numeric_div", &[Numeric, Numeric], Numeric, |_, a| checked_div(a.numeric(0)?, a.numeric(1)?)),
    f(1729, "numeric_mod", &[Numeric, Numeric], Numeric, |_, a| modulo(a.numeric(0)?, a.numeric(1)?)),
    f(1728, "mod", &[Numeric, Numeric], Numeric, |_, a| modulo(a.numeric(0)?, a.numeric(1)?)),
    f(1980, "numeric_div_trunc", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.div_trunc(a.numeric(1)?))),
    f(1973, "div", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.div_trunc(a.numeric(1)?))),
    f(1771, "numeric_uminus", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.neg()))),
    f(1915, "numeric_uplus", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.clone()))),
    f(1704, "numeric_abs", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.abs()))),
    f(1705, "abs", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.abs()))),
    f(1706, "sign", &[Numeric], Numeric, |_, a| Ok(Datum::from(if a.numeric(0)?.is_nan() { Numeric::NaN } else { Numeric::from(i64::from(a.numeric(0)?.signum())) }))),
    f(1707, "round", &[Numeric, Int4], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.round(places(a.int4(1)?))))),
    f(1708, "round", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.round(0)))),
    f(1709, "trunc", &[Numeric, Int4], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.trunc(places(a.int4(1)?))))),
    f(1710, "trunc", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.trunc(0)))),
    f(1711, "ceil", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.ceil()))),
    f(2167, "ceiling", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.ceil()))),
    f(1712, "floor", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.floor()))),
    f(1731, "numeric_sqrt", &[Numeric], Numeric, |_, a| n(a.numeric(0)?.sqrt())),
    f(1730, "sqrt", &[Numeric], Numeric, |_, a| n(a.numeric(0)?.sqrt())),
    f(1733, "numeric_exp", &[Numeric], Numeric, |_, a| n(a.numeric(0)?.exp())),
    f(1732, "exp", &[Numeric], Numeric, |_, a| n(a.numeric(0)?.exp())),
    f(1735, "numeric_ln", &[Numeric], Numeric, |_, a| n(a.numeric(0)?.ln())),
    f(1734, "ln", &[Numeric], Numeric, |_, a| n(a.numeric(0)?.ln())),
    f(1737, "numeric_log", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.log(a.numeric(1)?))),
    f(1736, "log", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.log(a.numeric(1)?))),
    f(1741, "log", &[Numeric], Numeric, |_, a| n(ten().log(a.numeric(0)?))),
    f(1481, "log10", &[Numeric], Numeric, |_, a| n(ten().log(a.numeric(0)?))),
    f(1739, "numeric_power", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.power(a.numeric(1)?))),
    f(2169, "power", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.power(a.numeric(1)?))),
    f(1738, "pow", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.power(a.numeric(1)?))),
    f(1376, "factorial", &[Int8], Numeric, |_, a| n(factorial(a.int8(0)?))),
    f(5048, "gcd", &[Numeric, Numeric], Numeric, |_, a| Ok(Datum::from(gcd(a.numeric(0)?, a.numeric(1)?)))),
    f(5049, "lcm", &[Numeric, Numeric], Numeric, |_, a| n(a.numeric(0)?.lcm(a.numeric(1)?))),
    f(3281, "scale", &[Numeric], Int4, |_, a| Ok(scale(a.numeric(0)?, a.numeric(0)?.scale()))),
    f(5042, "min_scale", &[Numeric], Int4, |_, a| Ok(scale(a.numeric(0)?, a.numeric(0)?.scale_min()))),
    f(5043, "trim_scale", &[Numeric], Numeric, |_, a| Ok(Datum::from(a.numeric(0)?.trimmed()))),
    f(1764, "numeric_inc", &[Numeric], Numeric, |_, a| n(a.numeric(0)?.add(&Numeric::from(1_i64)))),
    f(2170, "width_bucket", &[Numeric, Numeric, Numeric, Int4], Int4, |_, a| width_bucket(a)),
    f(1767, "numeric_larger", &[Numeric, Numeric], Numeric, |_, a| Ok(a[usize::from(compare(a.numeric(0)?, a.numeric(1)?).is_lt())].clone())),
    f(1766, "numeric_smaller", &[Numeric, Numeric], Numeric, |_, a| Ok(a[usize::from(compare(a.numeric(0)?, a.numeric(1)?).is_gt())].clone())),
    f(1703, "numeric", &[Numeric, Int4], Numeric, |_, a| n(fit(a.numeric(0)?, a.int4(1)?))),
    f(1782, "numeric", &[Int2], Numeric, |_, a| Ok(Datum::from(Numeric::from(i64::from(a.int2(0)?))))),
    f(1740, "numeric", &[Int4], Numeric, |_, a| Ok(Datum::from(Numeric::from(i64::from(a.int4(0)?))))),
    f(1781, "numeric", &[Int8], Numeric, |_, a| Ok(Datum::from(Numeric::from(a.int8(0)?)))),
    f(1783, "int2", &[Numeric], Int2, |_, a| Ok(Datum::Int2(i16::try_from(whole(a.numeric(0)?, Int2)?).unwrap_or(0)))),
    f(1744, "int4", &[Numeric], Int4, |_, a| Ok(Datum::Int4(i32::try_from(whole(a.numeric(0)?, Int4)?).unwrap_or(0)))),
    f(1779, "int8", &[Numeric], Int8, |_, a| Ok(Datum::Int8(whole(a.numeric(0)?, Int8)?))),
];
