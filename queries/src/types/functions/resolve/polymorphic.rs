//! Functions over `anyelement` and its kin: what the type parameters stand for in a call.
//!
//! Source: `parse_coerce.c` (`check_generic_type_consistency`, `enforce_generic_type_consistency`).

use super::coerce::{CoercionContext, can_coerce};
use super::common::select_common_type;
use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType;

/// What the type parameters stand for, as far as the arguments say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unified {
    element: Option<PgType>,
    array: Option<PgType>,
    compatible: Option<PgType>,
}

fn mismatch(message: String) -> SqlError {
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
}

/// Matches argument types with declared types.
pub(super) fn unify(actual: &[PgType], declared: &[PgType]) -> Result<Unified> {
    let mut unified = Unified::default();
    let mut compatible = Vec::new();
    let mut any_compatible = false;
    for (&actual, &declared) in actual.iter().zip(declared) {
        any_compatible |= matches!(
            declared,
            PgType::AnyCompatible | PgType::AnyCompatibleNonArray | PgType::AnyCompatibleArray
        );
        if actual == PgType::Unknown {
            continue;
        }
        match declared {
            PgType::AnyElement | PgType::AnyNonArray => {
                unified.element = Some(same(unified.element, actual, "anyelement")?);
                if declared == PgType::AnyNonArray && actual.is_array() {
                    return Err(mismatch(format!(
                        "type matched to anynonarray is an array type: {actual}"
                    )));
                }
            }
            PgType::AnyArray => unified.array = Some(same(unified.array, actual, "anyarray")?),
            PgType::AnyCompatibleNonArray if actual.is_array() => {
                return Err(mismatch(format!(
                    "type matched to anycompatiblenonarray is an array type: {actual}"
                )));
            }
            PgType::AnyCompatible | PgType::AnyCompatibleNonArray => compatible.push(actual),
            PgType::AnyCompatibleArray => {
                compatible.push(element_of(actual, "anycompatiblearray")?);
            }
            _ => {}
        }
    }
    unified.match_array()?;
    if any_compatible {
        unified.compatible = Some(common(&compatible)?);
    }
    Ok(unified)
}

fn same(known: Option<PgType>, actual: PgType, declared: &str) -> Result<PgType> {
    match known {
        Some(known) if known != actual => {
            let message = format!("arguments declared \"{declared}\" are not all alike");
            Err(mismatch(message).with_detail(format!("{known} versus {actual}")))
        }
        _ => Ok(actual),
    }
}

fn element_of(array: PgType, declared: &str) -> Result<PgType> {
    array.element().ok_or_else(|| {
        mismatch(format!("argument declared {declared} is not an array but type {array}"))
    })
}

fn common(types: &[PgType]) -> Result<PgType> {
    let chosen = select_common_type(types).map_err(|_| {
        mismatch("arguments of anycompatible family cannot be cast to a common type".to_owned())
    })?;
    let fits = types.iter().all(|ty| can_coerce(&[*ty], &[chosen], CoercionContext::Implicit));
    if fits {
        Ok(chosen)
    } else {
        Err(mismatch(
            "arguments of anycompatible family cannot be cast to a common type".to_owned(),
        ))
    }
}

impl Unified {
    fn match_array(&mut self) -> Result<()> {
        let Some(array) = self.array else { return Ok(()) };
        let element = element_of(array, "anyarray")?;
        match self.element {
            Some(known) if known != element => Err(mismatch(
                "argument declared anyarray is not consistent with argument declared anyelement"
                    .to_owned(),
            )
            .with_detail(format!("{array} versus {known}"))),
            _ => {
                self.element = Some(element);
                Ok(())
            }
        }
    }

    /// The real type behind a declared one.
    pub(super) fn resolve(self, declared: PgType) -> Result<PgType> {
        let undetermined = || {
            mismatch(
                "could not determine polymorphic type because input has type unknown".to_owned(),
            )
        };
        let array_of = |element: PgType| {
            element.array().ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("could not find array type for data type {element}"),
                )
            })
        };
        match declared {
            PgType::AnyElement | PgType::AnyNonArray => self.element.ok_or_else(undetermined),
            PgType::AnyArray => match self.array {
                Some(array) => Ok(array),
                None => array_of(self.element.ok_or_else(undetermined)?),
            },
            PgType::AnyCompatible | PgType::AnyCompatibleNonArray => {
                self.compatible.ok_or_else(undetermined)
            }
            PgType::AnyCompatibleArray => array_of(self.compatible.ok_or_else(undetermined)?),
            other => Ok(other),
        }
    }
}
