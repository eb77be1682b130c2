//! The typed plan: the seam between binding SQL and running it.
//!
//! The binder produces a [`Plan`] in which every expression has a PostgreSQL type, every function and cast is
//! chosen, and every column is a place in its input's row. Nothing below it knows names or overloads. An
//! executor may run it row by row or hand parts of it to a vectorised library: both have to give these rows.

use std::fmt;
use std::sync::Arc;

use crate::relation::Relation;
use crate::types::functions::{AggregateFunction, ScalarFunction, SetFunction, WindowFunction};
use crate::types::{Datum, PgType};

/// A column of a result, as RowDescription describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name; names may repeat.
    pub name: String,
    /// Its type.
    pub ty: PgType,
    /// Its type modifier, -1 for none.
    pub typmod: i32,
    /// The table and the column number (from 1) that it is a plain column of, or zeros.
    pub origin: (u32, i16),
}

/// A typed expression over an input row.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A constant.
    Literal(Datum, PgType),
    /// A parameter, counted from 0.
    Parameter(usize, PgType),
    /// A column of the input row.
    Column(usize, PgType),
    /// A column of an enclosing query's row: 1 is the next query out.
    Outer {
        /// How many queries out.
        depth: usize,
        /// The column in that query's input row.
        column: usize,
        /// Its type.
        ty: PgType,
    },
    /// A function, an operator or a cast.
    Call(Call),
    /// `AND` over two or more.
    And(Vec<Expr>),
    /// `OR` over two or more.
    Or(Vec<Expr>),
    /// `NOT`.
    Not(Box<Expr>),
    /// `IS NULL`; of a record, whether all fields are null.
    IsNull(Box<Expr>),
    /// `IS NOT NULL`; of a record, whether no field is null.
    IsNotNull(Box<Expr>),
    /// `IS [NOT] TRUE`, `FALSE`: never null.
    IsBool {
        /// What is tested.
        input: Box<Expr>,
        /// The value it has to have.
        value: bool,
        /// `IS NOT`.
        negated: bool,
    },
    /// `IS [NOT] DISTINCT FROM`, by the equality operator of the type.
    IsDistinct {
        /// Left.
        left: Box<Expr>,
        /// Right, of the same type.
        right: Box<Expr>,
        /// `IS NOT DISTINCT FROM`.
        negated: bool,
    },
    /// `CASE WHEN`; the simple form is bound to comparisons.
    Case {
        /// Conditions and results, in order.
        branches: Vec<(Expr, Expr)>,
        /// Otherwise; null without.
        otherwise: Box<Expr>,
        /// The common type.
        ty: PgType,
    },
    /// `COALESCE`.
    Coalesce(Vec<Expr>, PgType),
    /// `GREATEST` or `LEAST`, nulls ignored.
    Extreme {
        /// Candidates, of one type.
        inputs: Vec<Expr>,
        /// `GREATEST`.
        greatest: bool,
        /// The type.
        ty: PgType,
    },
    /// `ARRAY[..]` of elements of one type; of arrays, one dimension more.
    Array {
        /// The elements.
        elements: Vec<Expr>,
        /// The array's type.
        ty: PgType,
    },
    /// `array[i]..`, null when out of range.
    Subscript {
        /// The array.
        array: Box<Expr>,
        /// One `int4` for each dimension.
        indexes: Vec<Expr>,
        /// The element's type.
        ty: PgType,
    },
    /// `array[l:u]`.
    Slice {
        /// The array.
        array: Box<Expr>,
        /// Bounds of each dimension; none for an open one.
        bounds: Vec<(Option<Expr>, Option<Expr>)>,
        /// The array's type.
        ty: PgType,
    },
    /// `ROW(..)`.
    Row(Vec<Expr>),
    /// A field of a record, counted from 0.
    Field {
        /// The record.
        record: Box<Expr>,
        /// Which field.
        field: usize,
        /// Its type.
        ty: PgType,
    },
    /// `left op ANY (array)` and `ALL`.
    Quantified {
        /// The left side.
        left: Box<Expr>,
        /// The operator, from the left side's type and the element's type to `bool`.
        operator: &'static ScalarFunction,
        /// The array.
        array: Box<Expr>,
        /// `ALL`.
        all: bool,
    },
    /// `input [NOT] IN (..)` with items of the input's type, compared by the type's equality.
    InList {
        /// What is looked for.
        input: Box<Expr>,
        /// Where.
        items: Vec<Expr>,
        /// `NOT IN`.
        negated: bool,
    },
    /// A subquery as a value.
    Subquery(Box<Subquery>),
    /// `GROUPING(..)`: the bit mask over the given group expressions; only above [`PlanNode::Aggregate`] with
    /// several grouping sets, whose last output column says which set a row is of.
    Grouping(Vec<usize>),
}

/// A call of a chosen function with arguments of exactly its argument types.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function.
    pub function: &'static ScalarFunction,
    /// Its arguments; for a variadic function not called with `VARIADIC`, spread out.
    pub arguments: Vec<Expr>,
    /// The result type, polymorphism resolved.
    pub ty: PgType,
    /// Where it stands in the statement, in characters from 1, for errors.
    pub position: Option<usize>,
}

/// A subquery in an expression. Its plan sees the row it stands in as [`Expr::Outer`] of depth 1.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// The plan.
    pub plan: Plan,
    /// What is made of its rows.
    pub kind: SubqueryKind,
    /// Whether it refers to enclosing rows; if not, it is run once.
    pub correlated: bool,
    /// The type of the value.
    pub ty: PgType,
}

/// What is made of a subquery's rows.
#[derive(Clone, Debug)]
pub enum SubqueryKind {
    /// The one value of the one row; null without rows, 21000 with more than one.
    Scalar,
    /// Whether there is a row.
    Exists,
    /// `left op ANY/ALL (subquery)`, over one or more columns; `IN` is `= ANY`, `NOT IN` is `<> ALL`.
    Quantified {
        /// The left sides, one for each column.
        left: Vec<Expr>,
        /// The operators, one for each column; several columns only with `=` or `<>`.
        operators: Vec<&'static ScalarFunction>,
        /// `ALL`.
        all: bool,
    },
    /// `ARRAY(subquery)`.
    Array,
}

/// A plan and what it gives.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to do.
    pub node: PlanNode,
    /// The columns of its rows, in order.
    pub columns: Arc<[OutputColumn]>,
}

/// The kinds of plans. Input columns are numbered from 0; a join's row is the left row and then the right row.
#[derive(Clone, Debug)]
pub enum PlanNode {
    /// Rows of a relation. The binder leaves the access full and the filter empty; the optimiser fills them.
    Scan {
        /// The relation.
        relation: Arc<dyn Relation>,
        /// The columns read, in this order.
        columns: Vec<usize>,
        /// How to read them.
        access: ScanAccess,
        /// What has to hold for a row, over the columns read.
        filter: Option<Expr>,
    },
    /// `VALUES`; `SELECT` without `FROM` is one row of no columns.
    Values(Vec<Vec<Expr>>),
    /// The expressions over each input row.
    Project {
        /// The input.
        input: Box<Plan>,
        /// One for each output column.
        expressions: Vec<Expr>,
    },
    /// Like `Project`, where some items are set-returning functions: they advance together, and the shorter
    /// ones are filled up with nulls, as PostgreSQL does since version 10.
    ProjectSet {
        /// The input.
        input: Box<Plan>,
        /// One for each output column.
        items: Vec<ProjectSetItem>,
    },
    /// The input rows for which the predicate is true.
    Filter {
        /// The input.
        input: Box<Plan>,
        /// A `bool`.
        predicate: Expr,
    },
    /// A join.
    Join {
        /// Left.
        left: Box<Plan>,
        /// Right. With `lateral` its expressions see the left row as [`Expr::Outer`] of depth 1, and enclosing
        /// queries one further out.
        right: Box<Plan>,
        /// Which join.
        kind: JoinKind,
        /// What has to hold, over the left row and the right row.
        on: Option<Expr>,
        /// Whether the right side is run again for each left row.
        lateral: bool,
    },
    /// Groups and aggregates. Output: the group expressions, the aggregates, and with several grouping sets
    /// one `int4`, the number of the set.
    Aggregate {
        /// The input.
        input: Box<Plan>,
        /// The group expressions.
        group: Vec<Expr>,
        /// Which of them count in each grouping set; one set of all for plain `GROUP BY`, one empty set for none.
        grouping_sets: Vec<Vec<usize>>,
        /// The aggregates.
        aggregates: Vec<AggregateCall>,
    },
    /// Window functions. Output: the input row, then one column for each call.
    Window {
        /// The input.
        input: Box<Plan>,
        /// The calls.
        calls: Vec<WindowCall>,
    },
    /// The input, ordered.
    Sort {
        /// The input.
        input: Box<Plan>,
        /// The keys, most significant first.
        keys: Vec<SortKey>,
    },
    /// A part of the input.
    Limit {
        /// The input.
        input: Box<Plan>,
        /// An `int8`; null or none is no limit.
        limit: Option<Expr>,
        /// An `int8`.
        offset: Option<Expr>,
        /// For `WITH TIES`: the sort keys of the input.
        ties: Option<Vec<SortKey>>,
    },
    /// Rows that differ in all columns, or the first row of each value of the `on` expressions (input sorted by them).
    Distinct {
        /// The input.
        input: Box<Plan>,
        /// `DISTINCT ON`.
        on: Option<Vec<Expr>>,
    },
    /// `UNION`, `INTERSECT`, `EXCEPT` of inputs with the same types.
    SetOperation {
        /// Which.
        kind: SetOperationKind,
        /// `ALL`.
        all: bool,
        /// Left.
        left: Box<Plan>,
        /// Right.
        right: Box<Plan>,
    },
    /// The body, with common table expressions that are run at most once, when first read, in the order given.
    With {
        /// Their numbers, unique in the statement, and plans.
        ctes: Vec<(usize, Arc<Plan>)>,
        /// The body.
        body: Box<Plan>,
    },
    /// The rows of a common table expression, or of a recursive one's last round.
    CteScan {
        /// Its number.
        cte: usize,
        /// Its name, to be shown.
        name: Arc<str>,
    },
    /// `WITH RECURSIVE`: the start's rows, then the step's rows again and again, reading the rows of the last
    /// round as `CteScan` of `cte`, until there are none.
    RecursiveUnion {
        /// The number that the step reads.
        cte: usize,
        /// The part that does not recur.
        start: Box<Plan>,
        /// The part that does.
        step: Box<Plan>,
        /// `UNION` without `ALL`: rows that came before are dropped.
        distinct: bool,
    },
    /// Functions in `FROM`, side by side (`ROWS FROM`), the shorter ones filled up with nulls; they see
    /// enclosing rows as a lateral join's right side does.
    FunctionScan {
        /// The functions.
        calls: Vec<SetCall>,
        /// Whether a row number follows (`WITH ORDINALITY`, `int8`).
        ordinality: bool,
    },
}

/// How a scan finds its rows; the values are expressions over parameters and enclosing rows.
#[derive(Clone, Debug)]
pub enum ScanAccess {
    /// All rows.
    Full,
    /// A part of an index; see [`crate::relation::Access::Index`]. A null value finds nothing.
    Index {
        /// Which index.
        index: usize,
        /// Values of its first columns.
        prefix: Vec<Expr>,
        /// Lower bound of the next column, and whether it is included.
        lower: Option<(Expr, bool)>,
        /// Upper bound of the next column, and whether it is included.
        upper: Option<(Expr, bool)>,
        /// Whether to read from the end.
        backward: bool,
    },
    /// The rows whose first index column equals one of an array's elements (`= ANY($1)`, `IN (..)`).
    IndexAny {
        /// Which index.
        index: usize,
        /// An array of the column's type.
        keys: Expr,
    },
    /// Only the number of rows, which the relation maintains: one row of one `int8`.
    Count,
}

/// An item of a [`PlanNode::ProjectSet`].
#[derive(Clone, Debug)]
pub enum ProjectSetItem {
    /// A plain expression.
    Expr(Expr),
    /// A set-returning function.
    Set(SetCall),
}

/// A call of a set-returning function.
#[derive(Clone, Debug)]
pub struct SetCall {
    /// The function.
    pub function: &'static SetFunction,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// The columns of its rows: a record's, or one.
    pub columns: Vec<(String, PgType)>,
}

/// Which join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Inner and, without a condition, cross.
    Inner,
    /// Left outer.
    Left,
    /// Right outer.
    Right,
    /// Full outer.
    Full,
    /// Left rows that have a partner; only the left row comes out.
    Semi,
    /// Left rows that have none; only the left row comes out.
    Anti,
}

/// Which set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum SetOperationKind {
    Union,
    Intersect,
    Except,
}

/// A sort key.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// What to sort by.
    pub expression: Expr,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`; PostgreSQL's default is last, and first with `DESC`.
    pub nulls_first: bool,
}

/// A call of an aggregate function.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The function.
    pub function: &'static AggregateFunction,
    /// Its arguments over the input row; none for `count(*)`. For an ordered-set aggregate the direct arguments.
    pub arguments: Vec<Expr>,
    /// `DISTINCT`.
    pub distinct: bool,
    /// `ORDER BY` within the call, or `WITHIN GROUP`.
    pub order: Vec<SortKey>,
    /// `FILTER`.
    pub filter: Option<Expr>,
    /// The result type.
    pub ty: PgType,
}

/// A call of a window function, or of an aggregate over a window.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// What is called.
    pub function: WindowCallee,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// `FILTER`, for aggregates.
    pub filter: Option<Expr>,
    /// `PARTITION BY`.
    pub partition: Vec<Expr>,
    /// `ORDER BY`.
    pub order: Vec<SortKey>,
    /// The frame.
    pub frame: Frame,
    /// The result type.
    pub ty: PgType,
}

/// What a window call calls.
#[derive(Clone, Copy, Debug)]
pub enum WindowCallee {
    /// `row_number`, `rank`, `lag` …
    Window(&'static WindowFunction),
    /// An aggregate over the frame.
    Aggregate(&'static AggregateFunction),
}

/// A window frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `ROWS`, `RANGE` or `GROUPS`.
    pub unit: FrameUnit,
    /// Where it starts.
    pub start: FrameBound,
    /// Where it ends.
    pub end: FrameBound,
    /// What is left out of it.
    pub exclusion: FrameExclusion,
}

/// The unit of a frame's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum FrameUnit {
    Rows,
    Range,
    Groups,
}

/// One end of a frame.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// What a frame leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are SQL's")]
pub enum FrameExclusion {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

impl Plan {
    /// A plan without columns' origins thought of: for inner nodes.
    pub fn new(node: PlanNode, columns: impl Into<Arc<[OutputColumn]>>) -> Self {
        Self { node, columns: columns.into() }
    }
}

impl OutputColumn {
    /// A column that is no plain column of a table.
    pub fn computed(name: impl Into<String>, ty: PgType) -> Self {
        Self { name: name.into(), ty, typmod: -1, origin: (0, 0) }
    }
}

impl Expr {
    /// The type of the expression's value.
    pub fn ty(&self) -> PgType {
        match self {
            Self::Literal(_, ty)
            | Self::Parameter(_, ty)
            | Self::Column(_, ty)
            | Self::Outer { ty, .. }
            | Self::Case { ty, .. }
            | Self::Coalesce(_, ty)
            | Self::Extreme { ty, .. }
            | Self::Array { ty, .. }
            | Self::Subscript { ty, .. }
            | Self::Slice { ty, .. }
            | Self::Field { ty, .. } => *ty,
            Self::Call(call) => call.ty,
            Self::Subquery(subquery) => subquery.ty,
            Self::Row(_) => PgType::Record,
            Self::Grouping(_) => PgType::Int4,
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::IsNull(_)
            | Self::IsNotNull(_)
            | Self::IsBool { .. }
            | Self::IsDistinct { .. }
            | Self::Quantified { .. }
            | Self::InList { .. } => PgType::Bool,
        }
    }
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner => "Inner",
            Self::Left => "Left",
            Self::Right => "Right",
            Self::Full => "Full",
            Self::Semi => "Semi",
            Self::Anti => "Anti",
        })
    }
}
