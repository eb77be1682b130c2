//! Values on the wire: the seam to the text and binary forms of the queries crate.

use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Settings;
use rotabase_queries::plan::OutputColumn;
use rotabase_queries::types::text::ReadContext;
use rotabase_queries::types::{Datum, PgType, binary, text};

use super::input::utf8;
use super::output::{Output, put_count};

/// Whether values travel in their binary form; text otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Formats {
    /// All as text.
    #[default]
    Text,
    /// All binary.
    Binary,
    /// Each as it says.
    Mixed(Box<[bool]>),
}

impl Formats {
    /// Whether the value at `place` is binary.
    pub(crate) fn is_binary(&self, place: usize) -> bool {
        match self {
            Self::Text => false,
            Self::Binary => true,
            Self::Mixed(each) => each.get(place).copied().unwrap_or(false),
        }
    }

    /// The code of the value at `place`.
    pub(crate) fn code(&self, place: usize) -> i16 {
        i16::from(self.is_binary(place))
    }
}

/// `pg_type.typlen`.
pub(crate) fn type_length(ty: PgType) -> i16 {
    ty.row().length
}

/// Reads a parameter of a Bind message.
pub(crate) fn read_parameter(
    ty: PgType,
    is_binary: bool,
    bytes: &[u8],
    context: &ReadContext<'_>,
) -> Result<Datum> {
    if is_binary { binary::read(ty, bytes) } else { text::read(ty, utf8(bytes)?, context) }
}

/// Writes a row as DataRow.
pub(crate) fn put_row(
    output: &mut Output,
    row: &[Datum],
    columns: &[OutputColumn],
    formats: &Formats,
    settings: &Settings,
) -> Result<()> {
    debug_assert_eq!(row.len(), columns.len());
    output.try_message(b'D', |body| {
        let start = body.len();
        put_count(body, row.len());
        for (place, (value, column)) in row.iter().zip(columns).enumerate() {
            put_value(body, value, column.ty, formats.is_binary(place), settings)?;
        }
        if i32::try_from(body.len() - start).is_ok_and(|length| length < i32::MAX - 8) {
            return Ok(());
        }
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "row is too long to be sent"))
    })
}

fn put_value(
    out: &mut Vec<u8>,
    value: &Datum,
    ty: PgType,
    is_binary: bool,
    settings: &Settings,
) -> Result<()> {
    if value.is_null() {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if is_binary {
        binary::write(value, ty, out);
    } else {
        text::write(value, ty, settings, out);
    }
    let Ok(length) = i32::try_from(out.len() - start - 4) else {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "value is too long to be sent",
        ));
    };
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
