//! Relations in memory and a way to run SQL over them, for tests of the query engine as a whole.
//!
//! The rows stand in `tests/data/*.tsv`, in the form of PostgreSQL's COPY; `tests/data/schema.sql` loads the same
//! rows into a PostgreSQL to compare with.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses a part of it, and a test may unwrap"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rotabase_engine::env::{Clock, Random};
use rotabase_queries::as_of::PastSnapshots;
use rotabase_queries::catalog::Catalog;
use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::exec::{Cancel, Cursor, ExecContext, Settings, direct};
use rotabase_queries::optimize::optimize;
use rotabase_queries::plan::Plan;
use rotabase_queries::projection::Snapshot;
use rotabase_queries::relation::{
    Access, Bound, Column, Index, Relation, RelationKind, RelationSchema, RowScan,
};
use rotabase_queries::sql::{self, Bound as Statement};
use rotabase_queries::types::{Datum, PgType, compare, text};

/// A clock that stands still, at 2026-04-01 12:00 UTC.
#[derive(Debug)]
pub(crate) struct StoppedClock;

/// What [`StoppedClock`] shows.
pub(crate) const NOW: i64 = 828_360_000_000_000;

impl Clock for StoppedClock {
    fn now_microseconds(&self) -> i64 {
        NOW
    }
}

/// No randomness at all, but different numbers.
#[derive(Debug, Default)]
pub(crate) struct Counting(std::sync::atomic::AtomicU64);

impl Random for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(0x9E37_79B9_7F4A_7C15, std::sync::atomic::Ordering::Relaxed)
    }
}

/// Rows in memory, in the order of the primary key.
#[derive(Debug)]
pub(crate) struct MemoryRelation {
    schema: Arc<RelationSchema>,
    rows: Vec<Vec<Datum>>,
    /// What it says its size is.
    estimate: u64,
}

impl MemoryRelation {
    /// A relation of `public` with columns (name, type, not null) and indexes, the first being the primary key.
    pub(crate) fn new(
        name: &'static str,
        columns: &[(&'static str, PgType, bool)],
        indexes: &[&[usize]],
        mut rows: Vec<Vec<Datum>>,
    ) -> Arc<Self> {
        let columns = columns.iter().map(|(name, ty, not_null)| Column {
            name,
            ty: *ty,
            not_null: *not_null,
            default: None,
        });
        let named = |place: usize| if place == 0 { "_pkey" } else { "_idx" };
        let indexes = indexes.iter().enumerate().map(|(place, columns)| Index {
            name: Box::leak(
                format!(
                    "{name}{}{}",
                    named(place),
                    if place > 1 { place.to_string() } else { String::new() }
                )
                .into_boxed_str(),
            ),
            oid: 0,
            columns: columns.to_vec(),
            unique: place == 0,
            primary: place == 0,
        });
        let schema = RelationSchema {
            oid: 16384 + u32::try_from(name.len()).unwrap(),
            schema: "public",
            name,
            kind: RelationKind::Table,
            columns: columns.collect(),
            indexes: indexes.collect(),
            foreign_keys: Vec::new(),
            comment: "",
        };
        if let Some(primary) = schema.indexes.first() {
            rows.sort_by(|left, right| compare_columns(&schema, &primary.columns, left, right));
        }
        let estimate = u64::try_from(rows.len()).unwrap();
        Arc::new(Self { schema: Arc::new(schema), rows, estimate })
    }

    /// The same relation, pretending to be of another size.
    pub(crate) fn pretending(self: Arc<Self>, estimate: u64) -> Arc<Self> {
        let mut relation = Arc::try_unwrap(self).unwrap();
        relation.estimate = estimate;
        Arc::new(relation)
    }
}

fn compare_columns(
    schema: &RelationSchema,
    columns: &[usize],
    left: &[Datum],
    right: &[Datum],
) -> std::cmp::Ordering {
    let orders = columns
        .iter()
        .map(|column| compare(schema.columns[*column].ty)(&left[*column], &right[*column]));
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

struct MemoryScan {
    rows: std::vec::IntoIter<Vec<Datum>>,
}

impl RowScan for MemoryScan {
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool> {
        for _ in 0..rows_max {
            match self.rows.next() {
                Some(row) => out.extend(row),
                None => return Ok(false),
            }
        }
        Ok(!self.rows.as_slice().is_empty())
    }
}

impl Relation for MemoryRelation {
    fn schema(&self) -> &Arc<RelationSchema> {
        &self.schema
    }

    fn scan(
        &self,
        _context: &ExecContext,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        let mut rows: Vec<&Vec<Datum>> = self.rows.iter().collect();
        if let Access::Index { index, prefix, lower, upper, backward } = access {
            let index = &self.schema.indexes[*index];
            // As in a projection, a row with a null in an index is not in that index.
            rows.retain(|row| index.columns.iter().all(|column| !row[*column].is_null()));
            let order = |column: usize, row: &[Datum], value: &Datum| {
                compare(self.schema.columns[column].ty)(&row[column], value)
            };
            for (column, value) in index.columns.iter().zip(prefix) {
                assert!(!value.is_null(), "an access path never holds a null");
                rows.retain(|row| order(*column, row, value).is_eq());
            }
            if let Some(column) = index.columns.get(prefix.len()).copied() {
                rows.retain(|row| match lower {
                    Bound::Open => true,
                    Bound::Included(value) => order(column, row, value).is_ge(),
                    Bound::Excluded(value) => order(column, row, value).is_gt(),
                });
                rows.retain(|row| match upper {
                    Bound::Open => true,
                    Bound::Included(value) => order(column, row, value).is_le(),
                    Bound::Excluded(value) => order(column, row, value).is_lt(),
                });
            }
            rows.sort_by(|left, right| compare_columns(&self.schema, &index.columns, left, right));
            if *backward {
                rows.reverse();
            }
        }
        let rows: Vec<Vec<Datum>> = rows
            .into_iter()
            .map(|row| columns.iter().map(|column| row[*column].clone()).collect())
            .collect();
        Ok(Box::new(MemoryScan { rows: rows.into_iter() }))
    }

    fn count(&self, _context: &ExecContext) -> Result<Option<u64>> {
        Ok(Some(u64::try_from(self.rows.len()).unwrap()))
    }

    fn estimate(&self) -> u64 {
        self.estimate
    }
}

/// What a statement without parameters runs in.
pub(crate) fn context() -> ExecContext {
    ExecContext {
        settings: Arc::new(Settings::default()),
        transaction_time: NOW,
        statement_time: NOW,
        clock: Arc::new(StoppedClock),
        random: Arc::new(Counting::default()),
        parameters: Arc::new([]),
        snapshot: Snapshot::empty(),
        reads: None,
        past: PastSnapshots::default(),
        cancel: Cancel::default(),
        memory_bytes_max: 256 << 20,
        spill_directory: None,
        spill_bytes_max: 1 << 30,
    }
}

/// The directory of the test data.
pub(crate) fn directory(name: &str) -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it")).join("tests").join(name)
}

/// The tables of the contract with the rows of `tests/data`.
pub(crate) fn catalog() -> Catalog {
    use PgType::{Date, Int4, Int8, Interval, Text, TimestampTz, Uuid};
    let airports =
        [("code", Text, true), ("minimum_ground_time", Interval, true), ("version", Int8, true)];
    let airplanes = [
        ("registration", Text, true),
        ("aircraft_type", Text, false),
        ("minimum_ground_time", Interval, true),
        ("rotation_id", Uuid, false),
        ("version", Int8, true),
    ];
    let rotations = [
        ("id", Uuid, true),
        ("name", Text, false),
        ("legs", Int8, true),
        ("first_departure", TimestampTz, false),
        ("last_arrival", TimestampTz, false),
        ("version", Int8, true),
    ];
    let legs = [
        ("id", Uuid, true),
        ("rotation_id", Uuid, false),
        ("carrier", Text, true),
        ("flight_number", Int4, true),
        ("suffix", Text, true),
        ("day_of_origin", Date, true),
        ("departure_airport", Text, true),
        ("arrival_airport", Text, true),
        ("departure_time", TimestampTz, true),
        ("arrival_time", TimestampTz, true),
        ("departure_utc_offset", Int4, true),
        ("arrival_utc_offset", Int4, true),
        ("leg_sequence", Int4, true),
        ("itinerary_variation", Int4, true),
        ("service_type", Text, true),
        ("aircraft_type", Text, false),
        ("version", Int8, true),
    ];
    let legs_indexes: &[&[usize]] = &[&[0], &[1, 8], &[2, 3, 4, 6, 5], &[6, 8]];
    Catalog::new(vec![
        load("airports", &airports, &[&[0]]),
        load("airplanes", &airplanes, &[&[0], &[3]]),
        load("rotations", &rotations, &[&[0], &[1]]),
        load("legs", &legs, legs_indexes),
    ])
}

fn load(
    name: &'static str,
    columns: &[(&'static str, PgType, bool)],
    indexes: &[&[usize]],
) -> Arc<dyn Relation> {
    let context = context();
    let eval = rotabase_queries::exec::EvalContext { exec: &context };
    let file = fs::read_to_string(directory("data").join(format!("{name}.tsv"))).unwrap();
    let value = |ty: PgType, field: &str| match field {
        "\\N" => Datum::Null,
        field => text::read(ty, field, &text::ReadContext::of(&eval)).unwrap(),
    };
    let rows = file.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), columns.len(), "{name}: {line}");
        columns.iter().zip(fields).map(|((_, ty, _), field)| value(*ty, field)).collect()
    });
    MemoryRelation::new(name, columns, indexes, rows.collect())
}

/// Binds a query.
pub(crate) fn plan(catalog: &Catalog, query: &str) -> Result<Plan> {
    let statements = sql::parse(query)?;
    let [statement] = &*statements else { return Err(SqlError::internal("one statement, please")) };
    match sql::bind(catalog, &Settings::default(), statement, &[])? {
        Statement::Query(query) => Ok(query.plan),
        other => Err(SqlError::internal(format!("no query: {other:?}"))),
    }
}

/// The rows of an optimised plan as text, null as `\N`.
pub(crate) fn run(plan: &Arc<Plan>, context: &ExecContext) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    let mut cursor = Cursor::open(Arc::clone(plan), context.clone())?;
    while let Some(batch) = cursor.next()? {
        rows.extend(batch.iter().map(|row| line(plan, row)));
    }
    if let Some(direct) = direct(plan) {
        let mut batch = rotabase_queries::exec::Batch::default();
        if direct.run(context.clone(), &mut batch)?.is_none() {
            let direct: Vec<String> = batch.iter().map(|row| line(plan, row)).collect();
            assert_eq!(direct, rows, "the direct path gives the same rows");
        }
    }
    Ok(rows)
}

fn line(plan: &Plan, row: &[Datum]) -> String {
    let settings = Settings::default();
    let fields = plan.columns.iter().zip(row).map(|(column, value)| match value {
        Datum::Null => "\\N".to_owned(),
        value => text::to_string(value, column.ty, &settings),
    });
    fields.collect::<Vec<_>>().join("\t")
}

/// Runs a query, optimised.
pub(crate) fn query(catalog: &Catalog, query: &str) -> Result<Vec<String>> {
    run(&Arc::new(optimize(plan(catalog, query)?)), &context())
}

/// Whether the outermost query has an ORDER BY, so that the order of its rows counts.
fn is_ordered(query: &str) -> bool {
    let mut depth = 0;
    let upper = query.to_uppercase();
    for (at, character) in upper.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            'O' if depth == 0 && upper[at..].starts_with("ORDER BY") => return true,
            _ => {}
        }
    }
    false
}

/// Rows in an order that does not depend on how they were found, unless the query gives them one.
pub(crate) fn comparable(query: &str, mut rows: Vec<String>) -> Vec<String> {
    if !is_ordered(query) {
        rows.sort();
    }
    rows
}

/// What a PostgreSQL prints for a query, or `ERROR` and the SQLSTATE.
pub(crate) fn record(conninfo: &str, query: &str) -> String {
    let output = Command::new("psql")
        .args([
            "-X",
            conninfo,
            "-At",
            "-F",
            "\t",
            "-P",
            "null=\\N",
            "-v",
            "VERBOSITY=sqlstate",
            "-c",
            query,
        ])
        .env("PGTZ", "UTC")
        .output()
        .expect("psql is there");
    let errors = String::from_utf8(output.stderr).unwrap();
    match errors.strip_prefix("ERROR:  ") {
        Some(state) => format!("ERROR {}\n", state.trim()),
        None => String::from_utf8(output.stdout).unwrap(),
    }
}
