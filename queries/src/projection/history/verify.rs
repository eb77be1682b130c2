//! Whether histories say what the rows say.

use rotabase_engine::env::Timestamp;

use super::super::key::table;
use super::super::recompute::all;
use super::super::row::{AirplaneRow, AirportRow, LegRow, RotationRow};
use super::super::rows::{ReadRows, Result};
use super::state;

/// Tells `differs` of each row that is not what its history says it was at an instant.
pub(crate) fn verify(
    rows: &impl ReadRows,
    at: Timestamp,
    differs: &mut dyn FnMut(String),
) -> Result<()> {
    for row in all(rows, table::LEGS, LegRow::decode)? {
        let claims = state::claims(rows, row.leg.id, at)?;
        let newest = state::newest(&claims);
        if newest != Some((row.owner, row.claimed, row.leg))
            || claims.len() != 1 + usize::try_from(row.rivals).unwrap_or(usize::MAX)
        {
            differs(format!("leg {} is not what its history says", row.leg.id));
        }
    }
    for row in all(rows, table::AIRPORTS, AirportRow::decode)? {
        if state::airport(rows, row.code, at)? != Some(row.minimum_ground_time) {
            differs(format!("airport {} is not what its history says", row.code));
        }
    }
    for row in all(rows, table::AIRPLANES, AirplaneRow::decode)? {
        if state::airplane(rows, row.registration, at)? != Some(row) {
            differs(format!("airplane {} is not what its history says", row.registration));
        }
    }
    for row in all(rows, table::ROTATIONS, RotationRow::decode)? {
        if state::rotation(rows, row.id, at)? != Some(state::RotationName(row.name)) {
            differs(format!("rotation {} is not what its history says", row.id));
        }
    }
    Ok(())
}
