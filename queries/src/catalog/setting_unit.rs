//! The units of settings: how numbers with a unit are read, and shown with the largest unit that divides them.

/// What a setting's number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingUnit {
    /// Milliseconds.
    Milliseconds,
    /// Kilobytes.
    Kilobytes,
}

/// A unit, and how many of the setting's own it is; of those that are smaller, how many make one.
type Factor = (&'static str, f64);

const TIMES: &[Factor] = &[
    ("d", 86_400_000.0),
    ("h", 3_600_000.0),
    ("min", 60_000.0),
    ("s", 1000.0),
    ("ms", 1.0),
    ("us", 0.001),
];
const SIZES: &[Factor] = &[
    ("TB", 1_073_741_824.0),
    ("GB", 1_048_576.0),
    ("MB", 1024.0),
    ("kB", 1.0),
    ("B", 1.0 / 1024.0),
];

/// Why a number cannot be read; the hint that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no number.
    Malformed,
    /// The unit is not known.
    Unit(&'static str),
    /// It is no 32-bit integer.
    Range,
}

impl Unreadable {
    /// PostgreSQL's hint.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Malformed => None,
            Self::Unit(hint) => Some(hint),
            Self::Range => Some("Value exceeds integer range."),
        }
    }
}

impl SettingUnit {
    /// Its name in `pg_settings`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Kilobytes => "kB",
        }
    }

    fn factors(self) -> &'static [Factor] {
        match self {
            Self::Milliseconds => TIMES,
            Self::Kilobytes => SIZES,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Milliseconds => {
                "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"."
            }
            Self::Kilobytes => {
                "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."
            }
        }
    }

    /// A number as `SHOW` writes it: with the largest unit of which it is a multiple.
    pub fn show(self, number: i64) -> String {
        if number == 0 {
            return "0".to_owned();
        }
        let whole = self.factors().iter().filter(|(_, factor)| *factor >= 1.0);
        let mut whole = whole.map(|(name, factor)| (name, integer(*factor).unwrap_or(1)));
        match whole.find(|(_, factor)| number % factor == 0) {
            Some((name, factor)) => format!("{}{name}", number / factor),
            None => number.to_string(),
        }
    }
}

/// Reads a whole number, decimal or hexadecimal or octal as in C, or a fraction that is rounded, with a unit if the
/// setting has one.
pub fn read_integer(text: &str, unit: Option<SettingUnit>) -> Result<i64, Unreadable> {
    let text = text.trim_start();
    let (number, rest) = number(text).ok_or(Unreadable::Malformed)?;
    let rest = rest.trim();
    let factor = match (rest, unit) {
        ("", _) => 1.0,
        (_, None) => return Err(Unreadable::Malformed),
        (name, Some(unit)) => {
            let found = unit.factors().iter().find(|(known, _)| *known == name);
            found.ok_or(Unreadable::Unit(unit.hint()))?.1
        }
    };
    integer((number * factor).round_ties_even())
        .filter(|it| i32::try_from(*it).is_ok())
        .ok_or(Unreadable::Range)
}

/// The number that a text begins with, and what follows.
fn number(text: &str) -> Option<(f64, &str)> {
    let digits = text.trim_start_matches(['+', '-']);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    if text.len() - digits.len() > 1 {
        return None;
    }
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0", 8)] {
        let Some(body) = digits.strip_prefix(prefix) else { continue };
        let end = body.find(|it: char| !it.is_digit(radix)).unwrap_or(body.len());
        let fraction = body[end..].starts_with(['.', 'e', 'E']);
        if end > 0 && !fraction {
            let value = u32::from_str_radix(&body[..end], radix).map_or(f64::INFINITY, f64::from);
            return Some((sign * value, &body[end..]));
        }
    }
    let mut end = digits.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(digits.len());
    if let Some(exponent) = digits[end..].strip_prefix(['e', 'E']) {
        let after = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let length = after.bytes().take_while(u8::is_ascii_digit).count();
        if length > 0 {
            end = digits.len() - after.len() + length;
        }
    }
    let value: f64 = digits[..end].parse().ok()?;
    Some((sign * value, &digits[end..]))
}

/// A float that is a whole number, as one; none beyond what is exact.
fn integer(value: f64) -> Option<i64> {
    if value.abs() > 9e15 {
        return None;
    }
    format!("{value:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_are_shown_with_the_largest() {
        let time = |text| read_integer(text, Some(SettingUnit::Milliseconds));
        for (text, shown) in [
            ("1500ms", "1500ms"),
            ("1.5s", "1500ms"),
            ("90 s", "90s"),
            (" 1 d ", "1d"),
            ("1000us", "1ms"),
            ("0x10", "16ms"),
            ("1e3", "1s"),
            ("0.4", "0"),
            ("120000", "2min"),
        ] {
            let read = time(text).unwrap();
            assert_eq!(SettingUnit::Milliseconds.show(read), shown, "{text}");
            assert_eq!(time(shown), Ok(read));
        }
        for text in ["1 sec", "1kB"] {
            assert!(matches!(time(text), Err(Unreadable::Unit(_))), "{text}");
        }
        assert_eq!(time("30d"), Err(Unreadable::Range));
        assert_eq!(time(""), Err(Unreadable::Malformed));
        assert_eq!(time("soon"), Err(Unreadable::Malformed));
        let size = |text| read_integer(text, Some(SettingUnit::Kilobytes));
        assert_eq!(
            size("1.5MB").map(|it| SettingUnit::Kilobytes.show(it)),
            Ok("1536kB".to_owned())
        );
        assert_eq!(size("65536B"), Ok(64));
        assert!(size("64mb").is_err());
        assert_eq!(read_integer("3ms", None), Err(Unreadable::Malformed));
    }
}
