//! Comparing and hashing values as keys: by the default order of their type, where equal values hash alike.
//!
//! A value's variant decides its order, so no type is passed; integers of different widths compare as numbers.
//! Nulls are the caller's business: here they are equal to each other and above everything else.

use std::cmp::Ordering;
use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::plan::SortKey;
use crate::types::Datum;
use crate::types::compare::{any as compare_any, hash_any};

/// Compares two values of one type.
#[inline]
pub(crate) fn compare(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Int4(l), Datum::Int4(r)) | (Datum::Date(l), Datum::Date(r)) => l.cmp(r),
        (Datum::Int8(l), Datum::Int8(r))
        | (Datum::Time(l), Datum::Time(r))
        | (
            Datum::Timestamp(l) | Datum::TimestampTz(l),
            Datum::Timestamp(r) | Datum::TimestampTz(r),
        ) => l.cmp(r),
        (Datum::Text(l), Datum::Text(r)) => l.as_bytes().cmp(r.as_bytes()),
        (Datum::Uuid(l), Datum::Uuid(r)) => l.cmp(r),
        (Datum::Bool(l), Datum::Bool(r)) => l.cmp(r),
        _ => compare_any(left, right),
    }
}

/// Whether two values of one type are equal; two nulls are.
#[inline]
pub(crate) fn equal(left: &Datum, right: &Datum) -> bool {
    match (left, right) {
        (Datum::Text(l), Datum::Text(r)) => l == r,
        (Datum::Uuid(l), Datum::Uuid(r)) => l == r,
        _ => compare(left, right).is_eq(),
    }
}

/// The hash of a row of values.
#[inline]
pub(crate) fn hash_row(values: &[Datum]) -> u64 {
    let mut hasher = FxHasher::default();
    for value in values {
        hash_any(value, &mut hasher);
    }
    hasher.finish()
}

/// How a sort key orders: its direction and where its nulls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    descending: bool,
    nulls_first: bool,
}

impl Direction {
    /// Small values first, nulls last.
    pub(crate) const ASCENDING: Self = Self { descending: false, nulls_first: false };

    /// That of a sort key.
    pub(crate) fn of(key: &SortKey) -> Self {
        Self { descending: key.descending, nulls_first: key.nulls_first }
    }

    /// Any direction.
    #[cfg(test)]
    pub(crate) fn of_parts(descending: bool, nulls_first: bool) -> Self {
        Self { descending, nulls_first }
    }

    /// Whether large values come first.
    pub(crate) fn descending(self) -> bool {
        self.descending
    }

    /// Whether nulls come first.
    pub(crate) fn nulls_first(self) -> bool {
        self.nulls_first
    }

    /// Compares two values of the key.
    #[inline]
    pub(crate) fn compare(self, left: &Datum, right: &Datum) -> Ordering {
        match (left.is_null(), right.is_null()) {
            (false, false) if self.descending => compare(right, left),
            (false, false) => compare(left, right),
            (true, true) => Ordering::Equal,
            (true, false) if self.nulls_first => Ordering::Less,
            (false, true) if !self.nulls_first => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

/// Compares two rows of key values.
#[inline]
pub(crate) fn compare_rows(directions: &[Direction], left: &[Datum], right: &[Datum]) -> Ordering {
    for ((direction, left), right) in directions.iter().zip(left).zip(right) {
        let order = direction.compare(left, right);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}
