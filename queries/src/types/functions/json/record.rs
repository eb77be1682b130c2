//! JSON as rows of columns that the query defines: `json_to_record(..) AS x(a int, b text)` and its kin.
//!
//! The binder passes the column definitions after the other arguments: names, types and type modifiers, an array of
//! each.

use std::sync::Arc;

use super::{children, unquoted, unquoted_jsonb};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{Bool, Json, Jsonb as JsonbType, Record};
use crate::types::functions::define::{Rows, rows};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{CoercionContext, SetFunction, apply, length_coercion};
use crate::types::text::{ReadContext, read};
use crate::types::{ArrayValue, Datum, Jsonb, PgType, json};

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: &[],
    aggregates: &[],
    sets: FUNCTIONS,
    windows: &[],
};

/// A column that the query defines.
struct Column {
    name: String,
    ty: PgType,
    typmod: i32,
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The column definitions among the arguments, and the arguments before them.
fn definition(a: &[Datum]) -> Result<(&[Datum], Vec<Column>)> {
    let [before @ .., Datum::Array(names), Datum::Array(types), Datum::Array(typmods)] = a else {
        return Err(SqlError::internal("a record was asked for without its columns"));
    };
    let both = types.elements.iter().zip(&typmods.elements);
    let columns = names.elements.iter().zip(both).map(|(name, (ty, typmod))| {
        let (Datum::Text(name), Datum::Oid(ty), Datum::Int4(typmod)) = (name, ty, typmod) else {
            return Err(SqlError::internal("a column definition has a name and a type"));
        };
        let ty = PgType::from_oid(*ty)
            .ok_or_else(|| SqlError::internal("a column definition has an unknown type"))?;
        Ok(Column { name: name.to_string(), ty, typmod: *typmod })
    });
    Ok((before, columns.collect::<Result<_>>()?))
}

/// A part of a document, as text or as a tree.
#[derive(Clone, Copy)]
enum Part<'a> {
    Json(&'a str),
    Jsonb(&'a Jsonb),
}

impl<'a> Part<'a> {
    /// The parts of an array; none if it is none.
    fn elements(self) -> Result<Option<Vec<Part<'a>>>> {
        Ok(match self {
            Self::Jsonb(Jsonb::Array(items)) => Some(items.iter().map(Part::Jsonb).collect()),
            Self::Jsonb(_) => None,
            Self::Json(text) => children(text)?.filter(|it| !it.object).map(|found| {
                let part =
                    |(_, (start, end)): &(String, (usize, usize))| Part::Json(&text[*start..*end]);
                found.items.iter().map(part).collect()
            }),
        })
    }

    /// The fields of an object, the last of equal keys first; none if it is none.
    fn fields(self) -> Result<Option<Vec<(String, Part<'a>)>>> {
        Ok(match self {
            Self::Jsonb(Jsonb::Object(fields)) => {
                Some(fields.iter().map(|(key, value)| (key.clone(), Part::Jsonb(value))).collect())
            }
            Self::Jsonb(_) => None,
            Self::Json(text) => children(text)?.filter(|it| it.object).map(|found| {
                let field = |(key, (start, end)): (String, (usize, usize))| {
                    (key, Part::Json(&text[start..end]))
                };
                found.items.into_iter().rev().map(field).collect()
            }),
        })
    }

    /// Its text, a string without its quotes; none if it is null.
    fn text(self) -> Result<Option<String>> {
        match self {
            Self::Json(text) => unquoted(text),
            Self::Jsonb(value) => Ok(unquoted_jsonb(value)),
        }
    }

    fn is_array(self) -> Result<bool> {
        Ok(self.elements()?.is_some())
    }

    /// Whether it is a string.
    fn is_string(self) -> bool {
        match self {
            Self::Json(text) => text.trim_start().starts_with('"'),
            Self::Jsonb(value) => value.is_string(),
        }
    }
}

/// A part as a value of a type.
fn value(c: &EvalContext<'_>, part: Part<'_>, ty: PgType, typmod: i32, key: &str) -> Result<Datum> {
    let Some(text) = part.text()? else { return Ok(Datum::Null) };
    match (ty, part) {
        (PgType::Json, Part::Json(text)) => return Ok(Datum::Json(text.into())),
        (PgType::Json, Part::Jsonb(value)) => return Ok(Datum::Json(json::to_text(value).into())),
        (PgType::Jsonb, Part::Json(text)) => return Ok(Datum::Jsonb(json::read(text)?.into())),
        (PgType::Jsonb, Part::Jsonb(value)) => return Ok(Datum::Jsonb(value.clone().into())),
        _ => {}
    }
    if let Some(element) = ty.element().filter(|_| ty.is_array() && !part.is_string()) {
        return array(c, part, element, typmod, key);
    }
    let found = read(ty, &text, &ReadContext::of(c))?;
    match length_coercion(ty, typmod, CoercionContext::Assignment) {
        Some(step) => apply(c, &step, found),
        None => Ok(found),
    }
}

/// A JSON array as an array; how deep its first elements are nested says how many dimensions it has.
fn array(
    c: &EvalContext<'_>,
    part: Part<'_>,
    element: PgType,
    typmod: i32,
    key: &str,
) -> Result<Datum> {
    let mut depth = 0;
    let mut first = Some(part);
    while let Some(elements) = first.map(Part::elements).transpose()?.flatten() {
        depth += 1;
        first = elements.first().copied();
    }
    let expected = |place: &[usize]| {
        let error = SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected JSON array");
        let shown: Vec<String> = place.iter().map(|it| format!("[{it}]")).collect();
        error.with_hint(if place.is_empty() {
            format!("See the value of key \"{key}\".")
        } else {
            format!("See the array element {} of key \"{key}\".", shown.concat())
        })
    };
    if depth == 0 {
        return Err(expected(&[]));
    }
    let mut lengths: Vec<Option<usize>> = vec![None; depth];
    // Parts that are still to be taken apart, the next one last, each with its place.
    let mut pending = vec![(part, Vec::<usize>::new())];
    let mut values = Vec::new();
    while let Some((part, place)) = pending.pop() {
        if place.len() == depth {
            values.push(value(c, part, element, typmod, key)?);
            continue;
        }
        let elements = part.elements()?.ok_or_else(|| expected(&place))?;
        let length = lengths[place.len()].get_or_insert(elements.len());
        if *length != elements.len() {
            return Err(SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "malformed JSON array",
            )
            .with_detail(
                "Multidimensional arrays must have sub-arrays with matching dimensions.",
            ));
        }
        for (number, inner) in elements.into_iter().enumerate().rev() {
            let mut place = place.clone();
            place.push(number);
            pending.push((inner, place));
        }
    }
    let dimensions = if values.is_empty() {
        Vec::new()
    } else {
        lengths.into_iter().map(|length| (length.unwrap_or(0), 1)).collect()
    };
    Ok(Datum::Array(Arc::new(ArrayValue { element, dimensions, elements: values })))
}

/// The row of an object; none if it is no object.
fn row(c: &EvalContext<'_>, part: Part<'_>, columns: &[Column]) -> Result<Option<Vec<Datum>>> {
    let Some(fields) = part.fields()? else { return Ok(None) };
    let cell = |column: &Column| match fields.iter().find(|(key, _)| *key == column.name) {
        Some((key, part)) => value(c, *part, column.ty, column.typmod, key),
        None => Ok(Datum::Null),
    };
    columns.iter().map(cell).collect::<Result<_>>().map(Some)
}

fn document(argument: &Datum) -> Option<Part<'_>> {
    match argument {
        Datum::Json(text) => Some(Part::Json(text)),
        Datum::Jsonb(value) => Some(Part::Jsonb(value)),
        _ => None,
    }
}

/// One row, from the argument at a place.
fn one(c: &EvalContext<'_>, a: &[Datum], place: usize) -> Result<Rows> {
    let (arguments, columns) = definition(a)?;
    let Some(part) = arguments.get(place).and_then(document) else {
        let nulls = vec![Datum::Null; columns.len()];
        return Ok(Box::new(std::iter::once(Ok(nulls))));
    };
    let found = row(c, part, &columns)?;
    let found = match found {
        Some(found) => found,
        None if part.is_array()? => {
            return Err(invalid("cannot call populate_composite on an array"));
        }
        None => return Err(invalid("cannot call populate_composite on a scalar")),
    };
    Ok(Box::new(std::iter::once(Ok(found))))
}

/// A row for each element of the array at a place.
fn several(c: &EvalContext<'_>, a: &[Datum], place: usize, function: &str) -> Result<Rows> {
    let (arguments, columns) = definition(a)?;
    let Some(part) = arguments.get(place).and_then(document) else {
        return Ok(Box::new(std::iter::empty()));
    };
    let Some(elements) = part.elements()? else {
        let what = match part {
            Part::Jsonb(_) => "a non-array",
            Part::Json(_) if part.fields()?.is_some() => "an object",
            Part::Json(_) => "a scalar",
        };
        return Err(invalid(format!("cannot call {function} on {what}")));
    };
    let mut found = Vec::with_capacity(elements.len());
    for element in elements {
        found.push(row(c, element, &columns)?.ok_or_else(|| {
            invalid(format!("argument of {function} must be an array of objects"))
        })?);
    }
    Ok(Box::new(found.into_iter().map(Ok)))
}

#[rustfmt::skip]
static FUNCTIONS: &[SetFunction] = &[
    rows(3204, "json_to_record", &[Json], &[], |c, a| one(c, a, 0)).lax(),
    rows(3490, "jsonb_to_record", &[JsonbType], &[], |c, a| one(c, a, 0)).lax(),
    rows(3205, "json_to_recordset", &[Json], &[], |c, a| several(c, a, 0, "json_to_recordset")).lax(),
    rows(3491, "jsonb_to_recordset", &[JsonbType], &[], |c, a| several(c, a, 0, "jsonb_to_recordset")).lax(),
    rows(3960, "json_populate_record", &[Record, Json, Bool], &[], |c, a| one(c, a, 1)).lax(),
    rows(0, "json_populate_record", &[Record, Json], &[], |c, a| one(c, a, 1)).lax(),
    rows(3209, "jsonb_populate_record", &[Record, JsonbType], &[], |c, a| one(c, a, 1)).lax(),
    rows(3961, "json_populate_recordset", &[Record, Json, Bool], &[], |c, a| several(c, a, 1, "json_populate_recordset")).lax(),
    rows(0, "json_populate_recordset", &[Record, Json], &[], |c, a| several(c, a, 1, "json_populate_recordset")).lax(),
    rows(3475, "jsonb_populate_recordset", &[Record, JsonbType], &[], |c, a| several(c, a, 1, "jsonb_populate_recordset")).lax(),
];
