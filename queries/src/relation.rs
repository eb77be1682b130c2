//! What SQL can select from: projections and virtual tables, behind one trait.

use std::fmt::Debug;
use std::sync::Arc;

use crate::as_of::Instant;
use crate::column::ColumnSource;
use crate::error::Result;
use crate::exec::ExecContext;
use crate::types::{Datum, PgType};

/// A column of a relation.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: PgType,
    /// Whether it can never be null.
    pub not_null: bool,
    /// The text of its default, if it has one, as `\d` shows it.
    pub default: Option<&'static str>,
}

/// An index of a relation: rows can be read in its order, from a prefix or a range of its columns. A row with
/// a null in one of its columns is not in it, so a full read through it may lack rows unless all are not null.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its name, as `\d` shows it.
    pub name: &'static str,
    /// Its OID.
    pub oid: u32,
    /// The columns it is ordered by, as places in [`RelationSchema::columns`].
    pub columns: Vec<usize>,
    /// Whether no two rows share all its columns.
    pub unique: bool,
    /// Whether it is the primary key. The primary key is the first index.
    pub primary: bool,
}

/// A foreign key, as `\d` shows it; the commands enforce it, not the relation.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// Its name.
    pub name: &'static str,
    /// Its OID.
    pub oid: u32,
    /// The referring columns.
    pub columns: Vec<usize>,
    /// The name of the table referred to.
    pub table: &'static str,
    /// The columns referred to, as places in that table.
    pub referenced: Vec<usize>,
}

/// What kind of relation it is, for `pg_class.relkind` and for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A table that takes commands.
    Table,
    /// A table or view that can only be read.
    View,
}

/// The name and shape of a relation.
#[derive(Clone, Debug)]
pub struct RelationSchema {
    /// Its OID; fixed for built-in relations.
    pub oid: u32,
    /// Its schema: `public`, `rotabase`, `pg_catalog`, `information_schema`.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: RelationKind,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its indexes, the primary key first.
    pub indexes: Vec<Index>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// What it is, for `\d+`.
    pub comment: &'static str,
}

/// One end of an index range.
#[derive(Clone, Debug)]
pub enum Bound {
    /// No bound.
    Open,
    /// The value itself belongs to the range.
    Included(Datum),
    /// The value itself does not belong to the range.
    Excluded(Datum),
}

/// Which rows of a relation to read, with values filled in.
#[derive(Clone, Debug)]
pub enum Access {
    /// All of them.
    Full,
    /// Those whose first index columns equal `prefix`, and whose next index column lies within the bounds.
    /// Values have the columns' types and are not null. With `backward`, from the end.
    Index {
        /// Place in [`RelationSchema::indexes`].
        index: usize,
        /// Values of the first columns of the index.
        prefix: Vec<Datum>,
        /// Lower bound of the column after the prefix.
        lower: Bound,
        /// Upper bound of the column after the prefix.
        upper: Bound,
        /// Whether to read from the end.
        backward: bool,
    },
}

/// Rows being read. Each call appends up to about `rows_max` rows to `out`, `columns.len()` values a row, and
/// returns whether there may be more.
pub trait RowScan: Send {
    /// Appends the next rows.
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool>;
}

/// Something that SQL can select from.
pub trait Relation: Debug + Send + Sync {
    /// Its name and shape.
    fn schema(&self) -> &Arc<RelationSchema>;

    /// Reads rows: the named columns, in that order, of the rows that `access` asks for, as of the context's
    /// snapshot.
    fn scan(
        &self,
        context: &ExecContext,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>>;

    /// The same for all rows, by columns, where these are kept: the rows come in any order.
    fn columns(
        &self,
        _context: &ExecContext,
        _columns: &[usize],
    ) -> Result<Option<Arc<dyn ColumnSource>>> {
        Ok(None)
    }

    /// Whether [`Relation::columns`] has these columns now.
    fn keeps_columns(&self, _columns: &[usize]) -> bool {
        false
    }

    /// The number of rows, where it is maintained and costs nothing to know exactly.
    fn count(&self, context: &ExecContext) -> Result<Option<u64>>;

    /// Roughly how many rows there are, for choosing a join's build side.
    fn estimate(&self) -> u64;

    /// Whether it can be read as of a past instant: `FOR SYSTEM_TIME`, `rotabase.as_of`.
    fn has_past(&self) -> bool {
        false
    }

    /// The instant that it is read as of, if the statement names one.
    fn instant(&self) -> Option<&Arc<Instant>> {
        None
    }
}
