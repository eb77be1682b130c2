//! Fields of a date and a time out of a text, by a template (`DCH_from_char`).

use super::date::{DAYS, MONTHS, ROMAN};
use super::keyword::{Field, Node, is_separator, is_space};
use crate::error::{Result, SqlError, SqlState};

/// What a text says. A field that it does not name is 0, as one that it says is 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// Whether days are counted by ISO 8601 weeks; none if nothing says.
    pub(super) iso_week: Option<bool>,
    pub(super) hour: i32,
    pub(super) minute: i32,
    pub(super) second: i32,
    pub(super) second_of_day: i32,
    /// The day of the week: 1 is Sunday.
    pub(super) weekday: i32,
    pub(super) day: i32,
    pub(super) day_of_year: i32,
    pub(super) month: i32,
    pub(super) millisecond: i32,
    pub(super) microsecond: i32,
    pub(super) year: i32,
    /// How many digits of the year the template asks for.
    pub(super) year_digits: u32,
    pub(super) before_christ: i32,
    pub(super) afternoon: i32,
    pub(super) century: i32,
    pub(super) week: i32,
    pub(super) week_of_month: i32,
    pub(super) julian: i32,
    pub(super) twelve_hours: bool,
    /// -1 or 1 if there is an offset.
    pub(super) zone_sign: i32,
    pub(super) zone_hour: i32,
    pub(super) zone_minute: i32,
    /// The places of `FF1` … `FF6`.
    pub(super) places: u32,
}

fn format_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

/// Gives a field its value, once.
fn set(field: &mut i32, value: i32, name: &str) -> Result<()> {
    if *field != 0 && *field != value {
        return Err(format_error(format!(
            "conflicting values for \"{name}\" field in formatting string"
        ))
        .with_detail("This value contradicts a previous setting for the same field type."));
    }
    *field = value;
    Ok(())
}

/// A year of fewer than four digits is the one nearest to 2020.
fn near_2020(year: i32) -> i32 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

/// The words that a field can be, each with its value, those that start with others before them.
fn words(field: Field) -> Vec<(String, i32)> {
    let numbered = |words: &[&str], length: Option<usize>| -> Vec<(String, i32)> {
        let cut = |word: &str| word[..length.unwrap_or(word.len())].to_ascii_lowercase();
        words.iter().zip(1..).map(|(word, number)| (cut(word), number)).collect()
    };
    let two = |first: &str, second: &str| vec![(first.to_owned(), 0), (second.to_owned(), 1)];
    match field {
        Field::Meridiem { dots: true } => two("a.m.", "p.m."),
        Field::Meridiem { dots: false } => two("am", "pm"),
        Field::Era { dots: true } => two("a.d.", "b.c."),
        Field::Era { dots: false } => two("ad", "bc"),
        Field::MonthName => numbered(&MONTHS, None),
        Field::MonthShort => numbered(&MONTHS, Some(3)),
        Field::Day => numbered(&DAYS, None),
        Field::DayShort => numbered(&DAYS, Some(3)),
        Field::Roman => numbered(&ROMAN, None).into_iter().rev().collect(),
        _ => Vec::new(),
    }
}

/// Reads a text along a template.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    fields: Fields,
    /// Whether each character of the template stands for one of the text.
    exact: bool,
    /// Blanks passed over beyond what the template says.
    skipped: i32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, fields: Fields::default(), exact: false, skipped: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn step(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn skip_spaces(&mut self) -> i32 {
        let mut count = 0;
        while self.peek().is_some_and(is_space) {
            self.at += 1;
            count += 1;
        }
        count
    }

    /// Reads the whole text.
    pub(super) fn run(mut self, nodes: &[Node<'_>]) -> Result<Fields> {
        for (place, node) in nodes.iter().enumerate() {
            if self.rest().is_empty() {
                break;
            }
            let is_field = matches!(node, Node::Field { .. });
            let is_exact = matches!(node, Node::Field { field: Field::Exact, .. });
            if !self.exact && !is_exact && (is_field || place == 0) {
                self.skipped += self.skip_spaces();
            }
            match node {
                Node::Character { character, quoted } => self.character(*character, *quoted),
                Node::Field { field, name, fill, ordinal, .. } => {
                    if let Some(iso) = field.is_iso_week() {
                        self.calendar(iso)?;
                    }
                    let open_ended = ordinal.is_some()
                        || nodes.get(place + 1).is_none_or(|next| !next.is_digits());
                    self.field(*field, name, *fill || open_ended)?;
                    if ordinal.is_some() && !words_only(*field) {
                        self.step();
                        self.step();
                    }
                    if !self.exact {
                        self.skipped = self.skip_spaces();
                    }
                }
            }
        }
        Ok(self.fields)
    }

    /// A character of the template that is no key word.
    fn character(&mut self, character: char, quoted: bool) {
        let separator = !quoted && (is_separator(character) || is_space(character));
        if self.exact {
            self.step();
        } else if separator {
            // One in the template stands for one in the text, or for none.
            self.skipped -= 1;
            if self.peek().is_some_and(|it| is_space(it) || is_separator(it)) {
                self.step();
                self.skipped += 1;
            }
        } else if self.skipped > 0 {
            // What was passed over too much may have been meant by this one.
            self.skipped -= 1;
        } else {
            self.step();
        }
    }

    fn calendar(&mut self, iso: bool) -> Result<()> {
        if self.fields.iso_week.is_some_and(|other| other != iso) {
            return Err(format_error("invalid combination of date conventions").with_hint(
                "Do not mix Gregorian and ISO week date conventions in a formatting template.",
            ));
        }
        self.fields.iso_week = Some(iso);
        Ok(())
    }

    fn field(&mut self, field: Field, name: &str, open: bool) -> Result<()> {
        let width = name.len();
        let mut number = |width: usize| self.number(width, name, open).map(|it| it.0);
        match field {
            Field::Exact => self.exact = true,
            Field::Hour12 => {
                let value = number(2)?;
                set(&mut self.fields.hour, value, name)?;
                self.fields.twelve_hours = true;
            }
            Field::Hour24 => {
                let value = number(2)?;
                set(&mut self.fields.hour, value, name)?;
            }
            Field::Millisecond => {
                let (value, length) = self.number(3, name, open)?;
                set(&mut self.fields.millisecond, value, name)?;
                self.fields.millisecond = scaled(value, length, 3);
            }
            Field::Fraction(_) | Field::Microsecond => {
                let width = match field {
                    Field::Fraction(places) => {
                        self.fields.places = places;
                        usize::try_from(places).unwrap_or(6)
                    }
                    _ => 6,
                };
                let (value, length) = self.number(width, name, open)?;
                set(&mut self.fields.microsecond, value, name)?;
                self.fields.microsecond = scaled(value, length, 6);
            }
            Field::Zone | Field::Offset => {
                return Err(SqlError::unsupported(format!(
                    "formatting field \"{name}\" is only supported in to_char"
                )));
            }
            Field::ZoneHour | Field::ZoneMinute => self.zone(field, name, open)?,
            Field::IsoDayOfYear => {
                let value = number(3)?;
                set(&mut self.fields.day_of_year, value, name)?;
            }
            Field::IsoDay => {
                let value = number(1)?;
                set(&mut self.fields.weekday, value, name)?;
                self.fields.weekday = if value >= 7 { 1 } else { value.saturating_add(1) };
            }
            // Which day of the quarter would be meant?
            Field::Quarter => {
                number(width)?;
            }
            Field::YearComma => self.year_with_comma(name)?,
            Field::Year(digits) | Field::IsoYear(digits) => {
                let (value, length) = self.number(width, name, open)?;
                set(&mut self.fields.year, value, name)?;
                if digits < 4 && length < 4 {
                    self.fields.year = near_2020(value);
                }
                self.fields.year_digits = digits;
            }
            _ if words_only(field) => self.word(field, name)?,
            _ => {
                let value = number(width)?;
                if let Some(target) = self.plain_field(field) {
                    set(target, value, name)?;
                }
            }
        }
        Ok(())
    }

    /// The field that a number goes to as it is.
    fn plain_field(&mut self, field: Field) -> Option<&mut i32> {
        let fields = &mut self.fields;
        Some(match field {
            Field::Minute => &mut fields.minute,
            Field::Second => &mut fields.second,
            Field::SecondOfDay => &mut fields.second_of_day,
            Field::Month => &mut fields.month,
            Field::DayOfYear => &mut fields.day_of_year,
            Field::DayOfMonth => &mut fields.day,
            Field::DayOfWeek => &mut fields.weekday,
            Field::Week | Field::IsoWeek => &mut fields.week,
            Field::WeekOfMonth => &mut fields.week_of_month,
            Field::Century => &mut fields.century,
            Field::Julian => &mut fields.julian,
            _ => return None,
        })
    }

    fn zone(&mut self, field: Field, name: &str, open: bool) -> Result<()> {
        if field == Field::ZoneMinute {
            if self.fields.zone_sign == 0 {
                self.fields.zone_sign = 1;
            }
            let value = self.number(2, name, open)?.0;
            return set(&mut self.fields.zone_minute, value, name);
        }
        // A minus may have been taken for a separator already.
        let minus = match self.peek() {
            Some(sign @ ('+' | '-' | ' ')) => {
                self.at += 1;
                sign == '-'
            }
            _ => self.skipped > 0 && self.text[..self.at].ends_with('-'),
        };
        self.fields.zone_sign = if minus { -1 } else { 1 };
        let value = self.number(2, name, open)?.0;
        set(&mut self.fields.zone_hour, value, name)
    }

    /// `Y,YYY`.
    fn year_with_comma(&mut self, name: &str) -> Result<()> {
        let invalid = || format_error("invalid input string for \"Y,YYY\"");
        let start = self.at;
        self.skip_spaces();
        let (whole, length) = integer(self.rest(), usize::MAX);
        let thousands = whole.filter(|_| length > 0).ok_or_else(invalid)?;
        self.at += length;
        if self.peek() != Some(',') {
            self.at = start;
            return Err(invalid());
        }
        self.at += 1;
        self.skip_spaces();
        let (rest, length) = integer(self.rest(), 3);
        let rest = rest.filter(|_| length > 0).ok_or_else(invalid)?;
        self.at += length;
        let year = thousands.checked_mul(1000).and_then(|it| it.checked_add(rest));
        let year = year.and_then(|it| i32::try_from(it).ok()).ok_or_else(|| out_of_range(name))?;
        set(&mut self.fields.year, year, name)?;
        self.fields.year_digits = 4;
        Ok(())
    }

    /// A number of exactly so many characters, or of any number of them if what follows is no digit; and how many
    /// characters it takes, blanks before it included.
    fn number(&mut self, width: usize, name: &str, open: bool) -> Result<(i32, usize)> {
        const HINT: &str =
            "If your source string is not fixed-width, try using the \"FM\" modifier.";
        let start = self.at;
        self.skip_spaces();
        let rest = self.rest();
        let mut end = rest.len().min(width);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let copy = &rest[..end];
        let value = if open {
            let (value, length) = integer(rest, usize::MAX);
            // Nothing at all moves the place back to before the blanks, as C's `strtol` does.
            self.at = if length == 0 { start } else { self.at + length };
            value
        } else {
            if rest.len() < width {
                return Err(format_error(format!(
                    "source string too short for \"{name}\" formatting field"
                ))
                .with_detail(format!(
                    "Field requires {width} characters, but only {} remain.",
                    rest.len()
                ))
                .with_hint(HINT));
            }
            let (value, length) = integer(copy, usize::MAX);
            if length > 0 && length < width {
                return Err(format_error(format!("invalid value \"{copy}\" for \"{name}\""))
                    .with_detail(format!(
                        "Field requires {width} characters, but only {length} could be parsed."
                    ))
                    .with_hint(HINT));
            }
            self.at += length;
            value
        };
        if self.at == start {
            return Err(format_error(format!("invalid value \"{copy}\" for \"{name}\""))
                .with_detail("Value must be an integer."));
        }
        let value = value.and_then(|it| i32::try_from(it).ok());
        Ok((value.ok_or_else(|| out_of_range(name))?, self.at - start))
    }

    /// One of the words of a field.
    fn word(&mut self, field: Field, name: &str) -> Result<()> {
        let rest = self.rest().as_bytes();
        let starts = |word: &str| {
            rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        let Some((word, value)) = words(field).into_iter().find(|(word, _)| starts(word)) else {
            let shown = self.rest().split(is_space).next().unwrap_or("");
            return Err(format_error(format!("invalid value \"{shown}\" for \"{name}\""))
                .with_detail(
                    "The given value did not match any of the allowed values for this field.",
                ));
        };
        self.at += word.len();
        match field {
            Field::Meridiem { .. } => {
                set(&mut self.fields.afternoon, value, name)?;
                self.fields.twelve_hours = true;
                Ok(())
            }
            Field::Era { .. } => set(&mut self.fields.before_christ, value, name),
            Field::Day | Field::DayShort => {
                // Compared with what was set, which counts from 1, before it is counted so itself.
                set(&mut self.fields.weekday, value - 1, name)?;
                self.fields.weekday = value;
                Ok(())
            }
            _ => set(&mut self.fields.month, value, name),
        }
    }
}

fn words_only(field: Field) -> bool {
    matches!(
        field,
        Field::Meridiem { .. }
            | Field::Era { .. }
            | Field::MonthName
            | Field::MonthShort
            | Field::Day
            | Field::DayShort
            | Field::Roman
    )
}

fn out_of_range(name: &str) -> SqlError {
    let message = format!("value for \"{name}\" in source string is out of range");
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message).with_detail(format!(
        "Value must be in the range {} to {}.",
        i32::MIN,
        i32::MAX
    ))
}

/// A fraction's digits as so many places.
fn scaled(value: i32, length: usize, places: usize) -> i32 {
    let missing = if length == 0 { 0 } else { places.saturating_sub(length) };
    value.saturating_mul(10_i32.pow(u32::try_from(missing).unwrap_or(0)))
}

/// An integer at the start of a text, and its length; none if it is too large.
fn integer(text: &str, width: usize) -> (Option<i64>, usize) {
    let bytes = &text.as_bytes()[..text.len().min(width)];
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let digits = bytes[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return (Some(0), 0);
    }
    (text[..sign + digits].parse::<i64>().ok(), sign + digits)
}
