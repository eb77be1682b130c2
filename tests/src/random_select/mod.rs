//! Random SELECTs over the tables of the contract, for comparing two servers with each other.
//!
//! A statement depends on its seed alone. What it gives does not depend on the server: rows are ordered by all
//! columns where a limit picks some of them, window functions and ordered aggregates see a total order, and no
//! sum of floats is taken.

mod expression;
mod from;
mod predicate;
mod query;
mod source;
mod window;

use std::fmt::Write as _;

use source::Source;

/// A random SELECT.
pub fn random_select(seed: u64) -> String {
    Generator { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5EED, aliases: 0 }.statement()
}

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ty {
    Text,
    Int4,
    Int8,
    Uuid,
    Date,
    Time,
    Interval,
    Bool,
    Numeric,
    /// `text[]`.
    Array,
    Jsonb,
}

struct Generator {
    state: u64,
    aliases: usize,
}

/// A query that can stand in FROM or in a set operation.
struct Query {
    text: String,
    columns: Vec<(String, Ty)>,
}

impl Generator {
    /// The next number of `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("64 bits");
        usize::try_from(self.next() % bound).expect("below a usize")
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let place = self.below(items.len());
        &items[place]
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// A whole statement: a query, perhaps a set operation or a WITH, ordered and limited.
    fn statement(&mut self) -> String {
        let (with, outer) = self.with();
        let query =
            if self.once_in(6) { self.set_operation(2) } else { self.query_from(2, &[], &outer) };
        let mut text = format!("{with}{}", query.text);
        let order: Vec<String> =
            (1..=query.columns.len()).map(|place| self.order_key(place)).collect();
        write!(text, " ORDER BY {}", order.join(", ")).expect("a string takes it");
        if self.once_in(3) {
            write!(text, " LIMIT {}", 1 + self.below(20)).expect("a string takes it");
        }
        if self.once_in(9) {
            write!(text, " OFFSET {}", self.below(5)).expect("a string takes it");
        }
        text
    }

    /// A WITH clause, mostly none, and what it offers.
    fn with(&mut self) -> (String, Vec<Source>) {
        let mut parts = Vec::new();
        let mut offered: Vec<Source> = Vec::new();
        for _ in 0..*self.pick(&[0, 0, 0, 0, 0, 1, 1, 2]) {
            let query = self.query_from(1, &[], &offered);
            let name = self.alias();
            let how = *self.pick(&["", "", " MATERIALIZED", " NOT MATERIALIZED"]);
            // Few rows, whatever they are joined with: what is read several times would multiply.
            let order: Vec<String> = (1..=query.columns.len()).map(|it| it.to_string()).collect();
            let text = format!(
                "SELECT * FROM ({}) AS few ORDER BY {} LIMIT 25",
                query.text,
                order.join(", ")
            );
            parts.push(format!("{name} AS{how} ({text})"));
            offered.push(Source { alias: name, columns: query.columns });
        }
        if self.once_in(25) {
            let (name, last) = (self.alias(), 2 + self.below(6));
            let union = *self.pick(&["UNION", "UNION ALL"]);
            parts.push(format!(
                "{name} (c1, c2) AS (SELECT 1, 'x'::text {union} SELECT c1 + 1, c2 || c1 FROM {name} WHERE c1 < {last})"
            ));
            let columns = vec![("c1".to_owned(), Ty::Int4), ("c2".to_owned(), Ty::Text)];
            offered.push(Source { alias: name, columns });
        }
        if parts.is_empty() {
            return (String::new(), offered);
        }
        (format!("WITH RECURSIVE {} ", parts.join(", ")), offered)
    }

    fn order_key(&mut self, place: usize) -> String {
        let direction = *self.pick(&["", "", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"]);
        format!("{place}{direction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_one_statement() {
        for seed in 0..100 {
            assert_eq!(random_select(seed), random_select(seed));
        }
        let distinct: std::collections::BTreeSet<String> = (0..500).map(random_select).collect();
        assert!(distinct.len() > 490);
    }
}
