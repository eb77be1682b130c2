//! Values of PostgreSQL's types.

use std::sync::Arc;

use smol_str::SmolStr;
use uuid::Uuid;

use super::PgType;

/// An interval: three parts that do not convert into each other until they are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub microseconds: i64,
}

/// An arbitrary-precision number, as PostgreSQL's `numeric`: a coefficient and a display scale, or NaN or infinity.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// `coefficient * 10^-scale`.
    Finite {
        /// The digits.
        coefficient: num_bigint::BigInt,
        /// The decimal places shown.
        scale: u32,
    },
    /// Not a number; equal to itself and above everything else.
    NaN,
    /// Above every finite number.
    Infinity,
    /// Below every finite number.
    NegativeInfinity,
}

/// A `jsonb` value; objects keep PostgreSQL's key order (shorter keys first, then bytewise).
pub type Jsonb = serde_json::Value;

/// An array of one element type, of any number of dimensions.
#[derive(Clone, Debug)]
pub struct ArrayValue {
    /// The type of the elements.
    pub element: PgType,
    /// Length and lower bound of each dimension; empty for an empty array.
    pub dimensions: Vec<(usize, i32)>,
    /// The elements in row-major order.
    pub elements: Vec<Datum>,
}

/// One value. Its type is known from where it stands; types that share a representation share a variant.
///
/// It has no `PartialEq`: comparison is the business of the type's operators.
#[derive(Clone, Debug, Default)]
pub enum Datum {
    /// No value.
    #[default]
    Null,
    /// `bool`.
    Bool(bool),
    /// `int2`.
    Int2(i16),
    /// `int4`.
    Int4(i32),
    /// `int8`.
    Int8(i64),
    /// `float4`.
    Float4(f32),
    /// `float8`.
    Float8(f64),
    /// `numeric`.
    Numeric(Arc<Numeric>),
    /// `text`, `varchar`, `bpchar`, `name`, `unknown`, `pg_node_tree`, `aclitem`.
    Text(SmolStr),
    /// `"char"`.
    Char(u8),
    /// `bytea`.
    Bytea(Arc<[u8]>),
    /// `uuid`.
    Uuid(Uuid),
    /// `date`: days since 2000-01-01; `i32::MIN` and `i32::MAX` are the infinities.
    Date(i32),
    /// `time`: microseconds since midnight.
    Time(i64),
    /// `timetz`: microseconds since midnight and seconds west of UTC.
    TimeTz(i64, i32),
    /// `timestamp`: microseconds since 2000-01-01; `i64::MIN` and `i64::MAX` are the infinities.
    Timestamp(i64),
    /// `timestamptz`: microseconds since 2000-01-01 UTC; infinities as for `timestamp`.
    TimestampTz(i64),
    /// `interval`.
    Interval(Interval),
    /// `oid` and the `reg*` types, `xid`.
    Oid(u32),
    /// `json`: the text as it was written.
    Json(Arc<str>),
    /// `jsonb`.
    Jsonb(Arc<Jsonb>),
    /// Every array type, `int2vector` and `oidvector` (lower bound 0).
    Array(Arc<ArrayValue>),
    /// `record`: the fields with their types.
    Record(Arc<[(PgType, Datum)]>),
}

impl Datum {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A `text` value.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(SmolStr::new(text))
    }
}
