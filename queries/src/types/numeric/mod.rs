//! `numeric`: exact decimals with PostgreSQL's rules for the scale of results.
//!
//! A finite value is a coefficient and a display scale. Results are rounded half away from zero. [`arithmetic`] holds
//! what is exact, [`transcendental`] roots, logarithms and powers, whose number of digits follows PostgreSQL's rules.

mod arithmetic;
mod convert;
mod transcendental;

use std::cmp::Ordering;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive, Zero};
pub use transcendental::factorial;

use super::text::{invalid_syntax, is_space, trim};
use super::{Datum, Numeric, PgType};
use crate::error::{Result, SqlError, SqlState};

/// The decimal places at most (`NUMERIC_DSCALE_MAX`).
pub const SCALE_MAX: u32 = 16_383;

/// The digits before the point at most.
pub const WHOLE_DIGITS_MAX: u64 = 131_072;

impl From<Numeric> for Datum {
    fn from(value: Numeric) -> Self {
        Self::Numeric(Arc::new(value))
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Self::Finite { coefficient: BigInt::from(value), scale: 0 }
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Self {
        Self::Finite { coefficient: BigInt::from(value), scale: 0 }
    }
}

impl Numeric {
    /// `coefficient * 10^-scale`.
    pub fn new(coefficient: impl Into<BigInt>, scale: u32) -> Self {
        Self::Finite { coefficient: coefficient.into(), scale }
    }

    /// Zero.
    pub fn zero() -> Self {
        Self::new(0, 0)
    }

    /// Whether it is a number and zero.
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Finite { coefficient, .. } if coefficient.is_zero())
    }

    /// Whether it is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self, Self::NaN)
    }

    /// -1, 0 or 1; NaN counts as 1.
    pub fn signum(&self) -> i32 {
        match self {
            Self::Finite { coefficient, .. } => match coefficient.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
            Self::NaN | Self::Infinity => 1,
            Self::NegativeInfinity => -1,
        }
    }

    /// The decimal places shown; 0 for what is not finite.
    pub fn scale(&self) -> u32 {
        match self {
            Self::Finite { scale, .. } => *scale,
            _ => 0,
        }
    }
}

/// `10^exponent`.
pub(crate) fn power_of_ten(exponent: u32) -> BigInt {
    match 10_u64.checked_pow(exponent) {
        Some(small) => BigInt::from(small),
        None => BigInt::from(10).pow(exponent),
    }
}

/// The number of decimal digits; 0 for zero.
pub(crate) fn digits_of(coefficient: &BigInt) -> u64 {
    if let Some(small) = coefficient.abs().to_u128() {
        return small.checked_ilog10().map_or(0, |log| u64::from(log) + 1);
    }
    u64::try_from(coefficient.magnitude().to_str_radix(10).len()).unwrap_or(u64::MAX)
}

/// The error for a result that no `numeric` can hold.
pub(crate) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// A result, if it fits into the format.
pub(crate) fn checked(coefficient: BigInt, scale: u32) -> Result<Numeric> {
    // A coefficient of so few bits cannot have too many digits.
    if scale > SCALE_MAX
        || (coefficient.bits() > 400_000
            && digits_of(&coefficient) > WHOLE_DIGITS_MAX + u64::from(scale))
    {
        return Err(overflow());
    }
    Ok(Numeric::Finite { coefficient, scale })
}

/// Compares two values: NaN is equal to itself and above everything else.
pub fn compare(left: &Numeric, right: &Numeric) -> Ordering {
    let rank = |it: &Numeric| match it {
        Numeric::NegativeInfinity => 0,
        Numeric::Finite { .. } => 1,
        Numeric::Infinity => 2,
        Numeric::NaN => 3,
    };
    let (
        Numeric::Finite { coefficient: a, scale: s },
        Numeric::Finite { coefficient: b, scale: t },
    ) = (left, right)
    else {
        return rank(left).cmp(&rank(right));
    };
    if s == t || a.sign() != b.sign() {
        return a.cmp(b);
    }
    if s < t { (a * power_of_ten(t - s)).cmp(b) } else { a.cmp(&(b * power_of_ten(s - t))) }
}

/// Hashes so that equal values have equal hashes, whatever their scale.
pub fn hash(value: &Numeric, state: &mut impl std::hash::Hasher) {
    let Numeric::Finite { coefficient, scale } = value else {
        return state.write_i32(match value {
            Numeric::NaN => 2,
            other => other.signum(),
        });
    };
    let (mut coefficient, mut scale) = (coefficient.clone(), *scale);
    if let (Some(mut small), true) = (coefficient.to_i128(), scale > 0) {
        while scale > 0 && small % 10 == 0 {
            small /= 10;
            scale -= 1;
        }
        coefficient = BigInt::from(small);
    } else {
        while scale > 0 && (&coefficient % 10_u32).is_zero() {
            coefficient /= 10_u32;
            scale -= 1;
        }
    }
    state.write_u32(if coefficient.is_zero() { 0 } else { scale });
    match coefficient.to_i64() {
        Some(small) => state.write_i64(small),
        None => state.write(&coefficient.to_signed_bytes_le()),
    }
}

/// Reads a `numeric`.
pub fn read(text: &str) -> Result<Numeric> {
    let word = trim(text);
    let special = match word.to_ascii_lowercase().as_str() {
        "nan" => Some(Numeric::NaN),
        "inf" | "+inf" | "infinity" | "+infinity" => Some(Numeric::Infinity),
        "-inf" | "-infinity" => Some(Numeric::NegativeInfinity),
        _ => None,
    };
    if let Some(special) = special {
        return Ok(special);
    }
    parse(word).ok_or_else(|| invalid_syntax(PgType::Numeric, text))?
}

/// Parses a number; none if it is not written as one.
fn parse(word: &str) -> Option<Result<Numeric>> {
    debug_assert!(!word.bytes().next().is_some_and(is_space));
    let (negative, unsigned) = match word.as_bytes() {
        [b'-', ..] => (true, &word[1..]),
        [b'+', ..] => (false, &word[1..]),
        _ => (false, word),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(place) => (&unsigned[..place], Some(&unsigned[place + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let exponent: i64 = match exponent {
        None => 0,
        Some(text) => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            text.parse::<i64>().unwrap_or(if text.starts_with('-') {
                i64::MIN / 2
            } else {
                i64::MAX / 2
            })
        }
    };
    Some(assemble(negative, whole, fraction, exponent))
}

fn assemble(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Result<Numeric> {
    let short = whole.len() + fraction.len() <= 18;
    let joined = || -> BigInt {
        let text = [whole, fraction].concat();
        BigInt::parse_bytes(text.as_bytes(), 10).unwrap_or_default()
    };
    let mut coefficient = if short {
        let digits = whole.bytes().chain(fraction.bytes());
        BigInt::from(digits.fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0')))
    } else {
        joined()
    };
    if negative {
        coefficient = -coefficient;
    }
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX).saturating_sub(exponent);
    if exponent.abs() >= i64::from(i32::MAX / 2) {
        return Err(overflow());
    }
    if places < 0 {
        let zeros = u32::try_from(-places).unwrap_or(u32::MAX);
        if coefficient.is_zero() {
            return Ok(Numeric::zero());
        }
        if u64::from(zeros) + digits_of(&coefficient) > WHOLE_DIGITS_MAX {
            return Err(overflow());
        }
        return Ok(Numeric::new(coefficient * power_of_ten(zeros), 0));
    }
    let scale = u32::try_from(places).unwrap_or(u32::MAX);
    if scale > SCALE_MAX
        || digits_of(&coefficient).saturating_sub(u64::from(scale)) > WHOLE_DIGITS_MAX
    {
        return Err(overflow());
    }
    Ok(Numeric::new(coefficient, scale))
}

/// Writes a `numeric`.
pub fn write(value: &Numeric, out: &mut Vec<u8>) {
    let (coefficient, scale) = match value {
        Numeric::Finite { coefficient, scale } => (coefficient, *scale),
        Numeric::NaN => return out.extend_from_slice(b"NaN"),
        Numeric::Infinity => return out.extend_from_slice(b"Infinity"),
        Numeric::NegativeInfinity => return out.extend_from_slice(b"-Infinity"),
    };
    let digits = coefficient.magnitude().to_str_radix(10);
    if coefficient.is_negative() {
        out.push(b'-');
    }
    let scale = usize::try_from(scale).unwrap_or(usize::MAX);
    if scale == 0 {
        return out.extend_from_slice(digits.as_bytes());
    }
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole.as_bytes());
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits.as_bytes());
    }
}

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        write(self, &mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}
