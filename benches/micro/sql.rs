//! Statements until they can run: what a client pays who does not prepare them.

use std::sync::LazyLock;

use divan::{Bencher, black_box};
use rotabase::Database;
use rotabase_queries::catalog::{Catalog, with_system_relations};
use rotabase_queries::exec::Settings;
use rotabase_queries::optimize::optimize;
use rotabase_queries::plan::Plan;
use rotabase_queries::sql::{self, Bound};

/// A look-up, a maintained check, a check as plain SQL, and a join; by name.
const QUERIES: [(&str, &str); 4] = [
    ("look_up", "SELECT id, name, legs FROM rotations WHERE id = $1"),
    ("verdict", "SELECT count(*) FROM ground_time_violations WHERE rotation_id = $1"),
    (
        "window",
        "SELECT count(*) FROM (SELECT arrival_airport, lead(departure_airport) OVER (PARTITION BY rotation_id \
         ORDER BY departure_time) AS next FROM legs WHERE rotation_id IS NOT NULL) pairs \
         WHERE arrival_airport <> next",
    ),
    (
        "join",
        "SELECT name, registration, airport, ground_time, required FROM ground_time_violations \
         JOIN rotations ON rotations.id = rotation_id LEFT JOIN airports ON code = airport \
         WHERE required > '30 minutes' ORDER BY 1, 2 LIMIT 20",
    ),
];

/// A command of a client that does not prepare it.
const INSERT: &str = "INSERT INTO legs (rotation_id, carrier, flight_number, day_of_origin, departure_airport, \
    arrival_airport, departure_time, arrival_time) VALUES ('00000000-0000-4000-8000-000000000001', 'LH', 400, \
    '2026-01-01', 'FRA', 'MUC', '2026-01-01 08:00Z', '2026-01-01 09:00Z')";

/// The names of a database, and the database and its directory, which stay until the end.
static CATALOG: LazyLock<(Catalog, Database, tempfile::TempDir)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(Database::open(directory.path())).expect("it opens");
    // Its tasks go on for as long as the program.
    std::mem::forget(runtime);
    let catalog = with_system_relations(database.projections().relations());
    (catalog, database, directory)
});

fn query(name: &str) -> &'static str {
    QUERIES.iter().find(|query| query.0 == name).expect("a query").1
}

fn names() -> impl Iterator<Item = &'static str> {
    QUERIES.iter().map(|query| query.0)
}

fn bind(text: &str) -> Bound {
    let statements = sql::parse(black_box(text)).expect("it parses");
    sql::bind(&CATALOG.0, &Settings::default(), &statements[0], &[]).expect("it binds")
}

fn plan(text: &str) -> Plan {
    match bind(text) {
        Bound::Query(query) => query.plan,
        other => panic!("no query: {other:?}"),
    }
}

/// From text to a tree of syntax.
#[divan::bench(args = names())]
fn parse(bencher: Bencher<'_, '_>, name: &str) {
    let text = query(name);
    bencher.bench_local(|| sql::parse(black_box(text)));
}

/// From text to a plan that can run.
#[divan::bench(args = names())]
fn parse_bind_optimise(bencher: Bencher<'_, '_>, name: &str) {
    let text = query(name);
    bencher.bench_local(|| optimize(plan(text)));
}

/// From text to a command.
#[divan::bench]
fn parse_bind_insert(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| bind(INSERT));
}
