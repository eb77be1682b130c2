//! The formats of values in records, read and written.

use rotabase_engine::schedule::{AirportCode, DayOfOrigin, FlightId, LegId};
use uuid::Uuid;

use super::LEG_ID_NAMESPACE;

/// "No limit", where a date could stand.
pub(super) const OPEN_DATE: [u8; 7] = *b"00XXX00";

const MONTHS: [[u8; 3]; 12] = [
    *b"JAN", *b"FEB", *b"MAR", *b"APR", *b"MAY", *b"JUN", *b"JUL", *b"AUG", *b"SEP", *b"OCT",
    *b"NOV", *b"DEC",
];

/// An end of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// `00XXX00`: as far as the carrier record goes.
    Open,
    /// A date, in days since 2000-01-01.
    Day(i32),
}

/// How the times of a block are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimeMode {
    /// Local at the station.
    Local,
    /// UTC, dates and days as well.
    Utc,
}

/// Digits only, as a number.
pub(super) fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |number: u32, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// `29MAR26`; years 70 to 99 are of the last century.
pub(super) fn date(bytes: [u8; 7]) -> Option<i32> {
    let [d1, d2, m1, m2, m3, y1, y2] = bytes;
    let day = u8::try_from(digits(&[d1, d2])?).ok()?;
    let month = MONTHS.iter().position(|month| *month == [m1, m2, m3])?;
    let year = i32::try_from(digits(&[y1, y2])?).ok()?;
    let year = if year < 70 { 2000 + year } else { 1900 + year };
    DayOfOrigin::from_calendar(year, u8::try_from(month + 1).ok()?, day).map(|it| it.0)
}

/// A date or `00XXX00`.
pub(super) fn limit(bytes: [u8; 7]) -> Option<Limit> {
    if bytes == OPEN_DATE { Some(Limit::Open) } else { date(bytes).map(Limit::Day) }
}

/// The date as a record has it; none outside 1970 to 2069.
pub(super) fn date_text(day: i32) -> Option<[u8; 7]> {
    let (year, month, day) = DayOfOrigin(day).calendar();
    if !(1970..2070).contains(&year) {
        return None;
    }
    let [m1, m2, m3] = MONTHS[usize::from(month) - 1];
    let [d1, d2] = two_digits(u32::from(day));
    let [y1, y2] = two_digits(u32::try_from(year % 100).ok()?);
    Some([d1, d2, m1, m2, m3, y1, y2])
}

/// The two lowest digits of a number.
pub(super) fn two_digits(number: u32) -> [u8; 2] {
    let digit = |it: u32| b'0' + u8::try_from(it % 10).expect("a digit");
    [digit(number / 10), digit(number)]
}

/// `0825` as minutes of the day, up to `2359`.
pub(super) fn time(bytes: [u8; 4]) -> Option<i32> {
    let [h1, h2, m1, m2] = bytes;
    let (hour, minute) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
    (hour < 24 && minute < 60).then(|| i32::try_from(hour * 60 + minute).expect("a day's minutes"))
}

/// A time that may be `2400`.
pub(super) fn arrival_time(bytes: [u8; 4]) -> Option<i32> {
    if bytes == *b"2400" { Some(1440) } else { time(bytes) }
}

/// Minutes of the day, up to 1440, as a record has them.
pub(super) fn time_text(minutes: u32) -> [u8; 4] {
    let ([h1, h2], [m1, m2]) = (two_digits(minutes / 60), two_digits(minutes % 60));
    [h1, h2, m1, m2]
}

/// `+0530` as minutes, `-1200` to `+1400`.
pub(super) fn variation(bytes: [u8; 5]) -> Option<i32> {
    let [sign, h1, h2, m1, m2] = bytes;
    let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
    if minutes > 59 {
        return None;
    }
    let size = i32::try_from(hours * 60 + minutes).ok()?;
    let signed = match sign {
        b'+' => size,
        b'-' => -size,
        _ => return None,
    };
    (-720..=840).contains(&signed).then_some(signed)
}

/// A variation as a record has it; none beyond `-1200` to `+1400`.
pub(super) fn variation_text(minutes: i32) -> Option<[u8; 5]> {
    if !(-720..=840).contains(&minutes) {
        return None;
    }
    let [h1, h2, m1, m2] = time_text(minutes.unsigned_abs());
    Some([if minutes < 0 { b'-' } else { b'+' }, h1, h2, m1, m2])
}

/// `1 3 5 7` as bits, the lowest one Monday; none if a byte is neither blank nor the digit of its place, or all
/// are blank.
pub(super) fn days(bytes: [u8; 7]) -> Option<u8> {
    let mut days = 0;
    for (place, byte) in (0..7_u8).zip(bytes) {
        if byte == b'1' + place {
            days |= 1 << place;
        } else if byte != b' ' {
            return None;
        }
    }
    (days != 0).then_some(days)
}

/// Days of operation as a record has them.
pub(super) fn days_text(days: u8) -> [u8; 7] {
    [0, 1, 2, 3, 4, 5, 6].map(|place| if days >> place & 1 == 1 { b'1' + place } else { b' ' })
}

/// Days of operation, each `by` days later.
pub(super) fn days_moved(days: u8, by: i32) -> u8 {
    let by = by.rem_euclid(7);
    (days << by | days >> (7 - by)) & 0x7f
}

/// A flight number: 1 to 4 digits on the right, blanks or zeros before them.
pub(super) fn flight_number(bytes: [u8; 4]) -> Option<u32> {
    let blanks = bytes.iter().take_while(|byte| **byte == b' ').count();
    digits(&bytes[blanks..]).filter(|number| blanks < 4 && *number > 0)
}

/// Days of a date variation.
pub(super) fn date_variation(byte: u8) -> Option<i32> {
    match byte {
        b'0'..=b'7' => Some(i32::from(byte - b'0')),
        b'A' => Some(-1),
        _ => None,
    }
}

/// A date variation as a record has it; none beyond `A` and `0` to `7`.
pub(super) fn date_variation_text(days: i32) -> Option<u8> {
    match days {
        -1 => Some(b'A'),
        0..=7 => u8::try_from(days).ok().map(|days| b'0' + days),
        _ => None,
    }
}

/// The longest text behind a leg's id: `ABC9999D FRA 2026-03-29 99 999`, and room for numbers that never come.
const NAME_BYTES: usize = 64;

/// The text behind the ids of the legs of one record; only the date differs.
pub(super) struct LegName {
    bytes: [u8; NAME_BYTES],
    date_at: usize,
    length: usize,
}

impl LegName {
    pub(super) fn new(
        flight: FlightId,
        departure_airport: AirportCode,
        leg_sequence: i32,
        itinerary_variation: i32,
    ) -> Self {
        let FlightId { carrier, number, suffix } = flight;
        let before = format!("{carrier}{number}{suffix} {departure_airport} ");
        let text = format!("{before}0000-00-00 {leg_sequence} {itinerary_variation}");
        let mut bytes = [0; NAME_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self { bytes, date_at: before.len(), length: text.len() }
    }

    pub(super) fn leg_id(&mut self, day_of_origin: DayOfOrigin) -> LegId {
        let (year, month, day) = day_of_origin.calendar();
        if !(0..10_000).contains(&year) {
            // Such a day is in no file; its id only has to differ.
            let text = String::from_utf8_lossy(&self.bytes[..self.length])
                .replace("0000-00-00", &day_of_origin.to_string());
            return LegId(Uuid::new_v5(&LEG_ID_NAMESPACE, text.as_bytes()));
        }
        let year = u32::try_from(year).expect("checked");
        let ([y1, y2], [y3, y4]) = (two_digits(year / 100), two_digits(year % 100));
        let ([m1, m2], [d1, d2]) = (two_digits(u32::from(month)), two_digits(u32::from(day)));
        let date = [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2];
        self.bytes[self.date_at..self.date_at + date.len()].copy_from_slice(&date);
        LegId(Uuid::new_v5(&LEG_ID_NAMESPACE, &self.bytes[..self.length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_the_standard_says() {
        assert_eq!(date(*b"29MAR26"), Some(9584));
        assert_eq!(date(*b"30FEB26"), None);
        assert_eq!(date(*b"00NOV26"), None);
        assert_eq!(date(*b"02XYZ26"), None);
        assert_eq!(date(*b" 2NOV26"), None);
        assert_eq!(date(*b"31DEC99"), Some(-1));
        assert_eq!(limit(OPEN_DATE), Some(Limit::Open));
        assert_eq!((time(*b"2359"), time(*b"2400"), time(*b"1260")), (Some(1439), None, None));
        assert_eq!((arrival_time(*b"2400"), arrival_time(*b"2401")), (Some(1440), None));
        assert_eq!(
            (variation(*b"+0530"), variation(*b"-1200"), variation(*b"+1401")),
            (Some(330), Some(-720), None)
        );
        assert_eq!((variation(*b" 0100"), variation(*b"+0160")), (None, None));
        assert_eq!(
            (days(*b"1 3 5 7"), days(*b"       "), days(*b"21     ")),
            (Some(0b101_0101), None, None)
        );
        assert_eq!(
            (flight_number(*b"  83"), flight_number(*b"0083"), flight_number(*b"83  ")),
            (Some(83), Some(83), None)
        );
        assert_eq!((flight_number(*b"0000"), flight_number(*b"    ")), (None, None));
        assert_eq!(days_moved(0b100_0001, 1), 0b000_0011);
        assert_eq!(days_moved(0b000_0011, -1), 0b100_0001);
    }

    #[test]
    fn values_are_written_as_they_read() {
        for day in [-10_957, -1, 0, 9584, 25_000] {
            assert_eq!(date(date_text(day).unwrap()), Some(day));
        }
        assert_eq!(date_text(-10_958), None);
        for minutes in [-720, -210, 0, 345, 840] {
            assert_eq!(variation(variation_text(minutes).unwrap()), Some(minutes));
        }
        assert_eq!(days(days_text(0b101_0101)), Some(0b101_0101));
        assert_eq!(time_text(1440), *b"2400");
    }
}
