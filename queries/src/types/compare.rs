//! Order, equality and hashes of values: what the default btree and hash operator classes of a type say.
//!
//! The order of strings is that of their bytes (collation C). A type without an order, `json` for example, compares
//! by its text form; the binder refuses to sort by it before it comes here.

use std::cmp::Ordering;
use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::functions::CompareFn;
use super::{ArrayValue, Datum, Interval, PgType, json, numeric};

/// Feeds a value that is not null to a hasher, so that values equal by their type's equality hash alike. Integers
/// of all widths hash alike, and so do both floats.
pub type HashFn = fn(&Datum, &mut FxHasher);

/// The order of a type's values.
pub fn compare(ty: PgType) -> CompareFn {
    match ty {
        PgType::Bool => booleans,
        PgType::Int2 | PgType::Int4 | PgType::Int8 => integers,
        PgType::Float4 | PgType::Float8 => floats,
        PgType::Text | PgType::Varchar | PgType::Name => texts,
        PgType::Bpchar => padded,
        PgType::Uuid => uuids,
        PgType::Date | PgType::Time | PgType::Timestamp | PgType::TimestampTz => moments,
        PgType::TimeTz => times_with_zone,
        PgType::Interval => intervals,
        PgType::Numeric => numerics,
        _ if ty.is_array() || ty.is_vector() => arrays,
        _ => any,
    }
}

/// The hash of a type's values.
pub fn hash(ty: PgType) -> HashFn {
    match ty {
        PgType::Bpchar => |value, state| match value {
            Datum::Text(text) => state.write(text.trim_end_matches(' ').as_bytes()),
            other => hash_any(other, state),
        },
        _ => hash_any,
    }
}

/// Whether a type has an equality operator.
pub fn is_comparable(ty: PgType) -> bool {
    match ty.element().filter(|_| ty.is_array()) {
        Some(element) => is_comparable(element),
        None => !matches!(ty, PgType::Json | PgType::Jsonpath | PgType::PgNodeTree | PgType::Void),
    }
}

/// Whether a type has an order, so that `ORDER BY`, `min` and `<` work.
pub fn is_ordered(ty: PgType) -> bool {
    match ty.element().filter(|_| ty.is_array()) {
        Some(element) => is_ordered(element),
        None => is_comparable(ty) && !matches!(ty, PgType::Xid | PgType::Cid | PgType::AclItem),
    }
}

fn booleans(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        _ => any(left, right),
    }
}

/// An integer of any width.
fn integer(value: &Datum) -> Option<i64> {
    match value {
        Datum::Int2(it) => Some(i64::from(*it)),
        Datum::Int4(it) => Some(i64::from(*it)),
        Datum::Int8(it) => Some(*it),
        _ => None,
    }
}

/// Integers, of different widths too.
#[inline]
pub(crate) fn integers(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b)) => a.cmp(b),
        _ => match (integer(left), integer(right)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => any(left, right),
        },
    }
}

fn float(value: &Datum) -> Option<f64> {
    match value {
        Datum::Float4(it) => Some(f64::from(*it)),
        Datum::Float8(it) => Some(*it),
        _ => None,
    }
}

/// Floats of both widths: NaN is equal to itself and above everything else, and the zeros are equal.
#[inline]
pub(crate) fn floats(left: &Datum, right: &Datum) -> Ordering {
    match (float(left), float(right)) {
        (Some(a), Some(b)) => float8s(a, b),
        _ => any(left, right),
    }
}

/// See [`floats`].
pub(crate) fn float8s(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// Strings, byte by byte.
#[inline]
pub(crate) fn texts(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => any(left, right),
    }
}

/// `bpchar`: blanks at the end do not count.
pub(crate) fn padded(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Text(a), Datum::Text(b)) => {
            a.trim_end_matches(' ').as_bytes().cmp(b.trim_end_matches(' ').as_bytes())
        }
        _ => any(left, right),
    }
}

#[inline]
fn uuids(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
        _ => any(left, right),
    }
}

#[inline]
fn moments(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Timestamp(a), Datum::Timestamp(b))
        | (Datum::TimestampTz(a), Datum::TimestampTz(b))
        | (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
        (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        _ => any(left, right),
    }
}

/// `timetz`: by the moment in UTC, then by the zone.
fn times_with_zone(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::TimeTz(a, zone_a), Datum::TimeTz(b, zone_b)) => {
            let utc = |time: i64, zone: i32| time + i64::from(zone) * 1_000_000;
            utc(*a, *zone_a).cmp(&utc(*b, *zone_b)).then(zone_a.cmp(zone_b))
        }
        _ => any(left, right),
    }
}

/// An interval as microseconds, months of 30 days and days of 24 hours.
pub(crate) fn span(interval: Interval) -> i128 {
    const DAY: i128 = 86_400_000_000;
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * DAY + i128::from(interval.microseconds)
}

fn intervals(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Interval(a), Datum::Interval(b)) => span(*a).cmp(&span(*b)),
        _ => any(left, right),
    }
}

fn numerics(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Numeric(a), Datum::Numeric(b)) => numeric::compare(a, b),
        _ => any(left, right),
    }
}

fn arrays(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Array(a), Datum::Array(b)) => array_values(a, b),
        _ => any(left, right),
    }
}

/// Nulls after everything else.
fn nullable(order: CompareFn, left: &Datum, right: &Datum) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (false, false) => order(left, right),
        (left, right) => left.cmp(&right),
    }
}

/// Arrays: element by element, then the shorter first, then by dimensions.
pub(crate) fn array_values(left: &ArrayValue, right: &ArrayValue) -> Ordering {
    let order = compare(left.element);
    let pairs = left.elements.iter().zip(&right.elements);
    let unequal = pairs.map(|(a, b)| nullable(order, a, b)).find(|order| order.is_ne());
    unequal
        .unwrap_or_else(|| left.elements.len().cmp(&right.elements.len()))
        .then_with(|| left.dimensions.len().cmp(&right.dimensions.len()))
        .then_with(|| left.dimensions.cmp(&right.dimensions))
}

/// Records: field by field, then the shorter first.
pub(crate) fn records(left: &[(PgType, Datum)], right: &[(PgType, Datum)]) -> Ordering {
    let pairs = left.iter().zip(right);
    let unequal =
        pairs.map(|((ty, a), (_, b))| nullable(compare(*ty), a, b)).find(|order| order.is_ne());
    unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// Any two values of one type, by their representation.
pub(crate) fn any(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::Char(a), Datum::Char(b)) => a.cmp(b),
        (Datum::Bytea(a), Datum::Bytea(b)) => a.cmp(b),
        (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(b),
        (Datum::Date(_), Datum::Date(_))
        | (Datum::Time(_), Datum::Time(_))
        | (Datum::Timestamp(_), Datum::Timestamp(_))
        | (Datum::TimestampTz(_), Datum::TimestampTz(_)) => moments(left, right),
        (Datum::TimeTz(..), Datum::TimeTz(..)) => times_with_zone(left, right),
        (Datum::Interval(a), Datum::Interval(b)) => span(*a).cmp(&span(*b)),
        (Datum::Oid(a), Datum::Oid(b)) => a.cmp(b),
        (Datum::Json(a), Datum::Json(b)) => a.cmp(b),
        (Datum::Jsonb(a), Datum::Jsonb(b)) => json::compare(a, b),
        (Datum::Numeric(a), Datum::Numeric(b)) => numeric::compare(a, b),
        (Datum::Array(a), Datum::Array(b)) => array_values(a, b),
        (Datum::Record(a), Datum::Record(b)) => records(a, b),
        (Datum::Null, _) | (_, Datum::Null) => left.is_null().cmp(&right.is_null()),
        _ => match (integer(left), integer(right), float(left), float(right)) {
            (Some(a), Some(b), ..) => a.cmp(&b),
            (_, _, Some(a), Some(b)) => float8s(a, b),
            _ => rank(left).cmp(&rank(right)),
        },
    }
}

/// An order among representations, so that even a value of a wrong type has a place.
fn rank(value: &Datum) -> u8 {
    match value {
        Datum::Null => 255,
        Datum::Bool(_) => 0,
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) => 1,
        Datum::Float4(_) | Datum::Float8(_) => 2,
        Datum::Numeric(_) => 3,
        Datum::Text(_) => 4,
        Datum::Char(_) => 5,
        Datum::Bytea(_) => 6,
        Datum::Uuid(_) => 7,
        Datum::Date(_) => 8,
        Datum::Time(_) => 9,
        Datum::TimeTz(..) => 10,
        Datum::Timestamp(_) => 11,
        Datum::TimestampTz(_) => 12,
        Datum::Interval(_) => 13,
        Datum::Oid(_) => 14,
        Datum::Json(_) => 15,
        Datum::Jsonb(_) => 16,
        Datum::Array(_) => 17,
        Datum::Record(_) => 18,
    }
}

fn hash_float(value: f64, state: &mut FxHasher) {
    let canonical = if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    state.write_u64(canonical.to_bits());
}

/// Hashes a value of any type but `bpchar`; a null too.
pub(crate) fn hash_any(value: &Datum, state: &mut FxHasher) {
    match value {
        Datum::Null => state.write_u8(0),
        Datum::Bool(it) => state.write_u8(u8::from(*it)),
        Datum::Int2(it) => state.write_i64(i64::from(*it)),
        Datum::Int4(it) => state.write_i64(i64::from(*it)),
        Datum::Int8(it) | Datum::Time(it) | Datum::Timestamp(it) | Datum::TimestampTz(it) => {
            state.write_i64(*it);
        }
        Datum::Float4(it) => hash_float(f64::from(*it), state),
        Datum::Float8(it) => hash_float(*it, state),
        Datum::Numeric(it) => numeric::hash(it, state),
        Datum::Text(it) => state.write(it.as_bytes()),
        Datum::Char(it) => state.write_u8(*it),
        Datum::Bytea(it) => state.write(it),
        Datum::Uuid(it) => state.write(it.as_bytes()),
        Datum::Date(it) => state.write_i32(*it),
        Datum::TimeTz(time, zone) => {
            state.write_i64(*time);
            state.write_i32(*zone);
        }
        Datum::Interval(it) => state.write_i128(span(*it)),
        Datum::Oid(it) => state.write_u32(*it),
        Datum::Json(it) => state.write(it.as_bytes()),
        Datum::Jsonb(it) => json::hash(it, state),
        Datum::Array(it) => {
            let element = hash(it.element);
            it.elements.iter().for_each(|value| element(value, state));
        }
        Datum::Record(it) => it.iter().for_each(|(ty, value)| hash(*ty)(value, state)),
    }
}
