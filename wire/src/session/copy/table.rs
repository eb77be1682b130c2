//! Records of a COPY into a table: values of its columns, and the commands that insert them.

use rotabase_engine::schedule::{LegId, Refusal};
use rotabase_queries::error::Result;
use rotabase_queries::sql::CopyColumns;
use rotabase_queries::sql::command::{self, Target};
use rotabase_queries::types::{Datum, PgType};
use rotabase_raft::Request;

use super::input::Converter;
use super::record::Record;

/// The columns that a header names; none unless each field is the name of another column.
pub(super) fn columns_of(header: &Record, target: Target) -> Option<Vec<usize>> {
    let mut columns = Vec::with_capacity(header.len());
    for at in 0..header.len() {
        let name = header.text(at).ok()??;
        let column = target.columns().iter().position(|column| *column == name)?;
        if columns.contains(&column) {
            return None;
        }
        columns.push(column);
    }
    Some(columns)
}

/// Rows of a table that takes commands.
pub(super) struct TableRows {
    target: Target,
    columns: Vec<usize>,
    types: Vec<PgType>,
    force_not_null: Vec<bool>,
    force_null: Vec<bool>,
}

impl TableRows {
    pub(super) fn new(
        target: Target,
        columns: Vec<usize>,
        types: Vec<PgType>,
        converter: &Converter,
    ) -> Self {
        let options = &converter.copy.options;
        let flags =
            |which: &CopyColumns| (0..columns.len()).map(|place| forced(which, place)).collect();
        Self {
            force_not_null: flags(&options.force_not_null),
            force_null: flags(&options.force_null),
            target,
            columns,
            types,
        }
    }

    /// Takes the commands of a record; false if the statement's condition does not hold for it.
    pub(super) fn row(&mut self, converter: &mut Converter, record: &Record) -> Result<bool> {
        let mut row = vec![None; self.target.columns().len()];
        for (at, (column, ty)) in self.columns.iter().zip(&self.types).enumerate() {
            // What the database maintains is as it is, whatever the input says.
            if !self.target.insertable(*column) {
                continue;
            }
            let value = self.field(converter, record, at, *ty).map_err(|mut error| {
                error.column = Some(self.target.columns()[*column].to_owned());
                error
            })?;
            row[*column] = Some(value);
        }
        if !converter.wants(&row)? {
            return Ok(false);
        }
        let change = command::insert(self.target, &row, &mut || converter.new_id())?;
        if let (Target::Legs, Some(Some(Datum::Uuid(id)))) = (self.target, row.first()) {
            refuse_known_leg(converter, *id)?;
        }
        let requests = change.requests.into_iter().map(|it| Request::new(it.id, it.command));
        converter.send(record.line, requests)?;
        Ok(true)
    }

    fn field(
        &self,
        converter: &Converter,
        record: &Record,
        at: usize,
        ty: PgType,
    ) -> Result<Datum> {
        let null = converter.copy.options.null.as_str();
        if self.force_not_null[at] && record.field(at).is_none() {
            return converter.parse(ty, null);
        }
        if self.force_null[at] && record.field(at) == Some(null.as_bytes()) {
            return Ok(Datum::Null);
        }
        converter.value(record, at, ty)
    }
}

fn forced(columns: &CopyColumns, column: usize) -> bool {
    match columns {
        CopyColumns::None => false,
        CopyColumns::All => true,
        CopyColumns::Some(columns) => columns.contains(&column),
    }
}

/// A leg's id has to be unique over all aggregates, which no aggregate can see.
fn refuse_known_leg(converter: &Converter, id: uuid::Uuid) -> Result<()> {
    let id = LegId(id);
    match converter.snapshot.leg(id)? {
        Some(_) => Err(crate::sqlstate::refused(&Refusal::LegExists(id))),
        None => Ok(()),
    }
}
