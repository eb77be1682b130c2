//! The words that dates and intervals may contain.
//!
//! Source: `datetime.c` (`datetktbl`, `deltatktbl`). Only the first ten letters of a word count.

/// The letters of a word that count (`TOKMAXLEN`).
const LETTERS: usize = 10;

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Zone,
    ZoneHour,
    ZoneMinute,
    /// The `t` before an ISO time.
    Time,
}

/// A moment with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Now,
    Yesterday,
    Today,
    Tomorrow,
    Midnight,
    Epoch,
    Infinity,
    MinusInfinity,
}

/// What a word in a date means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Named(Named),
    Month(i64),
    Weekday,
    Afternoon(bool),
    BeforeChrist(bool),
    Daylight,
    Unit(Unit),
    IsoTime,
    Ignore,
}

fn clip(word: &str) -> &str {
    word.get(..LETTERS).unwrap_or(word)
}

/// What a word in a date means.
pub(super) fn find(word: &str) -> Option<Token> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = clip(word);
    for (place, name) in (1..).zip(MONTHS) {
        if word == name || word == &name[..3] || (word == "sept" && place == 9) {
            return Some(Token::Month(place));
        }
    }
    Some(match word {
        "infinity" | "+infinity" => Token::Named(Named::Infinity),
        "-infinity" => Token::Named(Named::MinusInfinity),
        "allballs" => Token::Named(Named::Midnight),
        "epoch" => Token::Named(Named::Epoch),
        "now" => Token::Named(Named::Now),
        "today" => Token::Named(Named::Today),
        "tomorrow" => Token::Named(Named::Tomorrow),
        "yesterday" => Token::Named(Named::Yesterday),
        "ad" => Token::BeforeChrist(false),
        "bc" => Token::BeforeChrist(true),
        "am" => Token::Afternoon(false),
        "pm" => Token::Afternoon(true),
        "at" | "on" => Token::Ignore,
        "d" => Token::Unit(Unit::Day),
        "dow" => Token::Unit(Unit::DayOfWeek),
        "doy" => Token::Unit(Unit::DayOfYear),
        "dst" => Token::Daylight,
        "h" => Token::Unit(Unit::Hour),
        "isodow" => Token::Unit(Unit::IsoDayOfWeek),
        "isoyear" => Token::Unit(Unit::IsoYear),
        "j" | "jd" | "julian" => Token::Unit(Unit::Julian),
        "m" => Token::Unit(Unit::Month),
        "mm" => Token::Unit(Unit::Minute),
        "s" => Token::Unit(Unit::Second),
        "y" => Token::Unit(Unit::Year),
        "t" => Token::IsoTime,
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds"
        | "wednesday" | "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat"
        | "saturday" => Token::Weekday,
        _ => return None,
    })
}

/// What a word in an interval means, or the name of a field in `extract` and its kin.
pub(crate) fn unit(word: &str) -> Option<Unit> {
    Some(match clip(word) {
        "c" | "cent" | "centuries" | "century" => Unit::Century,
        "d" | "day" | "days" => Unit::Day,
        "dec" | "decade" | "decades" | "decs" => Unit::Decade,
        "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "microsecon" | "us" | "usec" | "usecond" | "useconds" | "usecs" => Unit::Microsecond,
        "mil" | "millennia" | "millennium" | "mils" => Unit::Millennium,
        "millisecon" | "ms" | "msec" | "msecond" | "mseconds" | "msecs" => Unit::Millisecond,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
        "timezone" => Unit::Zone,
        "timezone_h" => Unit::ZoneHour,
        "timezone_m" => Unit::ZoneMinute,
        "w" | "week" | "weeks" => Unit::Week,
        "y" | "year" | "years" | "yr" | "yrs" => Unit::Year,
        _ => return None,
    })
}

/// The name of a field of a timestamp, beside those of [`unit`].
pub(crate) fn field(word: &str) -> Option<Unit> {
    match find(word) {
        Some(Token::Unit(
            it @ (Unit::DayOfWeek
            | Unit::DayOfYear
            | Unit::IsoDayOfWeek
            | Unit::IsoYear
            | Unit::Julian),
        )) => Some(it),
        Some(Token::Named(Named::Epoch)) => Some(Unit::Epoch),
        _ => None,
    }
}
