//! Queries over the tables of the contract give what PostgreSQL 15 gives.
//!
//! `tests/select/*.txt` hold queries and, below `----`, what PostgreSQL printed. With
//! `ROTABASE_RECORD="host=.. port=.. dbname=.."` naming a PostgreSQL that has loaded `tests/data/schema.sql`, the
//! results are recorded anew instead of compared.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use rotabase_queries::optimize::optimize;

/// A query and what it gave.
struct Case {
    query: String,
    expected: Vec<String>,
}

fn cases(file: &str) -> Vec<Case> {
    let blocks = file.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| {
            let (query, expected) = block.split_once("\n----").unwrap_or((block, ""));
            let expected = expected.trim_start_matches('\n').lines().map(str::to_owned).collect();
            Case { query: query.trim().to_owned(), expected }
        })
        .collect()
}

/// The cases of a file that do not give what they should, as text.
fn failures(file: &str) -> String {
    let catalog = common::catalog();
    let mut failures = String::new();
    for case in cases(file) {
        let found = match common::query(&catalog, &case.query) {
            Ok(rows) => common::comparable(&case.query, rows),
            Err(error) => vec![format!("ERROR {}", error.state.0)],
        };
        let expected = common::comparable(&case.query, case.expected);
        if found != expected {
            let detail = common::query(&catalog, &case.query)
                .err()
                .map(|error| format!("{error:?}"))
                .unwrap_or_default();
            writeln!(
                failures,
                "{}\nexpected:\n{}\nfound:\n{}\n{detail}\n",
                case.query,
                expected.join("\n"),
                found.join("\n")
            )
            .unwrap();
        }
    }
    failures
}

#[test]
fn queries_give_what_postgresql_gives() {
    let mut files: Vec<_> = fs::read_dir(common::directory("select"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut failed = String::new();
    for path in files {
        let file = fs::read_to_string(&path).unwrap();
        if let Ok(conninfo) = std::env::var("ROTABASE_RECORD") {
            let mut recorded = fs::File::create(&path).unwrap();
            for case in cases(&file) {
                let rows = common::record(&conninfo, &case.query);
                let rows =
                    common::comparable(&case.query, rows.lines().map(str::to_owned).collect());
                let rows = rows.iter().fold(String::new(), |rows, row| rows + row + "\n");
                write!(recorded, "{}\n----\n{rows}\n", case.query).unwrap();
            }
        } else {
            failed.push_str(&failures(&file));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// Whatever memory there is, the rows are the same: what it does not hold goes on on disk. The order of rows that the
/// query leaves open may differ, and with it what floating-point sums and unordered aggregates give.
#[test]
fn little_memory_does_not_change_the_rows() {
    let catalog = common::catalog();
    let directory = tempfile::tempdir().unwrap();
    let mut context = common::context();
    context.spill_directory = Some(Arc::from(directory.path()));
    let mut spilled = 0;
    for entry in fs::read_dir(common::directory("select")).unwrap() {
        let file = fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in cases(&file) {
            let Ok(plan) = common::plan(&catalog, &case.query) else { continue };
            let plan = Arc::new(optimize(plan));
            for memory in [2_000, 20_000] {
                context.memory_bytes_max = memory;
                let Ok(rows) = common::run(&plan, &context) else { continue };
                let found = common::comparable(&case.query, rows);
                spilled += 1;
                let expected = common::comparable(&case.query, case.expected.clone());
                assert_eq!(found, expected, "{} with {memory} bytes", case.query);
            }
        }
    }
    assert!(spilled > 300, "{spilled} queries ran");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "temporary files are gone");
}

/// A plan gives the same rows as bound and as optimised.
#[test]
fn optimising_does_not_change_the_rows() {
    let catalog = common::catalog();
    for entry in fs::read_dir(common::directory("select")).unwrap() {
        let file = fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in cases(&file) {
            let Ok(plan) = common::plan(&catalog, &case.query) else { continue };
            if case.query.to_uppercase().contains("GROUPING") {
                continue;
            }
            let as_bound = common::run(&Arc::new(plan.clone()), &common::context());
            let optimised = common::run(&Arc::new(optimize(plan)), &common::context());
            if let (Ok(as_bound), Ok(optimised)) = (as_bound, optimised) {
                assert_eq!(
                    common::comparable(&case.query, as_bound),
                    common::comparable(&case.query, optimised),
                    "{}",
                    case.query
                );
            }
        }
    }
}
