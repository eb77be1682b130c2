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

/// What no client may do with a pattern: overflow a stack, take all memory, or never end.
#[test]
fn hostile_patterns_end() {
    let catalog = common::catalog();
    let too_complex = "invalid regular expression: regular expression is too complex";
    for (expression, expected) in [
        ("regexp_match('a', repeat('(', 100000) || 'a' || repeat(')', 100000))", too_complex),
        ("regexp_match('a', '((((a{255}){255}){255}){255})')", too_complex),
        ("regexp_match('a', repeat('a|', 200000))", too_complex),
        ("'x' ~ '(((((a{1,255}){1,255}){1,255})))\\1'", too_complex),
    ] {
        let error = common::query(&catalog, &format!("SELECT {expression}")).unwrap_err();
        assert_eq!(error.message, expected, "{expression}");
    }
    for (expression, expected) in [
        ("repeat('a', 5000) ~ '^(a|a)*b$'", "f"),
        ("length(substring(repeat('ab', 2000) from '(?:(a|b|ab)*)*'))", "2"),
        ("repeat('a', 3000) ~ '(?<=b+)a'", "f"),
        ("length(regexp_replace(repeat('a', 3000), '(a)', '\\1\\1', 'g'))", "6000"),
    ] {
        let rows = common::query(&catalog, &format!("SELECT {expression}")).unwrap();
        assert_eq!(rows, [expected], "{expression}");
    }
}
