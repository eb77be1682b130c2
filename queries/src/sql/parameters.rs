//! The types of `$1`, `$2` …: declared, or found from where they stand.
//!
//! A parameter without a type is `unknown` until something asks for a type; the first to ask decides. One that nothing
//! asks is an error, as in PostgreSQL.

use crate::error::{Result, SqlError, SqlState};
use crate::types::PgType;

/// The highest number that a parameter may have: as many as Bind can carry.
pub(super) const PARAMETERS_MAX: usize = 65535;

/// A parameter whose uses want different types.
const AMBIGUOUS_PARAMETER: SqlState = SqlState("42P08");

/// The parameters of a statement.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// The type of each, as far as it is known.
    types: Vec<PgType>,
    /// How many references to each had no type when they were bound, less those that got one since.
    open: Vec<usize>,
    /// Where the first reference without a type stands.
    places: Vec<Option<usize>>,
    /// Whether a statement of this kind may have parameters.
    forbidden: bool,
}

impl Parameters {
    pub(super) fn declared(types: &[PgType]) -> Self {
        let mut parameters = Self::default();
        for (place, ty) in types.iter().enumerate() {
            parameters.grow(place);
            parameters.types[place] = *ty;
        }
        parameters
    }

    /// None may be used: definitions have no values to take.
    pub(super) fn forbidden() -> Self {
        Self { forbidden: true, ..Self::default() }
    }

    fn grow(&mut self, place: usize) {
        if self.types.len() <= place {
            self.types.resize(place + 1, PgType::Unknown);
            self.open.resize(place + 1, 0);
            self.places.resize(place + 1, None);
        }
    }

    /// Refers to a parameter by its number, from 1. The type is `unknown` if it is not known yet.
    pub(super) fn refer(
        &mut self,
        number: usize,
        position: Option<usize>,
    ) -> Result<(usize, PgType)> {
        let missing = || {
            let message = format!("there is no parameter ${number}");
            SqlError::new(SqlState::UNDEFINED_PARAMETER, message).at(position)
        };
        let place = number.checked_sub(1).ok_or_else(missing)?;
        if place >= PARAMETERS_MAX || self.forbidden {
            return Err(missing());
        }
        self.grow(place);
        if self.types[place] == PgType::Unknown {
            self.open[place] += 1;
            self.places[place] = self.places[place].or(position);
        }
        Ok((place, self.types[place]))
    }

    /// Decides the type of a parameter that was bound as `unknown`. It cannot be decided in two ways.
    pub(super) fn decide(&mut self, place: usize, ty: PgType) -> Result<()> {
        let known = self.types[place];
        if known != PgType::Unknown && known != ty {
            let message = format!("inconsistent types deduced for parameter ${}", place + 1);
            return Err(SqlError::new(AMBIGUOUS_PARAMETER, message)
                .with_detail(format!("{known} versus {ty}"))
                .at(self.places[place]));
        }
        self.open[place] = self.open[place].saturating_sub(1);
        self.types[place] = ty;
        Ok(())
    }

    /// The type of a parameter as far as it is known by now.
    pub(super) fn known(&self, place: usize) -> PgType {
        self.types.get(place).copied().unwrap_or(PgType::Unknown)
    }

    /// The types once everything is bound.
    pub(super) fn finish(self) -> Result<Vec<PgType>> {
        for (place, ty) in self.types.iter().enumerate() {
            let message = || format!("could not determine data type of parameter ${}", place + 1);
            if *ty == PgType::Unknown {
                return Err(SqlError::new(SqlState::INDETERMINATE_DATATYPE, message()));
            }
            if self.open[place] > 0 {
                return Err(SqlError::new(AMBIGUOUS_PARAMETER, message()).at(self.places[place]));
            }
        }
        Ok(self.types)
    }
}
