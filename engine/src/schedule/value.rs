//! The small values of the domain. Each can only be built from what is valid; text is read by `FromStr`
//! alone, which raises lower case and quotes what it refuses.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A text is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what}: \"{text}\" ({rule})")]
pub struct ValueError {
    /// The kind of value, in the domain's words.
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// What is allowed.
    pub rule: &'static str,
}

/// Defines a code of `min..=max` ASCII characters, kept in place, upper case.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal..=$max:literal, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            // Padded with zero bytes, so that the derived order is the order of the texts.
            bytes: [u8; $max],
        }

        impl $name {
            /// The code as text.
            pub fn as_str(&self) -> &str {
                let length = self.bytes.iter().position(|byte| *byte == 0).unwrap_or($max);
                std::str::from_utf8(&self.bytes[..length]).expect("only ASCII gets in")
            }

            /// The code of these bytes, which must be in the stored form: upper case, padded with zero bytes or not.
            pub fn from_stored(stored: &[u8]) -> Option<Self> {
                let allowed: fn(u8) -> bool = $allowed;
                let length = stored.iter().position(|byte| *byte == 0).unwrap_or(stored.len());
                let (code, padding) = stored.split_at(length);
                let fits = ($min..=$max).contains(&length) && padding.iter().all(|byte| *byte == 0);
                if !fits || !code.iter().all(|byte| allowed(*byte)) {
                    return None;
                }
                let mut bytes = [0; $max];
                bytes[..length].copy_from_slice(code);
                Some(Self { bytes })
            }

            /// The stored form, padded with zero bytes to its full width; it sorts as the texts do.
            pub fn stored(&self) -> [u8; $max] {
                self.bytes
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                let allowed: fn(u8) -> bool = $allowed;
                let mut bytes = [0; $max];
                let fits = ($min..=$max).contains(&text.len());
                if !fits || !text.bytes().all(|byte| allowed(byte.to_ascii_uppercase())) {
                    return Err(ValueError { what: $what, text: text.to_owned(), rule: $rule });
                }
                bytes[..text.len()].copy_from_slice(text.as_bytes());
                bytes.make_ascii_uppercase();
                Ok(Self { bytes })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

code!(
    /// An airport's IATA code.
    ///
    /// ```
    /// # use rotabase_engine::schedule::AirportCode;
    /// let frankfurt: AirportCode = "fra".parse().unwrap();
    /// assert_eq!(frankfurt.as_str(), "FRA");
    /// assert!("FR".parse::<AirportCode>().is_err());
    /// ```
    AirportCode, "airport code", 3..=3, |byte| byte.is_ascii_uppercase(), "three letters"
);
code!(
    /// An airplane's registration, its tail.
    ///
    /// ```
    /// # use rotabase_engine::schedule::Registration;
    /// assert_eq!("d-aiza".parse::<Registration>().unwrap().as_str(), "D-AIZA");
    /// ```
    Registration, "registration", 1..=10, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-',
    "1 to 10 letters, digits and hyphens"
);
code!(
    /// An airline's designator.
    ///
    /// ```
    /// # use rotabase_engine::schedule::Carrier;
    /// assert_eq!("lh".parse::<Carrier>().unwrap().as_str(), "LH");
    /// assert!("L".parse::<Carrier>().is_err());
    /// ```
    Carrier, "carrier", 2..=3, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit(), "2 or 3 letters and digits"
);
code!(
    /// An IATA aircraft type, such as `320` or `77W`.
    ///
    /// ```
    /// # use rotabase_engine::schedule::AircraftType;
    /// assert_eq!("77w".parse::<AircraftType>().unwrap().as_str(), "77W");
    /// ```
    AircraftType, "aircraft type", 1..=4, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit(), "1 to 4 letters and digits"
);
code!(
    /// An SSIM service type, such as `J` for a scheduled passenger service.
    ///
    /// ```
    /// # use rotabase_engine::schedule::ServiceType;
    /// assert_eq!("J".parse::<ServiceType>().unwrap().as_str(), "J");
    /// ```
    ServiceType, "service type", 1..=1, |byte| byte.is_ascii_uppercase(), "one letter"
);

/// An operational suffix: one letter, or none.
///
/// ```
/// # use rotabase_engine::schedule::Suffix;
/// assert_eq!("".parse::<Suffix>().unwrap(), Suffix::NONE);
/// assert_eq!("d".parse::<Suffix>().unwrap().letter(), Some('D'));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suffix(Option<u8>);

impl Suffix {
    /// No suffix.
    pub const NONE: Self = Self(None);

    /// The letter, if there is one.
    pub fn letter(self) -> Option<char> {
        self.0.map(char::from)
    }

    /// The suffix of a stored byte: a capital letter, or zero for none.
    pub fn from_stored(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::NONE),
            b'A'..=b'Z' => Some(Self(Some(byte))),
            _ => None,
        }
    }

    /// The stored form; it sorts as suffixes do.
    pub fn stored(self) -> u8 {
        self.0.unwrap_or(0)
    }
}

impl FromStr for Suffix {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.as_bytes() {
            [] => Ok(Self::NONE),
            [letter] if letter.is_ascii_alphabetic() => Ok(Self(Some(letter.to_ascii_uppercase()))),
            _ => Err(ValueError {
                what: "suffix",
                text: text.to_owned(),
                rule: "empty or one letter",
            }),
        }
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letter().map_or(Ok(()), |letter| write!(f, "{letter}"))
    }
}

/// A flight number, 1 to 9999.
///
/// ```
/// # use rotabase_engine::schedule::FlightNumber;
/// assert_eq!(FlightNumber::new(400).unwrap().get(), 400);
/// assert_eq!(FlightNumber::new(0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightNumber(u16);

impl FlightNumber {
    /// The number, if it is in range.
    pub fn new(number: i64) -> Option<Self> {
        u16::try_from(number).ok().filter(|number| (1..=9999).contains(number)).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for FlightNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The date on which a flight, its first leg, departs: days since 2000-01-01, PostgreSQL's `date`.
///
/// ```
/// # use rotabase_engine::schedule::DayOfOrigin;
/// let day = DayOfOrigin::from_calendar(2026, 3, 29).unwrap();
/// assert_eq!(day.to_string(), "2026-03-29");
/// assert_eq!(DayOfOrigin::from_calendar(2026, 2, 30), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayOfOrigin(pub i32);

/// An instant: microseconds since 2000-01-01 00:00 UTC, PostgreSQL's `timestamptz`.
///
/// ```
/// # use rotabase_engine::schedule::{DayOfOrigin, UtcTime};
/// let day = DayOfOrigin::from_calendar(2026, 3, 29).unwrap();
/// assert_eq!(UtcTime::at_minute(day, 8 * 60 + 25).unwrap().to_string(), "2026-03-29T08:25:00Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime(pub i64);

/// The time a leg occupies its airplane. It always departs before it arrives.
///
/// ```
/// # use rotabase_engine::schedule::{BlockTime, UtcTime};
/// let block = |departure, arrival| BlockTime::new(UtcTime(departure), UtcTime(arrival));
/// assert!(block(8, 8).is_none(), "arrival is after departure");
/// assert!(block(8, 10).unwrap().overlaps(block(9, 11).unwrap()));
/// assert!(!block(8, 10).unwrap().overlaps(block(10, 11).unwrap()), "touching is no overlap");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockTime {
    departure: UtcTime,
    arrival: UtcTime, // Invariant: after `departure`.
}

impl BlockTime {
    /// The block time, if `departure` is before `arrival`.
    pub fn new(departure: UtcTime, arrival: UtcTime) -> Option<Self> {
        (departure < arrival).then_some(Self { departure, arrival })
    }

    /// When the leg departs.
    pub fn departure(self) -> UtcTime {
        self.departure
    }

    /// When the leg arrives.
    pub fn arrival(self) -> UtcTime {
        self.arrival
    }

    /// Whether each starts before the other ends; touching is no overlap.
    pub fn overlaps(self, other: Self) -> bool {
        self.departure < other.arrival && other.departure < self.arrival
    }
}

/// The least time an airplane must stand between two legs: a PostgreSQL `interval` that is not negative.
/// It is kept as it was written (a day stays a day) and compared as PostgreSQL compares intervals.
///
/// ```
/// # use rotabase_engine::schedule::MinimumGroundTime;
/// let minutes = |minutes: i64| MinimumGroundTime::new(0, 0, minutes * 60_000_000);
/// assert_eq!(minutes(45).unwrap().to_string(), "00:45:00");
/// assert!(minutes(-1).is_none(), "a ground time is not negative");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MinimumGroundTime {
    months: i32,
    days: i32,
    microseconds: i64,
}

impl MinimumGroundTime {
    /// The ground time, if it is not negative and its microseconds fit an `i64`.
    pub fn new(months: i32, days: i32, microseconds: i64) -> Option<Self> {
        let ground_time = Self { months, days, microseconds };
        let total = ground_time.total();
        (total >= 0 && i64::try_from(total).is_ok()).then_some(ground_time)
    }

    /// The months, days and microseconds it was written with.
    pub fn parts(self) -> (i32, i32, i64) {
        (self.months, self.days, self.microseconds)
    }

    /// The ground time in microseconds: a day has 24 hours and a month 30 days, as PostgreSQL compares intervals.
    pub fn microseconds(self) -> i64 {
        i64::try_from(self.total()).expect("checked when it was made")
    }

    fn total(self) -> i128 {
        const DAY: i128 = 86_400_000_000;
        (i128::from(self.months) * 30 + i128::from(self.days)) * DAY + i128::from(self.microseconds)
    }
}

/// Defines an identity that is a UUID.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// The identity of a leg. It stays when the leg is rescheduled or moves to another rotation.
    ///
    /// ```
    /// # use rotabase_engine::schedule::LegId;
    /// let id = LegId(uuid::Uuid::from_u128(7));
    /// assert_eq!(id.to_string(), "00000000-0000-0000-0000-000000000007");
    /// ```
    LegId
);
uuid_id!(
    /// The identity of a rotation; its name may change.
    ///
    /// ```
    /// # use rotabase_engine::schedule::{AggregateId, RotationId};
    /// let rotation = AggregateId::Rotation(RotationId(uuid::Uuid::from_u128(7)));
    /// assert_eq!(rotation.type_name(), "Rotation");
    /// ```
    RotationId
);
