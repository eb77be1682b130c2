//! What a running statement has around it: its settings, its snapshot, its budget and its cancel flag.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::as_of::PastSnapshots;
use crate::error::{Result, SqlError, SqlState};
use crate::projection::Snapshot;
use crate::types::Datum;
use crate::types::datetime::{DateStyle, IntervalStyle};

/// The rows of a batch that operators aim at.
pub const BATCH_ROWS: usize = 1024;

/// A flag that stops a statement; shared with whoever may cancel it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the statement to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether nobody else has it and nobody has asked: another statement may use it.
    pub fn is_unused(&self) -> bool {
        Arc::strong_count(&self.0) == 1 && !self.0.load(Ordering::Relaxed)
    }

    /// Fails with 57014 once the statement has been asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(SqlError::new(
                SqlState::QUERY_CANCELED,
                "canceling statement due to user request",
            ));
        }
        Ok(())
    }
}

/// The session's settings that change what an expression gives or how a value is written.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `TimeZone`.
    pub time_zone: jiff::tz::TimeZone,
    /// `TimeZone` as it was set.
    pub time_zone_name: String,
    /// `DateStyle`.
    pub date_style: DateStyle,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `extra_float_digits`; 1 and above is the shortest exact form.
    pub extra_float_digits: i32,
    /// `bytea_output` is `escape` rather than `hex`.
    pub bytea_escape: bool,
    /// The session user.
    pub user: String,
    /// `application_name`.
    pub application_name: String,
    /// The database name that the client connected to.
    pub database: String,
    /// The schemas searched for unqualified names, after `pg_catalog`.
    pub search_path: Vec<String>,
    /// The backend's process id as clients see it.
    pub backend_pid: i32,
    /// The names behind the `reg*` types.
    pub objects: Arc<dyn crate::types::ObjectNames>,
    /// Every setting by lower-case name, for `current_setting` and `pg_settings`.
    pub all: Arc<std::collections::BTreeMap<String, String>>,
    /// What `set_config` asks the session to change.
    pub requested: Arc<super::RequestedSettings>,
    /// What `pg_notify` asks the session to send, and the channels it listens on.
    pub notifications: Arc<super::Notifications>,
}

/// The settings of a session that has set nothing, in UTC.
impl Default for Settings {
    fn default() -> Self {
        Self {
            time_zone: jiff::tz::TimeZone::UTC,
            time_zone_name: "UTC".to_owned(),
            date_style: DateStyle::default(),
            interval_style: IntervalStyle::default(),
            extra_float_digits: 1,
            bytea_escape: false,
            user: "rotabase".to_owned(),
            application_name: String::new(),
            database: "rotabase".to_owned(),
            search_path: vec!["public".to_owned()],
            backend_pid: 1,
            objects: Arc::new(crate::types::BuiltInNames),
            all: Arc::default(),
            requested: Arc::default(),
            notifications: Arc::default(),
        }
    }
}

/// What the evaluation of an expression may ask for.
#[derive(Clone, Copy, Debug)]
pub struct EvalContext<'a> {
    /// The running statement.
    pub exec: &'a ExecContext,
}

/// A running statement.
#[derive(Clone, Debug)]
pub struct ExecContext {
    /// The session's settings.
    pub settings: Arc<Settings>,
    /// Microseconds since 2000-01-01 UTC at the start of the transaction: `now()`.
    pub transaction_time: i64,
    /// The same for the statement: `statement_timestamp()`.
    pub statement_time: i64,
    /// The clock, for `clock_timestamp()`.
    pub clock: Arc<dyn rotabase_engine::env::Clock>,
    /// Randomness, for `random()` and `gen_random_uuid()`.
    pub random: Arc<dyn rotabase_engine::env::Random>,
    /// The values of `$1` …
    pub parameters: Arc<[Datum]>,
    /// The rows that every relation shows.
    pub snapshot: Snapshot,
    /// Where a transaction notes what it reads; none where nobody asks.
    pub reads: Option<Arc<super::Reads>>,
    /// What the relations with an instant of their own show.
    pub past: PastSnapshots,
    /// The flag that stops the statement.
    pub cancel: Cancel,
    /// The bytes that sorts, hashes and materialised rows may hold together; beyond, they go on on disk.
    pub memory_bytes_max: usize,
    /// Where operators put rows that the memory does not hold; without one they fail with 53200.
    pub spill_directory: Option<Arc<Path>>,
    /// The bytes that all temporary files of the statement may hold; 53400 beyond.
    pub spill_bytes_max: u64,
}

/// Rows, one after the other, each `width` values long.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The values in a row. With 0, `rows` alone counts.
    pub width: usize,
    /// The number of rows.
    pub rows: usize,
    /// `width * rows` values.
    pub values: Vec<Datum>,
}

impl Batch {
    /// The rows as slices.
    pub fn iter(&self) -> impl Iterator<Item = &[Datum]> {
        (0..self.rows).map(|row| &self.values[row * self.width..(row + 1) * self.width])
    }

    /// The rows, each by itself.
    pub fn into_rows(self) -> Vec<Vec<Datum>> {
        let mut values = self.values.into_iter();
        (0..self.rows).map(|_| values.by_ref().take(self.width).collect()).collect()
    }
}
