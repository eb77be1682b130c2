//! What operators look at: the rows of schema `rotabase`.

use super::cell::{bool, int4, int8, text, text_or_null, time};
use super::relation::{Maker, Scope};
use super::table::Rows;
use crate::types::Datum;

pub(super) static MAKERS: &[Maker] = &[
    Maker::live(
        "nodes",
        &[
            "node",
            "address",
            "role",
            "connected",
            "this_node",
            "shards_led",
            "version",
            "shards_voted",
            "draining",
        ],
        nodes,
    ),
    Maker::live("replicas", &["shard", "node", "role", "placed"], replicas),
    Maker::live(
        "shards",
        &["shard", "leader", "leading", "term", "last_index", "committed", "applied", "size_bytes"],
        shards,
    ),
    Maker::live(
        "projections",
        &["projection", "shard", "position", "committed", "lag_events", "lag", "awaited"],
        projections,
    ),
    Maker::live("sessions", SESSION, sessions),
    Maker::live("settings", &["name", "setting", "description"], settings),
];

fn nodes(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for node in scope.state.nodes() {
        rows.push([
            int8(node.node),
            text(&node.address),
            text(&node.role),
            bool(node.connected),
            bool(node.this_node),
            int8(node.shards_led),
            text_or_null(node.version),
            int8(node.shards_voted),
            bool(node.draining),
        ]);
    }
}

fn replicas(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for replica in scope.state.replicas() {
        rows.push([
            int4(replica.shard),
            int8(replica.node),
            text(replica.role),
            bool(replica.placed),
        ]);
    }
}

fn shards(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for shard in scope.state.shards() {
        rows.push([
            int4(shard.shard),
            shard.leader.map_or(Datum::Null, int8),
            bool(shard.leading),
            int8(shard.term),
            int8(shard.last_index),
            int8(shard.committed),
            int8(shard.applied),
            int8(shard.size_bytes),
        ]);
    }
}

fn projections(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for row in scope.state.projections() {
        rows.push([
            text(&row.projection),
            int4(row.shard),
            int8(row.position),
            int8(row.committed),
            int8(row.lag_events),
            row.lag.map_or(Datum::Null, Datum::Interval),
            int4(row.awaited),
        ]);
    }
}

const SESSION: &[&str] = &[
    "pid",
    "usename",
    "database",
    "application_name",
    "client",
    "state",
    "connected_at",
    "query_start",
    "state_change",
    "query",
];

fn sessions(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for session in scope.state.sessions() {
        let client = session.client_address.as_ref().map(|address| match session.client_port {
            Some(port) => format!("{address}:{port}"),
            None => address.clone(),
        });
        rows.push([
            int4(session.pid),
            text(&session.user),
            text(&session.database),
            text(&session.application_name),
            text_or_null(client),
            text(&session.state),
            Datum::TimestampTz(session.connected_at),
            time(session.query_start),
            time(session.state_change),
            text(&session.query),
        ]);
    }
}

fn settings(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for row in super::pg::described_settings(scope) {
        let value = scope.settings.all.get(&row.name.to_lowercase()).unwrap_or(&row.default);
        rows.push([text(&row.name), text(value), text(&row.description)]);
    }
}
