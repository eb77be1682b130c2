//! The type that several expressions agree on: `UNION`, `CASE`, `COALESCE`, `VALUES`, `ARRAY`.
//!
//! Source: `parse_coerce.c` (`select_common_type`).

use super::coerce::{CoercionContext, can_coerce};
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType;

/// The common type, or the two types that cannot be matched. Only `unknown`s give `text`.
pub fn select_common_type(types: &[PgType]) -> Result<PgType, (PgType, PgType)> {
    let mut chosen = types.first().copied().unwrap_or(PgType::Text);
    for &ty in types {
        if ty == PgType::Unknown || ty == chosen {
            continue;
        }
        if chosen == PgType::Unknown {
            chosen = ty;
        } else if ty.category() != chosen.category() {
            return Err((chosen, ty));
        } else if !chosen.is_preferred()
            && can_coerce(&[chosen], &[ty], CoercionContext::Implicit)
            && !can_coerce(&[ty], &[chosen], CoercionContext::Implicit)
        {
            chosen = ty;
        }
    }
    Ok(if chosen == PgType::Unknown { PgType::Text } else { chosen })
}

/// The common type of the branches of a construct, which the error names: `UNION`, `CASE`, `VALUES`, `ARRAY`,
/// `COALESCE`, `GREATEST`, `LEAST`, `IN`, `INTERSECT`, `EXCEPT`. All values have to be convertible to it implicitly.
pub fn common_type(types: &[PgType], construct: &str) -> Result<PgType> {
    let mismatch = |(left, right): (PgType, PgType)| {
        let message = format!("{construct} types {left} and {right} cannot be matched");
        SqlError::new(SqlState::DATATYPE_MISMATCH, message)
    };
    let chosen = select_common_type(types).map_err(mismatch)?;
    for ty in types {
        if !can_coerce(&[*ty], &[chosen], CoercionContext::Implicit) {
            let message = format!("{construct} could not convert type {ty} to {chosen}");
            return Err(SqlError::new(SqlState::CANNOT_COERCE, message));
        }
    }
    Ok(chosen)
}
