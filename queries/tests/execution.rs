//! How plans are run: within their memory, until they are cancelled, by which access paths, shown by EXPLAIN.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::sync::Arc;

use rotabase_queries::catalog::Catalog;
use rotabase_queries::error::SqlState;
use rotabase_queries::exec::explain::{ExplainOptions, explain, text};
use rotabase_queries::exec::{Batch, Cursor, DIRECT_ROWS_MAX, EXEC_STACK_BYTES, direct};
use rotabase_queries::optimize::optimize;
use rotabase_queries::plan::Plan;
use rotabase_queries::sql;
use rotabase_queries::types::{Datum, PgType};

/// `numbers (n int4 primary key, k int4, t text)` with so many rows; `k` is `n` backwards.
fn numbers(rows: i32) -> Catalog {
    let columns =
        [("n", PgType::Int4, true), ("k", PgType::Int4, true), ("t", PgType::Text, false)];
    let row = |n: i32| {
        vec![Datum::Int4(n), Datum::Int4(rows - n), Datum::text(format!("number {:08}", n % 1000))]
    };
    let relation = common::MemoryRelation::new(
        "numbers",
        &columns,
        &[&[0], &[2, 0]],
        (0..rows).map(row).collect(),
    );
    Catalog::new(vec![relation])
}

fn optimised(catalog: &Catalog, query: &str) -> Arc<Plan> {
    Arc::new(optimize(common::plan(catalog, query).unwrap()))
}

fn explained(catalog: &Catalog, query: &str) -> String {
    text(&optimised(catalog, query), false).join("\n")
}

#[test]
fn a_statement_fails_when_it_needs_more_memory_than_it_may_have() {
    let catalog = numbers(20_000);
    for query in [
        "SELECT * FROM numbers ORDER BY k",
        "SELECT DISTINCT k FROM numbers",
        "SELECT a.n FROM numbers a JOIN numbers b ON a.k = b.k",
        "WITH x AS (SELECT * FROM numbers) SELECT * FROM x a, x b",
    ] {
        let mut context = common::context();
        context.memory_bytes_max = 100_000;
        let error = common::run(&optimised(&catalog, query), &context).unwrap_err();
        assert_eq!(error.state, SqlState::OUT_OF_MEMORY, "{query}");
    }
}

#[test]
fn a_sort_that_spills_gives_the_same_rows() {
    let catalog = numbers(20_000);
    let directory = tempfile::tempdir().unwrap();
    for query in [
        "SELECT t, n FROM numbers ORDER BY t DESC, k",
        "SELECT t FROM numbers ORDER BY n % 7 + k, t",
    ] {
        let Ok(plan) = common::plan(&catalog, query) else { continue };
        let plan = Arc::new(optimize(plan));
        let mut small = common::context();
        small.memory_bytes_max = 400_000;
        small.spill_directory = Some(directory.path().into());
        assert_eq!(
            common::run(&plan, &small).unwrap(),
            common::run(&plan, &common::context()).unwrap()
        );
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            0,
            "no file outlives its statement"
        );
    }
}

#[test]
fn a_cancelled_statement_stops() {
    let catalog = numbers(5_000);
    let context = common::context();
    let plan = optimised(
        &catalog,
        "SELECT a.n FROM numbers a, numbers b, numbers c WHERE a.k + b.k + c.k < 0",
    );
    context.cancel.cancel();
    let error = common::run(&plan, &context).unwrap_err();
    assert_eq!(error.state, SqlState::QUERY_CANCELED);
}

#[test]
fn a_cursor_can_rest_between_batches_and_move_between_threads() {
    let catalog = numbers(3_000);
    let mut cursor =
        Cursor::open(optimised(&catalog, "SELECT n FROM numbers"), common::context()).unwrap();
    let mut rows = 0;
    while let Some(batch) = cursor.next_rows(100).unwrap() {
        rows += batch.rows;
        cursor = std::thread::spawn(move || cursor).join().unwrap();
    }
    assert_eq!(rows, 3_000);
}

#[test]
fn a_limit_reads_no_further() {
    let catalog = numbers(10_000);
    let plan = optimised(&catalog, "SELECT n, t FROM numbers ORDER BY n DESC LIMIT 3");
    assert_eq!(common::run(&plan, &common::context()).unwrap().len(), 3);
    assert_eq!(
        text(&plan, false)[1].trim(),
        "->  Index Scan Backward using numbers_pkey on numbers"
    );
}

#[test]
fn access_paths_are_chosen() {
    let catalog = common::catalog();
    let by_key = "SELECT carrier FROM legs WHERE id = '01890000-0000-7000-8000-0000000003f0'";
    assert!(explained(&catalog, by_key).contains("Index Scan using legs_pkey on legs"));
    let by_rotation = "SELECT id FROM legs WHERE rotation_id = '01890000-0000-7000-8000-000000000064' ORDER BY departure_time DESC";
    let shown = explained(&catalog, by_rotation);
    assert!(
        shown.contains("Index Scan Backward using legs_idx on legs") && !shown.contains("Sort"),
        "{shown}"
    );
    let shown = explained(
        &catalog,
        "SELECT id FROM legs WHERE departure_airport = ANY (ARRAY['FRA', 'MUC'])",
    );
    assert!(shown.contains("Index Cond: (departure_airport = ANY"), "{shown}");
    let shown = explained(
        &catalog,
        "SELECT id FROM legs WHERE carrier = 'LH' AND flight_number > 5 AND version = 2",
    );
    assert!(
        shown.contains("Index Cond: ((carrier = 'LH'::text) AND (flight_number > 5))"),
        "{shown}"
    );
    assert!(shown.contains("Filter: (version = "), "{shown}");
}

#[test]
fn joins_by_comma_are_no_cross_products() {
    let catalog = common::catalog();
    let shown = explained(
        &catalog,
        "SELECT l.id FROM airports d, airplanes p, legs l, rotations r \
         WHERE l.rotation_id = r.id AND p.rotation_id = r.id AND d.code = l.departure_airport",
    );
    for line in shown.lines().filter(|line| line.contains("Nested Loop")) {
        assert!(shown.contains("Index Cond"), "{line}\n{shown}");
    }
    let shown = explained(
        &catalog,
        "SELECT code FROM airports a WHERE EXISTS (SELECT 1 FROM legs l WHERE l.departure_airport = a.code)",
    );
    assert!(shown.contains("Semi Join"), "{shown}");
}

#[test]
fn key_look_ups_and_short_ranges_are_direct() {
    let catalog = numbers(2_000);
    let context = common::context();
    let mut batch = Batch::default();
    let one = direct(&optimised(&catalog, "SELECT t FROM numbers WHERE n = 17")).unwrap();
    assert!(one.run(context.clone(), &mut batch).unwrap().is_none());
    assert_eq!((batch.width, batch.rows), (1, 1));
    let long = direct(&optimised(&catalog, "SELECT t FROM numbers WHERE n > 17")).unwrap();
    assert!(
        long.run(context.clone(), &mut batch).unwrap().is_some(),
        "more than {DIRECT_ROWS_MAX} rows are for a cursor"
    );
    assert_eq!(batch.rows, 0);
    let short = direct(&optimised(&catalog, "SELECT t FROM numbers WHERE n > 17 LIMIT 5")).unwrap();
    assert!(short.run(context, &mut batch).unwrap().is_none());
    assert_eq!(batch.rows, 5);
    assert!(direct(&optimised(&catalog, "SELECT t FROM numbers WHERE k = 1")).is_none());
}

#[test]
fn explain_analyze_counts_rows_and_loops() {
    let catalog = numbers(100);
    let plan = optimised(&catalog, "SELECT n FROM numbers WHERE k < 10");
    let options =
        ExplainOptions { timing: false, summary: false, costs: false, ..ExplainOptions::new(true) };
    let lines = explain(&plan, &common::context(), &options).unwrap();
    assert!(
        lines.iter().any(|line| line.contains("Seq Scan on numbers (actual rows=9 loops=1)")),
        "{lines:?}"
    );
    let json =
        explain(&plan, &common::context(), &ExplainOptions { json: true, ..options }).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    let node = &json[0]["Plan"];
    assert_eq!(node["Node Type"], "Seq Scan");
    assert_eq!(node["Relation Name"], "numbers");
    assert_eq!(node["Actual Rows"], 9);
    assert_eq!(node["Filter"], "(k < 10)");
}

/// What the parser lets through fits on the stack that plans are run with.
#[test]
fn the_deepest_statements_fit_on_the_stack() {
    let run = || {
        let catalog = numbers(3);
        let sum = vec!["n"; sql::OPERATOR_CHAIN_MAX].join(" + ");
        let nested = |open: &str, close: &str| {
            let depth = sql::NESTING_MAX / 2;
            format!("SELECT {}n{} FROM numbers", open.repeat(depth), close.repeat(depth))
        };
        let union = vec!["SELECT n FROM numbers"; 200].join(" UNION ALL ");
        for query in [
            format!("SELECT {sum} FROM numbers"),
            nested("abs(", ")"),
            nested("(SELECT ", ")"),
            union,
        ] {
            // Refusing is fine, overflowing the stack is not.
            if let Ok(plan) = common::plan(&catalog, &query) {
                let _ = common::run(&Arc::new(optimize(plan)), &common::context());
            }
        }
    };
    std::thread::Builder::new().stack_size(EXEC_STACK_BYTES).spawn(run).unwrap().join().unwrap();
}
