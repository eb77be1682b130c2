//! Expressions give what PostgreSQL 15 gives, to the byte.
//!
//! `tests/expressions/*.txt` hold one expression a line, then a tab and what PostgreSQL 15 printed, or `ERROR`, the
//! SQLSTATE and the message. `tests/expressions/record.py` records them anew from a running PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fmt::Write as _;
use std::fs;

/// The lines of a file that do not give what they should.
fn failures(file: &str) -> String {
    let catalog = common::catalog();
    let mut failures = String::new();
    for line in file.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (expression, expected) = line.split_once('\t').unwrap_or((line, ""));
        let found = match common::query(&catalog, &format!("SELECT {expression}")) {
            Ok(rows) => rows.join("\n"),
            Err(error) => format!("ERROR {} {}", error.state.0, error.message),
        };
        let found = found.replace('\n', "\\n");
        if found != expected {
            writeln!(failures, "{expression}\n  expected: {expected}\n  found:    {found}")
                .unwrap();
        }
    }
    failures
}

#[test]
fn expressions_give_what_postgresql_gives() {
    let mut files: Vec<_> = fs::read_dir(common::directory("expressions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut failed = String::new();
    for path in files {
        let found = failures(&fs::read_to_string(&path).unwrap());
        if !found.is_empty() {
            writeln!(failed, "{}:\n{found}", path.display()).unwrap();
        }
    }
    assert!(failed.is_empty(), "{failed}");
}
