//! Statements that are long or deep: they bind in time that grows with their length, or are refused with 54001
//! before anything recursive has seen them.

use super::{answer, catalog, on_server_stack, settings};

fn answers(sql: String, expected: &'static str) {
    on_server_stack(move || {
        let catalog = catalog();
        let settings = settings(&catalog);
        let found = answer(&catalog, &settings, &sql);
        assert!(found.starts_with(expected), "expected {expected}, found {found:.200}");
    });
}

fn repeat(piece: &str, count: usize, between: &str) -> String {
    vec![piece; count].join(between)
}

#[test]
fn five_thousand_conjuncts_bind() {
    answers(format!("SELECT 1 FROM k WHERE {}", repeat("id = 1", 5000, " AND ")), "column");
    answers(format!("SELECT 1 FROM k WHERE {}", repeat("id = 1", 5000, " OR ")), "column");
}

#[test]
fn chains_of_operators_are_bounded() {
    answers(format!("SELECT {}", repeat("1", 900, " + ")), "column ?column? int4");
    answers(format!("SELECT {}", repeat("1", 5000, " + ")), "error 54001");
    answers(format!("SELECT {}", repeat("'a'", 20_000, " || ")), "error 54001");
    answers(format!("SELECT {} true", repeat("NOT", 5000, " ")), "error 54001");
    answers(format!("SELECT {} 1", repeat("-", 5000, " ")), "error 54001");
    answers(format!("SELECT 1{}", repeat("::int", 5000, "")), "error 54001");
    answers(format!("SELECT arr{} FROM t", repeat("[1]", 5000, "")), "error 54001");
}

#[test]
fn nesting_is_bounded() {
    answers(format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100)), "column ?column? int4");
    answers(format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)), "error 54001");
    answers(format!("SELECT {}1{}", "(SELECT ".repeat(60), ")".repeat(60)), "column");
    answers(format!("SELECT {}1{}", "abs(".repeat(100), ")".repeat(100)), "column abs int4");
    answers(
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(5000), " END".repeat(5000)),
        "error 54001",
    );
    answers(format!("SELECT {}", "(".repeat(100)), "error 42601");
}

#[test]
fn long_lists_bind_in_linear_time() {
    let rows: Vec<String> = (0..10_000).map(|n| format!("({n}, 'row {n}', {})", n % 100)).collect();
    answers(format!("INSERT INTO k VALUES {}", rows.join(", ")), "no rows");
    answers(format!("VALUES {}", rows.join(", ")), "column column1 int4");
    let items: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    answers(format!("SELECT v FROM k WHERE id IN ({})", items.join(", ")), "column v text");
}

#[test]
fn a_thousand_branches_bind() {
    answers(repeat("SELECT 1 AS n", 1000, " UNION ALL "), "column n int4");
    answers(repeat("SELECT 1 AS n", 1000, " UNION "), "column n int4");
    answers(repeat("SELECT 1 AS n", 900, " EXCEPT "), "column n int4");
    answers(repeat("SELECT 1 AS n", 5000, " UNION ALL "), "error 54001");
}

#[test]
fn a_statement_has_a_length() {
    answers(format!("SELECT '{}'", "x".repeat(17 << 20)), "error 54001");
}

#[test]
fn many_joins_bind() {
    let joins: Vec<String> = (1..300).map(|n| format!("JOIN k k{n} ON k{n}.id = k0.id")).collect();
    answers(format!("SELECT k0.id FROM k k0 {}", joins.join(" ")), "column id int4");
}
