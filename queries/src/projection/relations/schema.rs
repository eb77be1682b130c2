//! The names and shapes of the relations. OIDs are fixed: clients cache them.

use std::sync::Arc;

use crate::relation::{Column, ForeignKey, Index, RelationKind, RelationSchema};
use crate::types::PgType::{self, Date, Int4, Int8, Interval, Jsonb, Text, TimestampTz, Uuid};

/// A column that is never null.
fn column(name: &'static str, ty: PgType) -> Column {
    Column { name, ty, not_null: true, default: None }
}

/// A column that may be null.
fn nullable(name: &'static str, ty: PgType) -> Column {
    Column { name, ty, not_null: false, default: None }
}

/// A column that is never null and has a default.
fn defaulted(name: &'static str, ty: PgType, default: &'static str) -> Column {
    Column { name, ty, not_null: true, default: Some(default) }
}

fn primary(oid: u32, name: &'static str, columns: &[usize]) -> Index {
    Index { name, oid, columns: columns.to_vec(), unique: true, primary: true }
}

fn index(oid: u32, name: &'static str, columns: &[usize]) -> Index {
    Index { name, oid, columns: columns.to_vec(), unique: false, primary: false }
}

fn rotation_key(oid: u32, name: &'static str, column: usize) -> ForeignKey {
    ForeignKey { name, oid, columns: vec![column], table: "rotations", referenced: vec![0] }
}

const ZERO: &str = "'00:00:00'::interval";
const ID: &str = "gen_random_uuid()";

pub(super) fn airports() -> Arc<RelationSchema> {
    Arc::new(RelationSchema {
        oid: 16384,
        schema: "public",
        name: "airports",
        kind: RelationKind::Table,
        columns: vec![
            column("code", Text),
            defaulted("minimum_ground_time", Interval, ZERO),
            column("version", Int8),
        ],
        indexes: vec![primary(16385, "airports_pkey", &[0])],
        foreign_keys: Vec::new(),
        comment: "Airports and the least time an airplane must stand at each.",
    })
}

pub(super) fn airplanes() -> Arc<RelationSchema> {
    Arc::new(RelationSchema {
        oid: 16390,
        schema: "public",
        name: "airplanes",
        kind: RelationKind::Table,
        columns: vec![
            column("registration", Text),
            nullable("aircraft_type", Text),
            defaulted("minimum_ground_time", Interval, ZERO),
            nullable("rotation_id", Uuid),
            column("version", Int8),
        ],
        indexes: vec![
            primary(16391, "airplanes_pkey", &[0]),
            index(16392, "airplanes_rotation_id_idx", &[3]),
        ],
        foreign_keys: vec![rotation_key(16393, "airplanes_rotation_id_fkey", 3)],
        comment: "Airplanes, the least time each must stand between two legs, and the rotation it flies.",
    })
}

pub(super) fn rotations() -> Arc<RelationSchema> {
    Arc::new(RelationSchema {
        oid: 16400,
        schema: "public",
        name: "rotations",
        kind: RelationKind::Table,
        columns: vec![
            defaulted("id", Uuid, ID),
            nullable("name", Text),
            defaulted("legs", Int8, "0"),
            nullable("first_departure", TimestampTz),
            nullable("last_arrival", TimestampTz),
            column("version", Int8),
        ],
        indexes: vec![
            primary(16401, "rotations_pkey", &[0]),
            index(16402, "rotations_name_idx", &[1]),
        ],
        foreign_keys: Vec::new(),
        comment: "Rotations: legs that one airplane flies, one after the other.",
    })
}

pub(super) fn legs() -> Arc<RelationSchema> {
    Arc::new(RelationSchema {
        oid: 16410,
        schema: "public",
        name: "legs",
        kind: RelationKind::Table,
        columns: vec![
            defaulted("id", Uuid, ID),
            nullable("rotation_id", Uuid),
            column("carrier", Text),
            column("flight_number", Int4),
            defaulted("suffix", Text, "''::text"),
            column("day_of_origin", Date),
            column("departure_airport", Text),
            column("arrival_airport", Text),
            column("departure_time", TimestampTz),
            column("arrival_time", TimestampTz),
            defaulted("departure_utc_offset", Int4, "0"),
            defaulted("arrival_utc_offset", Int4, "0"),
            defaulted("leg_sequence", Int4, "1"),
            defaulted("itinerary_variation", Int4, "1"),
            defaulted("service_type", Text, "'J'::text"),
            nullable("aircraft_type", Text),
            column("version", Int8),
        ],
        indexes: vec![
            primary(16411, "legs_pkey", &[0]),
            index(16412, "legs_rotation_id_departure_time_idx", &[1, 8]),
            index(
                16413,
                "legs_carrier_flight_number_suffix_departure_airport_day_of__idx",
                &[2, 3, 4, 6, 5],
            ),
            index(16414, "legs_departure_airport_departure_time_idx", &[6, 8]),
        ],
        foreign_keys: vec![rotation_key(16415, "legs_rotation_id_fkey", 1)],
        comment: "Legs: movements of an airplane from one airport to another; without a rotation they are open.",
    })
}

pub(super) fn events() -> Arc<RelationSchema> {
    Arc::new(RelationSchema {
        oid: 16420,
        schema: "public",
        name: "events",
        kind: RelationKind::View,
        columns: vec![
            column("shard", Int4),
            column("position", Int8),
            column("aggregate_type", Text),
            column("aggregate_id", Text),
            column("version", Int8),
            column("event_type", Text),
            column("schema_version", Int4),
            column("payload", Jsonb),
            column("metadata", Jsonb),
            column("recorded_at", TimestampTz),
        ],
        indexes: vec![primary(16421, "events_pkey", &[0, 1])],
        foreign_keys: Vec::new(),
        comment: "What has happened: every event, in order within its shard.",
    })
}

pub(super) fn continuity_violations() -> Arc<RelationSchema> {
    view(
        16430,
        "continuity_violations",
        vec![
            column("rotation_id", Uuid),
            column("leg_id", Uuid),
            column("next_leg_id", Uuid),
            column("arrival_airport", Text),
            column("next_departure_airport", Text),
        ],
        index(16431, "continuity_violations_rotation_id_idx", &[0]),
        "Legs that arrive elsewhere than the next leg of their rotation departs.",
    )
}

pub(super) fn ground_time_violations() -> Arc<RelationSchema> {
    view(
        16440,
        "ground_time_violations",
        vec![
            column("rotation_id", Uuid),
            nullable("registration", Text),
            column("leg_id", Uuid),
            column("next_leg_id", Uuid),
            column("airport", Text),
            column("ground_time", Interval),
            column("required", Interval),
            column("required_by", Text),
        ],
        index(16441, "ground_time_violations_rotation_id_idx", &[0]),
        "Legs after which an airplane stands shorter than its or the airport's minimum ground time.",
    )
}

pub(super) fn designator_violations() -> Arc<RelationSchema> {
    view(
        16450,
        "designator_violations",
        vec![
            column("carrier", Text),
            column("flight_number", Int4),
            column("suffix", Text),
            column("departure_airport", Text),
            column("day_of_origin", Date),
            column("leg_id", Uuid),
        ],
        index(
            16451,
            "designator_violations_carrier_flight_number_suffix_departur_idx",
            &[0, 1, 2, 3, 4, 5],
        ),
        "Legs that share their flight designator with another leg.",
    )
}

pub(super) fn schedule_violations() -> Arc<RelationSchema> {
    view(
        16460,
        "schedule_violations",
        vec![
            column("kind", Text),
            nullable("rotation_id", Uuid),
            column("leg_id", Uuid),
            column("other_leg_id", Uuid),
            column("detail", Text),
        ],
        index(16461, "schedule_violations_rotation_id_idx", &[1]),
        "All violations of the schedule.",
    )
}

pub(super) fn leg_history() -> Arc<RelationSchema> {
    view(
        16470,
        "leg_history",
        history(vec![column("leg_id", Uuid)]),
        index(16471, "leg_history_leg_id_idx", &[0]),
        "Who changed a leg, when, from what to what.",
    )
}

pub(super) fn rotation_history() -> Arc<RelationSchema> {
    view(
        16480,
        "rotation_history",
        history(vec![column("rotation_id", Uuid), nullable("leg_id", Uuid)]),
        index(16481, "rotation_history_rotation_id_idx", &[0]),
        "Who changed a rotation or a leg in it, when, from what to what.",
    )
}

pub(super) fn airplane_history() -> Arc<RelationSchema> {
    view(
        16490,
        "airplane_history",
        history(vec![column("registration", Text)]),
        index(16491, "airplane_history_registration_idx", &[0]),
        "Who changed an airplane, when, from what to what.",
    )
}

pub(super) fn airport_history() -> Arc<RelationSchema> {
    view(
        16500,
        "airport_history",
        history(vec![column("code", Text)]),
        index(16501, "airport_history_code_idx", &[0]),
        "Who changed an airport, when, from what to what.",
    )
}

/// The columns of a history behind those that say what it is of.
fn history(mut columns: Vec<Column>) -> Vec<Column> {
    columns.extend([
        column("version", Int8),
        column("changed_at", TimestampTz),
        column("changed_by", Text),
        column("application", Text),
        nullable("transaction_id", Uuid),
        nullable("correlation_id", Text),
        column("event_type", Text),
        nullable("before", Jsonb),
        nullable("after", Jsonb),
        nullable("change", Jsonb),
    ]);
    columns
}

fn view(
    oid: u32,
    name: &'static str,
    columns: Vec<Column>,
    index: Index,
    comment: &'static str,
) -> Arc<RelationSchema> {
    Arc::new(RelationSchema {
        oid,
        schema: "public",
        name,
        kind: RelationKind::View,
        columns,
        indexes: vec![index],
        foreign_keys: Vec::new(),
        comment,
    })
}
