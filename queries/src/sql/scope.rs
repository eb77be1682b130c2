//! What names mean at a place in a statement: the rows in sight, and what is allowed there.
//!
//! The binder keeps a stack of [`Level`]s, the innermost last. The last one is the row that expressions are over;
//! the one before it is `Outer` of depth 1, and so on. Besides queries, the left side of a join is a level while its
//! right side is bound, because that may be lateral.

use std::sync::Arc;

use crate::plan::{AggregateCall, Expr, SetCall, WindowCall};
use crate::relation::Relation;
use crate::types::PgType;

/// Columns from here on stand for the aggregates of a level until the query's plan is made.
pub(super) const AGGREGATES: usize = 1 << 28;
/// Columns from here on stand for the window calls of a level.
pub(super) const WINDOWS: usize = 1 << 29;
/// Columns from here on stand for the set-returning calls of a level.
pub(super) const SETS: usize = 1 << 30;

/// A column in sight.
#[derive(Clone, Debug)]
pub(super) struct NamedColumn {
    pub(super) name: String,
    /// Its value over the level's row: a column, or for a merged one of a full join more.
    pub(super) expr: Expr,
    pub(super) typmod: i32,
    /// The table and column number that it is a plain column of, or zeros.
    pub(super) origin: (u32, i16),
    /// Of a record, the names and types of its fields as far as they are known.
    pub(super) fields: Vec<(String, PgType)>,
}

/// A relation in sight: a table, a subquery, a function, by its alias.
#[derive(Clone, Debug)]
pub(super) struct NamedRelation {
    pub(super) name: String,
    /// Its schema and its own name, if it is a table; with an alias the table's name does not count.
    pub(super) table: Option<TableName>,
    pub(super) columns: Vec<NamedColumn>,
    /// The relation, for what follows from its primary key.
    pub(super) relation: Option<Arc<dyn Relation>>,
    /// A function with one unnamed column: the relation's name is that value, not a row.
    pub(super) scalar: bool,
}

/// The schema and name of a table in sight.
#[derive(Clone, Debug)]
pub(super) struct TableName {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) aliased: bool,
}

/// The rows in sight at one level.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespace {
    /// What a name before a point can mean.
    pub(super) relations: Vec<NamedRelation>,
    /// What a bare name can mean, and `*`, in order.
    pub(super) columns: Vec<NamedColumn>,
    /// How many columns the row has.
    pub(super) width: usize,
}

/// A part of a statement that allows some kinds of calls and not others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Select,
    DistinctOn,
    OrderBy,
    Having,
    Where,
    JoinOn,
    GroupBy,
    Limit,
    Offset,
    Values,
    FromFunction,
    Lateral,
    Returning,
    UpdateSet,
    Filter,
    AggregateArguments,
    WindowPartition,
    WindowOrder,
    WindowFrame,
    Subscribe,
    CopyWhere,
    SystemTime,
    Arguments,
    Default,
}

impl Clause {
    /// Its name after "are not allowed in".
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::DistinctOn => "DISTINCT ON",
            Self::OrderBy => "ORDER BY",
            Self::Having => "HAVING",
            Self::Where | Self::Subscribe => "WHERE",
            Self::JoinOn => "JOIN conditions",
            Self::GroupBy => "GROUP BY",
            Self::Limit => "LIMIT",
            Self::Offset => "OFFSET",
            Self::Values => "VALUES",
            Self::FromFunction => "functions in FROM",
            Self::Lateral => "FROM clause of their own query level",
            Self::Returning => "RETURNING",
            Self::UpdateSet => "UPDATE",
            Self::Filter => "FILTER",
            Self::AggregateArguments => "aggregate arguments",
            Self::WindowPartition | Self::WindowOrder => "window definitions",
            Self::WindowFrame => "window ROWS",
            Self::SystemTime => "FOR SYSTEM_TIME AS OF",
            Self::CopyWhere => "COPY FROM WHERE conditions",
            Self::Arguments => "EXECUTE parameters",
            Self::Default => "DEFAULT expressions",
        }
    }

    /// Whether aggregates of the same level may stand in it.
    pub(super) fn allows_aggregates(self) -> bool {
        matches!(
            self,
            Self::Select
                | Self::DistinctOn
                | Self::OrderBy
                | Self::Having
                | Self::WindowPartition
                | Self::WindowOrder
        )
    }

    /// Whether window functions may stand in it.
    pub(super) fn allows_windows(self) -> bool {
        matches!(self, Self::Select | Self::DistinctOn | Self::OrderBy)
    }

    /// Whether set-returning functions may stand in it.
    pub(super) fn allows_sets(self) -> bool {
        matches!(self, Self::Select | Self::DistinctOn | Self::OrderBy | Self::GroupBy)
    }
}

/// A row in sight with what is being gathered over it.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) namespace: Namespace,
    /// Names find it; the left side of a join is hidden from subqueries that are not lateral.
    pub(super) visible: bool,
    /// Something refers to it.
    pub(super) used: bool,
    pub(super) clause: Clause,
    /// A construct within the clause that allows no set-returning functions, `CASE` for example.
    pub(super) no_sets: Option<&'static str>,
    pub(super) aggregates: Vec<AggregateCall>,
    pub(super) windows: Vec<WindowCall>,
    pub(super) sets: Vec<SetCall>,
    /// The named windows of the query.
    pub(super) named_windows: Vec<NamedWindow>,
    /// Columns referred to outside of aggregates, with places: for the errors of grouping.
    pub(super) uses: Vec<(usize, Option<usize>)>,
    /// The arguments of `GROUPING`, checked when the groups are known.
    pub(super) groupings: Vec<Grouping>,
}

/// A `GROUPING(..)`, before its arguments are found among the group expressions.
#[derive(Clone, Debug)]
pub(super) struct Grouping {
    pub(super) arguments: Vec<Expr>,
    pub(super) positions: Vec<Option<usize>>,
}

/// A window of the `WINDOW` clause.
#[derive(Clone, Debug)]
pub(super) struct NamedWindow {
    pub(super) name: String,
    pub(super) spec: sqlparser::ast::WindowSpec,
}

impl Level {
    pub(super) fn new(namespace: Namespace, clause: Clause) -> Self {
        Self {
            namespace,
            visible: true,
            used: false,
            clause,
            no_sets: None,
            aggregates: Vec::new(),
            windows: Vec::new(),
            sets: Vec::new(),
            named_windows: Vec::new(),
            uses: Vec::new(),
            groupings: Vec::new(),
        }
    }
}

impl Namespace {
    /// A namespace of one relation, whose row it is.
    pub(super) fn of(relation: NamedRelation) -> Self {
        let columns = relation.columns.clone();
        Self { width: columns.len(), relations: vec![relation], columns }
    }

    /// Moves everything that many columns to the right.
    pub(super) fn shift(&mut self, by: usize) {
        if by == 0 {
            return;
        }
        let columns = self.relations.iter_mut().flat_map(|relation| &mut relation.columns);
        for column in columns.chain(&mut self.columns) {
            super::walk::shift_expr(&mut column.expr, by);
        }
    }
}

impl NamedColumn {
    /// A column of a level's row.
    pub(super) fn new(name: impl Into<String>, place: usize, ty: PgType) -> Self {
        Self {
            name: name.into(),
            expr: Expr::Column(place, ty),
            typmod: -1,
            origin: (0, 0),
            fields: Vec::new(),
        }
    }
}
