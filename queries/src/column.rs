//! Rows by columns: what large tables hand to operators that work on many values of one column at a time.
//!
//! A relation that keeps columns gives a [`ColumnSource`]; whoever reads it takes its pieces, on as many threads as it
//! likes, and gets batches. Values have fixed widths, so comparing, hashing and copying them needs no call and no
//! allocation. Nothing here knows where rows are stored, nor what is done with them.

use std::collections::VecDeque;
use std::sync::Arc;

use smol_str::SmolStr;
use uuid::Uuid;

use crate::error::Result;
use crate::types::Datum;

/// The bytes of the longest text that a column of codes can hold.
pub const CODE_BYTES_MAX: usize = 4;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// `int4`.
    Int4,
    /// `int8`.
    Int8,
    /// `date`.
    Date,
    /// `timestamptz`.
    TimestampTz,
    /// `uuid`.
    Uuid,
    /// `text` of at most [`CODE_BYTES_MAX`] bytes, none of them zero.
    Code,
    /// Values of a type whose equal values are the same, which are told apart by their places among those that there
    /// are: no two places have the same value, and all batches of a source share the values.
    Dictionary,
    /// Values of any type.
    Any,
}

/// The values of a column, row by row. What stands at the place of a null has no meaning.
#[derive(Clone, Debug)]
pub enum Values {
    /// `int4`, `date`.
    Int4(Vec<i32>),
    /// `int8`, `timestamptz`.
    Int8(Vec<i64>),
    /// `uuid`, as numbers that are ordered as they are.
    Uuid(Vec<u128>),
    /// Codes: their bytes from the most significant on, then zeros, so that numbers are ordered as texts are.
    Code(Vec<u32>),
    /// All others: where each row's value stands.
    Placed(Vec<u32>, Arc<Vec<Datum>>),
}

/// A column of some rows.
#[derive(Clone, Debug)]
pub struct Column {
    /// What its values are.
    pub kind: ColumnKind,
    /// The values.
    pub values: Values,
    /// Which of them are null; none if none is.
    pub nulls: Option<Vec<bool>>,
}

/// Rows by columns.
#[derive(Clone, Debug)]
pub struct ColumnBatch {
    /// The keys of the rows, ascending: a piece that holds one of them alone is that row.
    pub keys: Arc<Column>,
    /// The columns that were asked for, in that order, all of the same length.
    pub columns: Vec<Arc<Column>>,
    /// The number of rows.
    pub rows: usize,
}

/// A part of a source that is read by itself: the keys from one to another, which does not belong to it. None is the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first key.
    pub from: u128,
    /// The first key that does not belong.
    pub to: Option<u128>,
}

/// Rows by columns, to be read piece by piece, as of one snapshot.
pub trait ColumnSource: Send + Sync {
    /// All of it, in the order of the keys. Pieces have about as many rows as a batch.
    fn pieces(&self) -> VecDeque<Piece>;

    /// Reads the rows at the beginning of a piece, and says what is left of it.
    fn read(&self, piece: Piece) -> Result<(ColumnBatch, Option<Piece>)>;

    /// About how many rows there are.
    fn rows(&self) -> u64;
}

/// What [`Column::select_or_null`] takes for no row.
pub const NO_ROW: u32 = u32::MAX;

/// A text as a code; none if it is too long or holds a zero byte.
pub fn code(text: &str) -> Option<u32> {
    let mut bytes = [0; CODE_BYTES_MAX];
    bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    (!text.contains('\0')).then(|| u32::from_be_bytes(bytes))
}

/// The text of a code.
pub fn code_text(code: u32) -> Datum {
    let bytes = code.to_be_bytes();
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(CODE_BYTES_MAX);
    // Codes are made of texts only, so this never gives another one.
    Datum::Text(SmolStr::new_inline(std::str::from_utf8(&bytes[..length]).unwrap_or_default()))
}

impl Column {
    /// An empty column with room for some rows.
    pub fn with_capacity(kind: ColumnKind, rows: usize) -> Self {
        let values = match kind {
            ColumnKind::Int4 | ColumnKind::Date => Values::Int4(Vec::with_capacity(rows)),
            ColumnKind::Int8 | ColumnKind::TimestampTz => Values::Int8(Vec::with_capacity(rows)),
            ColumnKind::Uuid => Values::Uuid(Vec::with_capacity(rows)),
            ColumnKind::Code => Values::Code(Vec::with_capacity(rows)),
            ColumnKind::Dictionary | ColumnKind::Any => {
                Values::Placed(Vec::with_capacity(rows), Arc::default())
            }
        };
        Self { kind, values, nulls: None }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Int4(values) => values.len(),
            Values::Int8(values) => values.len(),
            Values::Uuid(values) => values.len(),
            Values::Code(values) => values.len(),
            Values::Placed(places, _) => places.len(),
        }
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Roughly the bytes of memory that it takes, without values that others share.
    pub fn bytes(&self) -> usize {
        let width = match &self.values {
            Values::Placed(..) if self.kind == ColumnKind::Any => 4 + size_of::<Datum>(),
            Values::Int4(_) | Values::Code(_) | Values::Placed(..) => 4,
            Values::Int8(_) => 8,
            Values::Uuid(_) => 16,
        };
        self.len() * (width + usize::from(self.nulls.is_some()))
    }

    /// Appends a value; false, and nothing done, if it is of another kind.
    pub fn push(&mut self, value: &Datum) -> bool {
        let null = value.is_null();
        match (&mut self.values, self.kind, value) {
            (Values::Int4(values), ColumnKind::Int4, Datum::Int4(value))
            | (Values::Int4(values), ColumnKind::Date, Datum::Date(value)) => values.push(*value),
            (Values::Int8(values), ColumnKind::Int8, Datum::Int8(value))
            | (Values::Int8(values), ColumnKind::TimestampTz, Datum::TimestampTz(value)) => {
                values.push(*value);
            }
            (Values::Uuid(values), _, Datum::Uuid(value)) => values.push(value.as_u128()),
            (Values::Code(values), _, Datum::Text(text)) => match code(text) {
                Some(code) => values.push(code),
                None => return false,
            },
            (Values::Placed(places, values), _, value) => {
                let Ok(place) = u32::try_from(values.len()) else { return false };
                places.push(place);
                Arc::make_mut(values).push(value.clone());
            }
            (Values::Int4(values), _, Datum::Null) => values.push(0),
            (Values::Int8(values), _, Datum::Null) => values.push(0),
            (Values::Uuid(values), _, Datum::Null) => values.push(0),
            (Values::Code(values), _, Datum::Null) => values.push(0),
            _ => return false,
        }
        let before = self.len() - 1;
        match &mut self.nulls {
            Some(nulls) => nulls.push(null),
            None if null => {
                let mut nulls = vec![false; before];
                nulls.push(true);
                self.nulls = Some(nulls);
            }
            None => {}
        }
        true
    }

    /// Appends the rows of a column of the same kind.
    pub fn append(&mut self, other: &Self) {
        let before = self.len();
        match (&mut self.values, &other.values) {
            (Values::Int4(own), Values::Int4(other)) => own.extend_from_slice(other),
            (Values::Int8(own), Values::Int8(other)) => own.extend_from_slice(other),
            (Values::Uuid(own), Values::Uuid(other)) => own.extend_from_slice(other),
            (Values::Code(own), Values::Code(other)) => own.extend_from_slice(other),
            (Values::Placed(own, values), Values::Placed(other, others)) => {
                append_placed(own, values, other, others);
            }
            _ => unreachable!("columns of one kind have values of one kind"),
        }
        match (&mut self.nulls, &other.nulls) {
            (None, None) => {}
            (Some(own), None) => own.resize(before + other.len(), false),
            (own, Some(other)) => {
                own.get_or_insert_with(|| vec![false; before]).extend_from_slice(other);
            }
        }
    }

    /// Some of its rows.
    #[must_use]
    pub fn select(&self, rows: &[u32]) -> Self {
        fn of<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|row| values[crate::exec::index(*row)]).collect()
        }
        let values = match &self.values {
            Values::Int4(values) => Values::Int4(of(values, rows)),
            Values::Int8(values) => Values::Int8(of(values, rows)),
            Values::Uuid(values) => Values::Uuid(of(values, rows)),
            Values::Code(values) => Values::Code(of(values, rows)),
            Values::Placed(places, values) => Values::Placed(of(places, rows), Arc::clone(values)),
        };
        Self { kind: self.kind, values, nulls: self.nulls.as_ref().map(|nulls| of(nulls, rows)) }
    }

    /// Some of its rows, and nulls where there is [none](NO_ROW).
    #[must_use]
    pub fn select_or_null(&self, rows: &[u32]) -> Self {
        fn of<T: Copy>(values: &[T], none: T, rows: &[u32]) -> Vec<T> {
            let value = |row: &u32| match *row {
                NO_ROW => none,
                row => values[crate::exec::index(row)],
            };
            rows.iter().map(value).collect()
        }
        let values = match &self.values {
            Values::Int4(values) => Values::Int4(of(values, 0, rows)),
            Values::Int8(values) => Values::Int8(of(values, 0, rows)),
            Values::Uuid(values) => Values::Uuid(of(values, 0, rows)),
            Values::Code(values) => Values::Code(of(values, 0, rows)),
            Values::Placed(places, values) => {
                Values::Placed(of(places, 0, rows), Arc::clone(values))
            }
        };
        let nulls = match &self.nulls {
            Some(nulls) => Some(of(nulls, true, rows)),
            None if rows.contains(&NO_ROW) => Some(rows.iter().map(|row| *row == NO_ROW).collect()),
            None => None,
        };
        Self { kind: self.kind, values, nulls }
    }

    /// Whether the value of a row is null.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls[row])
    }

    /// The value of a row.
    #[inline]
    pub fn datum(&self, row: usize) -> Datum {
        if self.is_null(row) {
            return Datum::Null;
        }
        match (&self.values, self.kind) {
            (Values::Int4(values), ColumnKind::Date) => Datum::Date(values[row]),
            (Values::Int4(values), _) => Datum::Int4(values[row]),
            (Values::Int8(values), ColumnKind::Int8) => Datum::Int8(values[row]),
            (Values::Int8(values), _) => Datum::TimestampTz(values[row]),
            (Values::Uuid(values), _) => Datum::Uuid(Uuid::from_u128(values[row])),
            (Values::Code(values), _) => code_text(values[row]),
            (Values::Placed(places, values), _) => values[crate::exec::index(places[row])].clone(),
        }
    }

    /// The rows of two columns of one kind, in any order.
    pub fn gather(left: &Self, right: &Self, rows: &[Place]) -> Self {
        fn of<T: Copy>(left: &[T], right: &[T], rows: &[Place]) -> Vec<T> {
            let value = |place: &Place| match *place {
                Place::Left(row) => left[row],
                Place::Right(row) => right[row],
            };
            rows.iter().map(value).collect()
        }
        let values = match (&left.values, &right.values) {
            (Values::Int4(l), Values::Int4(r)) => Values::Int4(of(l, r, rows)),
            (Values::Int8(l), Values::Int8(r)) => Values::Int8(of(l, r, rows)),
            (Values::Uuid(l), Values::Uuid(r)) => Values::Uuid(of(l, r, rows)),
            (Values::Code(l), Values::Code(r)) => Values::Code(of(l, r, rows)),
            // Tables keep none of these.
            _ => unreachable!("columns of one kind have values of one kind"),
        };
        let nulls = (left.nulls.is_some() || right.nulls.is_some()).then(|| {
            let null = |place: &Place| match *place {
                Place::Left(row) => left.is_null(row),
                Place::Right(row) => right.is_null(row),
            };
            rows.iter().map(null).collect()
        });
        Self { kind: left.kind, values, nulls }
    }

    /// A part of it.
    #[must_use]
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        let values = match &self.values {
            Values::Int4(values) => Values::Int4(values[rows.clone()].to_vec()),
            Values::Int8(values) => Values::Int8(values[rows.clone()].to_vec()),
            Values::Uuid(values) => Values::Uuid(values[rows.clone()].to_vec()),
            Values::Code(values) => Values::Code(values[rows.clone()].to_vec()),
            Values::Placed(places, values) => {
                Values::Placed(places[rows.clone()].to_vec(), Arc::clone(values))
            }
        };
        let nulls = self.nulls.as_ref().map(|nulls| nulls[rows].to_vec());
        Self { kind: self.kind, values, nulls }
    }
}

fn append_placed(
    own: &mut Vec<u32>,
    values: &mut Arc<Vec<Datum>>,
    other: &[u32],
    others: &Arc<Vec<Datum>>,
) {
    if Arc::ptr_eq(values, others) || values.is_empty() {
        *values = Arc::clone(others);
        own.extend_from_slice(other);
        return;
    }
    // Beyond what 32 bits number there is no memory for them.
    let before = u32::try_from(values.len()).expect("fewer than 2^32 values are held");
    Arc::make_mut(values).extend_from_slice(others);
    own.extend(other.iter().map(|place| place + before));
}

/// Where [`Column::gather`] takes a row from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A row of the left column.
    Left(usize),
    /// A row of the right column.
    Right(usize),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::compare::any as compare;

    proptest! {
        #[test]
        fn codes_are_ordered_as_texts_are(left in "[ -~]{0,4}", right in "[ -~]{0,4}") {
            let (l, r) = (code(&left).unwrap(), code(&right).unwrap());
            prop_assert_eq!(l.cmp(&r), left.as_bytes().cmp(right.as_bytes()));
            prop_assert!(compare(&code_text(l), &Datum::text(&left)).is_eq());
        }

        #[test]
        fn what_is_pushed_is_read(values in prop::collection::vec(prop::option::of(any::<i32>()), 0..50)) {
            let mut column = Column::with_capacity(ColumnKind::Date, 0);
            for value in &values {
                prop_assert!(column.push(&value.map_or(Datum::Null, Datum::Date)));
            }
            prop_assert_eq!(column.len(), values.len());
            for (row, value) in values.iter().enumerate() {
                match (column.datum(row), value) {
                    (Datum::Null, None) => {}
                    (Datum::Date(read), Some(value)) => prop_assert_eq!(read, *value),
                    (read, value) => prop_assert!(false, "{read:?} for {value:?}"),
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut column = Column::with_capacity(ColumnKind::Code, 0);
        assert!(!column.push(&Datum::text("LONGER")));
        assert!(!column.push(&Datum::text("a\0")));
        assert!(!column.push(&Datum::Int4(1)));
        assert!(column.push(&Datum::text("")));
        assert_eq!(column.len(), 1);
    }

    #[test]
    fn rows_are_gathered_from_both_sides() {
        let column = |values: &[Option<i32>]| {
            let mut column = Column::with_capacity(ColumnKind::Int4, 0);
            for value in values {
                assert!(column.push(&value.map_or(Datum::Null, Datum::Int4)));
            }
            column
        };
        let (left, right) = (column(&[Some(1), Some(2)]), column(&[None, Some(4)]));
        let gathered =
            Column::gather(&left, &right, &[Place::Right(1), Place::Left(0), Place::Right(0)]);
        assert_eq!(gathered.len(), 3);
        assert!(matches!(gathered.datum(0), Datum::Int4(4)));
        assert!(matches!(gathered.datum(1), Datum::Int4(1)));
        assert!(gathered.is_null(2));
        assert!(matches!(gathered.slice(1..2).datum(0), Datum::Int4(1)));
    }
}
