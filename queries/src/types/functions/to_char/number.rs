//! `to_char` of numbers: a number is written plainly first, and its digits then go to their places in the template.

use super::date::ending;
use super::keyword::Ordinal;
use super::picture::{Mark, Part, Picture, SignPlace};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType::{Float4, Float8, Int4, Int8, Numeric as NumericType, Text};
use crate::types::functions::define::f;
use crate::types::functions::integers::out_of_range;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::numeric::{WHOLE_DIGITS_MAX, digits_of, overflow, power_of_ten};
use crate::types::{Datum, Numeric};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// What `RN` gives for a number that has no Roman form, and the width of those that have.
const ROMAN_WIDTH: usize = 15;

/// The decimal places that rounding gives at most (`NUMERIC_MAX_RESULT_SCALE`).
const PLACES_MAX: usize = 2000;

/// A number written plainly: its digits, and what stands before them.
struct Plain {
    negative: bool,
    /// Digits and perhaps a point; `#` if the number has more digits than there are places.
    text: Vec<u8>,
    /// The places before the point that the number does not fill.
    free: usize,
}

/// `%+.{places}e` of C, with a blank for the plus.
fn scientific(value: f64, places: usize) -> Vec<u8> {
    let text = format!("{value:+.places$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let mantissa = mantissa.replacen('+', " ", 1);
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()).into_bytes()
}

/// The same of a `numeric`: the exponent is that of the number before it is rounded.
fn numeric_scientific(value: &Numeric, places: usize) -> Result<Vec<u8>> {
    let Numeric::Finite { coefficient, scale } = value else { return Ok(Vec::new()) };
    let digits = i64::try_from(digits_of(coefficient)).unwrap_or(i64::MAX);
    let exponent = if digits == 0 { 0 } else { digits - 1 - i64::from(*scale) };
    let moved = if exponent < 0 {
        let up = u32::try_from(-exponent).map_err(|_| overflow())?;
        value.mul(&Numeric::new(power_of_ten(up), 0))?
    } else {
        let down = u32::try_from(exponent).map_err(|_| overflow())?;
        Numeric::Finite { coefficient: coefficient.clone(), scale: scale + down }
    };
    let shown = moved.round(i64::try_from(places).unwrap_or(i64::MAX)).to_string();
    let blank = if shown.starts_with('-') { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    Ok(format!("{blank}{shown}e{sign}{:02}", exponent.unsigned_abs()).into_bytes())
}

/// What `EEEE` gives for a number that is not finite.
fn no_exponent(picture: &Picture) -> Vec<u8> {
    let mut text = vec![b'#'; picture.whole + picture.fraction + 6];
    text[0] = b' ';
    text[picture.whole + 1] = b'.';
    text
}

fn roman(value: i32) -> Vec<u8> {
    const UNITS: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    const TENS: [&str; 10] = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"];
    const HUNDREDS: [&str; 10] = ["", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM"];
    let Some(value) = usize::try_from(value).ok().filter(|it| (1..4000).contains(it)) else {
        return vec![b'#'; ROMAN_WIDTH];
    };
    let mut out = "M".repeat(value / 1000);
    out.push_str(HUNDREDS[value / 100 % 10]);
    out.push_str(TENS[value / 10 % 10]);
    out.push_str(UNITS[value % 10]);
    out.into_bytes()
}

/// Takes off the sign, and sees whether the digits before the point have places enough.
fn fitted(text: &str, picture: &Picture) -> Plain {
    let negative = text.starts_with('-');
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = text.find('.').unwrap_or(text.len());
    if whole > picture.whole {
        let mut overflown = vec![b'#'; picture.whole + picture.fraction + 1];
        overflown[picture.whole] = b'.';
        return Plain { negative, text: overflown, free: 0 };
    }
    Plain { negative, text: text.as_bytes().to_vec(), free: picture.whole - whole }
}

fn plain(negative: bool, text: Vec<u8>) -> Plain {
    Plain { negative, text, free: 0 }
}

/// An integer as a plain number, with zeros behind the point.
fn integer(value: i64, picture: &Picture) -> Plain {
    let zeros = "0".repeat(picture.fraction);
    let point = if zeros.is_empty() { "" } else { "." };
    fitted(&format!("{value}{point}{zeros}"), picture)
}

/// `10^shift` as C's `double`, which what is not `numeric` is multiplied by.
fn shift_factor(picture: &Picture) -> f64 {
    10_f64.powi(i32::try_from(picture.shift).unwrap_or(i32::MAX))
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "in range, or the value that C gives"
)]
fn to_int4(value: f64) -> i32 {
    let fits = value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX);
    if fits { value as i32 } else { i32::MIN }
}

fn int4(value: i32, picture: &mut Picture) -> Result<Plain> {
    if picture.roman {
        return Ok(plain(false, roman(value)));
    }
    if picture.exponent {
        return Ok(plain(false, scientific(f64::from(value), picture.fraction)));
    }
    let mut shown = value;
    if picture.shifted {
        let factor = u32::try_from(picture.shift).ok().and_then(|it| 10_i32.checked_pow(it));
        shown = factor.and_then(|it| value.checked_mul(it)).ok_or_else(|| out_of_range(Int4))?;
        picture.whole += picture.shift;
    }
    Ok(integer(i64::from(shown), picture))
}

fn int8(value: i64, picture: &mut Picture) -> Result<Plain> {
    if picture.roman {
        let small = i32::try_from(value).map_err(|_| out_of_range(Int4))?;
        return Ok(plain(false, roman(small)));
    }
    if picture.exponent {
        return Ok(plain(false, numeric_scientific(&Numeric::from(value), picture.fraction)?));
    }
    let mut shown = value;
    if picture.shifted {
        let factor = u32::try_from(picture.shift).ok().and_then(|it| 10_i64.checked_pow(it));
        shown = factor.and_then(|it| value.checked_mul(it)).ok_or_else(|| out_of_range(Int8))?;
        picture.whole += picture.shift;
    }
    Ok(integer(shown, picture))
}

/// A floating-point number; `digits` are those that its type has.
fn float(value: f64, digits: usize, picture: &mut Picture) -> Plain {
    if picture.roman {
        return plain(false, roman(to_int4(value.round_ties_even())));
    }
    if picture.exponent {
        let finite = value.is_finite();
        let text = if finite { scientific(value, picture.fraction) } else { no_exponent(picture) };
        return plain(false, text);
    }
    let mut shown = value;
    if picture.shifted {
        shown *= shift_factor(picture);
        picture.whole += picture.shift;
    }
    let written = |value: f64, places: usize| {
        if value.is_nan() {
            "NaN".to_owned()
        } else if value.is_infinite() {
            (if value > 0.0 { "Infinity" } else { "-Infinity" }).to_owned()
        } else {
            format!("{value:.places$}")
        }
    };
    let whole = written(shown.abs(), 0).len();
    if whole >= digits {
        picture.fraction = 0;
    } else if whole + picture.fraction > digits {
        picture.fraction = digits - whole;
    }
    fitted(&written(shown, picture.fraction), picture)
}

fn numeric(value: &Numeric, picture: &mut Picture) -> Result<Plain> {
    if picture.roman {
        let rounded = value.round(0).to_integer(Int4)?;
        return Ok(plain(false, roman(i32::try_from(rounded).unwrap_or(0))));
    }
    if picture.exponent {
        let text = match value {
            Numeric::Finite { .. } => numeric_scientific(value, picture.fraction)?,
            _ => no_exponent(picture),
        };
        return Ok(plain(false, text));
    }
    let mut shown = value.clone();
    if picture.shifted {
        let shift = u32::try_from(picture.shift)
            .ok()
            .filter(|it| u64::from(*it) <= WHOLE_DIGITS_MAX)
            .ok_or_else(overflow)?;
        shown = value.mul(&Numeric::new(power_of_ten(shift), 0))?;
        picture.whole += picture.shift;
    }
    let places = i64::try_from(picture.fraction.min(PLACES_MAX)).unwrap_or(0);
    Ok(fitted(&shown.round(places).to_string(), picture))
}

/// Puts the digits of a number to their places.
struct Writer<'a> {
    picture: &'a Picture,
    number: Plain,
    /// The next digit of the number.
    next: usize,
    /// The place among the digits of the template.
    place: usize,
    /// How many places the template has.
    places: usize,
    /// The last digit that `FM` keeps.
    last: Option<usize>,
    sign: SignPlace,
    brackets: bool,
    sign_written: bool,
    /// Whether a digit has been written, so that a separator may follow.
    inside: bool,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(picture: &'a Picture, number: Plain) -> Self {
        let mut writer = Self {
            picture,
            next: 0,
            place: 0,
            places: (picture.whole + picture.fraction).saturating_sub(1),
            last: None,
            sign: picture.sign,
            brackets: picture.brackets,
            sign_written: false,
            inside: false,
            out: Vec::new(),
            number,
        };
        let negative = writer.number.negative;
        if picture.plus || picture.minus {
            // MI, PL and SG write a sign of their own.
            writer.sign_written = !picture.plus || picture.minus;
        } else {
            if !negative && picture.fill {
                writer.brackets = false;
            }
            writer.sign_written = !negative && picture.fill && !picture.has_sign();
            if writer.sign == SignPlace::Before && picture.whole == picture.before_sign {
                writer.sign = SignPlace::After;
            }
        }
        if picture.fill && picture.point {
            writer.last = writer.last_relevant();
        }
        if !writer.sign_written && writer.number.free == 0 {
            writer.places += 1;
        }
        writer
    }

    /// The last digit behind the point that is not zero, or that a `0` of the template asks for.
    fn last_relevant(&self) -> Option<usize> {
        let text = &self.number.text;
        let point = text.iter().position(|byte| *byte == b'.')?;
        let mut last = text.iter().rposition(|byte| *byte != b'0').unwrap_or(point).max(point);
        let free = self.number.free;
        if self.picture.zeros_to > free {
            last = last.max((text.len() - 1).min(self.picture.zeros_to - free));
        }
        Some(last)
    }

    fn last_is_point(&self) -> bool {
        self.last.is_some_and(|last| self.number.text.get(last) == Some(&b'.'))
    }

    /// Whether a zero alone stands before the point and may be left out.
    fn zero_before_point(&self) -> bool {
        !self.picture.zero
            && self.next == 0
            && self.number.text.first() == Some(&b'0')
            && self.picture.fraction != 0
    }

    fn sign_byte(&self) -> u8 {
        if self.number.negative { b'-' } else { b'+' }
    }

    fn write_sign(&mut self) {
        let zeros_from = self.picture.zeros_from.saturating_sub(1);
        let due = self.place >= self.number.free || self.picture.zero && zeros_from == self.place;
        if self.sign_written || !due || self.zero_before_point() && !self.last_is_point() {
            return;
        }
        if self.sign != SignPlace::Nowhere {
            if self.sign == SignPlace::Before {
                self.out.push(self.sign_byte());
                self.sign_written = true;
            }
            return;
        }
        if self.brackets {
            self.out.push(if self.number.negative { b'<' } else { b' ' });
        } else if self.number.negative {
            self.out.push(b'-');
        } else if !self.picture.fill {
            self.out.push(b' ');
        }
        self.sign_written = true;
    }

    /// A place of the template: `9`, `0` or the point.
    fn digit(&mut self, zero: bool) {
        if self.picture.roman {
            return;
        }
        self.inside = false;
        self.write_sign();
        let zeros_from = self.picture.zeros_from.saturating_sub(1);
        if self.place < self.number.free {
            if !self.picture.zero || zeros_from > self.place {
                if !self.picture.fill {
                    self.out.push(b' ');
                }
            } else {
                self.out.push(b'0');
                self.inside = true;
            }
        } else {
            self.number_byte(zero);
        }
        let mut end =
            self.places + usize::from(self.number.free > 0) + usize::from(self.picture.point);
        if self.last == Some(self.next) {
            end = self.place;
        }
        if self.place + 1 == end {
            if self.sign_written && self.brackets {
                self.out.push(if self.number.negative { b'>' } else { b' ' });
            } else if self.sign == SignPlace::After {
                self.out.push(self.sign_byte());
            }
        }
        self.place += 1;
    }

    /// The next byte of the number.
    fn number_byte(&mut self, zero: bool) {
        // Beyond the number there is the NUL that ends C's strings; it ends the result too.
        let byte = self.number.text.get(self.next).copied().unwrap_or(0);
        if byte == b'.' {
            if self.picture.fill || !self.last_is_point() {
                self.out.push(b'.');
            }
        } else if !zero && self.last.is_some_and(|last| self.next > last) {
            // FM leaves it out.
        } else if self.zero_before_point() {
            if !self.picture.fill {
                self.out.push(b' ');
            } else if self.last_is_point() {
                self.out.push(b'0');
            }
        } else {
            self.out.push(byte);
            self.inside = true;
        }
        if byte != 0 {
            self.next += 1;
        }
    }

    fn mark(&mut self, mark: Mark) -> Result<()> {
        let fill = self.picture.fill;
        match mark {
            Mark::Nine | Mark::Point | Mark::LocalePoint => self.digit(false),
            Mark::Zero => self.digit(true),
            Mark::Comma | Mark::Group if self.inside => self.out.push(b','),
            Mark::Comma | Mark::Group if !fill => self.out.push(b' '),
            Mark::Currency => self.out.push(b' '),
            Mark::Roman { lower } => {
                let mut numeral = String::from_utf8_lossy(&self.number.text).into_owned();
                if lower {
                    numeral.make_ascii_lowercase();
                }
                let width = if fill { 0 } else { ROMAN_WIDTH };
                self.out.extend_from_slice(format!("{numeral:>width$}").as_bytes());
            }
            Mark::Ordinal { lower } => self.ordinal(lower)?,
            Mark::Minus if self.number.negative => self.out.push(b'-'),
            Mark::Plus if !self.number.negative => self.out.push(b'+'),
            Mark::Minus | Mark::Plus if !fill => self.out.push(b' '),
            Mark::PlusOrMinus => self.out.push(self.sign_byte()),
            _ => {}
        }
        Ok(())
    }

    fn ordinal(&mut self, lower: bool) -> Result<()> {
        let text = &self.number.text;
        if self.picture.roman
            || self.number.negative
            || self.picture.point
            || text.first() == Some(&b'#')
        {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(text);
        if !shown.ends_with(|it: char| it.is_ascii_digit()) {
            let message = format!("\"{shown}\" is not a number");
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
        }
        let ordinal = if lower { Ordinal::Lower } else { Ordinal::Upper };
        self.out.extend_from_slice(ending(&shown, ordinal).as_bytes());
        Ok(())
    }

    fn run(mut self) -> Result<Datum> {
        if self.picture.exponent {
            return Ok(String::from_utf8_lossy(&self.number.text).into_owned().into());
        }
        for part in &self.picture.parts {
            match part {
                Part::Mark(mark) => self.mark(*mark)?,
                Part::Character(character) => {
                    let mut buffer = [0; 4];
                    self.out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                }
            }
        }
        let end = self.out.iter().position(|byte| *byte == 0).unwrap_or(self.out.len());
        Ok(String::from_utf8_lossy(&self.out[..end]).into_owned().into())
    }
}

fn to_char(a: &[Datum]) -> Result<Datum> {
    let template = a.text(1)?;
    if template.is_empty() {
        return Ok(Datum::text(""));
    }
    let mut picture = Picture::parse(template)?;
    let number = match &a[0] {
        Datum::Int4(value) => int4(*value, &mut picture)?,
        Datum::Int8(value) => int8(*value, &mut picture)?,
        Datum::Float4(value) => float(f64::from(*value), 6, &mut picture),
        Datum::Float8(value) => float(*value, 15, &mut picture),
        _ => numeric(a.numeric(0)?, &mut picture)?,
    };
    if picture.roman {
        let plain = Picture { parts: picture.parts, fill: picture.fill, ..Picture::default() };
        picture = Picture { roman: true, ..plain };
    }
    Writer::new(&picture, number).run()
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1772, "to_char", &[NumericType, Text], Text, |_, a| to_char(a)).stable(),
    f(1773, "to_char", &[Int4, Text], Text, |_, a| to_char(a)).stable(),
    f(1774, "to_char", &[Int8, Text], Text, |_, a| to_char(a)).stable(),
    f(1775, "to_char", &[Float4, Text], Text, |_, a| to_char(a)).stable(),
    f(1776, "to_char", &[Float8, Text], Text, |_, a| to_char(a)).stable(),
    f(1777, "to_number", &[Text, Text], NumericType, |_, a| super::number_read::to_number(a)).stable(),
];
