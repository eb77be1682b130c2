//! `numeric` in binary: digits in base 10,000.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{ToPrimitive, Zero};

use super::invalid;
use super::reader::Reader;
use crate::error::Result;
use crate::types::Numeric;
use crate::types::numeric::{SCALE_MAX, power_of_ten};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// Reads a `numeric`.
pub(crate) fn read_numeric(reader: &mut Reader<'_>) -> Result<Numeric> {
    let count = reader.i16()?;
    let weight = i64::from(reader.i16()?);
    let sign = reader.i16()?.cast_unsigned();
    let scale = u32::from(reader.i16()?.cast_unsigned());
    let Ok(count) = usize::try_from(count) else {
        return Err(invalid("invalid length in external \"numeric\" value"));
    };
    let negative = match sign {
        0 => false,
        NEGATIVE => true,
        NAN => return Ok(Numeric::NaN),
        INFINITY => return Ok(Numeric::Infinity),
        NEGATIVE_INFINITY => return Ok(Numeric::NegativeInfinity),
        _ => return Err(invalid("invalid sign in external \"numeric\" value")),
    };
    if scale > SCALE_MAX {
        return Err(invalid("invalid scale in external \"numeric\" value"));
    }
    let mut text = Vec::with_capacity(count * 4);
    for _ in 0..count {
        let digit = reader.i16()?;
        if !(0..10_000).contains(&digit) {
            return Err(invalid("invalid digit in external \"numeric\" value"));
        }
        text.extend_from_slice(format!("{digit:04}").as_bytes());
    }
    let digits = BigInt::parse_bytes(&text, 10).unwrap_or_default();
    let digits = if negative { -digits } else { digits };
    // The digits stand for digits * 10000^(weight - count + 1); what lies beyond the scale is cut off.
    let exponent = (weight - i64::try_from(count).unwrap_or(0) + 1) * 4 + i64::from(scale);
    let shift = power_of_ten(u32::try_from(exponent.unsigned_abs()).unwrap_or(0));
    let coefficient = if exponent >= 0 { digits * shift } else { digits / shift };
    crate::types::numeric::checked(coefficient, scale)
}

/// Writes a `numeric`.
pub(crate) fn write_numeric(value: &Numeric, out: &mut Vec<u8>) {
    let mut header = |count: i16, weight: i16, sign: u16, scale: u16| {
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
    };
    let (coefficient, scale) = match value {
        Numeric::Finite { coefficient, scale } => (coefficient, *scale),
        Numeric::NaN => return header(0, 0, NAN, 0),
        Numeric::Infinity => return header(0, 0, INFINITY, 0),
        Numeric::NegativeInfinity => return header(0, 0, NEGATIVE_INFINITY, 0),
    };
    let shown = u16::try_from(scale).unwrap_or(0);
    if coefficient.is_zero() {
        return header(0, 0, 0, shown);
    }
    let places = scale.div_ceil(4);
    let aligned = coefficient.magnitude() * power_of_ten(places * 4 - scale).magnitude();
    let mut digits: Vec<i16> = Vec::new();
    let base = num_bigint::BigUint::from(10_000_u32);
    let mut rest = aligned;
    while !rest.is_zero() {
        let (quotient, digit) = rest.div_rem(&base);
        digits.push(digit.to_i16().unwrap_or(0));
        rest = quotient;
    }
    let weight = i64::try_from(digits.len()).unwrap_or(0) - i64::from(places) - 1;
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeros);
    let sign = if coefficient.sign() == num_bigint::Sign::Minus { NEGATIVE } else { 0 };
    header(
        i16::try_from(digits.len()).unwrap_or(i16::MAX),
        i16::try_from(weight).unwrap_or(i16::MAX),
        sign,
        shown,
    );
    digits.iter().rev().for_each(|digit| out.extend_from_slice(&digit.to_be_bytes()));
}

/// Writes a `tid`, whose text is `(block,offset)`.
pub(super) fn write_tid(text: &str, out: &mut Vec<u8>) {
    let inner = text.trim_matches(['(', ')']);
    let (block, offset) = inner.split_once(',').unwrap_or((inner, ""));
    out.extend_from_slice(&block.parse::<u32>().unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&offset.parse::<u16>().unwrap_or(0).to_be_bytes());
}
