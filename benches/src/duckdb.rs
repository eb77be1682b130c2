//! DuckDB beside the scans, in a process of Python: used where it is installed, left out where not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::process::own_file;

/// A DuckDB with the rows of a schedule in memory.
#[derive(Debug)]
pub(crate) struct DuckDb {
    process: Child,
    queries: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Its version.
    pub(crate) version: String,
}

impl DuckDb {
    /// Loads `legs.csv`, `airports.csv` and `airplanes.csv` of a directory; none if this Python has no DuckDB.
    pub(crate) fn find(python: &Path, directory: &Path) -> Option<Self> {
        let mut probe = Command::new(python);
        let found =
            probe.args(["-c", "import duckdb"]).output().is_ok_and(|it| it.status.success());
        if !found {
            return None;
        }
        let program = own_file("duckdb/scans.py");
        let mut process = Command::new(python)
            .arg(program)
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it ran a moment ago");
        let queries = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        let mut duckdb = Self { process, queries, answers, version: String::new() };
        duckdb.answer().as_str().expect("a version").clone_into(&mut duckdb.version);
        Some(duckdb)
    }

    /// The milliseconds that a query takes, and its rows as psql prints them.
    pub(crate) fn query(&mut self, query: &str) -> (f64, Vec<String>) {
        writeln!(self.queries, "{query}").expect("it runs");
        let answer = self.answer();
        let rows = answer["rows"].as_array().expect("rows");
        let rows = rows.iter().map(|row| row.as_str().expect("a row").to_owned()).collect();
        (answer["milliseconds"].as_f64().expect("a time"), rows)
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it runs");
        serde_json::from_str(&line).expect("what it failed with is on the standard error output")
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
