//! The rows of a virtual relation, held in memory with the orders of its indexes.
//!
//! Rows are made when they are first looked at; an index is an order of the rows, made when it is first used.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use super::cell;
use crate::error::{Result, SqlError};
use crate::exec::Settings;
use crate::relation::{Access, Bound, Index, RelationSchema, RowScan};
use crate::types::text::{self, ReadContext};
use crate::types::{Datum, compare};

/// Rows with their orders.
#[derive(Debug)]
pub(crate) struct Table {
    schema: Arc<RelationSchema>,
    values: Vec<Datum>,
    orders: Vec<OnceLock<Vec<usize>>>,
}

/// Rows being made.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    schema: &'a Arc<RelationSchema>,
    /// What a row is before its values are put in.
    template: Vec<Datum>,
    /// Where each value goes.
    places: Vec<usize>,
    values: Vec<Datum>,
}

impl<'a> Rows<'a> {
    /// Rows of which these columns are given; the others are null, or hold nothing in their type's way.
    pub(crate) fn new(schema: &'a Arc<RelationSchema>, columns: &[&str]) -> Self {
        let template = schema
            .columns
            .iter()
            .map(|column| if column.not_null { cell::nothing(column.ty) } else { Datum::Null });
        let places = columns.iter().filter_map(|name| {
            let place = schema.columns.iter().position(|column| column.name == *name);
            debug_assert!(place.is_some(), "{} has no column {name}", schema.name);
            place
        });
        Self { schema, template: template.collect(), places: places.collect(), values: Vec::new() }
    }

    /// Appends a row.
    pub(crate) fn push<const N: usize>(&mut self, row: [Datum; N]) {
        self.push_row(row.into());
    }

    /// The same, of a row whose length is not known here.
    pub(crate) fn push_row(&mut self, row: Vec<Datum>) {
        assert_eq!(row.len(), self.places.len(), "a value for each column of {}", self.schema.name);
        let start = self.values.len();
        self.values.extend_from_slice(&self.template);
        for (place, value) in self.places.iter().zip(row) {
            self.values[start + place] = value;
        }
    }

    /// Appends rows written as text: tabs between all columns, `\N` for null.
    pub(crate) fn push_text<'t>(&mut self, lines: impl Iterator<Item = &'t str>) {
        let settings = Settings::default();
        let context = ReadContext { settings: &settings, now: 0 };
        for line in lines {
            for (field, column) in line.split('\t').zip(&self.schema.columns) {
                self.values.push(match field {
                    "\\N" => Datum::Null,
                    field => {
                        text::read(column.ty, field, &context).expect("rows of ours are valid")
                    }
                });
            }
        }
    }

    /// The table of these rows.
    pub(crate) fn finish(self) -> Table {
        Table {
            schema: Arc::clone(self.schema),
            values: self.values,
            orders: self.schema.indexes.iter().map(|_| OnceLock::new()).collect(),
        }
    }
}

impl Table {
    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.schema.columns.len()
    }

    /// A row.
    pub(crate) fn row(&self, row: usize) -> &[Datum] {
        let width = self.schema.columns.len();
        &self.values[row * width..(row + 1) * width]
    }

    /// The rows in an index's order.
    fn order(&self, place: usize) -> &[usize] {
        self.orders[place].get_or_init(|| {
            let index = &self.schema.indexes[place];
            let mut order: Vec<usize> = (0..self.len()).collect();
            order.sort_by(|left, right| {
                let (left, right) = (self.row(*left), self.row(*right));
                index.columns.iter().fold(Ordering::Equal, |order, column| {
                    order.then_with(|| self.compare(*column, &left[*column], &right[*column]))
                })
            });
            order
        })
    }

    fn compare(&self, column: usize, left: &Datum, right: &Datum) -> Ordering {
        compare(self.schema.columns[column].ty)(left, right)
    }

    /// The rows of a part of an index, in its order.
    fn part(&self, place: usize, prefix: &[Datum], lower: &Bound, upper: &Bound) -> &[usize] {
        let index: &Index = &self.schema.indexes[place];
        let order = self.order(place);
        let next = index.columns.get(prefix.len());
        let at = |row: usize| {
            let row = self.row(row);
            prefix.iter().zip(&index.columns).fold(Ordering::Equal, |order, (value, column)| {
                order.then_with(|| self.compare(*column, &row[*column], value))
            })
        };
        let against = |row: usize, value: &Datum| {
            next.map_or(Ordering::Equal, |column| {
                self.compare(*column, &self.row(row)[*column], value)
            })
        };
        let start = order.partition_point(|row| match at(*row) {
            Ordering::Equal => match lower {
                Bound::Open => false,
                Bound::Included(value) => against(*row, value).is_lt(),
                Bound::Excluded(value) => against(*row, value).is_le(),
            },
            order => order.is_lt(),
        });
        let end = order.partition_point(|row| match at(*row) {
            Ordering::Equal => match upper {
                Bound::Open => true,
                Bound::Included(value) => against(*row, value).is_le(),
                Bound::Excluded(value) => against(*row, value).is_lt(),
            },
            order => order.is_lt(),
        });
        &order[start..end.max(start)]
    }

    /// Reads rows.
    pub(crate) fn scan(
        self: Arc<Self>,
        access: &Access,
        columns: &[usize],
    ) -> Result<Box<dyn RowScan>> {
        let rows = match access {
            Access::Full => None,
            Access::Index { index, prefix, lower, upper, backward } => {
                if *index >= self.orders.len() {
                    return Err(SqlError::internal("no such index"));
                }
                let mut rows = self.part(*index, prefix, lower, upper).to_vec();
                if *backward {
                    rows.reverse();
                }
                Some(rows)
            }
        };
        Ok(Box::new(TableScan { table: self, rows, columns: columns.to_vec(), at: 0 }))
    }
}

struct TableScan {
    table: Arc<Table>,
    /// The rows to read in this order; none for all.
    rows: Option<Vec<usize>>,
    columns: Vec<usize>,
    at: usize,
}

impl RowScan for TableScan {
    fn next(&mut self, rows_max: usize, out: &mut Vec<Datum>) -> Result<bool> {
        let len = self.rows.as_ref().map_or(self.table.len(), Vec::len);
        let end = self.at.saturating_add(rows_max).min(len);
        for place in self.at..end {
            let row = self.table.row(self.rows.as_ref().map_or(place, |rows| rows[place]));
            out.extend(self.columns.iter().map(|column| row[*column].clone()));
        }
        self.at = end;
        Ok(end < len)
    }
}
