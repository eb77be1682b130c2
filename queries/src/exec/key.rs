//! Comparing and hashing values as keys: by the default order of their type, where equal values hash alike.
//!
//! A value's variant decides its order, so no type is passed; integers of different widths compare as numbers.
//! Nulls are the caller's business: here they are equal to each other and above everything else.

use std::cmp::Ordering;
use std::hash::Hasher;

use num_bigint::BigInt;
use rustc_hash::FxHasher;

use crate::plan::SortKey;
use crate::types::{ArrayValue, Datum, Interval, Numeric};

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
        _ => compare_rare(left, right),
    }
}

fn compare_rare(left: &Datum, right: &Datum) -> Ordering {
    if let (Some(l), Some(r)) = (integer(left), integer(right)) {
        return l.cmp(&r);
    }
    if let (Some(l), Some(r)) = (float(left), float(right)) {
        return compare_floats(l, r);
    }
    match (left, right) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Numeric(l), Datum::Numeric(r)) => compare_numerics(l, r),
        (Datum::Char(l), Datum::Char(r)) => l.cmp(r),
        (Datum::Bytea(l), Datum::Bytea(r)) => l.cmp(r),
        (Datum::TimeTz(l, l_zone), Datum::TimeTz(r, r_zone)) => {
            time_tz(*l, *l_zone).cmp(&time_tz(*r, *r_zone))
        }
        (Datum::Interval(l), Datum::Interval(r)) => interval_span(l).cmp(&interval_span(r)),
        (Datum::Oid(l), Datum::Oid(r)) => l.cmp(r),
        (Datum::Json(l), Datum::Json(r)) => l.cmp(r),
        (Datum::Jsonb(l), Datum::Jsonb(r)) => compare_json(l, r),
        (Datum::Array(l), Datum::Array(r)) => compare_arrays(l, r),
        (Datum::Record(l), Datum::Record(r)) => l
            .iter()
            .zip(r.iter())
            .map(|((_, l), (_, r))| compare(l, r))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| l.len().cmp(&r.len())),
        // Two representations of one column are a bug of ours; any fixed order does.
        _ => rank(left).cmp(&rank(right)),
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
        hash(value, &mut hasher);
    }
    hasher.finish()
}

fn hash(value: &Datum, hasher: &mut FxHasher) {
    match value {
        Datum::Null => hasher.write_u8(0xFF),
        Datum::Bool(value) => hasher.write_u8(u8::from(*value)),
        Datum::Int2(value) => hasher.write_i64(i64::from(*value)),
        Datum::Int4(value) | Datum::Date(value) => hasher.write_i64(i64::from(*value)),
        Datum::Int8(value)
        | Datum::Time(value)
        | Datum::Timestamp(value)
        | Datum::TimestampTz(value) => {
            hasher.write_i64(*value);
        }
        Datum::Float4(value) => hash_float(f64::from(*value), hasher),
        Datum::Float8(value) => hash_float(*value, hasher),
        Datum::Numeric(value) => hash_numeric(value, hasher),
        Datum::Text(value) => hasher.write(value.as_bytes()),
        Datum::Char(value) => hasher.write_u8(*value),
        Datum::Bytea(value) => hasher.write(value),
        Datum::Uuid(value) => hasher.write_u128(value.as_u128()),
        Datum::TimeTz(time, zone) => hasher.write_i64(time_tz(*time, *zone).0),
        Datum::Interval(value) => hasher.write_i128(interval_span(value)),
        Datum::Oid(value) => hasher.write_i64(i64::from(*value)),
        Datum::Json(value) => hasher.write(value.as_bytes()),
        Datum::Jsonb(value) => hash_json(value, hasher),
        Datum::Array(array) => {
            hasher.write_usize(array.elements.len());
            array.elements.iter().for_each(|element| hash(element, hasher));
        }
        Datum::Record(fields) => fields.iter().for_each(|(_, field)| hash(field, hasher)),
    }
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

fn integer(value: &Datum) -> Option<i64> {
    match value {
        Datum::Int2(value) => Some(i64::from(*value)),
        Datum::Int4(value) => Some(i64::from(*value)),
        Datum::Int8(value) => Some(*value),
        _ => None,
    }
}

fn float(value: &Datum) -> Option<f64> {
    match value {
        Datum::Float4(value) => Some(f64::from(*value)),
        Datum::Float8(value) => Some(*value),
        _ => None,
    }
}

/// NaN is equal to itself and above everything else; -0 is 0.
fn compare_floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

fn hash_float(value: f64, hasher: &mut FxHasher) {
    let canonical = if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    hasher.write_u64(canonical.to_bits());
}

fn compare_numerics(left: &Numeric, right: &Numeric) -> Ordering {
    if let (
        Numeric::Finite { coefficient: l, scale: l_scale },
        Numeric::Finite { coefficient: r, scale: r_scale },
    ) = (left, right)
    {
        return match l_scale.cmp(r_scale) {
            Ordering::Equal => l.cmp(r),
            Ordering::Less => (l * power_of_ten(r_scale - l_scale)).cmp(r),
            Ordering::Greater => l.cmp(&(r * power_of_ten(l_scale - r_scale))),
        };
    }
    numeric_rank(left).cmp(&numeric_rank(right))
}

fn numeric_rank(value: &Numeric) -> u8 {
    match value {
        Numeric::NegativeInfinity => 0,
        Numeric::Finite { .. } => 1,
        Numeric::Infinity => 2,
        Numeric::NaN => 3,
    }
}

fn power_of_ten(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

fn hash_numeric(value: &Numeric, hasher: &mut FxHasher) {
    use num_traits::{ToPrimitive, Zero};
    hasher.write_u8(numeric_rank(value));
    let Numeric::Finite { coefficient, scale } = value else { return };
    // Scales differ between equal numbers: trailing zeros are dropped first.
    let (mut coefficient, mut scale) = (coefficient.clone(), *scale);
    let ten = BigInt::from(10);
    while scale > 0 && (&coefficient % &ten).is_zero() {
        coefficient /= &ten;
        scale -= 1;
    }
    hasher.write_u32(scale);
    match coefficient.to_i64() {
        Some(small) => hasher.write_i64(small),
        None => hasher.write(&coefficient.to_signed_bytes_le()),
    }
}

/// The moment in UTC, then the zone.
fn time_tz(time: i64, zone: i32) -> (i64, i32) {
    (time + i64::from(zone) * 1_000_000, zone)
}

/// PostgreSQL's comparison counts a month as 30 days and a day as 24 hours.
fn interval_span(interval: &Interval) -> i128 {
    const DAY: i128 = 86_400_000_000;
    (i128::from(interval.months) * 30 + i128::from(interval.days)) * DAY
        + i128::from(interval.microseconds)
}

fn compare_arrays(left: &ArrayValue, right: &ArrayValue) -> Ordering {
    let elements = left
        .elements
        .iter()
        .zip(&right.elements)
        .map(|(l, r)| compare(l, r))
        .find(|order| order.is_ne());
    elements
        .unwrap_or_else(|| left.elements.len().cmp(&right.elements.len()))
        .then_with(|| left.dimensions.len().cmp(&right.dimensions.len()))
        .then_with(|| left.dimensions.cmp(&right.dimensions))
}

/// The order of `jsonb`: by kind, then by count, then by content.
fn compare_json(left: &serde_json::Value, right: &serde_json::Value) -> Ordering {
    use serde_json::Value;
    match (left, right) {
        (Value::Bool(l), Value::Bool(r)) => l.cmp(r),
        (Value::Number(l), Value::Number(r)) => compare_json_numbers(l, r),
        (Value::String(l), Value::String(r)) => l.cmp(r),
        (Value::Array(l), Value::Array(r)) => l.len().cmp(&r.len()).then_with(|| {
            l.iter()
                .zip(r)
                .map(|(l, r)| compare_json(l, r))
                .find(|it| it.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        (Value::Object(l), Value::Object(r)) => l.len().cmp(&r.len()).then_with(|| {
            let pairs = l.iter().zip(r.iter());
            pairs
                .map(|((l_key, l), (r_key, r))| l_key.cmp(r_key).then_with(|| compare_json(l, r)))
                .find(|it| it.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        _ => json_rank(left).cmp(&json_rank(right)),
    }
}

fn compare_json_numbers(left: &serde_json::Number, right: &serde_json::Number) -> Ordering {
    if let (Some(l), Some(r)) = (left.as_i64(), right.as_i64()) {
        return l.cmp(&r);
    }
    compare_floats(left.as_f64().unwrap_or(f64::NAN), right.as_f64().unwrap_or(f64::NAN))
}

fn json_rank(json: &serde_json::Value) -> u8 {
    use serde_json::Value;
    match json {
        Value::Null => 0,
        Value::String(_) => 1,
        Value::Number(_) => 2,
        Value::Bool(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

fn hash_json(json: &serde_json::Value, hasher: &mut FxHasher) {
    use serde_json::Value;
    hasher.write_u8(json_rank(json));
    match json {
        Value::Null => {}
        Value::Bool(value) => hasher.write_u8(u8::from(*value)),
        Value::Number(value) => hash_float(value.as_f64().unwrap_or(f64::NAN), hasher),
        Value::String(value) => hasher.write(value.as_bytes()),
        Value::Array(items) => items.iter().for_each(|item| hash_json(item, hasher)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| {
            hasher.write(key.as_bytes());
            hash_json(value, hasher);
        }),
    }
}

fn rank(value: &Datum) -> u8 {
    match value {
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
        Datum::Timestamp(_) | Datum::TimestampTz(_) => 11,
        Datum::Interval(_) => 12,
        Datum::Oid(_) => 13,
        Datum::Json(_) => 14,
        Datum::Jsonb(_) => 15,
        Datum::Array(_) => 16,
        Datum::Record(_) => 17,
        Datum::Null => 18,
    }
}
