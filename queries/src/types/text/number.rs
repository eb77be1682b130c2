//! Integers, floats and `oid`.

use std::num::ParseFloatError;

use num_bigint::BigUint;

use super::{invalid_syntax, is_space, trim};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType;

/// Reads an integer of a type: white space, a sign, digits, white space.
pub(crate) fn read_int<T: TryFrom<i64>>(text: &str, ty: PgType) -> Result<T> {
    let out_of_range = || {
        let message = format!("value \"{text}\" is out of range for type {ty}");
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
    };
    let mut bytes = text.as_bytes().trim_ascii_start();
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    let negative = bytes.first() == Some(&b'-');
    if let [b'-' | b'+', rest @ ..] = bytes {
        bytes = rest;
    }
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(invalid_syntax(ty, text));
    }
    let mut value: i64 = 0;
    for digit in &bytes[..digits] {
        // Negative throughout, because the least value has no positive counterpart.
        let next = value.checked_mul(10).and_then(|it| it.checked_sub(i64::from(digit - b'0')));
        value = next.ok_or_else(out_of_range)?;
    }
    let value = if negative { Some(value) } else { value.checked_neg() };
    let value = value.and_then(|it| T::try_from(it).ok()).ok_or_else(out_of_range)?;
    if bytes[digits..].iter().all(|byte| is_space(*byte)) {
        Ok(value)
    } else {
        Err(invalid_syntax(ty, text))
    }
}

/// Reads an `oid` or `xid`; a negative number counts down from 2^32, as in C.
pub(crate) fn read_oid(text: &str, ty: PgType) -> Result<u32> {
    let digits = trim(text);
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid_syntax(ty, text));
    }
    let value: Option<i64> = digits.parse().ok();
    let narrow =
        |it: i64| u32::try_from(it).ok().or_else(|| i32::try_from(it).ok().map(i32::cast_unsigned));
    value.and_then(narrow).ok_or_else(|| {
        let message = format!("value \"{text}\" is out of range for type {ty}");
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
    })
}

/// Reads an `xid8` as C's `strtoull` does: what is no digit ends it.
pub(super) fn read_xid8(text: &str) -> i64 {
    let digits: String = trim(text).chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u64>().unwrap_or(0).cast_signed()
}

/// Writes an integer.
pub(crate) fn write_int(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_u64(value.unsigned_abs(), out);
}

/// Writes an unsigned integer.
pub(crate) fn write_u64(mut value: u64, out: &mut Vec<u8>) {
    let mut buffer = [0; 20];
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + u8::try_from(value % 10).expect("a digit");
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[start..]);
}

/// The parts of a float's text: `None` if it is not written as a number.
fn float_word<T: FloatText>(text: &str) -> Option<Result<T, ParseFloatError>> {
    let word = trim(text);
    let (negative, unsigned) = match word.as_bytes() {
        [b'-', ..] => (true, &word[1..]),
        [b'+', ..] => (false, &word[1..]),
        _ => (false, word),
    };
    let special = match unsigned.to_ascii_lowercase().as_str() {
        "nan" => Some(T::parse("NaN")),
        "inf" | "infinity" => Some(T::parse(if negative { "-inf" } else { "inf" })),
        _ => None,
    };
    special.or_else(|| is_decimal(unsigned.as_bytes()).then(|| T::parse(word)))
}

fn is_decimal(mut bytes: &[u8]) -> bool {
    let digits = |bytes: &mut &[u8]| {
        let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *bytes = &bytes[count..];
        count
    };
    let mut count = digits(&mut bytes);
    if let [b'.', rest @ ..] = bytes {
        bytes = rest;
        count += digits(&mut bytes);
    }
    if count == 0 {
        return false;
    }
    if let [b'e' | b'E', rest @ ..] = bytes {
        bytes = rest;
        if let [b'-' | b'+', rest @ ..] = bytes {
            bytes = rest;
        }
        if digits(&mut bytes) == 0 {
            return false;
        }
    }
    bytes.is_empty()
}

trait FloatText: Sized {
    fn parse(text: &str) -> Result<Self, ParseFloatError>;
}

impl FloatText for f32 {
    fn parse(text: &str) -> Result<Self, ParseFloatError> {
        text.parse()
    }
}

impl FloatText for f64 {
    fn parse(text: &str) -> Result<Self, ParseFloatError> {
        text.parse()
    }
}

fn has_digit_but_zero(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or("");
    mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn float_out_of_range(text: &str, ty: PgType) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("\"{text}\" is out of range for type {ty}"),
    )
}

fn is_infinity_word(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'i' | b'I'))
}

/// Reads a `float8`.
pub(crate) fn read_float8(text: &str) -> Result<f64> {
    let Some(Ok(value)) = float_word::<f64>(text) else {
        return Err(invalid_syntax(PgType::Float8, text));
    };
    let overflow = value.is_infinite() && !is_infinity_word(text);
    let underflow = value == 0.0 && has_digit_but_zero(text);
    if overflow || underflow {
        Err(float_out_of_range(trim(text), PgType::Float8))
    } else {
        Ok(value)
    }
}

/// Reads a `float4`.
pub(crate) fn read_float4(text: &str) -> Result<f32> {
    let Some(Ok(value)) = float_word::<f32>(text) else {
        return Err(invalid_syntax(PgType::Float4, text));
    };
    let overflow = value.is_infinite() && !is_infinity_word(text);
    let underflow = value == 0.0 && has_digit_but_zero(text);
    if overflow || underflow {
        Err(float_out_of_range(trim(text), PgType::Float4))
    } else {
        Ok(value)
    }
}

/// Writes a `float8`: the shortest digits that read back the same, or `15 + extra_float_digits` digits if that
/// setting is below 1.
pub(crate) fn write_float8(value: f64, extra_float_digits: i32, out: &mut Vec<u8>) {
    if write_special(value, out) {
        return;
    }
    if extra_float_digits < 1 {
        return write_general(value, 15 + extra_float_digits, out);
    }
    let mut text = format!("{value:e}");
    if is_midpoint(value, &text) {
        // PostgreSQL does not take a decimal that lies exactly between two floats for the shortest form.
        text = (1..17)
            .map(|digits| format!("{value:.digits$e}"))
            .find(|it| it.parse() == Ok(value) && !is_midpoint(value, it))
            .unwrap_or(text);
    }
    write_scientific(&text, 15, out);
}

/// Writes a `float4`, see [`write_float8`].
pub(crate) fn write_float4(value: f32, extra_float_digits: i32, out: &mut Vec<u8>) {
    if write_special(f64::from(value), out) {
        return;
    }
    if extra_float_digits < 1 {
        return write_general(f64::from(value), 6 + extra_float_digits, out);
    }
    write_scientific(&format!("{value:e}"), 6, out);
}

fn write_special(value: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value.is_infinite() {
        if value > 0.0 { b"Infinity" } else { b"-Infinity" }
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// Whether the decimal lies exactly half-way between the float and a neighbour of it. Only integers from 2^53 do.
fn is_midpoint(value: f64, text: &str) -> bool {
    const LEAST: f64 = 9_007_199_254_740_992.0;
    let magnitude = value.abs();
    if !(LEAST..1e40).contains(&magnitude) {
        return false;
    }
    let Some((mantissa, exponent)) = text.trim_start_matches('-').split_once('e') else {
        return false;
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let (Ok(whole), Ok(exponent)) = (digits.parse::<BigUint>(), exponent.parse::<u32>()) else {
        return false;
    };
    let Some(zeros) = (exponent + 1).checked_sub(u32::try_from(digits.len()).unwrap_or(u32::MAX))
    else {
        return false;
    };
    let decimal = whole * BigUint::from(10_u32).pow(zeros);
    let exact = integer_of(magnitude);
    let neighbours =
        [magnitude.to_bits() - 1, magnitude.to_bits() + 1].map(f64::from_bits).map(integer_of);
    neighbours.iter().any(|it| it + &exact == &decimal * 2_u32)
}

fn integer_of(value: f64) -> BigUint {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let exponent = (bits >> 52 & 0x7ff).saturating_sub(1075);
    BigUint::from(mantissa) << exponent
}

/// Writes digits in Rust's form `d.ddde±x` as C would: plain for exponents from -4 to below `fixed_below`.
fn write_scientific(text: &str, fixed_below: i32, out: &mut Vec<u8>) {
    let (mantissa, exponent) = text.split_once('e').expect("`{:e}` has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let negative = mantissa.starts_with('-');
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    if negative {
        out.push(b'-');
    }
    if (-4..fixed_below).contains(&exponent) {
        return write_fixed(&digits, exponent, out);
    }
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.push(b'e');
    out.push(if exponent < 0 { b'-' } else { b'+' });
    if exponent.unsigned_abs() < 10 {
        out.push(b'0');
    }
    write_u64(u64::from(exponent.unsigned_abs()), out);
}

fn write_fixed(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let Ok(whole) = usize::try_from(exponent + 1) else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + usize::try_from(-1 - exponent).unwrap_or(0), b'0');
        out.extend_from_slice(digits);
        return;
    };
    if whole == 0 {
        out.extend_from_slice(b"0.");
        out.extend_from_slice(digits);
    } else if whole >= digits.len() {
        out.extend_from_slice(digits);
        out.resize(out.len() + whole - digits.len(), b'0');
    } else {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    }
}

/// Writes as C's `%.{digits}g` does.
pub(crate) fn write_general(value: f64, digits: i32, out: &mut Vec<u8>) {
    let digits = digits.max(1);
    let places = usize::try_from(digits - 1).unwrap_or(0);
    let text = format!("{value:.places$e}");
    let (mantissa, exponent) = text.split_once('e').expect("`{:e}` has an exponent");
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    write_scientific(&format!("{mantissa}e{exponent}"), digits, out);
}
