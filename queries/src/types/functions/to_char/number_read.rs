//! `to_number`: a number out of a text, by a template.

use super::picture::{Mark, Part, Picture};
use crate::error::{Result, SqlError};
use crate::types::functions::Arguments;
use crate::types::functions::numerics::fit;
use crate::types::numeric::read;
use crate::types::{Datum, Numeric};

/// The digits of a type modifier's precision and scale.
const DIGITS_MAX: usize = 0x7ff;

/// A shift by more digits leaves nothing: no `numeric` shows so many places.
const SHIFT_MAX: usize = 10_000;

/// Reads along a template.
struct Reader<'a> {
    picture: &'a Picture,
    input: &'a [u8],
    at: usize,
    /// `+`, `-`, or a blank while there is no sign.
    sign: u8,
    /// Digits and perhaps a point.
    digits: Vec<u8>,
    read_whole: usize,
    read_fraction: usize,
    read_point: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Skips one character, whatever it is.
    fn skip_character(&mut self) {
        self.at += 1;
        while self.peek().is_some_and(|byte| byte & 0xc0 == 0x80) {
            self.at += 1;
        }
    }

    /// Skips so many characters unless they belong to a number.
    fn skip_other(&mut self, count: usize) {
        for _ in 0..count {
            match self.peek() {
                None | Some(b'0'..=b'9' | b'.' | b',' | b'+' | b'-') => return,
                Some(_) => self.skip_character(),
            }
        }
    }

    fn sign_before(&mut self) {
        let Some(byte) = self.peek() else { return };
        if byte == b'-' || self.picture.brackets && byte == b'<' {
            self.sign = b'-';
            self.at += 1;
        } else if byte == b'+' {
            self.sign = b'+';
            self.at += 1;
        }
    }

    /// A place of the template: `9`, `0` or the point. Whoever calls steps over the byte that it stops at.
    fn place(&mut self, digit: bool) {
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        if self.peek().is_none() {
            return;
        }
        if self.sign == b' ' && digit && self.read_whole + self.read_fraction == 0 {
            self.sign_before();
        }
        let Some(byte) = self.peek() else { return };
        let mut found = false;
        if byte.is_ascii_digit() {
            if self.read_point && self.read_fraction == self.picture.fraction {
                return;
            }
            self.digits.push(byte);
            if self.read_point {
                self.read_fraction += 1;
            } else {
                self.read_whole += 1;
            }
            found = true;
        } else if self.picture.point && !self.read_point && byte == b'.' {
            self.digits.push(b'.');
            self.read_point = true;
            found = true;
        }
        if self.sign == b' ' && self.read_whole + self.read_fraction > 0 {
            self.sign_after(found);
        }
    }

    fn sign_after(&mut self, found: bool) {
        let next = self.input.get(self.at + 1).copied();
        if self.picture.has_sign() && found {
            if let Some(sign @ (b'-' | b'+')) = next {
                self.sign = sign;
                self.at += 1;
            }
        } else if !found
            && !self.picture.has_sign()
            && (self.picture.plus || self.picture.minus)
            && let Some(sign @ (b'-' | b'+')) = self.peek()
        {
            self.sign = sign;
        }
    }

    /// A sign of its own place.
    fn own_sign(&mut self, accepted: &[u8]) {
        match self.peek() {
            Some(byte) if accepted.contains(&byte) => {
                self.sign = byte;
                self.at += 1;
            }
            _ => self.skip_other(1),
        }
    }

    fn mark(&mut self, mark: Mark) {
        match mark {
            Mark::Nine | Mark::Zero => {
                self.place(true);
                self.at += 1;
            }
            Mark::Point | Mark::LocalePoint => {
                self.place(false);
                self.at += 1;
            }
            Mark::Comma | Mark::Group if !self.picture.fill && self.peek() == Some(b',') => {
                self.at += 1;
            }
            Mark::Currency => self.skip_other(1),
            Mark::Ordinal { .. } if !self.picture.roman && !self.picture.point => {
                self.skip_other(2);
            }
            Mark::Minus => self.own_sign(b"-"),
            Mark::Plus => self.own_sign(b"+"),
            Mark::PlusOrMinus => self.own_sign(b"-+"),
            _ => {}
        }
    }

    fn run(&mut self) {
        for part in &self.picture.parts {
            if self.at >= self.input.len() {
                return;
            }
            match part {
                Part::Mark(mark) => self.mark(*mark),
                Part::Character(_) => self.skip_character(),
            }
        }
    }
}

/// `to_number(text, template)`.
pub(super) fn to_number(a: &[Datum]) -> Result<Datum> {
    let (text, template) = (a.text(0)?, a.text(1)?);
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let picture = Picture::parse(template)?;
    if picture.exponent {
        return Err(SqlError::unsupported("\"EEEE\" not supported for input"));
    }
    if picture.roman {
        return Err(SqlError::unsupported("\"RN\" not supported for input"));
    }
    let mut reader = Reader {
        picture: &picture,
        input: text.as_bytes(),
        at: 0,
        sign: b' ',
        digits: Vec::new(),
        read_whole: 0,
        read_fraction: 0,
        read_point: false,
    };
    reader.run();
    if reader.digits.last() == Some(&b'.') {
        reader.digits.pop();
    }
    let mut written = vec![reader.sign];
    written.extend_from_slice(&reader.digits);
    let value = read(&String::from_utf8_lossy(&written))?;
    let scale = reader.read_fraction;
    let precision = picture.whole + picture.shift + scale;
    let bits = |digits: usize| i32::try_from(digits.min(DIGITS_MAX)).unwrap_or(0);
    let fitted = fit(&value, (bits(precision) << 16 | bits(scale)) + 4)?;
    if !picture.shifted {
        return Ok(fitted.into());
    }
    let exponent = -i64::try_from(picture.shift.min(SHIFT_MAX)).unwrap_or(0);
    let factor = Numeric::from(10_i64).power(&Numeric::from(exponent))?;
    Ok(fitted.mul(&factor)?.into())
}
