//! Between `numeric` and the other numbers.

use num_traits::ToPrimitive;

use crate::error::{Result, SqlError, SqlState};
use crate::types::{Numeric, PgType};

impl Numeric {
    /// The nearest integer (half away from zero) of a type.
    pub fn to_integer(&self, ty: PgType) -> Result<i64> {
        let Self::Finite { coefficient, .. } = self.round(0) else {
            let what = if self.is_nan() { "NaN" } else { "infinity" };
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert {what} to {ty}"),
            ));
        };
        let value = coefficient.to_i64().filter(|value| match ty {
            PgType::Int2 => i16::try_from(*value).is_ok(),
            PgType::Int4 => i32::try_from(*value).is_ok(),
            _ => true,
        });
        value.ok_or_else(|| {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"))
        })
    }

    /// The nearest `float8`.
    pub fn to_float8(&self) -> Result<f64> {
        match self {
            Self::NaN => Ok(f64::NAN),
            Self::Infinity => Ok(f64::INFINITY),
            Self::NegativeInfinity => Ok(f64::NEG_INFINITY),
            Self::Finite { .. } => crate::types::text::number::read_float8(&self.to_string()),
        }
    }

    /// The nearest `float8`, infinite where it would overflow.
    pub fn to_float8_lossy(&self) -> f64 {
        self.to_float8()
            .unwrap_or_else(|_| if self.signum() < 0 { f64::NEG_INFINITY } else { f64::INFINITY })
    }

    /// The nearest `float4`.
    pub fn to_float4(&self) -> Result<f32> {
        match self {
            Self::NaN => Ok(f32::NAN),
            Self::Infinity => Ok(f32::INFINITY),
            Self::NegativeInfinity => Ok(f32::NEG_INFINITY),
            Self::Finite { .. } => crate::types::text::number::read_float4(&self.to_string()),
        }
    }

    /// A `float8` with its 15 reliable digits.
    pub fn from_float8(value: f64) -> Result<Self> {
        Self::from_digits(value, 15)
    }

    /// A `float4` with its 6 reliable digits.
    pub fn from_float4(value: f32) -> Result<Self> {
        Self::from_digits(f64::from(value), 6)
    }

    fn from_digits(value: f64, digits: i32) -> Result<Self> {
        if value.is_nan() {
            return Ok(Self::NaN);
        }
        if value.is_infinite() {
            return Ok(if value > 0.0 { Self::Infinity } else { Self::NegativeInfinity });
        }
        let mut text = Vec::new();
        crate::types::text::number::write_general(value, digits, &mut text);
        super::read(&String::from_utf8_lossy(&text))
    }
}
