//! Expressions of a wanted type.

use super::Generator;
use super::Ty::{self, Array, Bool, Date, Int4, Int8, Interval, Jsonb, Numeric, Text, Time, Uuid};
use super::source::Source;

impl Generator {
    /// A column of a type, if there is one.
    pub(super) fn column(&mut self, ty: Ty, sources: &[Source]) -> Option<String> {
        let columns: Vec<String> = sources
            .iter()
            .flat_map(|source| {
                let of_type = source.columns.iter().filter(|(_, it)| *it == ty);
                of_type.map(|(name, _)| format!("{}.{name}", source.alias))
            })
            .collect();
        if columns.is_empty() { None } else { Some(self.pick(&columns).clone()) }
    }

    /// One of some types, preferably one that there is a column of.
    pub(super) fn present(&mut self, types: &[Ty], sources: &[Source]) -> Ty {
        let has =
            |ty: &Ty| sources.iter().any(|source| source.columns.iter().any(|(_, it)| it == ty));
        let present: Vec<Ty> = types.iter().copied().filter(has).collect();
        if present.is_empty() { types[0] } else { *self.pick(&present) }
    }

    pub(super) fn literal(&mut self, ty: Ty) -> String {
        match ty {
            Text => {
                let values =
                    ["'FRA'", "'MUC'", "'LH'", "'LX'", "'320'", "'R3'", "'J'", "''", "'D-AIC'"];
                format!("{}::text", self.pick(&values))
            }
            Int4 => self.pick(&["0", "1", "2", "3", "17", "60", "110", "-1"]).to_string(),
            Int8 => format!("{}::int8", self.pick(&["0", "1", "2", "3", "5", "40"])),
            Uuid => {
                let number =
                    if self.once_in(2) { 100 + self.below(13) } else { 1001 + self.below(126) };
                format!("'01890000-0000-7000-8000-{number:012x}'::uuid")
            }
            Date => {
                self.pick(&[
                    "'2026-03-29'",
                    "'2026-03-30'",
                    "'2026-03-31'",
                    "'2026-04-01'",
                    "'2026-04-02'",
                ])
                .to_string()
                    + "::date"
            }
            Time => format!(
                "'2026-03-{} {:02}:00:00+00'::timestamptz",
                29 + self.below(3),
                self.below(24)
            ),
            Interval => format!(
                "{}::interval",
                self.pick(&["'30 minutes'", "'1 hour'", "'00:45'", "'1 day'"])
            ),
            Bool => self.pick(&["true", "false", "true", "NULL::bool"]).to_string(),
            Numeric => self.pick(&["0.5", "1.50", "2::numeric", "-3.25", "100.001"]).to_string(),
            Array => self
                .pick(&[
                    "ARRAY['FRA', 'MUC']",
                    "ARRAY['LH', NULL, '320']",
                    "'{}'::text[]",
                    "ARRAY['J', 'R3', 'J']",
                ])
                .to_string(),
            Jsonb => self
                .pick(&[
                    "'{\"a\": 1, \"b\": [1, \"x\"]}'::jsonb",
                    "'[3, null, {\"c\": true}]'::jsonb",
                    "'\"FRA\"'::jsonb",
                    "'{}'::jsonb",
                ])
                .to_string(),
        }
    }

    /// An expression of a type over some sources.
    pub(super) fn expression(&mut self, ty: Ty, sources: &[Source], depth: usize) -> String {
        let column = self.column(ty, sources);
        if let Some(column) = &column
            && (depth == 0 || !self.once_in(4))
        {
            return column.clone();
        }
        if depth == 0 {
            return column.unwrap_or_else(|| self.literal(ty));
        }
        let depth = depth - 1;
        if self.once_in(6) {
            let condition = self.predicate(sources, &[], depth.min(1));
            return format!(
                "CASE WHEN {condition} THEN {} ELSE {} END",
                self.expression(ty, sources, depth),
                self.expression(ty, sources, depth)
            );
        }
        match ty {
            Text => self.text(sources, depth),
            Int4 => self.integer(sources, depth),
            Int8 => match self.below(4) {
                0 => format!(
                    "({} - {})",
                    self.expression(Int8, sources, depth),
                    self.expression(Int4, sources, depth)
                ),
                1 => format!(
                    "GREATEST({}, {})",
                    self.expression(Int8, sources, depth),
                    self.literal(Int8)
                ),
                2 => format!("CAST({} AS bigint)", self.expression(Int4, sources, depth)),
                _ => self.literal(Int8),
            },
            Time | Date | Interval => self.moment(ty, sources, depth),
            Bool => format!("({})", self.predicate(sources, &[], depth.min(1))),
            Numeric => match self.below(4) {
                0 => format!("({} / 3.0)", self.expression(Int4, sources, depth)),
                1 => {
                    format!(
                        "round({}, {})",
                        self.expression(Numeric, sources, depth),
                        self.below(3)
                    )
                }
                2 => format!(
                    "({} * {})",
                    self.expression(Numeric, sources, depth),
                    self.literal(Numeric)
                ),
                _ => self.literal(Numeric),
            },
            Array => self.array(sources, depth),
            Jsonb => self.jsonb(sources, depth),
            Uuid => self.literal(ty),
        }
    }

    /// A time, a date or a span of time.
    fn moment(&mut self, ty: Ty, sources: &[Source], depth: usize) -> String {
        match ty {
            Time => match self.below(4) {
                0 => format!("date_trunc('hour', {})", self.expression(Time, sources, depth)),
                1 => format!("({})::timestamptz", self.expression(Date, sources, depth)),
                2 => format!(
                    "({} - {})",
                    self.expression(Time, sources, depth),
                    self.expression(Interval, sources, depth)
                ),
                _ => format!(
                    "({} + {})",
                    self.expression(Time, sources, depth),
                    self.literal(Interval)
                ),
            },
            Date => match self.below(3) {
                0 => format!("({})::date", self.expression(Time, sources, depth)),
                1 => format!("({} + {})", self.expression(Date, sources, depth), self.below(40)),
                _ => self.literal(Date),
            },
            Interval => match self.below(4) {
                0 => format!(
                    "({} - {})",
                    self.expression(Time, sources, depth),
                    self.expression(Time, sources, depth)
                ),
                1 => format!("({} * {})", self.expression(Interval, sources, depth), self.below(5)),
                2 => format!("make_interval(mins => {})", self.below(3000)),
                _ => self.literal(Interval),
            },
            _ => self.literal(ty),
        }
    }

    fn text(&mut self, sources: &[Source], depth: usize) -> String {
        let text = |generator: &mut Self| generator.expression(Text, sources, depth);
        match self.below(14) {
            0 => format!("({} || {})", text(self), text(self)),
            1 => format!("COALESCE({}, {})", text(self), self.literal(Text)),
            2 => format!("lower({})", text(self)),
            3 => format!("({})::text", self.expression(Int4, sources, depth)),
            4 => format!("substring({} from {} for 2)", text(self), 1 + self.below(3)),
            5 => {
                format!("to_char({}, 'YYYY-MM-DD HH24:MI')", self.expression(Time, sources, depth))
            }
            6 => format!("array_to_string({}, '-', '?')", self.expression(Array, sources, depth)),
            7 => format!("({} ->> 'a')", self.expression(Jsonb, sources, depth)),
            8 => format!("lpad({}, 5, '*')", text(self)),
            9 => format!("({})::text", self.expression(Interval, sources, depth)),
            10 => format!("({})[{}]", self.expression(Array, sources, depth), 1 + self.below(3)),
            11 => {
                format!("CASE {} WHEN {} THEN {} END", text(self), self.literal(Text), text(self))
            }
            12 => format!("({})::text", self.expression(Numeric, sources, depth)),
            _ => self.literal(Text),
        }
    }

    fn integer(&mut self, sources: &[Source], depth: usize) -> String {
        let integer = |generator: &mut Self| generator.expression(Int4, sources, depth);
        match self.below(10) {
            0 => format!("({} + {})", integer(self), self.literal(Int4)),
            1 => format!("({} * {})", integer(self), self.literal(Int4)),
            2 => format!("length({})", self.expression(Text, sources, depth)),
            3 => format!("NULLIF({}, {})", integer(self), self.literal(Int4)),
            4 => format!("abs({})", integer(self)),
            5 => format!("({} % {})", integer(self), self.pick(&["2", "3", "-7"])),
            6 => format!("cardinality({})", self.expression(Array, sources, depth)),
            7 => format!("extract(hour from {})::int4", self.expression(Time, sources, depth)),
            8 => format!("({} - {})", self.expression(Date, sources, depth), self.literal(Date)),
            _ => self.literal(Int4),
        }
    }

    fn array(&mut self, sources: &[Source], depth: usize) -> String {
        let text = |generator: &mut Self| generator.expression(Text, sources, depth);
        match self.below(6) {
            0 | 1 => format!("ARRAY[{}, {}]", text(self), text(self)),
            2 => format!("string_to_array({}, 'R')", text(self)),
            3 => format!("({} || {})", self.expression(Array, sources, depth), text(self)),
            4 => format!("({})[{}:2]", self.expression(Array, sources, depth), self.below(3)),
            _ => self.literal(Array),
        }
    }

    fn jsonb(&mut self, sources: &[Source], depth: usize) -> String {
        match self.below(6) {
            0 | 1 => format!(
                "jsonb_build_object('a', {}, 'b', {})",
                self.expression(Text, sources, depth),
                self.expression(Int4, sources, depth)
            ),
            2 => format!("to_jsonb({})", self.expression(Text, sources, depth)),
            3 => {
                format!("({} || {})", self.expression(Jsonb, sources, depth), self.literal(Jsonb))
            }
            4 => format!("({} -> 'b')", self.expression(Jsonb, sources, depth)),
            _ => self.literal(Jsonb),
        }
    }
}
