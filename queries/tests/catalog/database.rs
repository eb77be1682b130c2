//! An empty database without a log, to ask the catalog of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::db::StoreError;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::{Clock, Random};
use rotabase_engine::feed::Feed;
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_queries::as_of::PastSnapshots;
use rotabase_queries::catalog::{
    Catalog, GrantRow, RoleRow, SessionRow, ShardRow, System, SystemState, View,
    with_system_relations,
};
use rotabase_queries::error::{Result, SqlError};
use rotabase_queries::exec::{Cancel, Cursor, EXEC_STACK_BYTES, ExecContext, Settings};
use rotabase_queries::optimize::optimize;
use rotabase_queries::projection::{ProjectionOptions, Projections, Snapshot};
use rotabase_queries::sql::{self, Bound};
use rotabase_queries::types::{Datum, PgType, text};

/// A log in which nothing ever happens.
#[derive(Debug)]
struct Silence;

impl Feed for Silence {
    fn shards(&self) -> u16 {
        1
    }
    fn committed(&self, _: ShardId) -> LogIndex {
        LogIndex(0)
    }
    fn read(
        &self,
        _: ShardId,
        after: LogIndex,
        _: &mut Vec<CommittedEntry>,
    ) -> Result<LogIndex, StoreError> {
        Ok(after)
    }
    fn generation(&self) -> u64 {
        0
    }
    fn wait(&self, seen: u64, _: Duration) -> u64 {
        seen
    }
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now_microseconds(&self) -> i64 {
        0
    }
}

impl Random for Still {
    fn next_u64(&self) -> u64 {
        4
    }
}

#[derive(Debug)]
struct State;

impl SystemState for State {
    fn roles(&self) -> Vec<RoleRow> {
        let role =
            |name: &str, superuser| RoleRow { name: name.to_owned(), superuser, login: true };
        vec![role("planner", false), role("rotabase", true)]
    }
    fn grants(&self) -> Vec<GrantRow> {
        let grant = |privilege| GrantRow {
            role: "planner".to_owned(),
            table: "legs".to_owned(),
            privilege,
        };
        vec![grant("UPDATE"), grant("SELECT")]
    }
    fn sessions(&self) -> Vec<SessionRow> {
        vec![SessionRow {
            pid: 7,
            user: "rotabase".to_owned(),
            database: "rotabase".to_owned(),
            state: "active".to_owned(),
            ..SessionRow::default()
        }]
    }
    fn shards(&self) -> Vec<ShardRow> {
        vec![ShardRow {
            shard: 0,
            leader: Some(1),
            leading: true,
            last_index: 9,
            ..ShardRow::default()
        }]
    }
}

/// The catalog of an empty database with one view, `planned`.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    catalog: Arc<Catalog>,
    settings: Settings,
}

/// A result, as psql's unaligned output has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<(String, PgType)>,
    pub(crate) rows: Vec<String>,
}

impl Database {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let projections =
            Projections::open(directory.path(), Arc::new(Silence), ProjectionOptions::default())
                .expect("empty projections");
        let view = View {
            oid: 100_000,
            schema: "public".to_owned(),
            name: "planned".to_owned(),
            columns: Vec::new(),
            query: "SELECT id, carrier FROM legs".to_owned(),
            owner: "rotabase".to_owned(),
        };
        let catalog = with_system_relations(projections.relations()).with_views([Arc::new(view)]);
        projections.shutdown();
        let catalog = Arc::new(catalog);
        let system = System::new(Arc::new(State));
        system.publish(Arc::clone(&catalog));
        let values = [
            ("server_version", "15.8"),
            ("server_version_num", "150008"),
            ("search_path", "\"$user\", public"),
            ("standard_conforming_strings", "on"),
            ("application_name", ""),
            ("jit", "off"),
            ("timezone", "UTC"),
        ];
        let all: BTreeMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings {
            objects: Arc::new(system),
            all: Arc::new(all),
            backend_pid: 7,
            ..Settings::default()
        };
        Self { catalog, settings }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same for another user.
    pub(crate) fn of(&self, user: &str) -> Self {
        let settings = Settings { user: user.to_owned(), ..self.settings.clone() };
        Self { settings, ..self.clone() }
    }

    /// Runs a query to its end, on a stack as large as queries need.
    pub(crate) fn query(&self, statement: &str) -> Result<Answer> {
        let (database, statement) = (self.clone(), statement.to_owned());
        std::thread::Builder::new()
            .stack_size(EXEC_STACK_BYTES)
            .spawn(move || database.run(&statement))
            .expect("a thread")
            .join()
            .unwrap_or_else(|_| Err(SqlError::internal("panicked")))
    }

    fn run(&self, statement: &str) -> Result<Answer> {
        let statements = sql::parse(statement)?;
        let [statement] = statements.as_slice() else {
            return Err(SqlError::internal("one statement at a time"));
        };
        let Bound::Query(query) = sql::bind(&self.catalog, &self.settings, statement, &[])? else {
            return Err(SqlError::internal("no query"));
        };
        let context = ExecContext {
            settings: Arc::new(self.settings.clone()),
            transaction_time: 0,
            statement_time: 0,
            clock: Arc::new(Still),
            random: Arc::new(Still),
            parameters: Arc::new([]),
            snapshot: Snapshot::empty(),
            reads: None,
            past: PastSnapshots::default(),
            cancel: Cancel::default(),
            memory_bytes_max: 64 << 20,
            spill_directory: None,
            spill_bytes_max: 1 << 30,
        };
        let plan = Arc::new(optimize(query.plan));
        let columns = plan.columns.iter().map(|column| (column.name.clone(), column.ty)).collect();
        let mut answer = Answer { columns, rows: Vec::new() };
        let mut cursor = Cursor::open(plan, context)?;
        while let Some(batch) = cursor.next()? {
            for row in batch.iter() {
                let fields = row.iter().zip(&answer.columns);
                let fields = fields.map(|(value, (_, ty))| self.field(value, *ty));
                answer.rows.push(fields.collect::<Vec<_>>().join("|"));
            }
        }
        Ok(answer)
    }

    fn field(&self, value: &Datum, ty: PgType) -> String {
        if value.is_null() { String::new() } else { text::to_string(value, ty, &self.settings) }
    }

    /// The rows of a query that has to work.
    pub(crate) fn rows(&self, statement: &str) -> Vec<String> {
        self.query(statement).unwrap_or_else(|error| panic!("{error:?}\n{statement}")).rows
    }
}
