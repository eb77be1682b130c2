//! The templates of dates: their key words, and splitting a template into nodes.

/// A key word's meaning. Names in upper, capitalised and lower case differ in how letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Era { dots: bool },
    Meridiem { dots: bool },
    Century,
    Day,
    DayShort,
    DayOfYear,
    DayOfMonth,
    DayOfWeek,
    Fraction(u32),
    Exact,
    Hour24,
    Hour12,
    IsoDayOfYear,
    IsoDay,
    IsoWeek,
    IsoYear(u32),
    Julian,
    Minute,
    Month,
    MonthName,
    MonthShort,
    Millisecond,
    Offset,
    Quarter,
    Roman,
    SecondOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    Zone,
    Microsecond,
    Week,
    WeekOfMonth,
    YearComma,
    Year(u32),
}

/// How the letters of a key word are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Upper,
    Capital,
    Lower,
}

/// What follows a number: `TH` or `th`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordinal {
    Upper,
    Lower,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    Field {
        field: Field,
        /// The key word as it stands in the template.
        name: &'a str,
        letters: Letters,
        /// `FM`: no padding.
        fill: bool,
        /// `TM`: in the language of the session, which is English.
        translate: bool,
        ordinal: Option<Ordinal>,
    },
    /// A character that stands for itself; `quoted` if it was between double quotes.
    Character { character: char, quoted: bool },
}

/// Key words, longer ones before those they start with.
const KEYWORDS: &[(&str, Field)] = &[
    ("A.D.", Field::Era { dots: true }),
    ("A.M.", Field::Meridiem { dots: true }),
    ("AD", Field::Era { dots: false }),
    ("AM", Field::Meridiem { dots: false }),
    ("B.C.", Field::Era { dots: true }),
    ("BC", Field::Era { dots: false }),
    ("CC", Field::Century),
    ("DAY", Field::Day),
    ("DDD", Field::DayOfYear),
    ("DD", Field::DayOfMonth),
    ("DY", Field::DayShort),
    ("D", Field::DayOfWeek),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("FX", Field::Exact),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDay),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("I", Field::IsoYear(1)),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MONTH", Field::MonthName),
    ("MON", Field::MonthShort),
    ("MS", Field::Millisecond),
    ("OF", Field::Offset),
    ("P.M.", Field::Meridiem { dots: true }),
    ("PM", Field::Meridiem { dots: false }),
    ("Q", Field::Quarter),
    ("RM", Field::Roman),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("TZH", Field::ZoneHour),
    ("TZM", Field::ZoneMinute),
    ("TZ", Field::Zone),
    ("US", Field::Microsecond),
    ("WW", Field::Week),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::YearComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
];

/// The key word at the start of a text: its field, how its letters are written, and its length.
fn keyword(text: &str) -> Option<(Field, Letters, usize)> {
    let named = |field: Field| {
        matches!(field, Field::Day | Field::DayShort | Field::MonthName | Field::MonthShort)
    };
    for (word, field) in KEYWORDS {
        let Some(found) = text.get(..word.len()) else { continue };
        if found == *word {
            return Some((*field, Letters::Upper, word.len()));
        }
        if *found == word.to_ascii_lowercase() {
            return Some((*field, Letters::Lower, word.len()));
        }
        let capital =
            || found.starts_with(&word[..1]) && found[1..] == word[1..].to_ascii_lowercase();
        if named(*field) && capital() {
            return Some((*field, Letters::Capital, word.len()));
        }
    }
    None
}

/// Splits a template (`parse_format`).
pub(super) fn parse(template: &str) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (mut fill, mut translate) = (false, false);
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (fill, rest) = (true, after);
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            (translate, rest) = (true, after);
        }
        if let Some((field, letters, length)) = keyword(rest) {
            let (name, after) = rest.split_at(length);
            rest = after;
            let mut ordinal = None;
            if let Some(after) = rest.strip_prefix("TH") {
                (ordinal, rest) = (Some(Ordinal::Upper), after);
            } else if let Some(after) = rest.strip_prefix("th") {
                (ordinal, rest) = (Some(Ordinal::Lower), after);
            } else if let Some(after) = rest.strip_prefix("SP") {
                rest = after;
            }
            nodes.push(Node::Field { field, name, letters, fill, translate, ordinal });
            continue;
        }
        rest = characters(rest, &mut nodes);
    }
    nodes
}

/// Takes a quoted text or one character.
fn characters<'a>(text: &'a str, nodes: &mut Vec<Node<'a>>) -> &'a str {
    let mut rest = text.chars();
    match rest.next() {
        Some('"') => loop {
            match rest.next() {
                None | Some('"') => break,
                Some('\\') => nodes.extend(
                    rest.next().map(|character| Node::Character { character, quoted: true }),
                ),
                Some(character) => nodes.push(Node::Character { character, quoted: true }),
            }
        },
        // Outside of quotes a backslash only escapes a quote.
        Some('\\') if rest.as_str().starts_with('"') => {
            rest.next();
            nodes.push(Node::Character { character: '"', quoted: false });
        }
        Some(character) => nodes.push(Node::Character { character, quoted: false }),
        None => {}
    }
    rest.as_str()
}

impl Node<'_> {
    /// Whether it stands for digits, so that a number before it has to be of fixed width.
    pub(super) fn is_digits(&self) -> bool {
        match self {
            Self::Character { character, .. } => character.is_ascii_digit(),
            Self::Field { field, .. } => !matches!(
                field,
                Field::Era { .. }
                    | Field::Meridiem { .. }
                    | Field::Day
                    | Field::DayShort
                    | Field::Exact
                    | Field::MonthName
                    | Field::MonthShort
                    | Field::Offset
                    | Field::Roman
                    | Field::ZoneHour
                    | Field::Zone
            ),
        }
    }
}

impl Field {
    /// The calendar that a field belongs to: whether it is that of ISO 8601 weeks; none for either.
    pub(super) fn is_iso_week(self) -> Option<bool> {
        match self {
            Self::IsoDayOfYear | Self::IsoDay | Self::IsoWeek | Self::IsoYear(_) => Some(true),
            Self::DayOfYear
            | Self::DayOfMonth
            | Self::DayOfWeek
            | Self::Month
            | Self::MonthName
            | Self::MonthShort
            | Self::Roman
            | Self::Week
            | Self::WeekOfMonth
            | Self::YearComma
            | Self::Year(_) => Some(false),
            _ => None,
        }
    }
}

/// Whether a character can stand between fields: printable, but neither letter nor digit.
pub(super) fn is_separator(character: char) -> bool {
    character.is_ascii_graphic() && !character.is_ascii_alphanumeric()
}

/// Whether C's `isspace` holds.
pub(super) fn is_space(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\u{b}'
}
