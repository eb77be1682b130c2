//! The figures of a run, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// All figures.
#[derive(Debug, Default)]
pub(crate) struct Report {
    notes: Vec<(String, String)>,
    definitions: Vec<(&'static str, &'static str)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    rotabase: Figure,
    postgres: Option<Figure>,
    duckdb: Option<Figure>,
    higher_is_better: bool,
}

/// The median and the worst of some runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    median: f64,
    worst: f64,
}

impl Figure {
    /// Of runs whose higher values are better, or lower.
    pub(crate) fn of(mut runs: Vec<f64>, higher_is_better: bool) -> Self {
        assert!(!runs.is_empty(), "there was a run");
        runs.sort_by(f64::total_cmp);
        let worst = if higher_is_better { runs[0] } else { runs[runs.len() - 1] };
        Self { median: runs[runs.len() / 2], worst }
    }

    fn json(self) -> Value {
        json!({ "median": self.median, "worst": self.worst })
    }
}

impl Report {
    /// Something to know about the run.
    pub(crate) fn note(&mut self, what: &str, value: &str) {
        self.notes.push((what.to_owned(), value.to_owned()));
    }

    /// What a named workload is, and what is measured of it.
    pub(crate) fn define(&mut self, workload: &'static str, definition: &'static str) {
        self.definitions.push((workload, definition));
    }

    /// A figure where more is better.
    pub(crate) fn rate(
        &mut self,
        what: &str,
        unit: &'static str,
        rotabase: Vec<f64>,
        postgres: Option<Vec<f64>>,
    ) {
        self.push(what, unit, rotabase, postgres, true);
    }

    /// A figure where less is better.
    pub(crate) fn cost(
        &mut self,
        what: &str,
        unit: &'static str,
        rotabase: Vec<f64>,
        postgres: Option<Vec<f64>>,
    ) {
        self.push(what, unit, rotabase, postgres, false);
    }

    fn push(
        &mut self,
        what: &str,
        unit: &'static str,
        rotabase: Vec<f64>,
        postgres: Option<Vec<f64>>,
        higher_is_better: bool,
    ) {
        let rotabase = Figure::of(rotabase, higher_is_better);
        let postgres = postgres.map(|runs| Figure::of(runs, higher_is_better));
        let duckdb = None;
        let what = what.to_owned();
        self.rows.push(Row { what, unit, rotabase, postgres, duckdb, higher_is_better });
    }

    /// What DuckDB took for the figure that was given last.
    pub(crate) fn beside_duckdb(&mut self, runs: Vec<f64>) {
        let row = self.rows.last_mut().expect("there is a figure");
        row.duckdb = Some(Figure::of(runs, row.higher_is_better));
    }

    /// The table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for (what, value) in &self.notes {
            let _ = writeln!(table, "{what}: {value}");
        }
        let with_duckdb = self.rows.iter().any(|row| row.duckdb.is_some());
        let beside =
            |duckdb: &str| if with_duckdb { format!(" {duckdb:>10}") } else { String::new() };
        let _ = writeln!(
            table,
            "\n{:<50} {:>10} {:>10} {:>10} {:>10} {:>8}{}  unit",
            "",
            "Rotabase",
            "worst",
            "PostgreSQL",
            "worst",
            "ratio",
            beside("DuckDB")
        );
        for row in &self.rows {
            let (postgres, worst) = row
                .postgres
                .map_or((String::new(), String::new()), |it| (short(it.median), short(it.worst)));
            let ratio = row.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}x"));
            let duckdb = row.duckdb.map_or(String::new(), |it| short(it.median));
            let _ = writeln!(
                table,
                "{:<50} {:>10} {:>10} {postgres:>10} {worst:>10} {ratio:>8}{}  {}",
                row.what,
                short(row.rotabase.median),
                short(row.rotabase.worst),
                beside(&duckdb),
                row.unit
            );
        }
        for (workload, definition) in &self.definitions {
            let _ = write!(table, "\n{workload}: {definition}");
        }
        table
    }

    /// The figures for programs.
    pub(crate) fn json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "what": row.what,
                    "unit": row.unit,
                    "rotabase": row.rotabase.json(),
                    "postgres": row.postgres.map(Figure::json),
                    "duckdb": row.duckdb.map(Figure::json),
                    "ratio": row.ratio(),
                })
            })
            .collect();
        let notes: serde_json::Map<String, Value> =
            self.notes.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
        let definitions: serde_json::Map<String, Value> =
            self.definitions.iter().map(|(what, it)| ((*what).to_owned(), json!(it))).collect();
        json!({ "notes": notes, "definitions": definitions, "figures": rows }).to_string()
    }
}

impl Row {
    /// How many times better than PostgreSQL.
    fn ratio(&self) -> Option<f64> {
        let postgres = self.postgres?.median;
        let ours = self.rotabase.median;
        Some(if self.higher_is_better { ours / postgres } else { postgres / ours })
    }
}

/// The runs of something that may not have run at all.
pub(crate) fn some(runs: Vec<f64>) -> Option<Vec<f64>> {
    Some(runs).filter(|runs| !runs.is_empty())
}

/// A count as a figure.
pub(crate) fn number(count: u64) -> f64 {
    // Exact up to 2^53, and in two halves without a cast.
    let high = u32::try_from(count >> 32).expect("32 bits");
    let low = u32::try_from(count & u64::from(u32::MAX)).expect("32 bits");
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}
