//! What statements bind to: names, types, parameters and errors, as recorded from PostgreSQL 15.
//!
//! Each file of `binding/` lists statements, each after `> `, and below it what PostgreSQL answered to Parse and
//! Describe: `column name type`, `params types`, `no rows`, or `error SQLSTATE position message` with `detail` and
//! `hint`. Lines that begin with `!` say what we answer on purpose where we differ.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "binding/limits.rs"]
mod limits;
#[path = "binding/utility.rs"]
mod utility;

use std::fmt::Write as _;
use std::sync::Arc;

use rotabase_queries::catalog::{Catalog, NoState, System, with_system_relations};
use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::exec::{ExecContext, Settings};
use rotabase_queries::relation::{
    Access, Column, Index, Relation, RelationKind, RelationSchema, RowScan,
};
use rotabase_queries::sql::{Bound, bind, parse};
use rotabase_queries::types::PgType;

#[derive(Debug)]
struct Table(Arc<RelationSchema>);

impl Relation for Table {
    fn schema(&self) -> &Arc<RelationSchema> {
        &self.0
    }

    fn scan(&self, _: &ExecContext, _: &Access, _: &[usize]) -> Result<Box<dyn RowScan>> {
        Err(SqlError::internal("nothing is run here"))
    }

    fn count(&self, _: &ExecContext) -> Result<Option<u64>> {
        Ok(None)
    }

    fn estimate(&self) -> u64 {
        0
    }
}

/// A table from `name type` pairs; `!` after a type is not null, `=` begins a default.
fn table(name: &'static str, key: &[usize], columns: &'static str) -> Arc<dyn Relation> {
    let columns = columns.split(',').map(|column| {
        let (column, default) = match column.split_once('=') {
            Some((column, default)) => (column, Some(default)),
            None => (column, None),
        };
        let (name, ty) = column.trim().split_once(' ').unwrap();
        let ty = PgType::from_typname(ty.trim_end_matches('!')).unwrap();
        Column { name, ty, not_null: column.contains('!'), default }
    });
    let primary = Index { name: "key", oid: 1, columns: key.to_vec(), unique: true, primary: true };
    Arc::new(Table(Arc::new(RelationSchema {
        oid: 16000,
        schema: "public",
        name,
        kind: RelationKind::Table,
        columns: columns.collect(),
        indexes: if key.is_empty() { vec![] } else { vec![primary] },
        foreign_keys: vec![],
        comment: "",
    })))
}

fn catalog() -> Catalog {
    with_system_relations(vec![
        table(
            "airports",
            &[0],
            "code text!,minimum_ground_time interval!='00:00:00',version int8!",
        ),
        table(
            "airplanes",
            &[0],
            "registration text!,aircraft_type text,minimum_ground_time interval!='00:00:00',rotation_id uuid,\
             version int8!",
        ),
        table(
            "rotations",
            &[0],
            "id uuid!=gen_random_uuid(),name text,legs int8!=0,first_departure timestamptz,\
             last_arrival timestamptz,version int8!",
        ),
        table(
            "legs",
            &[0],
            "id uuid!=gen_random_uuid(),rotation_id uuid,carrier text!,flight_number int4!,suffix text!='',\
             day_of_origin date!,departure_airport text!,arrival_airport text!,departure_time timestamptz!,\
             arrival_time timestamptz!,departure_utc_offset int4!=0,arrival_utc_offset int4!=0,\
             leg_sequence int4!=1,itinerary_variation int4!=1,service_type text!='J',aircraft_type text,\
             version int8!",
        ),
        table(
            "t",
            &[],
            "a int4,b text,c int8,d numeric,e float8,f date,ts timestamp,tz timestamptz,i interval,u uuid,y bool,\
             arr _int4,txt _text,j jsonb,o oid,n name",
        ),
        table("k", &[0], "id int4!,v text,w int2"),
        table(
            "events",
            &[0, 1],
            "shard int4!,position int8!,aggregate_type text!,aggregate_id text!,version int8!,event_type text!,\
             schema_version int4!,payload jsonb!,metadata jsonb!,recorded_at timestamptz!",
        ),
    ])
}

fn settings(catalog: &Catalog) -> Settings {
    let system = System::new(Arc::new(NoState));
    system.publish(Arc::new(catalog.clone()));
    Settings {
        search_path: vec!["rotabase".to_owned(), "public".to_owned()],
        database: "rotabase".to_owned(),
        objects: Arc::new(system),
        ..Settings::default()
    }
}

/// What we answer to a statement, in the form of the files.
fn answer(catalog: &Catalog, settings: &Settings, sql: &str) -> String {
    let bound = parse(sql).and_then(|statements| bind(catalog, settings, &statements[0], &[]));
    match bound {
        Ok(bound) => describe(&bound),
        Err(error) => {
            let place = error.position.map_or_else(|| "-".to_owned(), |place| place.to_string());
            let mut out = format!("error {} {place} {}\n", error.state.0, error.message);
            if let Some(detail) = error.detail {
                writeln!(out, "detail {detail}").unwrap();
            }
            if let Some(hint) = error.hint {
                writeln!(out, "hint {hint}").unwrap();
            }
            out
        }
    }
}

fn describe(bound: &Bound) -> String {
    let mut out = String::new();
    let parameters: Vec<&str> = bound.parameters().iter().map(|ty| ty.typname()).collect();
    if !parameters.is_empty() {
        writeln!(out, "params {}", parameters.join(" ")).unwrap();
    }
    let Some(columns) = bound.columns() else {
        out.push_str("no rows\n");
        return out;
    };
    for column in columns.iter() {
        write!(out, "column {} {}", column.name, column.ty.typname()).unwrap();
        if column.typmod != -1 {
            write!(out, " typmod={}", column.typmod).unwrap();
        }
        if column.origin.1 != 0 {
            write!(out, " origin={}", column.origin.1).unwrap();
        }
        out.push('\n');
    }
    out
}

/// Compares every statement of a file with what is recorded for it.
fn check(recorded: &str, origins: bool) {
    let recorded = recorded.to_owned();
    on_server_stack(move || {
        let catalog = catalog();
        let settings = settings(&catalog);
        let mut failures = String::new();
        let recorded = format!("\n{recorded}");
        for entry in recorded.split("\n> ").skip(1) {
            let (sql, expected) = entry.split_once('\n').unwrap();
            let lines =
                || expected.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            let differing: Vec<&str> = lines().filter_map(|line| line.strip_prefix("! ")).collect();
            let expected: Vec<&str> =
                if differing.is_empty() { lines().collect() } else { differing };
            let found = answer(&catalog, &settings, sql);
            // What tools ask is recorded without the numbers of columns: ours are other tables.
            let plain = |line: &str| line.split(" origin=").next().unwrap_or_default().to_owned();
            let alike = if origins {
                found.lines().eq(expected.iter().copied())
            } else {
                found.lines().map(plain).eq(expected.iter().map(|line| (*line).to_owned()))
            };
            if !alike {
                write!(
                    failures,
                    "\n> {sql}\n--- expected\n{}\n--- found\n{found}",
                    expected.join("\n")
                )
                .unwrap();
            }
        }
        assert!(failures.is_empty(), "{failures}");
    });
}

/// Runs something on a stack as deep as that of the server's threads.
fn on_server_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(16 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn queries_have_the_columns_that_postgresql_gives_them() {
    check(include_str!("binding/queries.txt"), true);
}

#[test]
fn parameters_have_the_types_that_postgresql_infers() {
    check(include_str!("binding/parameters.txt"), true);
}

#[test]
fn errors_are_those_of_postgresql() {
    check(include_str!("binding/errors.txt"), true);
}

#[test]
fn what_psql_and_drivers_ask_of_the_catalog_binds() {
    check(include_str!("binding/tools.txt"), false);
}
