//! The one table from what the layers below answer to what a client is told: SQLSTATE, message, detail, hint.
//! It agrees with `docs/sql.md`.

use std::fmt::Write as _;

use rotabase_engine::schedule::{AggregateId, Leg, Refusal, Schedule};
use rotabase_queries::error::{SqlError, SqlState};
use rotabase_queries::exec::Settings;
use rotabase_queries::types::Datum;
use rotabase_queries::types::PgType;
use rotabase_raft::WriteError;
use rotabase_raft::node::STATEMENT_BYTES_MAX;

/// What a client is told when a write was not carried out, or may not have been.
pub(crate) fn write_error(error: WriteError<Schedule>) -> SqlError {
    match error {
        WriteError::Refused { refusal, .. } => refused(&refusal),
        WriteError::VersionMismatch { .. } => conflict(),
        WriteError::NotLeader { shard, leader } => SqlError::new(
            SqlState::CANNOT_CONNECT_NOW,
            format!("shard {shard} is led by another node"),
        )
        .with_detail("Nothing was stored.")
        .with_hint(format!("Node {} leads it.", leader.address)),
        WriteError::Unavailable { shard } => {
            SqlError::new(SqlState::CANNOT_CONNECT_NOW, format!("shard {shard} has no leader now"))
                .with_detail("Nothing was stored.")
                .with_hint("Try again in a moment.")
        }
        WriteError::Removed => {
            SqlError::new(SqlState::CANNOT_CONNECT_NOW, "this node was removed from the cluster")
                .with_detail(
                    "Nothing was stored, and what the node shows is of before it was removed.",
                )
                .with_hint("Connect to a node that is a member.")
        }
        WriteError::Conflict => conflict(),
        WriteError::OutcomeUnknown => SqlError::new(
            SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
            "the outcome of the statement is unknown: leadership was lost before it was confirmed",
        )
        .with_hint("Read before you repeat it."),
        WriteError::Deadline => {
            SqlError::new(SqlState::CANNOT_CONNECT_NOW, "the write path did not answer in time")
                .with_detail("Nothing was stored.")
        }
        WriteError::Overloaded => {
            SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "too many commands are waiting")
                .with_detail("Nothing was stored.")
        }
        WriteError::TooLarge => {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the statement writes too much at once")
                .with_detail(format!(
                    "What a transaction writes, and all of the rotations, flights and airplanes that it changes, may \
                     take {} MiB of memory.",
                    STATEMENT_BYTES_MAX >> 20
                ))
                .with_hint("Write it in several transactions, each of which changes fewer rotations or flights.")
        }
        WriteError::Store(error) => error.into(),
    }
}

/// Another session was faster, again and again.
pub(crate) fn conflict() -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent update",
    )
    .with_hint("The statement can be repeated.")
}

/// What a client is told of a refusal.
pub(crate) fn refused(refusal: &Refusal) -> SqlError {
    match refusal {
        Refusal::AlreadyExists(id) => unique(id),
        Refusal::Missing(id) => missing(id),
        Refusal::LegsOverlap { added, existing } => overlap(added, existing),
        Refusal::LegExists(id) => with_names(
            SqlError::new(SqlState::UNIQUE_VIOLATION, format!("leg {id} already exists"))
                .with_detail(format!("Key (id)=({id}) already exists.")),
            "legs",
            "legs_pkey",
        ),
        Refusal::LegMissing(_) | Refusal::LegChanged(_) | Refusal::RotationHasLegs(_) => {
            conflict().with_detail(sentence(&refusal.to_string()))
        }
        Refusal::DesignatorChanged(_) => {
            SqlError::unsupported("the flight designator of a leg cannot be updated")
                .with_hint("Delete the leg and insert another.")
        }
        Refusal::WrongAggregate(_) => SqlError::internal(refusal.to_string()),
    }
}

/// What a client is told of a refusal of a row of `table`.
pub(crate) fn refused_row(refusal: &Refusal, table: &str) -> SqlError {
    let (Refusal::Missing(id @ AggregateId::Rotation(_)), "legs" | "airplanes") = (refusal, table)
    else {
        return refused(refusal);
    };
    let constraint = format!("{table}_rotation_id_fkey");
    let message = format!(
        "insert or update on table \"{table}\" violates foreign key constraint \"{constraint}\""
    );
    let error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message)
        .with_detail(format!("Key (rotation_id)=({id}) is not present in table \"rotations\"."));
    with_names(error, table, &constraint)
}

/// The leg that clashes and the one it clashes with, in full.
fn overlap(added: &Leg, existing: &Leg) -> SqlError {
    let flight = |leg: &Leg| AggregateId::Flight(leg.designator.flight).to_string();
    let message =
        format!("leg {} overlaps leg {} in its rotation", flight(added), flight(existing));
    let detail = format!("Leg {} and leg {} overlap in time.", describe(added), describe(existing));
    let error = SqlError::new(SqlState::EXCLUSION_VIOLATION, message)
        .with_detail(detail)
        .with_hint("Reschedule one of them, or take the other leg out of the rotation first.");
    with_names(error, "legs", "legs_rotation_id_block_time_excl")
}

/// `LH400 FRA-JFK of 2026-03-29 (2026-03-29 08:25Z to 2026-03-29 17:05Z, id …)`.
pub(crate) fn describe(leg: &Leg) -> String {
    let mut text = format!(
        "{} {}-{} of {} (",
        AggregateId::Flight(leg.designator.flight),
        leg.designator.departure_airport,
        leg.arrival_airport,
        date(leg.designator.day_of_origin.0),
    );
    let (departure, arrival) = (utc(leg.block.departure().0), utc(leg.block.arrival().0));
    let _ = write!(text, "{departure} to {arrival}, id {})", leg.id);
    text
}

/// A date as `2026-03-29`.
pub(crate) fn date(days: i32) -> String {
    text_of(&Datum::Date(days), PgType::Date)
}

/// A time as `2026-03-29 08:25:00Z`.
fn utc(microseconds: i64) -> String {
    text_of(&Datum::Timestamp(microseconds), PgType::Timestamp) + "Z"
}

fn text_of(datum: &Datum, ty: PgType) -> String {
    rotabase_queries::types::text::to_string(datum, ty, &Settings::default())
}

fn key_of(id: &AggregateId) -> (&'static str, &'static str) {
    match id {
        AggregateId::Airport(_) => ("airports", "code"),
        AggregateId::Airplane(_) => ("airplanes", "registration"),
        AggregateId::Rotation(_) => ("rotations", "id"),
        AggregateId::Flight(_) => ("legs", "flight"),
    }
}

fn unique(id: &AggregateId) -> SqlError {
    let (table, column) = key_of(id);
    let error =
        SqlError::new(SqlState::UNIQUE_VIOLATION, format!("{} {id} already exists", noun(id)))
            .with_detail(format!("Key ({column})=({id}) already exists."));
    with_names(error, table, &format!("{table}_pkey"))
}

fn missing(id: &AggregateId) -> SqlError {
    let (table, column) = key_of(id);
    let error =
        SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, format!("{} {id} does not exist", noun(id)))
            .with_detail(format!("Key ({column})=({id}) is not present in table \"{table}\"."));
    with_names(error, table, &format!("{table}_{column}_fkey"))
}

/// The type of an aggregate as a common noun.
fn noun(id: &AggregateId) -> &'static str {
    match id {
        AggregateId::Airport(_) => "airport",
        AggregateId::Airplane(_) => "airplane",
        AggregateId::Rotation(_) => "rotation",
        AggregateId::Flight(_) => "flight",
    }
}

fn with_names(mut error: SqlError, table: &str, constraint: &str) -> SqlError {
    error.table = Some(table.to_owned());
    error.constraint = Some(constraint.to_owned());
    error
}

/// A message as a full sentence.
fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + characters.as_str() + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_too_much_at_once_is_told_what_counts_and_what_to_do() {
        let error = write_error(WriteError::TooLarge);
        assert_eq!(error.state, SqlState::PROGRAM_LIMIT_EXCEEDED);
        let detail = error.detail.as_deref().unwrap_or_default();
        assert!(detail.contains("all of the rotations") && detail.contains("1024 MiB"), "{detail}");
        let hint = error.hint.as_deref().unwrap_or_default();
        assert!(hint.contains("fewer rotations"), "{hint}");
    }
}
