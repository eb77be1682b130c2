//! The rows of a statement that writes, as commands, and what their refusals mean for them.

use std::collections::BTreeSet;

use rotabase_engine::position::Version;
use rotabase_engine::schedule::{Refusal, Schedule};
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::{ExecContext, evaluate};
use rotabase_queries::plan::Expr;
use rotabase_queries::sql::command::{CommandRequest, RowChange, Target};
use rotabase_queries::types::Datum;
use rotabase_raft::{Decided, Request};

/// The commands of a statement, row by row.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) rows: Vec<ChangedRow>,
}

/// A row that a statement changes, with what `RETURNING` may look at beside it.
#[derive(Debug)]
pub(super) struct ChangedRow {
    pub(super) change: RowChange,
    pub(super) beside: Vec<Datum>,
}

/// Why the rows of a statement could not be decided as they were read.
pub(super) enum Again {
    /// These rows are to be left out: they lost a `version = n`, or their key is there already.
    Without(Vec<usize>),
    /// Something has changed since it was read.
    Reread,
}

/// What came of submitting a statement's rows.
pub(super) enum Submitted {
    Decided(Decided),
    Again(Again),
}

impl Changes {
    /// All commands in order.
    pub(super) fn requests(&self) -> Vec<Request<Schedule>> {
        self.rows.iter().flat_map(|row| &row.change.requests).map(request).collect()
    }

    /// The row that a command belongs to.
    pub(super) fn row_of(&self, request: usize) -> usize {
        let mut first = 0;
        for (row, changed) in self.rows.iter().enumerate() {
            first += changed.change.requests.len();
            if request < first {
                return row;
            }
        }
        self.rows.len().saturating_sub(1)
    }

    /// Whether a refusal only says that what was read has changed meanwhile: then the row is read again, and if
    /// it is gone, it is no row of the statement.
    pub(super) fn is_stale(&self, request: usize, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::LegMissing(_) | Refusal::LegChanged(_) | Refusal::RotationHasLegs(_) => true,
            // The row's own aggregate is gone, not one that the row refers to.
            Refusal::Missing(id) => {
                let row = self.row_of(request);
                self.rows
                    .get(row)
                    .and_then(|row| row.change.requests.first())
                    .is_some_and(|first| first.id == *id)
            }
            _ => false,
        }
    }
}

/// A command as the write path takes it.
fn request(request: &CommandRequest) -> Request<Schedule> {
    Request::new(request.id, request.command.clone()).expecting(request.expected_version)
}

/// The version that a statement's WHERE asks for.
pub(super) enum Expected {
    Any,
    Version(Version),
    /// A version that no aggregate has.
    Never,
}

impl Expected {
    pub(super) fn version(&self) -> Option<Version> {
        match self {
            Self::Version(version) => Some(*version),
            Self::Any | Self::Never => None,
        }
    }
}

/// Evaluates it.
pub(super) fn expected_version(
    expression: Option<&Expr>,
    context: &ExecContext,
) -> Result<Expected> {
    let Some(expression) = expression else { return Ok(Expected::Any) };
    let value = match evaluate(expression, &[], context)? {
        Datum::Int8(value) => Some(value),
        Datum::Int4(value) => Some(i64::from(value)),
        Datum::Int2(value) => Some(i64::from(value)),
        _ => None,
    };
    Ok(value
        .and_then(|value| u64::try_from(value).ok())
        .map_or(Expected::Never, |it| Expected::Version(Version(it))))
}

/// A row of values in the order of the statement's columns, spread over the table's.
pub(super) fn insert_row(
    target: Target,
    columns: &[usize],
    values: Vec<Datum>,
) -> Result<Vec<Option<Datum>>> {
    let mut row = vec![None; target.columns().len()];
    for (column, value) in columns.iter().zip(values) {
        if !target.insertable(*column) {
            let name = target.columns()[*column];
            return Err(SqlError::new(
                SqlState("428C9"),
                format!("cannot insert a non-DEFAULT value into column \"{name}\""),
            )
            .with_detail(format!("Column \"{name}\" is maintained by the database.")));
        }
        row[*column] = Some(value);
    }
    Ok(row)
}

/// Whether a row is one of those that are left out.
pub(super) fn skipped(without: &[Datum], row: &[Datum]) -> bool {
    let same = |a: &Datum, b: &Datum| match (a, b) {
        (Datum::Uuid(a), Datum::Uuid(b)) => a == b,
        (Datum::Text(a), Datum::Text(b)) => a == b,
        _ => false,
    };
    without.iter().any(|key| same(key, &row[0]))
}

/// 21000: a statement cannot change a row twice.
pub(super) fn refuse_repeated_keys(target: Target, rows: &[Vec<Option<Datum>>]) -> Result<()> {
    let mut keys = BTreeSet::new();
    for row in rows {
        if let Some(Datum::Text(key)) = &row[0]
            && !keys.insert(key.to_ascii_uppercase())
        {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message).with_hint(
                format!(
                    "No two rows of one statement can have the same key of \"{}\".",
                    target.table()
                ),
            ));
        }
    }
    Ok(())
}
