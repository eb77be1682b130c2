//! Types as they are written: `varchar(3)`, `timestamp with time zone`, `pg_catalog.int4[]`.

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, IntervalFields, ObjectName,
    TimezoneInfo,
};

use super::binder::{Binder, unsupported};
use crate::error::{Result, SqlError, SqlState};
use crate::types::{PgType, typmod};

/// A type modifier that says nothing.
const NONE: i32 = -1;
/// What PostgreSQL adds to lengths in type modifiers: the size of a header it once counted.
const HEADER: i32 = 4;

impl Binder<'_> {
    /// The type and its modifier.
    pub(super) fn data_type(&self, data_type: &DataType) -> Result<(PgType, i32)> {
        use DataType as D;
        let plain = |ty: PgType| Ok((ty, NONE));
        match data_type {
            D::Array(element) => self.array_type(element),
            D::Character(length) | D::Char(length) => {
                Ok((PgType::Bpchar, length_modifier(length.as_ref(), "char")?.max(HEADER + 1)))
            }
            D::CharacterVarying(length) | D::CharVarying(length) | D::Varchar(length) => {
                Ok((PgType::Varchar, length_modifier(length.as_ref(), "varchar")?))
            }
            D::Numeric(info) | D::Decimal(info) | D::Dec(info) => {
                Ok((PgType::Numeric, numeric_modifier(*info)?))
            }
            D::Float(ExactNumberInfo::Precision(bits)) => float_type(*bits),
            D::Float(_) | D::Float8 | D::DoublePrecision | D::Double(_) => plain(PgType::Float8),
            D::Float4 | D::Real => plain(PgType::Float4),
            D::SmallInt(None) | D::Int2(None) => plain(PgType::Int2),
            D::Int(None) | D::Integer(None) | D::Int4(None) => plain(PgType::Int4),
            D::BigInt(None) | D::Int8(None) => plain(PgType::Int8),
            D::Bool | D::Boolean => plain(PgType::Bool),
            D::Text => plain(PgType::Text),
            D::Uuid => plain(PgType::Uuid),
            D::Bytea => plain(PgType::Bytea),
            D::JSON => plain(PgType::Json),
            D::JSONB => plain(PgType::Jsonb),
            D::Date => plain(PgType::Date),
            D::Regclass => plain(PgType::Regclass),
            D::Time(precision, zone) => {
                let ty = if has_zone(*zone) { PgType::TimeTz } else { PgType::Time };
                Ok((ty, time_modifier(*precision)))
            }
            D::Timestamp(precision, zone) => {
                let ty = if has_zone(*zone) { PgType::TimestampTz } else { PgType::Timestamp };
                Ok((ty, time_modifier(*precision)))
            }
            D::Interval { fields: None, precision: None } => plain(PgType::Interval),
            D::Interval { fields, precision } => interval_type(fields.as_ref(), *precision),
            D::Custom(name, modifiers) => self.custom_type(name, modifiers),
            other => Err(no_such_type(&other.to_string().to_ascii_lowercase())),
        }
    }

    fn array_type(&self, element: &ArrayElemTypeDef) -> Result<(PgType, i32)> {
        let (ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _)) =
            element
        else {
            return Err(unsupported("this array type"));
        };
        let (element, typmod) = self.data_type(element)?;
        // Several dimensions are the same type as one.
        if element.is_array() {
            return Ok((element, typmod));
        }
        let array = element.array().ok_or_else(|| no_such_type(&format!("{element}[]")))?;
        Ok((array, typmod))
    }

    fn custom_type(&self, name: &ObjectName, modifiers: &[String]) -> Result<(PgType, i32)> {
        let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let at = self.at_name(name);
        let (schema, ident) = match parts.as_slice() {
            [ident] => (None, ident),
            [schema, ident] => (Some(schema.value.as_str()), ident),
            _ => return Err(no_such_type(&name.to_string()).at(at)),
        };
        let found = if schema.is_some() || ident.quote_style.is_some() {
            PgType::from_typname(&ident.value)
        } else {
            PgType::from_name(&ident.value)
        };
        let known_schema = schema.is_none_or(|schema| schema == "pg_catalog");
        let Some(ty) = found.filter(|_| known_schema) else {
            let full = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
            return Err(no_such_type(&full).at(at));
        };
        let modifiers =
            modifiers.iter().map(|it| it.trim().parse::<i32>()).collect::<Result<Vec<_>, _>>();
        let modifiers = modifiers.map_err(|_| {
            SqlError::new(
                SqlState::SYNTAX_ERROR,
                "type modifiers must be simple constants or identifiers",
            )
            .at(at)
        })?;
        match (ty, modifiers.as_slice()) {
            (_, []) => Ok((ty, NONE)),
            (PgType::Varchar | PgType::Bpchar, [length]) => {
                Ok((ty, HEADER.saturating_add(*length)))
            }
            (
                PgType::Timestamp | PgType::TimestampTz | PgType::Time | PgType::TimeTz,
                [precision],
            ) => Ok((ty, (*precision).clamp(0, 6))),
            _ => {
                let message = format!("type modifier is not allowed for type \"{}\"", ty.typname());
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at))
            }
        }
    }
}

/// The name that PostgreSQL gives a column that is nothing but a cast to a type.
pub(super) fn type_column_name(ty: PgType) -> &'static str {
    // The name of an array is that of its element: PostgreSQL's grammar keeps the brackets apart.
    ty.element().filter(|_| ty.is_array()).unwrap_or(ty).typname()
}

fn no_such_type(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

fn has_zone(zone: TimezoneInfo) -> bool {
    matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz)
}

fn time_modifier(precision: Option<u64>) -> i32 {
    precision.map_or(NONE, |precision| i32::try_from(precision.min(6)).unwrap_or(6))
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn length_modifier(length: Option<&CharacterLength>, name: &str) -> Result<i32> {
    match length {
        None => Ok(NONE),
        Some(CharacterLength::Max) => Err(unsupported("varchar(max)")),
        Some(CharacterLength::IntegerLength { length: 0, .. }) => {
            Err(invalid(format!("length for type {name} must be at least 1")))
        }
        Some(CharacterLength::IntegerLength { length, .. }) => {
            let length = i32::try_from(*length).ok().filter(|length| *length <= 10_485_760);
            let length = length
                .ok_or_else(|| invalid(format!("length for type {name} cannot exceed 10485760")))?;
            Ok(length + HEADER)
        }
    }
}

fn numeric_modifier(info: ExactNumberInfo) -> Result<i32> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(NONE),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let checked = i32::try_from(precision).ok().filter(|it| (1..=1000).contains(it));
    let Some(precision) = checked else {
        return Err(invalid(format!("NUMERIC precision {precision} must be between 1 and 1000")));
    };
    let checked = i32::try_from(scale).ok().filter(|it| (-1000..=1000).contains(it));
    let Some(scale) = checked else {
        return Err(invalid(format!("NUMERIC scale {scale} must be between -1000 and 1000")));
    };
    Ok(((precision << 16) | (scale & 0x7ff)) + HEADER)
}

/// `interval day to second(3)`.
fn interval_type(fields: Option<&IntervalFields>, precision: Option<u64>) -> Result<(PgType, i32)> {
    let fields = match fields {
        None => typmod::IntervalFields::FULL,
        Some(fields) => {
            let written = fields.to_string().to_ascii_lowercase();
            let (first, last) = match written.split_once(" to ") {
                Some((first, last)) => (first, Some(last)),
                None => (written.as_str(), None),
            };
            typmod::IntervalFields::from_names(first, last)
                .ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, "syntax error"))?
        }
    };
    let places = precision.map(|it| i32::try_from(it).unwrap_or(i32::MAX));
    Ok((PgType::Interval, fields.typmod(places)?))
}

fn float_type(bits: u64) -> Result<(PgType, i32)> {
    match bits {
        0 => Err(invalid("precision for type float must be at least 1 bit")),
        1..=24 => Ok((PgType::Float4, NONE)),
        25..=53 => Ok((PgType::Float8, NONE)),
        _ => Err(invalid("precision for type float must be less than 54 bits")),
    }
}
