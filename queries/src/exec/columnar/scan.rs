//! Scans of whole tables that keep columns.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::column::{ColumnKind, ColumnSource, Piece};
use crate::error::Result;
use crate::exec::build::Builder;
use crate::exec::environment::Env;
use crate::plan::{Expr, Plan, PlanNode, ScanAccess};
use crate::relation::Relation;
use crate::types::PgType;

use super::filter::Filter;
use super::flow::{Chunk, Flow, FlowColumn, Source, Stage};

/// All of a relation.
#[derive(Debug)]
pub(super) struct Whole {
    relation: Arc<dyn Relation>,
    columns: Vec<usize>,
}

/// A scan of a whole relation that keeps its columns.
pub(super) struct Scanned<'p> {
    pub(super) relation: &'p Arc<dyn Relation>,
    /// The columns that are read.
    pub(super) of: &'p [usize],
    pub(super) filter: Option<&'p Expr>,
    pub(super) columns: Vec<FlowColumn>,
}

impl<'p> Scanned<'p> {
    /// The scan that a plan is, if it is one.
    pub(super) fn of(plan: &'p Plan) -> Option<Self> {
        let PlanNode::Scan { relation, columns, access: ScanAccess::Full, filter } = &plan.node
        else {
            return None;
        };
        Self::whole(relation, columns, filter.as_ref())
    }

    /// That of some columns of a relation.
    pub(super) fn whole(
        relation: &'p Arc<dyn Relation>,
        of: &'p [usize],
        filter: Option<&'p Expr>,
    ) -> Option<Self> {
        Whole::of(relation, of)?;
        let schema = relation.schema();
        let column = |column: &usize| {
            let column = schema.columns.get(*column)?;
            Some(FlowColumn { kind: kind(column.ty)?, nullable: !column.not_null })
        };
        let columns = of.iter().map(column).collect::<Option<Vec<_>>>()?;
        Some(Self { relation, of, filter, columns })
    }

    /// That as a flow; none if the filter needs more than the row.
    pub(super) fn flow(self, builder: &mut Builder<'_>) -> Result<Option<Flow>> {
        let Some(whole) = Whole::of(self.relation, self.of) else { return Ok(None) };
        let Some(filter) = Filter::compile(builder, self.filter, self.columns.len())? else {
            return Ok(None);
        };
        let stage = Box::new(Scan { whole, filter: Arc::new(filter) });
        Ok(Some(Flow { columns: self.columns, stage }))
    }
}

/// What the values of a type are where they are kept as a column.
fn kind(ty: PgType) -> Option<ColumnKind> {
    if ty == PgType::Text { Some(ColumnKind::Code) } else { fixed(ty) }
}

/// What all values of a type are, if they are of fixed width.
pub(super) fn fixed(ty: PgType) -> Option<ColumnKind> {
    Some(match ty {
        PgType::Int4 => ColumnKind::Int4,
        PgType::Int8 => ColumnKind::Int8,
        PgType::Date => ColumnKind::Date,
        PgType::TimestampTz => ColumnKind::TimestampTz,
        PgType::Uuid => ColumnKind::Uuid,
        _ => return None,
    })
}

impl Whole {
    /// These columns of it, if they are kept; if none is wanted, one of them tells how many rows there are.
    pub(super) fn of(relation: &Arc<dyn Relation>, columns: &[usize]) -> Option<Self> {
        let columns = if columns.is_empty() { vec![0] } else { columns.to_vec() };
        let kept = relation.keeps_columns(&columns);
        kept.then(|| Self { relation: Arc::clone(relation), columns })
    }

    /// Its columns; none if they are not kept, or if the transaction notes which rows it reads.
    pub(super) fn open(&self, env: &Env<'_>) -> Result<Option<Arc<dyn ColumnSource>>> {
        let context = &env.statement.context;
        if context.reads.is_some() {
            return Ok(None);
        }
        self.relation.columns(context, &self.columns)
    }
}

/// The flow of a scan.
pub(super) fn stage(builder: &mut Builder<'_>, plan: &Plan) -> Result<Option<Flow>> {
    match Scanned::of(plan) {
        Some(scan) => scan.flow(builder),
        None => Ok(None),
    }
}

struct Scan {
    whole: Whole,
    filter: Arc<Filter>,
}

/// What a filter keeps of a table.
pub(super) struct ScanSource {
    table: Arc<dyn ColumnSource>,
    filter: Arc<Filter>,
}

impl ScanSource {
    /// What `filter` keeps.
    pub(super) fn new(table: Arc<dyn ColumnSource>, filter: &Arc<Filter>) -> Self {
        Self { table, filter: Arc::clone(filter) }
    }
}

impl Stage for Scan {
    /// Plans read no more columns than are needed.
    fn narrow(&mut self, _: &[bool]) {}

    fn open(&mut self, _: bool, env: &Env<'_>) -> Result<Option<Arc<dyn Source>>> {
        let Some(table) = self.whole.open(env)? else { return Ok(None) };
        Ok(Some(Arc::new(ScanSource::new(table, &self.filter))))
    }
}

impl Source for ScanSource {
    fn pieces(&self) -> VecDeque<Piece> {
        self.table.pieces()
    }

    fn read(&self, piece: Piece, env: &Env<'_>) -> Result<(Chunk, Option<Piece>)> {
        let (batch, left) = self.table.read(piece)?;
        let rows = self.filter.rows(&batch.columns, batch.rows, env)?;
        Ok((Chunk { place: 0, keys: Some(batch.keys), columns: batch.columns, rows }, left))
    }

    fn rows(&self) -> u64 {
        self.table.rows()
    }
}
