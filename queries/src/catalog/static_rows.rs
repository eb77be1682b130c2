//! Rows that never change, as text: access methods, collations, operator classes.

static TEXT: &str = include_str!("data/rows.txt");

/// The rows of a relation of `pg_catalog`, a line each; none for most.
pub(crate) fn of(relation: &str) -> impl Iterator<Item = &'static str> {
    let mut within = false;
    TEXT.lines().filter(move |line| match line.strip_prefix("# ") {
        Some(name) => {
            within = name == relation;
            false
        }
        None => within,
    })
}
