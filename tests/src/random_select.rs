//! Random SELECTs over the tables of the contract, for comparing two servers with each other.
//!
//! A statement depends on its seed alone. What it gives does not depend on the server: rows are ordered by all
//! columns where a limit picks some of them, window functions and ordered aggregates see a total order, and no
//! sum of floats is taken.

use std::fmt::Write as _;

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
}

use Ty::{Bool, Date, Int4, Int8, Interval, Text, Time, Uuid};

type Columns = &'static [(&'static str, Ty)];

const AIRPORTS: Columns = &[("code", Text), ("minimum_ground_time", Interval), ("version", Int8)];
const AIRPLANES: Columns = &[
    ("registration", Text),
    ("aircraft_type", Text),
    ("minimum_ground_time", Interval),
    ("rotation_id", Uuid),
    ("version", Int8),
];
const ROTATIONS: Columns = &[
    ("id", Uuid),
    ("name", Text),
    ("legs", Int8),
    ("first_departure", Time),
    ("last_arrival", Time),
    ("version", Int8),
];
const LEGS: Columns = &[
    ("id", Uuid),
    ("rotation_id", Uuid),
    ("carrier", Text),
    ("flight_number", Int4),
    ("suffix", Text),
    ("day_of_origin", Date),
    ("departure_airport", Text),
    ("arrival_airport", Text),
    ("departure_time", Time),
    ("arrival_time", Time),
    ("departure_utc_offset", Int4),
    ("leg_sequence", Int4),
    ("service_type", Text),
    ("aircraft_type", Text),
    ("version", Int8),
];
const TABLES: &[(&str, Columns)] = &[
    ("airports", AIRPORTS),
    ("airplanes", AIRPLANES),
    ("rotations", ROTATIONS),
    ("legs", LEGS),
    ("legs", LEGS),
];

/// The columns that something in FROM offers.
#[derive(Clone, Debug)]
struct Source {
    alias: String,
    columns: Vec<(String, Ty)>,
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

/// What a column's values are about, so that equalities between columns find something.
fn domain(name: &str) -> Option<u8> {
    Some(match name {
        "rotation_id" => 0,
        "code" | "departure_airport" | "arrival_airport" => 1,
        "aircraft_type" => 2,
        "carrier" => 3,
        _ => return None,
    })
}

/// The equalities between columns about the same thing.
fn related(sources: &[Source], new: &Source) -> Vec<String> {
    let is_rotation =
        |source: &Source| source.columns.iter().any(|(name, _)| name == "first_departure");
    let about = |source: &Source, name: &str| {
        if name == "id" && is_rotation(source) { Some(0) } else { domain(name) }
    };
    let mut found = Vec::new();
    for source in sources {
        for (left, _) in &source.columns {
            for (right, _) in &new.columns {
                if let (Some(of_left), Some(of_right)) = (about(source, left), about(new, right))
                    && of_left == of_right
                {
                    found.push(format!("{}.{left} = {}.{right}", source.alias, new.alias));
                }
            }
        }
    }
    found
}

/// Literals that a column's values are among.
fn usual(column: &str) -> &'static [&'static str] {
    match column.split_once('.').map_or(column, |(_, name)| name) {
        "code" | "departure_airport" | "arrival_airport" => {
            &["'FRA'", "'MUC'", "'IST'", "'VIE'", "'CDG'"]
        }
        "carrier" => &["'LH'", "'LH'", "'LX'", "'OS'", "'4Y'"],
        "aircraft_type" => &["'320'", "'321'", "'333'", "'359'"],
        "service_type" => &["'J'", "'J'", "'F'"],
        "name" => &["'R1'", "'R3'", "'R7'"],
        "registration" => &["'D-AIC'", "'D-AIH'"],
        "suffix" => &["''", "'A'"],
        _ => &[],
    }
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
        let mut with = String::new();
        let mut outer = Vec::new();
        if self.once_in(8) {
            let query = self.query(1, &[]);
            let name = self.alias();
            with = format!("WITH {name} AS ({}) ", query.text);
            outer.push(Source { alias: name, columns: query.columns });
        }
        let query =
            if self.once_in(7) { self.set_operation() } else { self.query_from(2, &[], &outer) };
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

    fn order_key(&mut self, place: usize) -> String {
        let direction = *self.pick(&["", "", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"]);
        format!("{place}{direction}")
    }

    fn set_operation(&mut self) -> Query {
        let types: Vec<Ty> =
            (0..=self.below(2)).map(|_| *self.pick(&[Text, Int4, Int8, Uuid])).collect();
        let operator = *self.pick(&[
            "UNION",
            "UNION ALL",
            "INTERSECT",
            "EXCEPT",
            "INTERSECT ALL",
            "EXCEPT ALL",
        ]);
        let left = self.query_of(&types);
        let right = self.query_of(&types);
        let columns =
            types.iter().enumerate().map(|(place, ty)| (format!("c{}", place + 1), *ty)).collect();
        Query { text: format!("(({left}) {operator} ({right}))"), columns }
    }

    /// A query with outputs of the given types.
    fn query_of(&mut self, types: &[Ty]) -> String {
        let (from, sources) = self.from(1, &[], &[]);
        let items: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(place, ty)| format!("{} AS c{}", self.expression(*ty, &sources, 1), place + 1))
            .collect();
        let condition = self.conditions(&sources, &[], 1);
        format!("SELECT {} FROM {from}{condition}", items.join(", "))
    }

    fn query(&mut self, depth: usize, enclosing: &[Source]) -> Query {
        self.query_from(depth, enclosing, &[])
    }

    /// A query that may also read the given common table expressions.
    fn query_from(&mut self, depth: usize, enclosing: &[Source], ctes: &[Source]) -> Query {
        let (from, sources) = self.from(depth, enclosing, ctes);
        match self.below(10) {
            0..3 => self.grouped(depth, &from, &sources, enclosing),
            3 => self.windowed(&from, &sources, enclosing, depth),
            _ => self.plain(depth, &from, &sources, enclosing),
        }
    }

    fn plain(
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
            let ty = if self.once_in(8) { Bool } else { ty };
            let name = format!("c{}", place + 1);
            items.push(format!("{} AS {name}", self.expression(ty, sources, depth)));
            columns.push((name, ty));
        }
        let distinct = if self.once_in(5) { "DISTINCT " } else { "" };
        let condition = self.conditions(sources, enclosing, depth);
        Query {
            text: format!("SELECT {distinct}{} FROM {from}{condition}", items.join(", ")),
            columns,
        }
    }

    fn grouped(
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
            let form = self.below(8);
            let keys = keys.join(", ");
            let group = match form {
                0 => format!("ROLLUP ({keys})"),
                1 => format!("CUBE ({keys})"),
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

    fn aggregate(&mut self, sources: &[Source], depth: usize) -> (String, Ty) {
        let depth = depth.min(1);
        let filter = if self.once_in(5) {
            format!(" FILTER (WHERE {})", self.predicate(sources, &[], 0))
        } else {
            String::new()
        };
        let (call, ty) = match self.below(9) {
            0 | 1 => ("count(*)".to_owned(), Int8),
            2 => (format!("count({})", self.expression(Text, sources, depth)), Int8),
            3 => (format!("count(DISTINCT {})", self.expression(Text, sources, depth)), Int8),
            4 => (format!("sum({})", self.expression(Int4, sources, depth)), Int8),
            5 => (format!("min({})", self.expression(Text, sources, depth)), Text),
            6 => (format!("max({})", self.expression(Int4, sources, depth)), Int4),
            7 => (format!("max({})", self.expression(Time, sources, depth)), Time),
            _ => {
                let value = self.expression(Text, sources, depth);
                (format!("string_agg(DISTINCT {value}, ',' ORDER BY {value})"), Text)
            }
        };
        (format!("{call}{filter}"), ty)
    }

    fn windowed(
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
        ]);
        let (call, ty) = match self.below(8) {
            0 => ("row_number()".to_owned(), Int8),
            1 => (format!("lag({value}, {})", self.below(3)), Int4),
            2 => (format!("lead({text})"), Text),
            3 => (format!("sum({value})"), Int8),
            4 => ("count(*)".to_owned(), Int8),
            5 => (format!("first_value({text})"), Text),
            6 => (format!("last_value({value})"), Int4),
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

    /// A FROM clause and what it offers.
    fn from(
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
    fn limited_lateral(&mut self, visible: &[Source]) -> Query {
        let (item, source) = self.related_item(0, &[], visible);
        let text = self.expression(Text, std::slice::from_ref(&source), 0);
        let condition = match self.join_condition(visible, &source) {
            Some((condition, _)) => condition,
            None => "true".to_owned(),
        };
        let text = format!(
            "SELECT {text} AS c1 FROM {item} WHERE {condition} ORDER BY 1 LIMIT {}",
            1 + self.below(3)
        );
        Query { text, columns: vec![("c1".to_owned(), Text)] }
    }

    /// Something to join with, preferably what shares a column with what is there.
    fn related_item(
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

    fn item(&mut self, depth: usize, ctes: &[Source]) -> (String, Source) {
        let alias = self.alias();
        if !ctes.is_empty() && self.once_in(2) {
            let cte = self.pick(ctes).clone();
            return (format!("{} {alias}", cte.alias), Source { alias, columns: cte.columns });
        }
        if depth > 0 && self.once_in(6) {
            let query = self.query(depth - 1, &[]);
            return (format!("({}) {alias}", query.text), Source { alias, columns: query.columns });
        }
        let (table, columns) = *self.pick(TABLES);
        let columns = columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
        (format!("{table} {alias}"), Source { alias, columns })
    }

    /// An equality between what is there and what joins it, and whether a full join can be done with it.
    fn join_condition(&mut self, sources: &[Source], new: &Source) -> Option<(String, bool)> {
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

    fn conditions(&mut self, sources: &[Source], enclosing: &[Source], depth: usize) -> String {
        let conditions: Vec<String> =
            (0..self.below(3)).map(|_| self.predicate(sources, enclosing, depth)).collect();
        if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        }
    }

    /// A column of a type, if there is one.
    fn column(&mut self, ty: Ty, sources: &[Source]) -> Option<String> {
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
    fn present(&mut self, types: &[Ty], sources: &[Source]) -> Ty {
        let has =
            |ty: &Ty| sources.iter().any(|source| source.columns.iter().any(|(_, it)| it == ty));
        let present: Vec<Ty> = types.iter().copied().filter(has).collect();
        if present.is_empty() { types[0] } else { *self.pick(&present) }
    }

    fn literal(&mut self, ty: Ty) -> String {
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
            Bool => self.pick(&["true", "false"]).to_string(),
        }
    }

    /// An expression of a type over some sources.
    fn expression(&mut self, ty: Ty, sources: &[Source], depth: usize) -> String {
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
            Text => match self.below(5) {
                0 => format!(
                    "({} || {})",
                    self.expression(Text, sources, depth),
                    self.expression(Text, sources, depth)
                ),
                1 => format!(
                    "COALESCE({}, {})",
                    self.expression(Text, sources, depth),
                    self.literal(Text)
                ),
                2 => format!("lower({})", self.expression(Text, sources, depth)),
                3 => format!("({})::text", self.expression(Int4, sources, depth)),
                _ => self.literal(Text),
            },
            Int4 => match self.below(5) {
                0 => {
                    format!("({} + {})", self.expression(Int4, sources, depth), self.literal(Int4))
                }
                1 => {
                    format!("({} * {})", self.expression(Int4, sources, depth), self.literal(Int4))
                }
                2 => format!("length({})", self.expression(Text, sources, depth)),
                3 => format!(
                    "NULLIF({}, {})",
                    self.expression(Int4, sources, depth),
                    self.literal(Int4)
                ),
                _ => self.literal(Int4),
            },
            Int8 => match self.below(3) {
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
                _ => self.literal(Int8),
            },
            Time => {
                format!("({} + {})", self.expression(Time, sources, depth), self.literal(Interval))
            }
            Bool => format!("({})", self.predicate(sources, &[], depth.min(1))),
            Uuid | Date | Interval => self.literal(ty),
        }
    }

    fn predicate(&mut self, sources: &[Source], enclosing: &[Source], depth: usize) -> String {
        let mut visible = sources.to_vec();
        visible.extend_from_slice(enclosing);
        let inner = depth.saturating_sub(1);
        match self.below(if depth > 0 { 14 } else { 7 }) {
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
    fn correlated(&mut self, output: &str, sources: &[Source], depth: usize) -> String {
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
