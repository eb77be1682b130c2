//! Predicates, and subqueries tied to their enclosing row.

use super::Generator;
use super::Ty::{self, Array, Date, Int4, Int8, Interval, Jsonb, Text, Time, Uuid};
use super::source::{Source, usual};

impl Generator {
    pub(super) fn predicate(
        &mut self,
        sources: &[Source],
        enclosing: &[Source],
        depth: usize,
    ) -> String {
        let mut visible = sources.to_vec();
        visible.extend_from_slice(enclosing);
        let inner = depth.saturating_sub(1);
        match self.below(if depth > 0 { 23 } else { 7 }) {
            0..4 => {
                let ty = *self.pick(&[Text, Text, Int4, Int8, Uuid, Date, Time, Interval]);
                let operator = *self.pick(&["=", "=", "<", "<=", ">", ">=", "<>"]);
                let right = if self.once_in(2) {
                    self.literal(ty)
                } else {
                    self.expression(ty, &visible, inner)
                };
                format!("{} {operator} {right}", self.expression(ty, sources, inner))
            }
            4 => {
                let ty = self.present(&[Text, Text, Int4, Uuid], sources);
                let left = self.expression(ty, sources, inner);
                let usual = usual(&left);
                let item = |generator: &mut Self| match usual {
                    [] => generator.literal(ty),
                    usual => generator.pick(usual).to_string(),
                };
                let items: Vec<String> = (0..=self.below(6)).map(|_| item(self)).collect();
                let not = if self.once_in(2) { "NOT " } else { "" };
                format!("{left} {not}IN ({})", items.join(", "))
            }
            5 => {
                let ty = self.present(&[Text, Uuid, Time], sources);
                let not = if self.once_in(3) { "" } else { "NOT " };
                format!("{} IS {not}NULL", self.expression(ty, sources, inner))
            }
            6 => format!(
                "{} BETWEEN {} AND {}",
                self.expression(Int4, sources, inner),
                self.literal(Int4),
                self.literal(Int4)
            ),
            7 => format!(
                "({} OR {})",
                self.predicate(sources, enclosing, inner),
                self.predicate(sources, enclosing, inner)
            ),
            8 => format!("NOT ({})", self.predicate(sources, enclosing, inner)),
            9 | 10 => {
                let not = if self.once_in(3) { "NOT " } else { "" };
                format!("{not}EXISTS ({})", self.correlated("1", sources, inner))
            }
            11 | 12 => {
                let ty = self.present(&[Text, Uuid, Int8], sources);
                let not = if self.once_in(2) { "NOT " } else { "" };
                let left = self.expression(ty, sources, 0);
                let query = self.query_of(&[ty]);
                format!("{left} {not}IN ({query})")
            }
            13..22 => self.further(sources, &visible, inner),
            _ => {
                let (aggregate, operator) =
                    *self.pick(&[("count(*)", ">"), ("count(*)", "="), ("count(*)", "<")]);
                format!(
                    "({}) {operator} {}",
                    self.correlated(aggregate, sources, inner),
                    self.below(4)
                )
            }
        }
    }

    /// A subquery tied to its enclosing row.
    pub(super) fn correlated(&mut self, output: &str, sources: &[Source], depth: usize) -> String {
        let (item, source) = self.related_item(0, &[], sources);
        let tie = self
            .join_condition(sources, &source)
            .map_or_else(|| "true".to_owned(), |(condition, _)| condition);
        let further = if self.once_in(2) {
            format!(" AND {}", self.predicate(&[source], sources, depth))
        } else {
            String::new()
        };
        format!("SELECT {output} FROM {item} WHERE {tie}{further}")
    }

    /// Predicates of the types that are no scalars, and those with words of their own.
    fn further(&mut self, sources: &[Source], visible: &[Source], depth: usize) -> String {
        let text = |generator: &mut Self| generator.expression(Text, sources, depth);
        let array = |generator: &mut Self| generator.expression(Array, sources, depth);
        match self.below(9) {
            0 => format!("{} = ANY ({})", text(self), array(self)),
            1 => format!("{} {} {}", array(self), self.pick(&["@>", "&&", "<@", "<"]), array(self)),
            2 => {
                let jsonb = self.expression(Jsonb, sources, depth);
                format!("{jsonb} {}", self.pick(&["? 'a'", "@> '{\"b\": 3}'", "= '\"FRA\"'"]))
            }
            3 => {
                let ty = self.present(&[Text, Int4, Uuid, Interval], sources);
                let not = *self.pick(&["", "NOT "]);
                let right = self.expression(ty, visible, depth);
                format!("{} IS {not}DISTINCT FROM {right}", self.expression(ty, sources, depth))
            }
            4 => format!("{} LIKE {}", text(self), self.pick(&["'%A%'", "'_R_'", "'L%'", "''"])),
            5 => format!("{} ~ {}", text(self), self.pick(&["'^[A-M]'", "'R|H$'", "'\\d'"])),
            6 => {
                let int = self.expression(Int4, sources, depth);
                let (left, other) = (text(self), self.literal(Text));
                let operator = *self.pick(&["<", "=", ">="]);
                format!("({left}, {int}) {operator} ({other}, {})", self.literal(Int4))
            }
            7 => {
                let operator = *self.pick(&["< ALL", ">= ANY", "<> ALL"]);
                let query = self.query_of(&[Int4]);
                format!("{} {operator} ({query})", self.expression(Int4, sources, depth))
            }
            _ => format!(
                "({}) IS {}",
                self.predicate(sources, &[], depth),
                self.pick(&["TRUE", "NOT TRUE", "UNKNOWN", "NOT FALSE"])
            ),
        }
    }

    /// A subquery that is one value, tied to its enclosing row.
    pub(super) fn scalar(&mut self, ty: Ty, sources: &[Source]) -> String {
        if ty == Int8 {
            return format!("({})", self.correlated("count(*)", sources, 0));
        }
        let (item, source) = self.related_item(0, &[], sources);
        let tie = self
            .join_condition(sources, &source)
            .map_or_else(|| "true".to_owned(), |(condition, _)| condition);
        let value = self.expression(Text, std::slice::from_ref(&source), 1);
        match self.below(3) {
            0 => format!("(SELECT max({value}) FROM {item} WHERE {tie})"),
            1 => format!("(SELECT {value} FROM {item} WHERE {tie} ORDER BY 1 LIMIT 1)"),
            _ => format!(
                "array_to_string(ARRAY(SELECT {value} FROM {item} WHERE {tie} ORDER BY 1), ',')"
            ),
        }
    }
}
