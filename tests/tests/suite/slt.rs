//! The SQL contract, statement by statement: `tests/slt/*.slt` on servers of their own, and
//! `tests/slt/postgres/*.slt` on PostgreSQL 15 too.
//!
//! An error reads `SQLSTATE message`, then `DETAIL …` and `HINT …`. A file's columns are `I` (integers), `R` (numeric
//! and floats), `B` (boolean), `D` (dates, times, intervals) and `T` (all else).

use std::fmt;
use std::path::{Path, PathBuf};

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::Server;
use sqllogictest::{ColumnType, DBOutput, QueryExpect, Record, Runner, StatementExpect};
use tokio::runtime::Handle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// One letter of a query's head.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Letter(char);

impl ColumnType for Letter {
    fn from_char(value: char) -> Option<Self> {
        "IRBDT".contains(value).then_some(Self(value))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

impl From<&Type> for Letter {
    fn from(ty: &Type) -> Self {
        Self(match *ty {
            Type::INT2 | Type::INT4 | Type::INT8 => 'I',
            Type::NUMERIC | Type::FLOAT4 | Type::FLOAT8 => 'R',
            Type::BOOL => 'B',
            Type::DATE | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL => 'D',
            _ => 'T',
        })
    }
}

/// An error with its SQLSTATE in front.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Self(format!("{error:?}")) };
        let mut text = format!("{} {}", db.code().code(), db.message());
        for (label, part) in [("DETAIL", db.detail()), ("HINT", db.hint())] {
            if let Some(part) = part {
                text = format!("{text} {label} {part}");
            }
        }
        Self(text)
    }
}

struct Connection {
    client: Client,
}

impl Connection {
    async fn open(conninfo: &str) -> Result<Self, Failure> {
        let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SET timezone = 'UTC'").await?;
        Ok(Self { client })
    }

    /// The types of the columns; none of a statement that cannot be prepared or returns no rows.
    async fn types(&self, sql: &str) -> Vec<(String, Type)> {
        let Ok(statement) = self.client.prepare(sql).await else { return Vec::new() };
        statement.columns().iter().map(|it| (it.name().to_owned(), it.type_().clone())).collect()
    }
}

fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    }
}

impl sqllogictest::DB for Connection {
    type Error = Failure;
    type ColumnType = Letter;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Letter>, Failure> {
        tokio::task::block_in_place(|| Handle::current().block_on(self.run_script(sql)))
    }
}

impl Connection {
    async fn run_script(&self, sql: &str) -> Result<DBOutput<Letter>, Failure> {
        let messages = self.client.simple_query(sql).await?;
        let (mut columns, mut rows, mut count) = (None, Vec::new(), 0);
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(description) => {
                    columns = Some(description.len());
                }
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|at| shown(row.get(at))).collect());
                }
                SimpleQueryMessage::CommandComplete(n) => count = n,
                _ => {}
            }
        }
        let Some(columns) = columns else { return Ok(DBOutput::StatementComplete(count)) };
        let mut types: Vec<Letter> =
            self.types(sql).await.iter().map(|(_, ty)| Letter::from(ty)).collect();
        // What cannot be prepared (SHOW in a failed block, EXECUTE) counts as text.
        types.resize(columns, Letter('T'));
        Ok(DBOutput::Rows { types, rows })
    }
}

fn files(directory: &str) -> Vec<PathBuf> {
    let directory =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it")).join(directory);
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "slt")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

async fn run(conninfo: &str, label: &str, file: &Path) -> Option<String> {
    let mut runner = Runner::new(|| Connection::open(conninfo));
    runner.add_label(label);
    runner.with_column_validator(sqllogictest::strict_column_validator);
    let outcome = runner.run_file_async(file).await;
    outcome.err().map(|error| format!("{label}: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_and_error_of_the_contract_is_as_written() {
    let mut failures = Vec::new();
    for file in files("slt") {
        let server = Server::start();
        failures.extend(run(&server.conninfo(), "rotabase", &file).await);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_understands_is_the_same_there() {
    let postgres = Postgres::start();
    let schema = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("slt/postgres/schema.sql");
    let schema = std::fs::read_to_string(schema).unwrap();
    let mut failures = Vec::new();
    for file in files("slt/postgres") {
        let server = Server::start();
        postgres.psql(&schema).expect_success();
        failures.extend(run(&postgres.conninfo(), "postgres", &file).await);
        failures.extend(run(&server.conninfo(), "rotabase", &file).await);
        failures.extend(differences(&server, &postgres, &file).await);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Where the names or types of a file's queries differ, whose rows the runner has compared.
async fn differences(server: &Server, postgres: &Postgres, file: &Path) -> Vec<String> {
    let ours = Connection::open(&server.conninfo()).await.unwrap();
    let theirs = Connection::open(&postgres.conninfo()).await.unwrap();
    let mut differences = Vec::new();
    for record in sqllogictest::parse_file::<Letter>(file).unwrap() {
        let sql = match record {
            Record::Query { sql, expected: QueryExpect::Results { .. }, .. } => sql,
            Record::Statement { sql, expected: StatementExpect::Ok, .. }
                if sql.starts_with("INSERT") =>
            {
                sql
            }
            _ => continue,
        };
        let (found, expected) = (ours.types(&sql).await, theirs.types(&sql).await);
        if found != expected {
            differences.push(format!("{sql}\n  found {found:?}\n  expected {expected:?}"));
        }
    }
    differences
}
