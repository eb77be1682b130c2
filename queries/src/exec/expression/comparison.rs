//! Which functions are comparisons by the default order of a type, so that they need no call and can be hashed,
//! sorted by and looked up in an index.

use std::cmp::Ordering;

use crate::types::PgType;
use crate::types::functions::ScalarFunction;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the operators'")]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it is true of two values in this order.
    #[inline]
    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The same with the sides exchanged.
    pub(crate) fn commuted(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }
}

/// The comparison that a function is, when [`crate::exec::key::compare`] decides it; operands may be integers
/// or floats of different widths.
pub(crate) fn comparison(function: &ScalarFunction) -> Option<Comparison> {
    let [left, right] = function.arguments else { return None };
    if function.variadic || function.result != PgType::Bool || class(*left)? != class(*right)? {
        return None;
    }
    named(function.name)
}

/// The comparison that a name in `pg_proc` stands for.
pub(crate) fn named(name: &str) -> Option<Comparison> {
    let (operand, suffix) = name.split_at_checked(name.len().checked_sub(2)?)?;
    let comparison = match suffix {
        "eq" => Comparison::Equal,
        "ne" => Comparison::NotEqual,
        "lt" => Comparison::Less,
        "le" => Comparison::LessOrEqual,
        "gt" => Comparison::Greater,
        "ge" => Comparison::GreaterOrEqual,
        _ => return None,
    };
    OPERANDS.contains(&operand.trim_end_matches('_')).then_some(comparison)
}

/// Whether a function is the `<>` of some type.
pub(crate) fn is_inequality(function: &ScalarFunction) -> bool {
    function.name.ends_with("ne")
}

/// What stands before the operator in the names of comparison functions.
const OPERANDS: &[&str] = &[
    "bool",
    "char",
    "int2",
    "int4",
    "int8",
    "int24",
    "int28",
    "int42",
    "int48",
    "int82",
    "int84",
    "float4",
    "float8",
    "float48",
    "float84",
    "numeric",
    "text",
    "name",
    "oid",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "bytea",
];

/// Types of one class compare with each other by their values.
fn class(ty: PgType) -> Option<u8> {
    Some(match ty {
        PgType::Bool => 0,
        PgType::Char => 1,
        PgType::Int2 | PgType::Int4 | PgType::Int8 => 2,
        PgType::Float4 | PgType::Float8 => 3,
        PgType::Numeric => 4,
        PgType::Text | PgType::Name | PgType::Varchar => 5,
        PgType::Oid | PgType::Regclass | PgType::Regtype | PgType::Regproc | PgType::Xid => 6,
        PgType::Date => 7,
        PgType::Time => 8,
        PgType::TimeTz => 9,
        PgType::Timestamp => 10,
        PgType::TimestampTz => 11,
        PgType::Interval => 12,
        PgType::Uuid => 13,
        PgType::Bytea => 14,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching_operators_are_no_comparisons() {
        assert_eq!(named("int4eq"), Some(Comparison::Equal));
        assert_eq!(named("timestamptz_ge"), Some(Comparison::GreaterOrEqual));
        assert_eq!(named("textregexeq"), None);
        assert_eq!(named("date_eq_timestamp"), None);
        assert_eq!(named("e"), None);
    }
}
