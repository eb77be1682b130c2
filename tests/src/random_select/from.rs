//! FROM and WHERE: tables, subqueries, joins and lateral joins.

use std::fmt::Write as _;

use super::Ty::{self, Array, Int4, Int8, Text, Uuid};
use super::source::{Source, TABLES, related};
use super::{Generator, Query};

impl Generator {
    /// A FROM clause and what it offers.
    pub(super) fn from(
        &mut self,
        depth: usize,
        enclosing: &[Source],
        ctes: &[Source],
    ) -> (String, Vec<Source>) {
        let (mut text, first) = self.item(depth, ctes);
        let mut sources = vec![first];
        for _ in 0..*self.pick(&[0, 0, 1, 1, 1, 2, 3]) {
            if depth > 0 && self.once_in(9) {
                let mut visible = sources.clone();
                visible.extend_from_slice(enclosing);
                let query = self.limited_lateral(&visible);
                let alias = self.alias();
                let join = *self.pick(&["CROSS JOIN LATERAL", "LEFT JOIN LATERAL"]);
                let on = if join.starts_with("LEFT") { " ON true" } else { "" };
                write!(text, " {join} ({}) {alias}{on}", query.text).expect("a string takes it");
                sources.push(Source { alias, columns: query.columns });
                continue;
            }
            let (item, source) = self.related_item(depth, ctes, &sources);
            let condition = self.join_condition(&sources, &source);
            let Some((condition, whole)) = condition else { continue };
            let kinds: &[&str] = if whole {
                &["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]
            } else {
                &["JOIN", "LEFT JOIN", "RIGHT JOIN"]
            };
            let kind = *self.pick(kinds);
            write!(text, " {kind} {item} ON {condition}").expect("a string takes it");
            sources.push(source);
        }
        (text, sources)
    }

    /// A lateral subquery whose rows are totally ordered before it is cut off.
    pub(super) fn limited_lateral(&mut self, visible: &[Source]) -> Query {
        let (item, source) = self.related_item(0, &[], visible);
        let text = self.expression(Text, std::slice::from_ref(&source), 0);
        let condition = match self.join_condition(visible, &source) {
            Some((condition, _)) => condition,
            None => "true".to_owned(),
        };
        if self.once_in(3) {
            let (aggregate, ty) = self.aggregate(std::slice::from_ref(&source), 0);
            let text = format!("SELECT {aggregate} AS c1 FROM {item} WHERE {condition}");
            return Query { text, columns: vec![("c1".to_owned(), ty)] };
        }
        let text = format!(
            "SELECT {text} AS c1 FROM {item} WHERE {condition} ORDER BY 1 LIMIT {}",
            1 + self.below(3)
        );
        Query { text, columns: vec![("c1".to_owned(), Text)] }
    }

    /// Something to join with, preferably what shares a column with what is there.
    pub(super) fn related_item(
        &mut self,
        depth: usize,
        ctes: &[Source],
        sources: &[Source],
    ) -> (String, Source) {
        let mut found = self.item(depth, ctes);
        for _ in 0..6 {
            if !related(sources, &found.1).is_empty() {
                break;
            }
            found = self.item(depth, ctes);
        }
        found
    }

    pub(super) fn item(&mut self, depth: usize, ctes: &[Source]) -> (String, Source) {
        let alias = self.alias();
        if !ctes.is_empty() && self.once_in(2) {
            let cte = self.pick(ctes).clone();
            return (format!("{} {alias}", cte.alias), Source { alias, columns: cte.columns });
        }
        if depth > 0 && self.once_in(6) {
            let query = self.query(depth - 1, &[]);
            return (format!("({}) {alias}", query.text), Source { alias, columns: query.columns });
        }
        if depth > 0 && self.once_in(12) {
            return self.function(alias);
        }
        let (table, columns) = *self.pick(TABLES);
        let columns = columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
        (format!("{table} {alias}"), Source { alias, columns })
    }

    /// Rows that a function or a list of values gives.
    fn function(&mut self, alias: String) -> (String, Source) {
        let columns = |columns: &[(&str, Ty)]| {
            columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect::<Vec<_>>()
        };
        let (text, columns) = match self.below(4) {
            0 => (
                format!("generate_series(1, {}) {alias} (c1)", 1 + self.below(9)),
                columns(&[("c1", Int4)]),
            ),
            1 => (
                format!("unnest({}) WITH ORDINALITY {alias} (c1, c2)", self.literal(Array)),
                columns(&[("c1", Text), ("c2", Int8)]),
            ),
            2 => {
                let rows: Vec<String> = (0..=self.below(4))
                    .map(|_| format!("({}, {})", self.literal(Text), self.literal(Int4)))
                    .collect();
                let list = rows.join(", ");
                (
                    format!("(VALUES {list}) {alias} (c1, c2)"),
                    columns(&[("c1", Text), ("c2", Int4)]),
                )
            }
            _ => (
                format!("jsonb_array_elements_text('[\"FRA\", \"LH\", null, 3]') {alias} (c1)"),
                columns(&[("c1", Text)]),
            ),
        };
        (text, Source { alias, columns })
    }

    /// An equality between what is there and what joins it, and whether a full join can be done with it.
    pub(super) fn join_condition(
        &mut self,
        sources: &[Source],
        new: &Source,
    ) -> Option<(String, bool)> {
        let related = related(sources, new);
        if !related.is_empty() && !self.once_in(6) {
            let condition = self.pick(&related).clone();
            let further = self.once_in(4);
            if !further {
                return Some((condition, true));
            }
            let mut both = sources.to_vec();
            both.push(new.clone());
            return Some((format!("{condition} AND {}", self.predicate(&both, &[], 0)), false));
        }
        for _ in 0..12 {
            let ty = *self.pick(&[Uuid, Uuid, Text, Int8, Int4]);
            let Some(left) = self.column(ty, sources) else { continue };
            let Some(right) = self.column(ty, std::slice::from_ref(new)) else { continue };
            let mut condition = format!("{left} = {right}");
            let whole = !self.once_in(3);
            if !whole {
                let mut both = sources.to_vec();
                both.push(new.clone());
                write!(condition, " AND {}", self.predicate(&both, &[], 0))
                    .expect("a string takes it");
            }
            return Some((condition, whole));
        }
        None
    }

    pub(super) fn conditions(
        &mut self,
        sources: &[Source],
        enclosing: &[Source],
        depth: usize,
    ) -> String {
        let conditions: Vec<String> =
            (0..self.below(3)).map(|_| self.predicate(sources, enclosing, depth)).collect();
        if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        }
    }
}
