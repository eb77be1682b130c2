//! Decodes the fields of a date and time, in any of the ways that PostgreSQL takes them.
//!
//! Fields are taken from left to right; each says which of year, month, day, hour … it gives, and giving one twice
//! is an error. What a bare number means depends on what is there already and on the order of day and month.
//!
//! Source: `datetime.c` (`DecodeDateTime`, `DecodeTimeOnly` and what they call).

use jiff::tz::TimeZone;

use super::abbreviation::{self, Abbreviation};
use super::calendar::{self, EPOCH_JULIAN};
use super::error::ParseError;
use super::number::{Scanned, decode_zone, fraction, integer};
use super::parts::{Kind, Part};
use super::style::DateOrder;
use super::token::{self, Named, Token, Unit};
use super::{DAY, HOUR, MINUTE, SECOND, zone};
use crate::types::text::ReadContext;

/// Which fields have been given, as bits.
pub(super) mod field {
    pub(crate) const MONTH: u32 = 1;
    pub(crate) const YEAR: u32 = 1 << 1;
    pub(crate) const DAY: u32 = 1 << 2;
    pub(crate) const ZONE: u32 = 1 << 3;
    pub(crate) const HOUR: u32 = 1 << 4;
    pub(crate) const MINUTE: u32 = 1 << 5;
    pub(crate) const SECOND: u32 = 1 << 6;
    pub(crate) const FRACTION: u32 = 1 << 7;
    pub(crate) const DAY_OF_YEAR: u32 = 1 << 8;
    pub(crate) const WEEKDAY: u32 = 1 << 9;
    pub(crate) const AFTERNOON: u32 = 1 << 10;
    pub(crate) const ERA: u32 = 1 << 11;
    pub(crate) const DAYLIGHT: u32 = 1 << 12;
    pub(crate) const MILLISECOND: u32 = 1 << 13;
    pub(crate) const DATE: u32 = YEAR | MONTH | DAY;
    pub(crate) const SECONDS: u32 = SECOND | FRACTION | MILLISECOND;
    pub(crate) const TIME: u32 = HOUR | MINUTE | SECONDS;
}

/// What the fields came to.
#[derive(Clone, Debug)]
pub(super) enum Decoded {
    /// A date and a time, and the offset from UTC in seconds east.
    Moment(Clock, i64),
    Epoch,
    Infinity,
    MinusInfinity,
}

/// A date and a time as they are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) day_of_year: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) microsecond: i64,
}

impl Clock {
    /// Days since 2000-01-01.
    pub(super) fn days(&self) -> i64 {
        calendar::days(self.year, self.month, self.day)
    }

    /// Microseconds since midnight.
    pub(super) fn time(&self) -> i64 {
        self.hour * HOUR + self.minute * MINUTE + self.second * SECOND + self.microsecond
    }

    fn set_days(&mut self, days: i64) {
        let civil = calendar::civil(days);
        (self.year, self.month, self.day) = (civil.year, civil.month, civil.day);
    }

    fn set_time(&mut self, microseconds: i64) {
        self.hour = microseconds / HOUR;
        self.minute = microseconds / MINUTE % 60;
        self.second = microseconds / SECOND % 60;
        self.microsecond = microseconds % SECOND;
    }

    fn time_overflows(&self) -> bool {
        !(0..=24).contains(&self.hour)
            || !(0..60).contains(&self.minute)
            || !(0..=60).contains(&self.second)
            || !(0..=SECOND).contains(&self.microsecond)
            || self.time() > DAY
    }
}

/// How the offset from UTC is given.
#[derive(Clone, Debug)]
enum Offset {
    /// Not at all.
    Session,
    /// Seconds east.
    Fixed(i64),
    /// By a zone's name.
    Zone(TimeZone),
    /// By an abbreviation whose meaning has changed.
    Abbreviation(TimeZone, String),
}

type Step<T = ()> = Result<T, ParseError>;

#[expect(clippy::struct_excessive_bools, reason = "each says one thing about the date")]
pub(super) struct Decoder<'a> {
    context: &'a ReadContext<'a>,
    /// Whether only a time is wanted.
    time_only: bool,
    given: u32,
    clock: Clock,
    offset: Offset,
    daylight_seconds: i64,
    named: Option<Named>,
    label: Option<Unit>,
    text_month: bool,
    two_digits: bool,
    julian: bool,
    before_christ: bool,
    afternoon: Option<bool>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(context: &'a ReadContext<'a>, time_only: bool) -> Self {
        Self {
            context,
            time_only,
            given: 0,
            clock: Clock::default(),
            offset: Offset::Session,
            daylight_seconds: 0,
            named: None,
            label: None,
            text_month: false,
            two_digits: false,
            julian: false,
            before_christ: false,
            afternoon: None,
        }
    }

    /// Decodes all fields.
    pub(super) fn run(mut self, parts: &[Part]) -> Step<Decoded> {
        for place in 0..parts.len() {
            let part = &parts[place];
            let given = match part.kind {
                Kind::Date => self.date_part(parts, place)?,
                Kind::Time => {
                    if self.label.take().is_some_and(|label| label != Unit::Time) {
                        return Err(ParseError::Format);
                    }
                    self.time(&part.text)?
                }
                Kind::Zone => {
                    self.offset = Offset::Fixed(decode_zone(&part.text)?);
                    field::ZONE
                }
                Kind::Number => self.number_part(parts, place)?,
                Kind::Word | Kind::Special => match self.word(parts, place)? {
                    Some(given) => given,
                    None => continue,
                },
            };
            if given & self.given != 0 {
                return Err(ParseError::Format);
            }
            self.given |= given;
        }
        if self.time_only { self.finish_time() } else { self.finish() }
    }

    fn has(&self, fields: u32) -> bool {
        self.given & fields == fields
    }

    /// The fields given, with the date assumed if only a time is wanted.
    fn assumed(&self) -> u32 {
        if self.time_only { self.given | field::DATE } else { self.given }
    }

    fn date_part(&mut self, parts: &[Part], place: usize) -> Step<u32> {
        let text = &parts[place].text;
        let digit = text.starts_with(|it: char| it.is_ascii_digit());
        if self.label == Some(Unit::Julian) {
            return self.julian_with_zone(text);
        }
        let is_date = if self.time_only {
            place == 0
                && parts.len() >= 2
                && (parts[parts.len() - 1].kind == Kind::Date || parts[1].kind == Kind::Time)
        } else {
            self.label.is_none() && !self.has(field::MONTH | field::DAY)
        };
        if is_date {
            return self.date(text);
        }
        if !digit && self.label.is_none() {
            let zone = zone::find(text).ok_or_else(|| ParseError::UnknownZone(text.clone()))?;
            self.offset = Offset::Zone(zone);
            return Ok(field::ZONE);
        }
        // A time written together, with a zone: hhmmss-zz.
        if self.label.take().is_some_and(|label| label != Unit::Time) || self.has(field::TIME) {
            return Err(ParseError::Format);
        }
        let dash = text.find('-').ok_or(ParseError::Format)?;
        self.offset = Offset::Fixed(decode_zone(&text[dash..])?);
        Ok(self.run_together(&text[..dash], self.assumed())? | field::ZONE)
    }

    fn julian_with_zone(&mut self, text: &str) -> Step<u32> {
        let Scanned { value, rest } = integer(text)?;
        if value < 0 {
            return Err(ParseError::Field);
        }
        self.clock.set_days(value - EPOCH_JULIAN);
        self.julian = true;
        self.offset = Offset::Fixed(decode_zone(rest)?);
        self.label = None;
        Ok(field::DATE | field::TIME | field::ZONE)
    }

    /// A date with separators.
    fn date(&mut self, text: &str) -> Step<u32> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.trim_start_matches(|it: char| !it.is_ascii_alphanumeric());
            let first = rest.chars().next().ok_or(ParseError::Format)?;
            let same = |it: char| {
                if first.is_ascii_digit() { it.is_ascii_digit() } else { it.is_ascii_alphabetic() }
            };
            let (piece, after) = rest.split_at(rest.find(|it| !same(it)).unwrap_or(rest.len()));
            pieces.push(piece);
            // Whatever follows is dropped, a separator or not.
            rest = after.get(1..).unwrap_or("");
        }
        let mut given = self.given;
        let mut text_month = false;
        let is_word = |piece: &&&str| piece.starts_with(|it: char| it.is_ascii_alphabetic());
        for piece in pieces.iter().filter(is_word) {
            match token::find(piece) {
                Some(Token::Ignore) => {}
                Some(Token::Month(month)) if given & field::MONTH == 0 => {
                    self.clock.month = month;
                    text_month = true;
                    given |= field::MONTH;
                }
                _ => return Err(ParseError::Format),
            }
        }
        for piece in pieces.iter().filter(|piece| !is_word(piece)) {
            let found = self.number(piece, text_month, given)?;
            if found & given != 0 {
                return Err(ParseError::Format);
            }
            given |= found;
        }
        if given & !(field::DAY_OF_YEAR | field::ZONE) != field::DATE {
            return Err(ParseError::Format);
        }
        Ok(given & !self.given)
    }

    /// `hh:mm`, `hh:mm:ss`, `mm:ss.fff`.
    fn time(&mut self, text: &str) -> Step<u32> {
        let clock = &mut self.clock;
        let Scanned { value: hour, rest } = integer(text)?;
        let Scanned { value: minute, rest } =
            integer(rest.strip_prefix(':').ok_or(ParseError::Format)?)?;
        (clock.hour, clock.minute, clock.second, clock.microsecond) = (hour, minute, 0, 0);
        if rest.starts_with('.') {
            clock.microsecond = fraction(rest)?;
            (clock.hour, clock.minute, clock.second) = (0, hour, minute);
        } else if let Some(rest) = rest.strip_prefix(':') {
            let Scanned { value, rest } = integer(rest)?;
            clock.second = value;
            clock.microsecond = match rest {
                "" => 0,
                _ if rest.starts_with('.') => fraction(rest)?,
                _ => return Err(ParseError::Format),
            };
        } else if !rest.is_empty() {
            return Err(ParseError::Format);
        }
        let sane =
            clock.hour >= 0 && (0..60).contains(&clock.minute) && (0..=60).contains(&clock.second);
        if !sane || (!self.time_only && clock.time_overflows()) {
            return Err(ParseError::Field);
        }
        Ok(field::TIME)
    }

    fn number_part(&mut self, parts: &[Part], place: usize) -> Step<u32> {
        let text = &parts[place].text;
        if let Some(label) = self.label.take() {
            return self.labelled(label, text);
        }
        let point = text.find('.');
        if self.time_only {
            return match point {
                Some(_)
                    if place == 0
                        && parts.len() >= 2
                        && parts[parts.len() - 1].kind == Kind::Date =>
                {
                    self.date(text)
                }
                Some(point) if point > 2 => self.run_together(text, self.assumed()),
                Some(_) => Err(ParseError::Format),
                None if text.len() > 4 => self.run_together(text, self.assumed()),
                None => self.number(text, false, self.assumed()),
            };
        }
        match point {
            Some(_) if self.given & field::DATE == 0 => self.date(text),
            Some(point) if point > 2 => self.run_together(text, self.given),
            _ if text.len() >= 6
                && (self.given & field::DATE == 0 || self.given & field::TIME == 0) =>
            {
                self.run_together(text, self.given)
            }
            _ => self.number(text, self.text_month, self.given),
        }
    }

    /// A number after a label: `y2001m02d04`, `j2451187`, `t040506`.
    fn labelled(&mut self, label: Unit, text: &str) -> Step<u32> {
        let Scanned { value, rest } = integer(text)?;
        if !rest.is_empty() && !rest.starts_with('.') {
            return Err(ParseError::Format);
        }
        let clock = &mut self.clock;
        let (target, given) = match label {
            Unit::Year => (&mut clock.year, field::YEAR),
            Unit::Month if self.given & field::MONTH != 0 && self.given & field::HOUR != 0 => {
                (&mut clock.minute, field::MINUTE)
            }
            Unit::Month => (&mut clock.month, field::MONTH),
            Unit::Day => (&mut clock.day, field::DAY),
            Unit::Hour => (&mut clock.hour, field::HOUR),
            Unit::Minute => (&mut clock.minute, field::MINUTE),
            Unit::Second => {
                clock.second = value;
                if rest.is_empty() {
                    return Ok(field::SECOND);
                }
                clock.microsecond = fraction(rest)?;
                return Ok(field::SECONDS);
            }
            Unit::Julian => {
                if value < 0 {
                    return Err(ParseError::Field);
                }
                clock.set_days(value - EPOCH_JULIAN);
                self.julian = true;
                if rest.is_empty() {
                    return Ok(field::DATE);
                }
                clock.set_time(super::number::part_of_day(rest)?);
                return Ok(field::DATE | field::TIME);
            }
            Unit::Time => {
                let given = self.run_together(text, self.given | field::DATE)?;
                return if given == field::TIME { Ok(given) } else { Err(ParseError::Format) };
            }
            _ => return Err(ParseError::Format),
        };
        *target = value;
        Ok(given)
    }

    /// Digits without separators: a date if there is none yet, else a time.
    fn run_together(&mut self, text: &str, given: u32) -> Step<u32> {
        let number = |range: std::ops::Range<usize>| -> i64 {
            text.get(range).and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        let clock = &mut self.clock;
        let mut length = text.len();
        if let Some(point) = text.find('.') {
            clock.microsecond = fraction(&text[point..])?;
            length = point;
        } else if given & field::DATE != field::DATE && length >= 6 {
            clock.day = number(length - 2..length);
            clock.month = number(length - 4..length - 2);
            clock.year = number(0..length - 4);
            self.two_digits |= length == 6;
            return Ok(field::DATE);
        }
        if given & field::TIME != field::TIME && (length == 6 || length == 4) {
            clock.hour = number(0..2);
            clock.minute = number(2..4);
            clock.second = if length == 6 { number(4..6) } else { 0 };
            return Ok(field::TIME);
        }
        Err(ParseError::Format)
    }

    /// One number: year, month or day, whichever comes next.
    fn number(&mut self, text: &str, text_month: bool, given: u32) -> Step<u32> {
        let Scanned { value, rest } = integer(text)?;
        let digits = text.len() - rest.len();
        if rest.starts_with('.') {
            if digits > 2 {
                return self.run_together(text, given | field::DATE);
            }
            self.clock.microsecond = fraction(rest)?;
        } else if !rest.is_empty() {
            return Err(ParseError::Format);
        }
        let length = text.len();
        if length == 3 && given & field::DATE == field::YEAR && (1..=366).contains(&value) {
            self.clock.day_of_year = value;
            return Ok(field::DAY_OF_YEAR | field::MONTH | field::DAY);
        }
        let order = self.context.settings.date_style.order;
        let found = match given & field::DATE {
            0 if length >= 3 || order == DateOrder::Ymd => field::YEAR,
            0 if order == DateOrder::Dmy => field::DAY,
            0 | field::YEAR | field::DAY => field::MONTH,
            field::MONTH if text_month && length >= 3 => field::YEAR,
            field::MONTH => field::DAY,
            it if it == field::YEAR | field::MONTH => {
                if text_month && length >= 3 && self.two_digits {
                    // The first number was the day after all.
                    self.clock.day = self.clock.year;
                    self.clock.year = value;
                    self.two_digits = false;
                    return Ok(field::DAY);
                }
                field::DAY
            }
            it if it == field::MONTH | field::DAY => field::YEAR,
            field::DATE => return self.run_together(text, given),
            _ => return Err(ParseError::Format),
        };
        match found {
            field::YEAR => {
                self.clock.year = value;
                self.two_digits = length <= 2;
            }
            field::MONTH => self.clock.month = value,
            _ => self.clock.day = value,
        }
        Ok(found)
    }

    /// A word: a month, a zone, `now`, `PM` … None if it says nothing.
    fn word(&mut self, parts: &[Part], place: usize) -> Step<Option<u32>> {
        let text = &parts[place].text;
        let short = text.get(..10).unwrap_or(text);
        match abbreviation::find(short) {
            Some(Abbreviation::Fixed(seconds, _)) => {
                self.offset = Offset::Fixed(i64::from(seconds));
                return Ok(Some(field::ZONE));
            }
            Some(Abbreviation::Zone(name)) => {
                let zone = zone::find(name).ok_or(ParseError::Format)?;
                self.offset = Offset::Abbreviation(zone, text.to_ascii_uppercase());
                return Ok(Some(field::ZONE));
            }
            None => {}
        }
        let Some(token) = token::find(text) else {
            let zone = zone::find(text).ok_or(ParseError::Format)?;
            self.offset = Offset::Zone(zone);
            return Ok(Some(field::ZONE));
        };
        Ok(Some(match token {
            Token::Ignore => return Ok(None),
            Token::Named(named) => self.name(named)?,
            Token::Month(month) => {
                let mut given = field::MONTH;
                let numeric = self.given & field::MONTH != 0 && !self.text_month;
                if numeric && self.given & field::DAY == 0 && (1..=31).contains(&self.clock.month) {
                    // What was taken for a month was the day.
                    self.clock.day = self.clock.month;
                    given = field::DAY;
                }
                self.text_month = true;
                self.clock.month = month;
                given
            }
            Token::Weekday => field::WEEKDAY,
            Token::Afternoon(it) => {
                self.afternoon = Some(it);
                field::AFTERNOON
            }
            Token::BeforeChrist(it) => {
                self.before_christ = it;
                field::ERA
            }
            Token::Daylight => {
                self.daylight_seconds = 3600;
                field::DAYLIGHT
            }
            Token::Unit(unit) => {
                self.label = Some(unit);
                0
            }
            Token::IsoTime => {
                let next = parts.get(place + 1).map(|part| part.kind);
                let sensible = matches!(next, Some(Kind::Number | Kind::Time | Kind::Date));
                if !sensible || (!self.time_only && !self.has(field::DATE)) {
                    return Err(ParseError::Format);
                }
                self.label = Some(Unit::Time);
                0
            }
        }))
    }

    fn name(&mut self, named: Named) -> Step<u32> {
        let settings = self.context.settings;
        let offset = zone::offset_at(&settings.time_zone, self.context.now);
        let local = self.context.now + offset * SECOND;
        let today = local.div_euclid(DAY);
        let all = field::DATE | field::TIME | field::ZONE;
        if self.time_only {
            return match named {
                Named::Now => {
                    self.clock.set_time(local.rem_euclid(DAY));
                    Ok(field::TIME)
                }
                Named::Midnight => {
                    self.clock.set_time(0);
                    self.offset = Offset::Fixed(0);
                    Ok(field::TIME | field::ZONE)
                }
                _ => Err(ParseError::Format),
            };
        }
        match named {
            Named::Now => {
                self.clock.set_days(today);
                self.clock.set_time(local.rem_euclid(DAY));
                self.offset = Offset::Fixed(offset);
                Ok(all)
            }
            Named::Yesterday | Named::Today | Named::Tomorrow => {
                let shift = match named {
                    Named::Yesterday => -1,
                    Named::Tomorrow => 1,
                    _ => 0,
                };
                self.clock.set_days(today + shift);
                Ok(field::DATE)
            }
            Named::Midnight => {
                self.clock.set_time(0);
                self.offset = Offset::Fixed(0);
                Ok(field::TIME | field::ZONE)
            }
            Named::Epoch | Named::Infinity | Named::MinusInfinity => {
                self.named = Some(named);
                Ok(all)
            }
        }
    }

    /// Brings year, month and day together and checks them (`ValidateDate`).
    fn validate(&mut self) -> Step {
        let clock = &mut self.clock;
        if self.given & field::YEAR != 0 && !self.julian {
            if self.before_christ {
                if clock.year <= 0 {
                    return Err(ParseError::Field);
                }
                clock.year = 1 - clock.year;
            } else if self.two_digits {
                clock.year += match clock.year {
                    ..70 => 2000,
                    70..100 => 1900,
                    _ => 0,
                };
            } else if clock.year <= 0 {
                return Err(ParseError::Field);
            }
        }
        if self.given & field::DAY_OF_YEAR != 0 {
            clock.set_days(calendar::days(clock.year, 1, 1) + clock.day_of_year - 1);
        }
        let month = self.given & field::MONTH != 0 && !(1..=12).contains(&clock.month);
        let day = self.given & field::DAY != 0 && !(1..=31).contains(&clock.day);
        if month || day {
            return Err(ParseError::MonthOrDay);
        }
        if self.given & field::DATE == field::DATE
            && clock.day > calendar::month_days(clock.year, clock.month)
        {
            return Err(ParseError::Field);
        }
        Ok(())
    }

    fn twelve_hours(&mut self) -> Step {
        let Some(afternoon) = self.afternoon else { return Ok(()) };
        if self.clock.hour > 12 {
            return Err(ParseError::Field);
        }
        self.clock.hour = self.clock.hour % 12 + if afternoon { 12 } else { 0 };
        Ok(())
    }

    /// The offset in seconds east at the local time of a clock.
    fn offset_of(&self, clock: &Clock) -> Step<i64> {
        if matches!(self.offset, Offset::Session | Offset::Zone(_))
            && self.given & field::DAYLIGHT != 0
        {
            return Err(ParseError::Format);
        }
        let local = clock.days().saturating_mul(DAY).saturating_add(clock.time());
        Ok(match &self.offset {
            Offset::Session => zone::offset_of_local(&self.context.settings.time_zone, local),
            Offset::Zone(zone) => zone::offset_of_local(zone, local),
            Offset::Abbreviation(zone, name) => zone::offset_of_abbreviation(zone, name, local),
            Offset::Fixed(seconds) => seconds + self.daylight_seconds,
        })
    }

    fn finish(mut self) -> Step<Decoded> {
        match self.named {
            Some(Named::Epoch) => return Ok(Decoded::Epoch),
            Some(Named::Infinity) => return Ok(Decoded::Infinity),
            Some(Named::MinusInfinity) => return Ok(Decoded::MinusInfinity),
            _ => {}
        }
        self.validate()?;
        self.twelve_hours()?;
        if !self.has(field::DATE) {
            return Err(ParseError::Format);
        }
        let offset = self.offset_of(&self.clock)?;
        Ok(Decoded::Moment(self.clock, offset))
    }

    fn finish_time(mut self) -> Step<Decoded> {
        self.validate()?;
        self.twelve_hours()?;
        if self.clock.time_overflows() {
            return Err(ParseError::Field);
        }
        if !self.has(field::TIME) {
            return Err(ParseError::Format);
        }
        let mut clock = self.clock;
        if !self.has(field::DATE) {
            if self.given & field::DATE != 0 {
                return Err(ParseError::Format);
            }
            if let Offset::Zone(zone) = &self.offset
                && zone.to_fixed_offset().is_err()
            {
                return Err(ParseError::Format);
            }
            let local = zone::to_local(&self.context.settings.time_zone, self.context.now);
            clock.set_days(local.div_euclid(DAY));
        }
        let offset = self.offset_of(&clock)?;
        Ok(Decoded::Moment(clock, offset))
    }
}
