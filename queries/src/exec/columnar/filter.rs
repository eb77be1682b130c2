//! Conditions over columns: which rows of a chunk they keep.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::column::{Column, Piece, Values, code};
use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::exec::expression::comparison::Comparison;
use crate::exec::expression::{Compiled, CompiledComparison};
use crate::optimize::walk;
use crate::plan::Expr;
use crate::types::Datum;

use super::flow::{Chunk, Source, Stage};

/// Conditions that all have to hold, in the order in which they are looked at.
#[derive(Debug)]
pub(crate) struct Filter {
    conditions: Vec<Condition>,
    width: usize,
}

enum Condition {
    /// A column with a value that is not null.
    Value { column: usize, comparison: Comparison, value: Datum },
    /// A column with another one.
    Columns { left: usize, right: usize, comparison: Comparison },
    /// Whether a column is null.
    Null { column: usize, negated: bool },
    /// Row by row, over the columns that it names.
    Rows { predicate: Compiled, columns: Vec<usize> },
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value { .. } => "Value",
            Self::Columns { .. } => "Columns",
            Self::Null { .. } => "Null",
            Self::Rows { .. } => "Rows",
        })
    }
}

impl Filter {
    /// Compiles a condition over rows of some width; none if it needs enclosing rows or subqueries.
    pub(crate) fn compile(
        builder: &mut Builder<'_>,
        condition: Option<&Expr>,
        width: usize,
    ) -> Result<Option<Self>> {
        let mut conditions = Vec::new();
        let Some(condition) = condition else { return Ok(Some(Self { conditions, width })) };
        if !is_own(condition) {
            return Ok(None);
        }
        for condition in walk::conjuncts(condition.clone()) {
            let columns = walk::columns(&condition).into_iter().collect();
            conditions.push(Condition::new(builder.expression(&condition)?, columns));
        }
        Ok(Some(Self { conditions, width }))
    }

    /// The rows for which all conditions hold, of as many as there are, ascending.
    pub(super) fn rows(
        &self,
        columns: &[Arc<Column>],
        count: usize,
        env: &Env<'_>,
    ) -> Result<Vec<u32>> {
        let count = u32::try_from(count).expect("a chunk has fewer than 2^32 rows");
        let mut rows = (0..count).collect();
        self.retain(columns, &mut rows, env)?;
        Ok(rows)
    }

    /// Keeps the rows for which all conditions hold.
    pub(super) fn retain(
        &self,
        columns: &[Arc<Column>],
        rows: &mut Vec<u32>,
        env: &Env<'_>,
    ) -> Result<()> {
        for condition in &self.conditions {
            if rows.is_empty() {
                break;
            }
            condition.retain(columns, self.width, rows, env)?;
        }
        Ok(())
    }

    /// The columns that the conditions look at.
    pub(super) fn columns(&self) -> Vec<usize> {
        let of = |condition: &Condition| match condition {
            Condition::Value { column, .. } | Condition::Null { column, .. } => vec![*column],
            Condition::Columns { left, right, .. } => vec![*left, *right],
            Condition::Rows { columns, .. } => columns.clone(),
        };
        self.conditions.iter().flat_map(of).collect()
    }
}

/// The stage that keeps what a filter keeps of another's rows.
pub(super) struct Filtered {
    input: Box<dyn Stage>,
    filter: Arc<Filter>,
    /// The columns that the filter looks at.
    looked_at: Vec<bool>,
}

struct FilteredSource {
    input: Arc<dyn Source>,
    filter: Arc<Filter>,
}

impl Filtered {
    /// What `filter` keeps of rows of so many columns.
    pub(super) fn new(input: Box<dyn Stage>, filter: Filter, width: usize) -> Self {
        let looked_at = super::flow::wanted(filter.columns(), width);
        Self { input, filter: Arc::new(filter), looked_at }
    }
}

impl Stage for Filtered {
    fn narrow(&mut self, wanted: &[bool]) {
        let both = wanted.iter().zip(&self.looked_at).map(|(left, right)| *left || *right);
        self.input.narrow(&both.collect::<Vec<_>>());
    }

    fn open(&mut self, ordered: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        let Some(input) = self.input.open(ordered, env)? else { return Ok(None) };
        Ok(Some(Arc::new(FilteredSource { input, filter: Arc::clone(&self.filter) })))
    }
}

impl Source for FilteredSource {
    fn pieces(&self) -> VecDeque<Piece> {
        self.input.pieces()
    }

    fn read(&self, piece: Piece, env: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let (mut chunk, left) = self.input.read(piece, env)?;
        self.filter.retain(&chunk.columns, &mut chunk.rows, env)?;
        Ok((chunk, left))
    }

    fn rows(&self) -> u64 {
        self.input.rows()
    }
}

/// Whether an expression depends on nothing but its row and the statement, whenever and wherever it is evaluated.
pub(super) fn is_own(expr: &Expr) -> bool {
    let mut own = walk::is_repeatable(expr);
    walk::visit(expr, 0, &mut |expr, _| {
        own &= !matches!(expr, Expr::Outer { .. } | Expr::Subquery(_));
    });
    own
}

impl Condition {
    fn new(predicate: Compiled, columns: Vec<usize>) -> Self {
        match predicate {
            Compiled::IsNull { input, negated } if input.column().is_some() => {
                Self::Null { column: input.column().unwrap_or_default(), negated }
            }
            Compiled::Compare(it) => Self::comparison(*it, columns),
            predicate => Self::Rows { predicate, columns },
        }
    }

    fn comparison(it: CompiledComparison, columns: Vec<usize>) -> Self {
        let (comparison, left, right) = it.into_parts();
        match (left, right) {
            (Compiled::Column(left), Compiled::Column(right)) => {
                Self::Columns { left, right, comparison }
            }
            (Compiled::Column(column), Compiled::Constant(value)) if !value.is_null() => {
                Self::Value { column, comparison, value }
            }
            (Compiled::Constant(value), Compiled::Column(column)) if !value.is_null() => {
                Self::Value { column, comparison: comparison.commuted(), value }
            }
            (left, right) => {
                let predicate =
                    Compiled::Compare(Box::new(CompiledComparison::new(comparison, left, right)));
                Self::Rows { predicate, columns }
            }
        }
    }

    fn retain(
        &self,
        of: &[Arc<Column>],
        width: usize,
        rows: &mut Vec<u32>,
        env: &Env<'_>,
    ) -> Result<()> {
        match self {
            Self::Null { column, negated } => {
                let column = &of[*column];
                match &column.nulls {
                    None if *negated => {}
                    None => rows.clear(),
                    Some(nulls) => rows.retain(|row| nulls[place(*row)] != *negated),
                }
                Ok(())
            }
            Self::Columns { left, right, comparison } => {
                let (left, right) = (&of[*left], &of[*right]);
                if !compare_columns(left, right, *comparison, rows) {
                    rows.retain(|row| {
                        let row = place(*row);
                        let (left, right) = (left.datum(row), right.datum(row));
                        let order = crate::exec::key::compare(&left, &right);
                        !left.is_null() && !right.is_null() && comparison.holds(order)
                    });
                }
                Ok(())
            }
            Self::Value { column, comparison, value } => {
                let column = &of[*column];
                if !compare_value(column, value, *comparison, rows) {
                    rows.retain(|row| {
                        let left = column.datum(place(*row));
                        !left.is_null() && comparison.holds(crate::exec::key::compare(&left, value))
                    });
                }
                Ok(())
            }
            Self::Rows { predicate, columns } => {
                let mut values = vec![Datum::Null; width];
                let mut failed = Ok(());
                rows.retain(|row| {
                    if failed.is_err() {
                        return false;
                    }
                    for column in columns {
                        values[*column] = of[*column].datum(place(*row));
                    }
                    predicate.test(&values, env).map_or_else(
                        |error| {
                            failed = Err(error);
                            false
                        },
                        |holds| holds == Some(true),
                    )
                });
                failed
            }
        }
    }
}

/// A row number as an index; `u32` fits into `usize` on every machine this runs on.
#[inline]
pub(super) fn place(row: u32) -> usize {
    crate::exec::row_table::index(row)
}

/// Keeps the rows of which `holds` is true for the order of two numbers; false if the columns are of different kinds.
fn compare_columns(
    left: &Column,
    right: &Column,
    comparison: Comparison,
    rows: &mut Vec<u32>,
) -> bool {
    match (&left.values, &right.values) {
        (Values::Int4(l), Values::Int4(r)) if left.kind == right.kind => {
            retain(rows, comparison, |row| l[row].cmp(&r[row]));
        }
        (Values::Int8(l), Values::Int8(r)) => retain(rows, comparison, |row| l[row].cmp(&r[row])),
        (Values::Uuid(l), Values::Uuid(r)) => retain(rows, comparison, |row| l[row].cmp(&r[row])),
        (Values::Code(l), Values::Code(r)) => retain(rows, comparison, |row| l[row].cmp(&r[row])),
        _ => return false,
    }
    drop_nulls(left, rows);
    drop_nulls(right, rows);
    true
}

/// Keeps the rows whose value compares so with `value`; false if that is of another kind.
fn compare_value(
    column: &Column,
    value: &Datum,
    comparison: Comparison,
    rows: &mut Vec<u32>,
) -> bool {
    match (&column.values, value) {
        (Values::Int4(values), Datum::Date(value)) => {
            retain(rows, comparison, |row| values[row].cmp(value));
        }
        (Values::Int4(values), Datum::Int4(value)) => {
            retain(rows, comparison, |row| values[row].cmp(value));
        }
        (Values::Int8(values), Datum::Int8(value) | Datum::TimestampTz(value)) => {
            retain(rows, comparison, |row| values[row].cmp(value));
        }
        (Values::Uuid(values), Datum::Uuid(value)) => {
            let value = value.as_u128();
            retain(rows, comparison, |row| values[row].cmp(&value));
        }
        (Values::Code(values), Datum::Text(text)) => {
            let (start, longer) = code_of(text);
            let tie = if longer { Ordering::Less } else { Ordering::Equal };
            retain(rows, comparison, |row| values[row].cmp(&start).then(tie));
        }
        _ => return false,
    }
    drop_nulls(column, rows);
    true
}

/// The first bytes of a text as a code, and whether there are more.
fn code_of(text: &str) -> (u32, bool) {
    if let Some(code) = code(text) {
        return (code, false);
    }
    let mut bytes = [0; crate::column::CODE_BYTES_MAX];
    for (place, byte) in bytes.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    (u32::from_be_bytes(bytes), true)
}

#[inline]
fn retain(rows: &mut Vec<u32>, comparison: Comparison, order: impl Fn(usize) -> Ordering) {
    // One loop for each comparison, so that none of them asks which it is.
    match comparison {
        Comparison::Equal => rows.retain(|row| order(place(*row)).is_eq()),
        Comparison::NotEqual => rows.retain(|row| order(place(*row)).is_ne()),
        Comparison::Less => rows.retain(|row| order(place(*row)).is_lt()),
        Comparison::LessOrEqual => rows.retain(|row| order(place(*row)).is_le()),
        Comparison::Greater => rows.retain(|row| order(place(*row)).is_gt()),
        Comparison::GreaterOrEqual => rows.retain(|row| order(place(*row)).is_ge()),
    }
}

fn drop_nulls(column: &Column, rows: &mut Vec<u32>) {
    if let Some(nulls) = &column.nulls {
        rows.retain(|row| !nulls[place(*row)]);
    }
}
