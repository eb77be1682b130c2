//! Roots, logarithms and powers, computed in fixed point with a few digits more than are shown.
//!
//! How many digits are shown follows `numeric.c`: at least 16 significant ones, and never fewer decimal places than
//! the operands have.

use num_bigint::{BigInt, BigUint};
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::arithmetic::{DISPLAY_SCALE_MAX, divide_rounded, division_by_zero};
use super::{checked, digits_of, overflow, power_of_ten};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Numeric::{self, Finite, Infinity, NaN, NegativeInfinity};

/// The significant digits shown at least.
const SIGNIFICANT_DIGITS_MIN: i64 = 16;

/// Digits computed beyond those shown.
const GUARD_DIGITS: u32 = 12;

/// The decimal logarithm of a result beyond which it surely overflows or vanishes (`NUMERIC_MAX_RESULT_SCALE`).
const RESULT_SCALE_MAX: f64 = 2000.0;

const LOG10_E: f64 = std::f64::consts::LOG10_E;

fn places(wanted: i64, operands: &[&Numeric]) -> u32 {
    let scale = operands.iter().map(|it| i64::from(it.scale())).fold(wanted, i64::max);
    u32::try_from(scale.clamp(0, DISPLAY_SCALE_MAX)).unwrap_or(0)
}

fn invalid(state: SqlState, message: &str) -> SqlError {
    SqlError::new(state, message)
}

/// A float cut to an integer, as C does.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "saturates, as it should"
)]
fn cut(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "an estimate")]
fn float(value: i64) -> f64 {
    value as f64
}

/// A value in fixed point.
fn fixed(coefficient: &BigInt, scale: u32, wanted: u32) -> BigInt {
    if wanted >= scale {
        coefficient * power_of_ten(wanted - scale)
    } else {
        divide_rounded(coefficient, &power_of_ten(scale - wanted))
    }
}

/// `atanh(1/n)` in fixed point.
fn atanh_of_inverse(n: u32, one: &BigInt) -> BigInt {
    let square = BigInt::from(n) * n;
    let mut power = one / n;
    let mut sum = power.clone();
    let mut divisor = 3_u32;
    while !power.is_zero() {
        power /= &square;
        sum += &power / divisor;
        divisor += 2;
    }
    sum
}

/// `ln(10)` in fixed point.
fn ln_of_ten(places: u32) -> BigInt {
    let one = power_of_ten(places + 5);
    let sum = atanh_of_inverse(31, &one) * 46
        + atanh_of_inverse(49, &one) * 34
        + atanh_of_inverse(161, &one) * 20;
    sum / 100_000
}

/// The square root of a fixed-point number.
fn fixed_root(value: &BigInt, one: &BigInt) -> BigInt {
    BigInt::from((value * one).magnitude().sqrt())
}

/// `ln` of a positive number, in fixed point.
fn fixed_ln(coefficient: &BigInt, scale: u32, places: u32) -> BigInt {
    const ROOTS: u32 = 8;
    let digits = i64::try_from(digits_of(coefficient)).unwrap_or(i64::MAX);
    let mut exponent = digits - i64::from(scale) - 1;
    let working = places + 8;
    let one = power_of_ten(working);
    // A mantissa from 1 to 10, or below 1 if the number itself lies near 1.
    if exponent == -1 {
        exponent = 0;
    }
    let shift = i64::from(working) - i64::from(scale) - exponent;
    let power = power_of_ten(u32::try_from(shift.unsigned_abs()).unwrap_or(0));
    let mut mantissa = if shift >= 0 { coefficient * power } else { coefficient / power };
    for _ in 0..ROOTS {
        mantissa = fixed_root(&mantissa, &one);
    }
    let ratio = (&mantissa - &one) * &one / (&mantissa + &one);
    let square = &ratio * &ratio / &one;
    let (mut power, mut sum, mut divisor) = (ratio.clone(), ratio, 3_u32);
    while !power.is_zero() {
        power = power * &square / &one;
        sum += &power / divisor;
        divisor += 2;
    }
    let logarithm = sum * 2 * (1_u32 << ROOTS);
    let shifted = ln_of_ten(working + 8) * exponent / power_of_ten(8);
    (logarithm + shifted) / power_of_ten(8)
}

/// `e^x` as a coefficient of about so many significant digits and a power of ten, for `x` in fixed point.
fn fixed_exp(x: &BigInt, places: u32) -> (BigInt, i64) {
    const HALVINGS: u32 = 10;
    let ten = ln_of_ten(places);
    let exponent = num_integer::Integer::div_floor(x, &ten);
    let rest = x - &exponent * &ten;
    let one = power_of_ten(places);
    let small = rest >> HALVINGS;
    let (mut term, mut sum, mut n) = (one.clone(), one.clone(), 1_u32);
    while !term.is_zero() {
        term = term * &small / &one / n;
        sum += &term;
        n += 1;
    }
    for _ in 0..HALVINGS {
        sum = &sum * &sum / &one;
    }
    (sum, exponent.to_i64().unwrap_or(i64::MAX) - i64::from(places))
}

/// `coefficient * 10^exponent` rounded to a scale.
fn assemble(coefficient: &BigInt, exponent: i64, scale: u32) -> Result<Numeric> {
    let shift = exponent + i64::from(scale);
    let power = power_of_ten(u32::try_from(shift.unsigned_abs()).map_err(|_| overflow())?);
    checked(
        if shift >= 0 { coefficient * power } else { divide_rounded(coefficient, &power) },
        scale,
    )
}

/// The decimal weight of `ln(value)` (`estimate_ln_dweight`).
fn ln_weight(value: &Numeric) -> i64 {
    let Finite { coefficient, scale } = value else { return 0 };
    if !coefficient.is_positive() {
        return 0;
    }
    let near = |low: i64, high: i64| {
        let tenfold = coefficient * 10;
        let one = power_of_ten(*scale);
        tenfold >= &one * low && tenfold <= &one * high
    };
    if near(9, 11) {
        let difference = Numeric::new(coefficient - power_of_ten(*scale), *scale);
        let (weight, first) = difference.leading();
        return if first == 0 { 0 } else { weight * 4 + cut(f64::from(first).log10()) };
    }
    let digits = i64::try_from(digits_of(coefficient)).unwrap_or(0);
    let text = coefficient.to_string();
    let leading: f64 = text.get(..text.len().min(8)).and_then(|it| it.parse().ok()).unwrap_or(1.0);
    let exponent = digits - 8.min(digits) - i64::from(*scale);
    let logarithm = leading.ln() + float(exponent) * std::f64::consts::LN_10;
    cut(logarithm.abs().log10())
}

impl Numeric {
    /// The square root.
    pub fn sqrt(&self) -> Result<Self> {
        let Finite { coefficient, .. } = self else {
            return match self {
                NegativeInfinity => Err(negative_root()),
                other => Ok(other.clone()),
            };
        };
        if coefficient.is_negative() {
            return Err(negative_root());
        }
        let (weight, _) = self.leading();
        let root_weight = (weight + 1) * 4 / 2 - 1;
        self.sqrt_to(places(SIGNIFICANT_DIGITS_MIN - root_weight, &[self]))
    }

    /// The square root of a finite number that is not negative, rounded to a scale.
    pub(crate) fn sqrt_to(&self, shown: u32) -> Result<Self> {
        let Finite { coefficient, scale } = self else { return Ok(self.clone()) };
        // One digit more, and twice the places under the root.
        let radicand = fixed(coefficient, *scale, (shown + 1) * 2);
        let root = BigInt::from(radicand.magnitude().sqrt());
        checked(divide_rounded(&root, &BigInt::from(10)), shown)
    }

    /// `e^self`.
    pub fn exp(&self) -> Result<Self> {
        let Finite { coefficient, scale } = self else {
            return Ok(if matches!(self, NegativeInfinity) { Self::zero() } else { self.clone() });
        };
        let value = self.to_float8_lossy();
        let weight = cut((value * LOG10_E).clamp(-RESULT_SCALE_MAX, RESULT_SCALE_MAX));
        let shown = places(SIGNIFICANT_DIGITS_MIN - weight, &[self]);
        exp_to(coefficient, *scale, value, shown)
    }

    /// The natural logarithm.
    pub fn ln(&self) -> Result<Self> {
        let Finite { coefficient, scale } = self.logarithmic()? else { return Ok(self.clone()) };
        let shown = places(SIGNIFICANT_DIGITS_MIN - ln_weight(self), &[self]);
        let logarithm = fixed_ln(coefficient, *scale, shown + GUARD_DIGITS);
        checked(divide_rounded(&logarithm, &power_of_ten(GUARD_DIGITS)), shown)
    }

    /// The logarithm of `other` to the base `self`.
    pub fn log(&self, other: &Self) -> Result<Self> {
        let (base, number) = (self.logarithmic()?, other.logarithmic()?);
        let (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t }) =
            (base, number)
        else {
            return Ok(match (self, other) {
                (NaN, _) | (_, NaN) | (Infinity, Infinity) => NaN,
                (Infinity, _) => Self::zero(),
                _ => Infinity,
            });
        };
        let (base_weight, number_weight) = (ln_weight(self), ln_weight(other));
        let weight = number_weight - base_weight;
        let shown = places(SIGNIFICANT_DIGITS_MIN - weight, &[self, other]);
        let extra =
            u32::try_from((weight.abs() + base_weight.abs() + number_weight.abs()).min(2000))
                .unwrap_or(0);
        let working = shown + extra + GUARD_DIGITS;
        let divisor = fixed_ln(a, *s, working);
        if divisor.is_zero() {
            return Err(division_by_zero());
        }
        let quotient = fixed_ln(b, *t, working) * power_of_ten(shown);
        checked(divide_rounded(&quotient, &divisor), shown)
    }

    /// The value itself, if it has a logarithm.
    fn logarithmic(&self) -> Result<&Self> {
        match self {
            Self::NaN => Ok(self),
            _ if self.signum() < 0 => Err(invalid(
                SqlState::INVALID_ARGUMENT_FOR_LOG,
                "cannot take logarithm of a negative number",
            )),
            _ if self.is_zero() => {
                Err(invalid(SqlState::INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero"))
            }
            _ => Ok(self),
        }
    }

    /// `self ^ other`.
    pub fn power(&self, other: &Self) -> Result<Self> {
        let one = Self::from(1_i64);
        let (Finite { .. }, Finite { coefficient, scale }) = (self, other) else {
            return self.power_not_finite(other);
        };
        if self.is_zero() && other.signum() < 0 {
            let message = "zero raised to a negative power is undefined";
            return Err(invalid(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
        }
        let whole = other.trunc(0);
        let is_whole = super::compare(&whole, other).is_eq();
        if self.signum() < 0 && !is_whole {
            let message = "a negative number raised to a non-integer power yields a complex result";
            return Err(invalid(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
        }
        if let (true, Finite { coefficient, .. }) = (is_whole, &whole)
            && let Some(exponent) = coefficient.to_i32()
        {
            return self.power_integer(exponent);
        }
        if self.is_zero() {
            return Ok(Self::new(0, 16));
        }
        let odd = is_whole && matches!(&whole, Finite { coefficient, .. } if coefficient.bit(0));
        let negative = self.signum() < 0 && odd;
        let result = self.abs().power_real(coefficient, *scale, other)?;
        if super::compare(&self.abs(), &one).is_eq() && is_whole {
            return Ok(if negative {
                Self::new(-power_of_ten(16), 16)
            } else {
                Self::new(power_of_ten(16), 16)
            });
        }
        Ok(if negative { result.neg() } else { result })
    }

    fn power_not_finite(&self, other: &Self) -> Result<Self> {
        let one = Self::from(1_i64);
        let is_one = super::compare(self, &one).is_eq();
        if self.is_nan() || other.is_nan() {
            return Ok(if other.is_zero() || is_one { one } else { NaN });
        }
        if is_one || other.is_zero() {
            return Ok(one);
        }
        if self.is_zero() && other.signum() < 0 {
            let message = "zero raised to a negative power is undefined";
            return Err(invalid(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
        }
        if let Infinity | NegativeInfinity = other {
            let magnitude = super::compare(&self.abs(), &one);
            return Ok(if magnitude.is_eq() {
                one
            } else if magnitude.is_gt() == (other.signum() > 0) {
                Infinity
            } else {
                Self::zero()
            });
        }
        let whole = other.trunc(0);
        let is_whole = super::compare(&whole, other).is_eq();
        if self.signum() < 0 && !is_whole {
            let message = "a negative number raised to a non-integer power yields a complex result";
            return Err(invalid(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
        }
        if other.signum() < 0 {
            return Ok(Self::zero());
        }
        let odd = matches!(&whole, Finite { coefficient, .. } if coefficient.bit(0));
        Ok(if self.signum() < 0 && odd { NegativeInfinity } else { Infinity })
    }

    /// A power with an integer exponent, by repeated squaring with as many digits as count.
    fn power_integer(&self, exponent: i32) -> Result<Self> {
        let Finite { coefficient, scale } = self else { return Ok(NaN) };
        let shown = places(SIGNIFICANT_DIGITS_MIN, &[self]);
        match exponent {
            0 => return Ok(Self::new(power_of_ten(shown), shown)),
            1 => return Ok(self.round(i64::from(shown))),
            -1 => return Self::from(1_i64).div_to_scale(self, shown),
            2 => {
                let square =
                    Self::new(coefficient * coefficient, scale * 2).round(i64::from(shown));
                let Finite { coefficient, scale } = square else { return Ok(NaN) };
                return checked(coefficient, scale);
            }
            _ => {}
        }
        if self.is_zero() {
            return Ok(Self::new(0, shown));
        }
        let text = coefficient.magnitude().to_string();
        let leading: f64 =
            text.get(..text.len().min(16)).and_then(|it| it.parse().ok()).unwrap_or(1.0);
        let dropped = i64::try_from(text.len().saturating_sub(16)).unwrap_or(0);
        let weight = f64::from(exponent) * (leading.log10() + float(dropped - i64::from(*scale)));
        if weight > 3.0 * 32_767.0 * 4.0 {
            return Err(overflow());
        }
        if weight + 1.0 < -f64::from(shown) {
            return Ok(Self::new(0, shown));
        }
        let digits = 1 + i64::from(shown) + cut(weight) + cut(f64::from(exponent).abs().ln()) + 20;
        let (value, power) =
            power_truncated(coefficient, *scale, exponent.unsigned_abs(), digits.max(40));
        if exponent > 0 {
            return assemble(&value, power, shown);
        }
        // The reciprocal: 10^n / value, with n large enough for all digits shown.
        let extra = i64::from(shown) - power + 2;
        if extra < 0 {
            return Ok(Self::new(0, shown));
        }
        let numerator = power_of_ten(u32::try_from(extra).map_err(|_| overflow())?);
        assemble(&divide_rounded(&numerator, &value), -extra - power, shown)
    }

    /// A power of a positive number with any exponent: `e^(exponent * ln(self))`.
    fn power_real(&self, exponent: &BigInt, exponent_scale: u32, other: &Self) -> Result<Self> {
        let Finite { coefficient, scale } = self else { return Ok(NaN) };
        let weight = ln_weight(self);
        let rough = u32::try_from((8 - weight).max(0)).unwrap_or(0) + 8;
        let product = fixed_ln(coefficient, *scale, rough) * exponent;
        let value = Self::new(product, rough + exponent_scale).to_float8_lossy();
        if value.abs() > RESULT_SCALE_MAX * 3.01 {
            return if value > 0.0 { Err(overflow()) } else { Ok(Self::new(0, 1000)) };
        }
        let result_weight = cut(value * LOG10_E);
        let shown = places(SIGNIFICANT_DIGITS_MIN - result_weight, &[self, other]);
        let digits = (i64::from(shown) + result_weight).max(0) - weight + i64::from(GUARD_DIGITS);
        let exponent_digits = i64::try_from(digits_of(exponent)).unwrap_or(0);
        let working = u32::try_from((digits + exponent_digits).max(20)).unwrap_or(20);
        let logarithm = fixed_ln(coefficient, *scale, working) * exponent;
        exp_to(&logarithm, working + exponent_scale, value, shown)
    }
}

fn negative_root() -> SqlError {
    invalid(
        SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
        "cannot take square root of a negative number",
    )
}

/// `e^x` rounded to a scale, where `estimate` is about `x`.
fn exp_to(coefficient: &BigInt, scale: u32, estimate: f64, shown: u32) -> Result<Numeric> {
    if estimate.abs() >= RESULT_SCALE_MAX * 3.0 {
        return if estimate > 0.0 { Err(overflow()) } else { Ok(Numeric::new(0, shown)) };
    }
    let weight = cut(estimate * LOG10_E);
    let digits = (i64::from(shown) + weight).max(0) + i64::from(GUARD_DIGITS) + 8;
    let working = u32::try_from(digits).unwrap_or(GUARD_DIGITS);
    let (value, exponent) = fixed_exp(&fixed(coefficient, scale, working), working);
    assemble(&value, exponent, shown)
}

/// A power as a coefficient of at most so many digits and a power of ten.
fn power_truncated(base: &BigInt, scale: u32, exponent: u32, digits: i64) -> (BigInt, i64) {
    let limit = u64::try_from(digits).unwrap_or(u64::MAX);
    let reduce = |value: BigInt, power: i64| -> (BigInt, i64) {
        // Rough first, because counting digits is dear.
        if value.bits() < limit.saturating_mul(10) / 3 {
            return (value, power);
        }
        let excess = digits_of(&value).saturating_sub(limit);
        let dropped = u32::try_from(excess).unwrap_or(0);
        (value / power_of_ten(dropped), power + i64::from(dropped))
    };
    let (mut square, mut square_power) = (base.clone(), -i64::from(scale));
    let (mut result, mut power) = (BigInt::one(), 0);
    let mut rest = exponent;
    while rest > 0 {
        if rest & 1 == 1 {
            (result, power) = reduce(result * &square, power + square_power);
        }
        rest >>= 1;
        if rest > 0 {
            (square, square_power) = reduce(&square * &square, square_power * 2);
        }
    }
    (result, power)
}

/// The factorial.
pub fn factorial(n: i64) -> Result<Numeric> {
    /// The largest whose factorial PostgreSQL computes.
    const LARGEST: i64 = 32_177;
    if n < 0 {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "factorial of a negative number is undefined",
        ));
    }
    if n > LARGEST {
        return Err(overflow());
    }
    let product = (2..=n).fold(BigUint::one(), |product, factor| product * factor.unsigned_abs());
    Ok(Numeric::new(BigInt::from(product), 0))
}
