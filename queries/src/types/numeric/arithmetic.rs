//! Arithmetic that is exact, or rounded to a scale that the operands decide.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};

use super::{SCALE_MAX, checked, digits_of, power_of_ten};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Numeric::{self, Finite, Infinity, NaN, NegativeInfinity};

/// The significant digits that a quotient has at least (`NUMERIC_MIN_SIG_DIGITS`).
const SIGNIFICANT_DIGITS_MIN: i64 = 16;

/// The decimal places that a computed result is given at most (`NUMERIC_MAX_DISPLAY_SCALE`).
pub(crate) const DISPLAY_SCALE_MAX: i64 = 1000;

/// The error for a division by zero.
pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// A coefficient brought from one scale to a larger one.
fn raise(coefficient: &BigInt, from: u32, to: u32) -> BigInt {
    if from == to { coefficient.clone() } else { coefficient * power_of_ten(to - from) }
}

/// `numerator / denominator`, rounded half away from zero.
pub(crate) fn divide_rounded(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let (quotient, remainder) = numerator.div_rem(denominator);
    if (remainder.abs() << 1_u32) >= denominator.abs() {
        let up = if numerator.is_negative() == denominator.is_negative() { 1 } else { -1 };
        quotient + up
    } else {
        quotient
    }
}

/// An infinity with a sign.
fn infinity(sign: i32) -> Numeric {
    if sign < 0 { NegativeInfinity } else { Infinity }
}

impl Numeric {
    /// `self + other`.
    pub fn add(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t }) => {
                let scale = *s.max(t);
                checked(raise(a, *s, scale) + raise(b, *t, scale), scale)
            }
            (NaN, _) | (_, NaN) | (Infinity, NegativeInfinity) | (NegativeInfinity, Infinity) => {
                Ok(NaN)
            }
            (Infinity | NegativeInfinity, _) => Ok(self.clone()),
            (_, other) => Ok(other.clone()),
        }
    }

    /// `self - other`.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.add(&other.neg())
    }

    /// `self * other`.
    pub fn mul(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t }) => {
                let product = Self::new(a * b, s + t);
                let Finite { coefficient, scale } = product.round(i64::from(SCALE_MAX.min(s + t)))
                else {
                    return Ok(NaN);
                };
                checked(coefficient, scale)
            }
            (NaN, _) | (_, NaN) => Ok(NaN),
            _ => match self.signum() * other.signum() {
                0 => Ok(NaN),
                sign => Ok(infinity(sign)),
            },
        }
    }

    /// `self / other`, with at least 16 significant digits and the scale of either operand.
    pub fn div(&self, other: &Self) -> Result<Self> {
        let scale = match (self, other) {
            (Finite { .. }, Finite { .. }) => self.quotient_scale(other),
            _ => 0,
        };
        self.div_to_scale(other, scale)
    }

    /// `self / other`, rounded to a scale.
    pub(crate) fn div_to_scale(&self, other: &Self, scale: u32) -> Result<Self> {
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            (Finite { .. } | Infinity | NegativeInfinity, Finite { coefficient, .. })
                if coefficient.is_zero() =>
            {
                Err(division_by_zero())
            }
            (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t }) => {
                // a/10^s / (b/10^t) * 10^scale
                let exponent = i64::from(*t) + i64::from(scale) - i64::from(*s);
                let shift = power_of_ten(u32::try_from(exponent.unsigned_abs()).unwrap_or(0));
                let quotient = if exponent >= 0 {
                    divide_rounded(&(a * shift), b)
                } else {
                    divide_rounded(a, &(b * shift))
                };
                checked(quotient, scale)
            }
            (Finite { .. }, _) => Ok(Self::zero()),
            (_, Finite { .. }) => Ok(infinity(self.signum() * other.signum())),
            _ => Ok(NaN),
        }
    }

    /// The scale of a quotient (`select_div_scale`).
    fn quotient_scale(&self, other: &Self) -> u32 {
        let (weight1, first1) = self.leading();
        let (weight2, first2) = other.leading();
        let weight = weight1 - weight2 - i64::from(first1 <= first2);
        let wanted = SIGNIFICANT_DIGITS_MIN - weight * 4;
        let scale = wanted
            .max(i64::from(self.scale()))
            .max(i64::from(other.scale()))
            .clamp(0, DISPLAY_SCALE_MAX);
        u32::try_from(scale).unwrap_or(0)
    }

    /// The weight and the value of the first digit in base 10,000, in which PostgreSQL computes.
    pub(crate) fn leading(&self) -> (i64, u32) {
        let Finite { coefficient, scale } = self else { return (0, 0) };
        if coefficient.is_zero() {
            return (0, 0);
        }
        let digits = i64::try_from(digits_of(coefficient)).unwrap_or(i64::MAX);
        let whole = digits - i64::from(*scale);
        let weight = (whole - 1).div_euclid(4);
        let taken = whole - weight * 4;
        let magnitude = coefficient.abs();
        let first = if digits > taken {
            magnitude / power_of_ten(u32::try_from(digits - taken).unwrap_or(0))
        } else {
            magnitude * power_of_ten(u32::try_from(taken - digits).unwrap_or(0))
        };
        (weight, first.to_u32().unwrap_or(0))
    }

    /// The quotient without its fraction.
    pub fn div_trunc(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t })
                if !b.is_zero() =>
            {
                let scale = *s.max(t);
                checked(raise(a, *s, scale) / raise(b, *t, scale), 0)
            }
            _ => self.div_to_scale(other, 0),
        }
    }

    /// The remainder of the truncated division.
    pub fn rem(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (NaN, _) | (_, NaN) => Ok(NaN),
            (_, Finite { coefficient, .. }) if coefficient.is_zero() => Err(division_by_zero()),
            (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t }) => {
                let scale = *s.max(t);
                checked(raise(a, *s, scale) % raise(b, *t, scale), scale)
            }
            (Finite { .. }, _) => Ok(self.clone()),
            _ => Ok(NaN),
        }
    }

    /// `-self`.
    #[must_use]
    pub fn neg(&self) -> Self {
        match self {
            Finite { coefficient, scale } => Self::new(-coefficient, *scale),
            NaN => NaN,
            Infinity => NegativeInfinity,
            NegativeInfinity => Infinity,
        }
    }

    /// The absolute value.
    #[must_use]
    pub fn abs(&self) -> Self {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }

    /// Rounded half away from zero to so many places; negative ones round before the point.
    #[must_use]
    pub fn round(&self, places: i64) -> Self {
        self.at_places(places, divide_rounded)
    }

    /// Cut off after so many places; negative ones cut before the point.
    #[must_use]
    pub fn trunc(&self, places: i64) -> Self {
        self.at_places(places, |a, b| a / b)
    }

    /// The largest integer that is not above.
    #[must_use]
    pub fn floor(&self) -> Self {
        self.at_places(0, BigInt::div_floor)
    }

    /// The least integer that is not below.
    #[must_use]
    pub fn ceil(&self) -> Self {
        self.at_places(0, |a, b| -(-a).div_floor(b))
    }

    fn at_places(&self, places: i64, divide: impl Fn(&BigInt, &BigInt) -> BigInt) -> Self {
        let Finite { coefficient, scale } = self else { return self.clone() };
        let excess = i64::from(*scale) - places;
        let shown = u32::try_from(places.max(0)).unwrap_or(0);
        let Ok(excess @ 1..) = u32::try_from(excess) else {
            return Self::new(raise(coefficient, *scale, shown.max(*scale)), shown.max(*scale));
        };
        // Far more places than there are digits leave nothing.
        if u64::from(excess) > digits_of(coefficient) + 1 && places < 0 {
            return Self::zero();
        }
        let quotient = divide(coefficient, &power_of_ten(excess));
        if places < 0 {
            return Self::new(quotient * power_of_ten(u32::try_from(-places).unwrap_or(0)), 0);
        }
        Self::new(quotient, shown)
    }

    /// The same value with at least so many decimal places shown.
    #[must_use]
    pub fn with_scale(&self, places: u32) -> Self {
        self.round(i64::from(places))
    }

    /// The decimal places that the value needs.
    pub fn scale_min(&self) -> u32 {
        let Finite { coefficient, scale } = self.trimmed() else { return 0 };
        if coefficient.is_zero() { 0 } else { scale }
    }

    /// Without zeros at the end of the fraction.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let Finite { coefficient, scale } = self else { return self.clone() };
        let (mut coefficient, mut scale) = (coefficient.clone(), *scale);
        while scale > 0 {
            let (quotient, remainder) = coefficient.div_rem(&BigInt::from(10));
            if !remainder.is_zero() {
                break;
            }
            (coefficient, scale) = (quotient, scale - 1);
        }
        Self::new(coefficient, scale)
    }

    /// The greatest common divisor.
    #[must_use]
    pub fn gcd(&self, other: &Self) -> Self {
        match (self, other) {
            (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t }) => {
                let scale = *s.max(t);
                Self::new(raise(a, *s, scale).gcd(&raise(b, *t, scale)), scale)
            }
            _ => NaN,
        }
    }

    /// The least common multiple.
    pub fn lcm(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Finite { coefficient: a, scale: s }, Finite { coefficient: b, scale: t }) => {
                let scale = *s.max(t);
                let (a, b) = (raise(a, *s, scale), raise(b, *t, scale));
                checked(if a.is_zero() || b.is_zero() { BigInt::zero() } else { a.lcm(&b) }, scale)
            }
            _ => Ok(NaN),
        }
    }
}
