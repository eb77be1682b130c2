//! The templates of numbers: their key words, and what they say together.

use crate::error::{Result, SqlError, SqlState};

/// A key word of a number's template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Comma,
    Point,
    Zero,
    Nine,
    /// `B`.
    Blank,
    /// `C` and `SP`, which mean nothing.
    Nothing,
    /// `D`: the point of the locale, which is `.`.
    LocalePoint,
    Exponent,
    /// `FM`.
    Fill,
    /// `G`: the thousands separator of the locale, which is `,`.
    Group,
    /// `L`: the currency symbol of the locale, which is a blank.
    Currency,
    Minus,
    Plus,
    Brackets,
    Roman {
        lower: bool,
    },
    PlusOrMinus,
    /// `S`: the sign beside the number.
    Sign,
    Ordinal {
        lower: bool,
    },
    /// `V`: multiplied by a power of ten.
    Shift,
}

/// Key words, longer ones before those they start with.
const KEYWORDS: &[(&str, Mark)] = &[
    (",", Mark::Comma),
    (".", Mark::Point),
    ("0", Mark::Zero),
    ("9", Mark::Nine),
    ("B", Mark::Blank),
    ("C", Mark::Nothing),
    ("D", Mark::LocalePoint),
    ("EEEE", Mark::Exponent),
    ("FM", Mark::Fill),
    ("G", Mark::Group),
    ("L", Mark::Currency),
    ("MI", Mark::Minus),
    ("PL", Mark::Plus),
    ("PR", Mark::Brackets),
    ("RN", Mark::Roman { lower: false }),
    ("SG", Mark::PlusOrMinus),
    ("SP", Mark::Nothing),
    ("S", Mark::Sign),
    ("TH", Mark::Ordinal { lower: false }),
    ("V", Mark::Shift),
];

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Mark(Mark),
    /// A character that stands for itself.
    Character(char),
}

/// Where the sign of `S` stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SignPlace {
    #[default]
    Nowhere,
    Before,
    After,
}

/// A template: its parts and what they say together.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key word of its own")]
pub(super) struct Picture {
    pub(super) parts: Vec<Part>,
    /// Digits before the point.
    pub(super) whole: usize,
    /// Digits after the point.
    pub(super) fraction: usize,
    /// Digits after `V`.
    pub(super) shift: usize,
    /// The place of the first `0`, from 1; 0 if there is none.
    pub(super) zeros_from: usize,
    /// The digits up to the last `0`.
    pub(super) zeros_to: usize,
    pub(super) sign: SignPlace,
    /// The digits before `S`.
    pub(super) before_sign: usize,
    pub(super) point: bool,
    pub(super) fill: bool,
    pub(super) zero: bool,
    pub(super) blank: bool,
    pub(super) brackets: bool,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) roman: bool,
    pub(super) shifted: bool,
    pub(super) exponent: bool,
}

fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

/// The key word at the start of a text, and its length. Words are in upper or in lower case throughout.
fn keyword(text: &str) -> Option<(Mark, usize)> {
    KEYWORDS.iter().find_map(|(word, mark)| {
        let found = text.get(..word.len())?;
        let lower = found != *word;
        if lower && found != word.to_ascii_lowercase() {
            return None;
        }
        let mark = match mark {
            Mark::Roman { .. } => Mark::Roman { lower },
            Mark::Ordinal { .. } => Mark::Ordinal { lower },
            other => *other,
        };
        Some((mark, word.len()))
    })
}

impl Picture {
    /// Reads a template.
    pub(super) fn parse(template: &str) -> Result<Self> {
        let mut picture = Self::default();
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            if let Some((mark, length)) = keyword(rest) {
                rest = &rest[length..];
                picture.take(mark)?;
                picture.parts.push(Part::Mark(mark));
            } else if first == '"' {
                rest = picture.quoted(&rest[1..]);
            } else {
                // Outside of quotes a backslash only escapes a quote.
                let escaped = rest.starts_with("\\\"");
                let character = if escaped { '"' } else { first };
                picture.parts.push(Part::Character(character));
                rest = &rest[if escaped { 2 } else { first.len_utf8() }..];
            }
        }
        Ok(picture)
    }

    fn quoted<'a>(&mut self, text: &'a str) -> &'a str {
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let literal = match character {
                '"' => break,
                '\\' => rest.next().unwrap_or('\\'),
                other => other,
            };
            self.parts.push(Part::Character(literal));
        }
        rest.as_str()
    }

    /// Takes in what a key word says.
    fn take(&mut self, mark: Mark) -> Result<()> {
        if self.exponent && mark != Mark::Exponent {
            return Err(syntax("\"EEEE\" must be the last pattern used"));
        }
        match mark {
            Mark::Nine | Mark::Zero => self.digit(mark == Mark::Zero)?,
            Mark::Blank => self.blank |= self.whole == 0 && self.fraction == 0 && !self.zero,
            Mark::LocalePoint | Mark::Point => {
                if self.point {
                    return Err(syntax("multiple decimal points"));
                }
                if self.shifted {
                    return Err(syntax("cannot use \"V\" and decimal point together"));
                }
                self.point = true;
            }
            Mark::Fill => self.fill = true,
            Mark::Sign => self.take_sign()?,
            Mark::Minus => {
                self.no_sign_beside("MI")?;
                self.minus = true;
            }
            Mark::Plus => {
                self.no_sign_beside("PL")?;
                self.plus = true;
            }
            Mark::PlusOrMinus => {
                self.no_sign_beside("SG")?;
                (self.minus, self.plus) = (true, true);
            }
            Mark::Brackets => {
                if self.has_sign() || self.plus || self.minus {
                    return Err(syntax(
                        "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together",
                    ));
                }
                self.brackets = true;
            }
            Mark::Roman { .. } => self.roman = true,
            Mark::Shift => {
                if self.point {
                    return Err(syntax("cannot use \"V\" and decimal point together"));
                }
                self.shifted = true;
            }
            Mark::Exponent => self.take_exponent()?,
            Mark::Comma | Mark::Nothing | Mark::Group | Mark::Currency | Mark::Ordinal { .. } => {}
        }
        Ok(())
    }

    /// Whether there is an `S`.
    pub(super) fn has_sign(&self) -> bool {
        self.sign != SignPlace::Nowhere
    }

    fn digit(&mut self, zero: bool) -> Result<()> {
        if self.brackets {
            let digit = if zero { "0" } else { "9" };
            return Err(syntax(format!("\"{digit}\" must be ahead of \"PR\"")));
        }
        if zero {
            if !self.zero && !self.point {
                self.zero = true;
                self.zeros_from = self.whole + 1;
            }
        } else if self.shifted {
            self.shift += 1;
            return Ok(());
        }
        if self.point {
            self.fraction += 1;
        } else {
            self.whole += 1;
        }
        if zero {
            self.zeros_to = self.whole + self.fraction;
        }
        Ok(())
    }

    fn take_sign(&mut self) -> Result<()> {
        if self.has_sign() {
            return Err(syntax("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.brackets {
            return Err(syntax("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
        }
        if self.point {
            self.sign = SignPlace::After;
        } else {
            self.sign = SignPlace::Before;
            self.before_sign = self.whole;
        }
        Ok(())
    }

    fn no_sign_beside(&self, word: &str) -> Result<()> {
        if self.has_sign() {
            return Err(syntax(format!("cannot use \"S\" and \"{word}\" together")));
        }
        Ok(())
    }

    fn take_exponent(&mut self) -> Result<()> {
        if self.exponent {
            return Err(syntax("cannot use \"EEEE\" twice"));
        }
        let others = self.blank
            || self.fill
            || self.has_sign()
            || self.brackets
            || self.minus
            || self.plus
            || self.roman
            || self.shifted;
        if others {
            return Err(syntax("\"EEEE\" is incompatible with other formats").with_detail(
                "\"EEEE\" may only be used together with digit and decimal point patterns.",
            ));
        }
        self.exponent = true;
        Ok(())
    }
}
