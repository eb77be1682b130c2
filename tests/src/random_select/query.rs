//! Queries: plain and grouped ones, and set operations of them.

use std::fmt::Write as _;

use super::Ty::{self, Array, Bool, Date, Int4, Int8, Interval, Jsonb, Numeric, Text, Time, Uuid};
use super::source::Source;
use super::{Generator, Query};

impl Generator {
    /// A set operation of queries or of further set operations.
    pub(super) fn set_operation(&mut self, depth: usize) -> Query {
        let types: Vec<Ty> = (0..=self.below(2))
            .map(|_| *self.pick(&[Text, Text, Int4, Int8, Uuid, Date, Interval, Numeric]))
            .collect();
        let text = self.set_operation_of(&types, depth);
        let columns =
            types.iter().enumerate().map(|(place, ty)| (format!("c{}", place + 1), *ty)).collect();
        Query { text: format!("({text})"), columns }
    }

    fn set_operation_of(&mut self, types: &[Ty], depth: usize) -> String {
        let operator = *self.pick(&[
            "UNION",
            "UNION ALL",
            "INTERSECT",
            "EXCEPT",
            "INTERSECT ALL",
            "EXCEPT ALL",
        ]);
        let side = |generator: &mut Self| {
            if depth > 1 && generator.once_in(3) {
                generator.set_operation_of(types, depth - 1)
            } else {
                generator.query_of(types)
            }
        };
        format!("({}) {operator} ({})", side(self), side(self))
    }

    /// A query with outputs of the given types.
    pub(super) fn query_of(&mut self, types: &[Ty]) -> String {
        let (from, sources) = self.from(1, &[], &[]);
        let items: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(place, ty)| format!("{} AS c{}", self.expression(*ty, &sources, 1), place + 1))
            .collect();
        let condition = self.conditions(&sources, &[], 1);
        format!("SELECT {} FROM {from}{condition}", items.join(", "))
    }

    pub(super) fn query(&mut self, depth: usize, enclosing: &[Source]) -> Query {
        self.query_from(depth, enclosing, &[])
    }

    /// A query that may also read the given common table expressions.
    pub(super) fn query_from(
        &mut self,
        depth: usize,
        enclosing: &[Source],
        ctes: &[Source],
    ) -> Query {
        let (from, sources) = self.from(depth, enclosing, ctes);
        match self.below(11) {
            0..3 => self.grouped(depth, &from, &sources, enclosing),
            3 => self.windowed(&from, &sources, enclosing, depth),
            4 => self.ranged(&from, &sources, enclosing, depth),
            _ => self.plain(depth, &from, &sources, enclosing),
        }
    }

    pub(super) fn plain(
        &mut self,
        depth: usize,
        from: &str,
        sources: &[Source],
        enclosing: &[Source],
    ) -> Query {
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for place in 0..=self.below(4) {
            let ty = self.present(&[Text, Text, Int4, Int8, Uuid, Date, Time, Interval], sources);
            let ty = match self.below(14) {
                0 => Bool,
                1 => Numeric,
                2 => Array,
                3 => Jsonb,
                _ => ty,
            };
            let name = format!("c{}", place + 1);
            let item = if depth > 0 && matches!(ty, Text | Int8) && self.once_in(8) {
                self.scalar(ty, sources)
            } else {
                self.expression(ty, sources, depth)
            };
            items.push(format!("{item} AS {name}"));
            columns.push((name, ty));
        }
        let distinct = if self.once_in(5) { "DISTINCT " } else { "" };
        let condition = self.conditions(sources, enclosing, depth);
        if self.once_in(12) {
            // The first of the rows that share a key, in a total order.
            let key = items[0].rsplit_once(" AS ").map_or(items[0].clone(), |it| it.0.to_owned());
            let rest: Vec<&str> =
                items.iter().map(|it| it.rsplit_once(" AS ").map_or(&**it, |it| it.0)).collect();
            let text = format!(
                "SELECT DISTINCT ON ({key}) {} FROM {from}{condition} ORDER BY {}",
                items.join(", "),
                rest.join(", ")
            );
            return Query { text: format!("SELECT * FROM ({text}) AS first_ones"), columns };
        }
        Query {
            text: format!("SELECT {distinct}{} FROM {from}{condition}", items.join(", ")),
            columns,
        }
    }

    pub(super) fn grouped(
        &mut self,
        depth: usize,
        from: &str,
        sources: &[Source],
        enclosing: &[Source],
    ) -> Query {
        let keys: Vec<(String, Ty)> = (0..self.below(3))
            .map(|_| {
                let ty = *self.pick(&[Text, Text, Int4, Date]);
                (self.column(ty, sources).unwrap_or_else(|| self.literal(ty)), ty)
            })
            .filter(|(key, _)| key.starts_with('t'))
            .collect();
        let mut items: Vec<String> = keys.iter().map(|(key, _)| key.clone()).collect();
        let mut columns: Vec<(String, Ty)> =
            keys.iter().map(|(_, ty)| (String::new(), *ty)).collect();
        for _ in 0..=self.below(3) {
            let (aggregate, ty) = self.aggregate(sources, depth);
            items.push(aggregate);
            columns.push((String::new(), ty));
        }
        for (place, (item, column)) in items.iter_mut().zip(&mut columns).enumerate() {
            column.0 = format!("c{}", place + 1);
            write!(item, " AS {}", column.0).expect("a string takes it");
        }
        let condition = self.conditions(sources, enclosing, depth);
        let mut text = format!("SELECT {} FROM {from}{condition}", items.join(", "));
        if !keys.is_empty() {
            let keys: Vec<&str> = keys.iter().map(|(key, _)| &**key).collect();
            let form = self.below(14);
            let first = keys[0].to_owned();
            let keys = keys.join(", ");
            let group = match form {
                0 => format!("ROLLUP ({keys})"),
                1 => format!("CUBE ({keys})"),
                2 => format!("GROUPING SETS (({keys}), ())"),
                3 if first != keys => {
                    format!("GROUPING SETS (({keys}), {first}, ROLLUP ({first}))")
                }
                4 => format!("GROUPING SETS ({first}, ({keys})), {first}"),
                _ => keys,
            };
            write!(text, " GROUP BY {group}").expect("a string takes it");
        }
        if self.once_in(3) {
            let (aggregate, ty) = self.aggregate(sources, depth);
            let other = self.literal(ty);
            let operator = *self.pick(&["<", ">", "<>", "="]);
            write!(text, " HAVING {aggregate} {operator} {other}").expect("a string takes it");
        }
        Query { text, columns }
    }

    pub(super) fn aggregate(&mut self, sources: &[Source], depth: usize) -> (String, Ty) {
        let depth = depth.min(1);
        let filter = if self.once_in(5) {
            format!(" FILTER (WHERE {})", self.predicate(sources, &[], 0))
        } else {
            String::new()
        };
        let (call, ty) = match self.below(20) {
            0 | 1 => ("count(*)".to_owned(), Int8),
            2 => (format!("count({})", self.expression(Text, sources, depth)), Int8),
            3 => (format!("count(DISTINCT {})", self.expression(Text, sources, depth)), Int8),
            4 => (format!("sum({})", self.expression(Int4, sources, depth)), Int8),
            5 => (format!("min({})", self.expression(Text, sources, depth)), Text),
            6 => (format!("max({})", self.expression(Int4, sources, depth)), Int4),
            7 => (format!("max({})", self.expression(Time, sources, depth)), Time),
            8 => (format!("avg({})", self.expression(Int4, sources, depth)), Numeric),
            9 => (format!("sum({})", self.expression(Int8, sources, depth)), Numeric),
            10 => (format!("sum({})", self.expression(Interval, sources, depth)), Interval),
            11 => (format!("min({})", self.expression(Date, sources, depth)), Date),
            12 => (format!("bool_or({})", self.predicate(sources, &[], 0)), Bool),
            13 => (format!("count(DISTINCT {})", self.expression(Numeric, sources, depth)), Int8),
            14 => {
                let value = self.expression(Text, sources, depth);
                (format!("array_agg({value} ORDER BY {value} DESC NULLS LAST)"), Array)
            }
            15 => {
                let value = self.expression(Int4, sources, depth);
                (format!("jsonb_agg({value} ORDER BY {value})"), Jsonb)
            }
            16 => {
                let value = self.expression(Int4, sources, depth);
                (format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {value})"), Int4)
            }
            17 => (format!("variance({})", self.expression(Int4, sources, depth)), Numeric),
            18 => (format!("max({})", self.expression(Numeric, sources, depth)), Numeric),
            _ => {
                let value = self.expression(Text, sources, depth);
                (format!("string_agg(DISTINCT {value}, ',' ORDER BY {value})"), Text)
            }
        };
        (format!("{call}{filter}"), ty)
    }
}
