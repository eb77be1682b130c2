//! From an access as SQL asks for it to the range of keys that answers it.

use std::cmp::Ordering;

use crate::error::SqlError;
use crate::relation::Bound;
use crate::types::Datum;

use super::super::key::Key;
use super::super::rows::Range;

/// How a column stands in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A code filled up to that many bytes.
    Code(usize),
    /// A text of any length.
    Text,
    /// An `int4` or a `date`.
    Int4,
    /// A `timestamptz`.
    Time,
    /// A UUID.
    Uuid,
}

/// The keys below `start` whose first parts equal `prefix` and whose next part lies within the bounds. None if no
/// key can.
pub(super) fn range(
    start: Key,
    parts: &[Part],
    prefix: &[Datum],
    lower: &Bound,
    upper: &Bound,
) -> Result<Option<Range>, SqlError> {
    let mut key = start;
    for (part, value) in parts.iter().zip(prefix) {
        match part.place(key, value)? {
            (key_of_value, Ordering::Equal) => key = key_of_value,
            // No key has a part that equals the value.
            (_, Ordering::Less | Ordering::Greater) => return Ok(None),
        }
    }
    let Range { mut from, mut to } = Range::prefix(key.clone());
    let Some(part) = parts.get(prefix.len()) else { return Ok(Some(Range { from, to })) };
    match lower {
        Bound::Open => {}
        Bound::Included(value) => match part.place(key.clone(), value)? {
            (at, Ordering::Equal) => from = at,
            (at, Ordering::Less | Ordering::Greater) => match at.successor() {
                Some(after) => from = after,
                None => return Ok(None),
            },
        },
        Bound::Excluded(value) => match part.place(key.clone(), value)?.0.successor() {
            Some(after) => from = after,
            None => return Ok(None),
        },
    }
    match upper {
        Bound::Open => {}
        Bound::Included(value) => to = part.place(key, value)?.0.successor(),
        Bound::Excluded(value) => match part.place(key, value)? {
            (at, Ordering::Equal) => to = Some(at),
            (at, Ordering::Less | Ordering::Greater) => to = at.successor(),
        },
    }
    let range = Range { from, to };
    Ok((!range.is_empty()).then_some(range))
}

impl Part {
    /// The key of the value after `key`. A text that is longer than any code gets the key of the greatest code
    /// below it, and how that compares: less.
    fn place(self, key: Key, value: &Datum) -> Result<(Key, Ordering), SqlError> {
        Ok(match (self, value) {
            (Self::Code(width), Datum::Text(text)) if text.len() <= width => {
                (key.code(text, width), Ordering::Equal)
            }
            (Self::Code(width), Datum::Text(text)) => {
                (key.bytes(&text.as_bytes()[..width]), Ordering::Less)
            }
            (Self::Text, Datum::Text(text)) => (key.text(text), Ordering::Equal),
            (Self::Int4, Datum::Int4(number) | Datum::Date(number)) => {
                (key.int4(*number), Ordering::Equal)
            }
            (Self::Time, Datum::TimestampTz(time)) => (key.int8(*time), Ordering::Equal),
            (Self::Uuid, Datum::Uuid(id)) => (key.uuid(*id), Ordering::Equal),
            (part, value) => {
                return Err(SqlError::internal(format!(
                    "{value:?} is no bound for a key of {part:?}"
                )));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn within(value: &str, lower: &Bound, upper: &Bound) -> bool {
        let text = |bound: &Datum| match bound {
            Datum::Text(text) => text.to_string(),
            other => panic!("{other:?} is no text"),
        };
        let above = match lower {
            Bound::Open => true,
            Bound::Included(bound) => *value >= *text(bound),
            Bound::Excluded(bound) => *value > *text(bound),
        };
        let below = match upper {
            Bound::Open => true,
            Bound::Included(bound) => *value <= *text(bound),
            Bound::Excluded(bound) => *value < *text(bound),
        };
        above && below
    }

    fn bound(kind: u8, text: &str) -> Bound {
        match kind {
            0 => Bound::Open,
            1 => Bound::Included(Datum::text(text)),
            _ => Bound::Excluded(Datum::text(text)),
        }
    }

    proptest! {
        #[test]
        fn a_range_of_texts_is_a_range_of_keys(
            codes in prop::collection::vec("[A-C]{1,3}", 1..20),
            lower in (0u8..3, "[A-D]{0,5}"),
            upper in (0u8..3, "[A-D]{0,5}"),
            prefix in prop::option::of("[A-D]{0,5}"),
        ) {
            let (lower, upper) = (bound(lower.0, &lower.1), bound(upper.0, &upper.1));
            for part in [Part::Code(3), Part::Text] {
                let key = |code: &str| match part {
                    Part::Text => Key::table(7).text(code).int8(-1),
                    _ => Key::table(7).code(code, 3).int8(-1),
                };
                let (prefix, lower, upper) = match &prefix {
                    Some(text) => (vec![Datum::text(text)], Bound::Open, Bound::Open),
                    None => (Vec::new(), lower.clone(), upper.clone()),
                };
                let range = range(Key::table(7), &[part, Part::Time], &prefix, &lower, &upper).unwrap();
                for code in &codes {
                    let key = key(code);
                    let inside = range.as_ref().is_some_and(|range| {
                        key >= range.from && range.to.as_ref().is_none_or(|to| key < *to)
                    });
                    let expected = match prefix.first() {
                        Some(Datum::Text(text)) => code == text.as_str(),
                        _ => within(code, &lower, &upper),
                    };
                    prop_assert_eq!(inside, expected, "{} {:?} {:?}", code, lower, upper);
                }
            }
        }
    }
}
