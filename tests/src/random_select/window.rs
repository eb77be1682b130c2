//! Window functions over a total order, or over peers that are interchangeable.

use super::Ty::{Array, Date, Int4, Int8, Interval, Numeric, Text, Time};
use super::source::Source;
use super::{Generator, Query};

impl Generator {
    pub(super) fn windowed(
        &mut self,
        from: &str,
        sources: &[Source],
        enclosing: &[Source],
        depth: usize,
    ) -> Query {
        let identity: Vec<String> = sources
            .iter()
            .flat_map(|source| {
                source.columns.iter().map(move |(name, _)| format!("{}.{name}", source.alias))
            })
            .collect();
        let value = self.expression(Int4, sources, 1);
        let text = self.expression(Text, sources, 1);
        // Ordered by everything there is, equal rows are interchangeable.
        let order = identity.join(", ");
        let partition = if self.once_in(2) {
            format!("PARTITION BY {} ", self.expression(Text, sources, 0))
        } else {
            String::new()
        };
        let frame = *self.pick(&[
            "",
            " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
            " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW",
            " ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING",
            " ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING",
            " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES",
            " GROUPS BETWEEN 2 PRECEDING AND CURRENT ROW EXCLUDE GROUP",
            " ROWS 1 PRECEDING",
        ]);
        let (call, ty) = match self.below(14) {
            0 => ("row_number()".to_owned(), Int8),
            1 => (format!("lag({value}, {})", self.below(3)), Int4),
            2 => (format!("lead({text})"), Text),
            3 => (format!("sum({value})"), Int8),
            4 => ("count(*)".to_owned(), Int8),
            5 => (format!("first_value({text})"), Text),
            6 => (format!("last_value({value})"), Int4),
            7 => (format!("nth_value({text}, {})", 1 + self.below(3)), Text),
            8 => (format!("ntile({})", 1 + self.below(5)), Int4),
            9 => (format!("array_agg({text})"), Array),
            10 => {
                (format!("sum({value}) FILTER (WHERE {})", self.predicate(sources, &[], 0)), Int8)
            }
            11 => (format!("avg({value})"), Numeric),
            12 => (format!("count(*) FILTER (WHERE {text} IS NOT NULL)"), Int8),
            _ => (format!("max({text})"), Text),
        };
        let ranked = format!("rank() OVER (ORDER BY {text})");
        let condition = self.conditions(sources, enclosing, depth);
        let text = format!(
            "SELECT {call} OVER ({partition}ORDER BY {order}{frame}) AS c1, {ranked} AS c2, {value} AS c3 FROM {from}{condition}"
        );
        Query {
            text,
            columns: vec![("c1".to_owned(), ty), ("c2".to_owned(), Int8), ("c3".to_owned(), Int4)],
        }
    }

    /// A frame by values: peers are interchangeable, and what it gives does not tell them apart.
    pub(super) fn ranged(
        &mut self,
        from: &str,
        sources: &[Source],
        enclosing: &[Source],
        depth: usize,
    ) -> Query {
        let ty = self.present(&[Int4, Int4, Date, Time, Interval], sources);
        let order = self.expression(ty, sources, 1);
        let offset = match ty {
            Int4 => *self.pick(&["0", "1", "5", "40"]),
            Interval => *self.pick(&["'10 minutes'::interval", "'1 hour'::interval"]),
            _ => *self.pick(&["'6 hours'::interval", "'1 day'::interval", "'1 month'::interval"]),
        };
        let (start, end) = *self.pick(&[
            ("UNBOUNDED PRECEDING", "CURRENT ROW"),
            ("CURRENT ROW", "UNBOUNDED FOLLOWING"),
            ("o PRECEDING", "o FOLLOWING"),
            ("o PRECEDING", "CURRENT ROW"),
            ("CURRENT ROW", "o FOLLOWING"),
            ("o FOLLOWING", "UNBOUNDED FOLLOWING"),
        ]);
        let bounds = format!("{start} AND {end}").replace("o ", &format!("{offset} "));
        let exclusion = *self.pick(&["", "", " EXCLUDE GROUP", " EXCLUDE NO OTHERS"]);
        let direction = *self.pick(&["", " DESC", " NULLS FIRST"]);
        let partition = if self.once_in(2) {
            format!("PARTITION BY {} ", self.expression(Text, sources, 1))
        } else {
            String::new()
        };
        let value = self.expression(Int4, sources, 1);
        let (call, called) = match self.below(4) {
            0 => ("count(*)".to_owned(), Int8),
            1 => (format!("sum({value})"), Int8),
            2 => (format!("max({value})"), Int4),
            _ => (format!("min({})", self.expression(Text, sources, 0)), Text),
        };
        let rank = *self.pick(&["dense_rank()", "rank()"]);
        let condition = self.conditions(sources, enclosing, depth);
        let text = format!(
            "SELECT {call} OVER (w RANGE BETWEEN {bounds}{exclusion}) AS c1, {rank} OVER w AS c2, {order} AS c3 \
             FROM {from}{condition} WINDOW w AS ({partition}ORDER BY {order}{direction})"
        );
        let columns = [("c1", called), ("c2", Int8), ("c3", ty)];
        Query { text, columns: columns.map(|(name, ty)| (name.to_owned(), ty)).to_vec() }
    }
}
