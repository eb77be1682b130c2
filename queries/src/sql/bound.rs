//! Statements after binding: what a session has to carry out, without names left to look up.
//!
//! A [`Bound`] is immutable and depends on the catalog and on the settings it was bound with (`search_path`,
//! `TimeZone`, `DateStyle`): whoever keeps one for the same text again drops it when one of these changes.

use std::sync::Arc;

use crate::catalog::View;
use crate::plan::{Expr, OutputColumn, Plan};
use crate::relation::Relation;
use crate::types::PgType;

use super::copy_options::CopyOptions;
use super::statement::Statement;
use super::utility::Utility;

/// A bound statement.
#[derive(Clone, Debug)]
pub enum Bound {
    /// No statement: only spaces and comments.
    Empty,
    /// `SELECT`, `VALUES`, `TABLE`, `WITH .. SELECT`.
    Query(BoundQuery),
    /// `INSERT`.
    Insert(Insert),
    /// `UPDATE`.
    Update(Update),
    /// `DELETE`.
    Delete(Delete),
    /// `WITH` with statements that change data, and what they come before.
    With(WritingWith),
    /// `COPY .. FROM STDIN`.
    CopyFrom(CopyFrom),
    /// `COPY .. TO STDOUT`.
    CopyTo(CopyTo),
    /// `SUBSCRIBE TO ..`.
    Subscribe(Subscribe),
    /// `EXPLAIN`.
    Explain(Explain),
    /// `DECLARE .. CURSOR FOR`.
    DeclareCursor(DeclareCursor),
    /// `PREPARE name AS`.
    Prepare(Prepare),
    /// `EXECUTE name (..)`.
    Execute(Execute),
    /// `CREATE VIEW`.
    CreateView(CreateView),
    /// Everything that needs no binding.
    Utility(Utility),
}

/// A query and the types of its parameters.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    /// The plan, as the binder makes it; the optimiser comes next.
    pub plan: Plan,
    /// The type of `$1`, `$2` …
    pub parameters: Vec<PgType>,
    /// Its locking clause, if it has one: `FOR UPDATE`.
    pub locks: Option<&'static str>,
}

/// `RETURNING`.
#[derive(Clone, Debug)]
pub struct Returning {
    /// One expression for each output column. For INSERT they are over the table's columns of the row as it is
    /// after the command; for UPDATE and DELETE over these and then the columns of `FROM` or `USING`, which are the
    /// source's columns from the number of the table's columns on.
    pub expressions: Vec<Expr>,
    /// What they give.
    pub columns: Arc<[OutputColumn]>,
    /// The common table expressions in sight of the expressions, by number.
    pub ctes: Vec<(usize, Arc<Plan>)>,
}

/// A statement whose `WITH` has statements that change data. All of them are about the rows as they were before any of
/// them, and all happen or none.
#[derive(Clone, Debug)]
pub struct WritingWith {
    /// The statements that change data, in order.
    pub writes: Vec<WritingCte>,
    /// What comes behind the `WITH`: a query or a statement that changes data.
    pub body: Box<Bound>,
    /// The types of the parameters; those of the parts are empty.
    pub parameters: Vec<PgType>,
}

/// A statement that changes data, in a `WITH`.
#[derive(Clone, Debug)]
pub struct WritingCte {
    /// Its number: later parts of the statement read what it returns as the rows of this common table expression.
    pub number: usize,
    /// An INSERT, UPDATE or DELETE.
    pub statement: Bound,
}

/// `INSERT`.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: Arc<dyn Relation>,
    /// The columns that get a value, in the order of the source's columns. All others get their default.
    pub columns: Vec<usize>,
    /// The rows, of exactly the columns' types.
    pub source: Plan,
    /// `ON CONFLICT`.
    pub on_conflict: Option<OnConflict>,
    /// `RETURNING`.
    pub returning: Option<Returning>,
    /// The types of the parameters.
    pub parameters: Vec<PgType>,
}

/// `ON CONFLICT`.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// The index whose key decides, as a place in the schema's indexes; none is any of them.
    pub index: Option<usize>,
    /// What happens to a row whose key is there already.
    pub action: ConflictAction,
}

/// What happens to a row whose key is there already.
#[derive(Clone, Debug)]
pub enum ConflictAction {
    /// It is passed over.
    Nothing,
    /// The row that is there is changed.
    Update {
        /// The columns that change, and to what: over the table's columns of the row that is there and then the
        /// table's columns of the row that was to be inserted (`excluded`).
        assignments: Vec<(usize, Expr)>,
        /// Over the same; rows for which it is not true are passed over.
        condition: Option<Expr>,
    },
}

/// `UPDATE`.
#[derive(Clone, Debug)]
pub struct Update {
    /// The table.
    pub table: Arc<dyn Relation>,
    /// The columns that change, each once.
    pub columns: Vec<usize>,
    /// The rows to change: all the table's columns as they are, then the columns of `FROM`, then the new values,
    /// one for each of `columns` and of its type. No row of the table comes twice.
    pub source: Plan,
    /// The version that the row's aggregate must have: the `version = ..` of the `WHERE`. It refers to parameters only;
    /// null matches no row.
    pub expected_version: Option<Expr>,
    /// `RETURNING`.
    pub returning: Option<Returning>,
    /// The types of the parameters.
    pub parameters: Vec<PgType>,
}

/// `DELETE`.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The table.
    pub table: Arc<dyn Relation>,
    /// The rows to delete: all the table's columns, then the columns of `USING`. No row of the table comes twice.
    pub source: Plan,
    /// As for [`Update::expected_version`].
    pub expected_version: Option<Expr>,
    /// `RETURNING`.
    pub returning: Option<Returning>,
    /// The types of the parameters.
    pub parameters: Vec<PgType>,
}

/// `COPY .. FROM STDIN`.
#[derive(Clone, Debug)]
pub struct CopyFrom {
    /// What the rows are for.
    pub target: CopyTarget,
    /// Whether the statement names the columns; otherwise a header may, and the input may have the columns, too, that
    /// the database maintains, which are passed over.
    pub named: bool,
    /// `WHERE`: rows for which it is not true are passed over.
    pub filter: Option<CopyFilter>,
    /// How they are written.
    pub options: CopyOptions,
}

/// The condition of a COPY.
#[derive(Clone, Debug)]
pub struct CopyFilter {
    /// Over the table's columns.
    pub predicate: Expr,
    /// The default of each of the table's columns.
    pub defaults: Vec<Expr>,
}

/// What rows of a COPY are for.
#[derive(Clone, Debug)]
pub enum CopyTarget {
    /// Commands to a table.
    Table {
        /// The table.
        table: Arc<dyn Relation>,
        /// The columns that the input has, in its order.
        columns: Vec<usize>,
    },
    /// An SSIM Chapter 7 file; it has no options.
    Ssim,
    /// Legs, by designator, and their rotations. The columns that the input has, as places in
    /// [`LEG_ROTATIONS_COLUMNS`].
    LegRotations(Vec<usize>),
    /// Airplanes and their rotations. The columns that the input has, as places in [`AIRPLANE_ROTATIONS_COLUMNS`].
    AirplaneRotations(Vec<usize>),
}

/// The columns of the input of `COPY leg_rotations FROM`.
pub const LEG_ROTATIONS_COLUMNS: [&str; 6] =
    ["rotation", "carrier", "flight_number", "suffix", "departure_airport", "day_of_origin"];
/// The columns of the input of `COPY airplane_rotations FROM`.
pub const AIRPLANE_ROTATIONS_COLUMNS: [&str; 2] = ["registration", "rotation"];

/// `COPY .. TO STDOUT`.
#[derive(Clone, Debug)]
pub struct CopyTo {
    /// Where the rows come from.
    pub source: CopySource,
    /// How they are written.
    pub options: CopyOptions,
}

/// Where the rows of a COPY come from.
#[derive(Clone, Debug)]
pub enum CopySource {
    /// A table or a query.
    Plan(Plan),
    /// The schedule as SSIM.
    Ssim,
    /// A subscription.
    Subscribe(Subscribe),
}

/// What a subscription follows.
#[derive(Clone, Debug)]
pub enum Followed {
    /// The events, as the relation `events` shows them.
    Events(Arc<dyn Relation>),
    /// The rows of the logs, for a read replica: `rotabase.entries`.
    Entries,
}

/// `SUBSCRIBE TO relation [AFTER 'position'] [WHERE ..]`.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// What is followed.
    pub followed: Followed,
    /// Where to begin, as the client wrote it.
    pub after: Option<String>,
    /// Over the relation's columns.
    pub predicate: Option<Expr>,
    /// The columns of its rows.
    pub columns: Arc<[OutputColumn]>,
}

/// The columns of `rotabase.entries`.
pub const ENTRIES_COLUMNS: [(&str, PgType); 6] = [
    ("shard", PgType::Int4),
    ("index", PgType::Int8),
    ("kind", PgType::Int4),
    ("term", PgType::Int8),
    ("node", PgType::Int8),
    ("payload", PgType::Bytea),
];

/// `EXPLAIN`.
#[derive(Clone, Debug)]
pub struct Explain {
    /// Its options.
    pub options: super::utility::ExplainOptions,
    /// The statement explained.
    pub statement: Box<Bound>,
}

/// `DECLARE name CURSOR FOR query`.
#[derive(Clone, Debug)]
pub struct DeclareCursor {
    /// The cursor's name.
    pub name: String,
    /// `BINARY`.
    pub binary: bool,
    /// `SCROLL` or `NO SCROLL`, if said.
    pub scroll: Option<bool>,
    /// `WITH HOLD`.
    pub hold: bool,
    /// The query.
    pub query: BoundQuery,
}

/// `PREPARE name (types) AS statement`.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// The statement's name.
    pub name: String,
    /// The declared types; [`PgType::Unknown`] for those to be inferred.
    pub types: Vec<PgType>,
    /// The statement, to be bound with these types.
    pub statement: Arc<Statement>,
}

/// `EXECUTE name (arguments)`.
#[derive(Clone, Debug)]
pub struct Execute {
    /// The prepared statement's name.
    pub name: String,
    /// The arguments; [`super::bind_arguments`] binds them once the prepared statement's types are known.
    pub arguments: Arc<super::statement::Arguments>,
}

/// `CREATE VIEW`.
#[derive(Clone, Debug)]
pub struct CreateView {
    /// The view; its OID and owner are for whoever creates it.
    pub view: View,
    /// `OR REPLACE`.
    pub replace: bool,
    /// The columns that it has.
    pub columns: Arc<[OutputColumn]>,
}

impl Bound {
    /// The types of `$1`, `$2` …
    pub fn parameters(&self) -> &[PgType] {
        match self {
            Self::Query(query) => &query.parameters,
            Self::Insert(insert) => &insert.parameters,
            Self::Update(update) => &update.parameters,
            Self::Delete(delete) => &delete.parameters,
            Self::With(with) => &with.parameters,
            Self::Explain(explain) => explain.statement.parameters(),
            Self::DeclareCursor(declare) => &declare.query.parameters,
            Self::Empty
            | Self::CopyFrom(_)
            | Self::CopyTo(_)
            | Self::Subscribe(_)
            | Self::Prepare(_)
            | Self::Execute(_)
            | Self::CreateView(_)
            | Self::Utility(_) => &[],
        }
    }

    /// The columns of the rows that it gives, if it gives rows. Those of `FETCH` and of `EXECUTE` are known to the
    /// session alone.
    pub fn columns(&self) -> Option<Arc<[OutputColumn]>> {
        let returned =
            |returning: &Option<Returning>| returning.as_ref().map(|it| Arc::clone(&it.columns));
        match self {
            Self::Query(query) => Some(Arc::clone(&query.plan.columns)),
            Self::Insert(insert) => returned(&insert.returning),
            Self::Update(update) => returned(&update.returning),
            Self::Delete(delete) => returned(&delete.returning),
            Self::With(with) => with.body.columns(),
            Self::Subscribe(subscribe) => Some(Arc::clone(&subscribe.columns)),
            Self::Explain(explain) => Some(explain.options.columns()),
            Self::Utility(utility) => utility.columns(),
            Self::Empty
            | Self::CopyFrom(_)
            | Self::CopyTo(_)
            | Self::DeclareCursor(_)
            | Self::Prepare(_)
            | Self::Execute(_)
            | Self::CreateView(_) => None,
        }
    }

    /// Whether it may change the schedule, views or roles; such a statement is refused on a read replica and in a
    /// read-only transaction.
    pub fn writes(&self) -> bool {
        match self {
            Self::Insert(_)
            | Self::Update(_)
            | Self::Delete(_)
            | Self::With(_)
            | Self::CopyFrom(_)
            | Self::CreateView(_) => true,
            Self::Explain(explain) => explain.options.analyze && explain.statement.writes(),
            Self::Utility(utility) => utility.writes(),
            Self::Empty
            | Self::Query(_)
            | Self::CopyTo(_)
            | Self::Subscribe(_)
            | Self::DeclareCursor(_)
            | Self::Prepare(_)
            | Self::Execute(_) => false,
        }
    }

    /// The statement's name: the command tag, without a row count.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Empty => "",
            Self::Query(_) => "SELECT",
            Self::Insert(_) => "INSERT",
            Self::Update(_) => "UPDATE",
            Self::Delete(_) => "DELETE",
            Self::With(with) => with.body.tag(),
            Self::CopyFrom(_) | Self::CopyTo(_) => "COPY",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::Explain(_) => "EXPLAIN",
            Self::DeclareCursor(_) => "DECLARE CURSOR",
            Self::Prepare(_) => "PREPARE",
            Self::Execute(_) => "EXECUTE",
            Self::CreateView(_) => "CREATE VIEW",
            Self::Utility(utility) => utility.tag(),
        }
    }
}
