//! Every recorded statement runs: one that fails empties a whole tree of a tool.

use std::path::Path;

use super::database::Database;

/// Runs the statements of a file; returns those that fail, with their errors.
fn failures(file: &str) -> Vec<String> {
    let path = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("tests/catalog/corpus")
        .join(file);
    let text = std::fs::read_to_string(path).expect("a file of the corpus");
    let database = Database::new();
    let mut failures = Vec::new();
    for statement in text.split("\n;\n").map(str::trim).filter(|it| !it.is_empty()) {
        match database.query(statement) {
            Ok(answer) => assert!(!answer.columns.is_empty(), "{statement}"),
            Err(error) => failures.push(format!("{error:?}\n{statement}")),
        }
    }
    failures
}

fn check(file: &str) {
    let failures = failures(file);
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn psql_describes_everything() {
    check("psql.sql");
}

#[test]
fn psql_completes_names() {
    check("psql_completion.sql");
}

#[test]
fn jdbc_reads_its_metadata() {
    check("jdbc.sql");
}

#[test]
fn sqlalchemy_reflects_tables() {
    check("sqlalchemy.sql");
}

#[test]
fn asyncpg_and_psycopg_look_up_types() {
    check("python.sql");
}

#[test]
fn other_tools_find_their_way() {
    check("tools.sql");
}
