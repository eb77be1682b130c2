//! The figures of a run, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// All figures.
#[derive(Debug, Default)]
pub(crate) struct Report {
    notes: Vec<(String, String)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    rotabase: Figure,
    postgres: Option<Figure>,
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
}

impl Report {
    /// Something to know about the run.
    pub(crate) fn note(&mut self, what: &str, value: &str) {
        self.notes.push((what.to_owned(), value.to_owned()));
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
        self.rows.push(Row { what: what.to_owned(), unit, rotabase, postgres, higher_is_better });
    }

    /// The table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for (what, value) in &self.notes {
            let _ = writeln!(table, "{what}: {value}");
        }
        let _ = writeln!(
            table,
            "\n{:<46} {:>12} {:>12} {:>12} {:>12} {:>8}  unit",
            "", "Rotabase", "worst", "PostgreSQL", "worst", "ratio"
        );
        for row in &self.rows {
            let (postgres, worst) = row
                .postgres
                .map_or((String::new(), String::new()), |it| (number(it.median), number(it.worst)));
            let ratio = row.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}x"));
            let _ = writeln!(
                table,
                "{:<46} {:>12} {:>12} {:>12} {:>12} {:>8}  {}",
                row.what,
                number(row.rotabase.median),
                number(row.rotabase.worst),
                postgres,
                worst,
                ratio,
                row.unit
            );
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
                    "rotabase": { "median": row.rotabase.median, "worst": row.rotabase.worst },
                    "postgres": row.postgres.map(|it| json!({ "median": it.median, "worst": it.worst })),
                    "ratio": row.ratio(),
                })
            })
            .collect();
        let notes: serde_json::Map<String, Value> =
            self.notes.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
        json!({ "notes": notes, "figures": rows }).to_string()
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

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}
