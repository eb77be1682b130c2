//! Arrays to and from separated texts.

use super::flat;
use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::text::to_string;

pub(in crate::types::functions) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

fn to_text(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    if a.null(0) || a.null(1) {
        return Ok(Datum::Null);
    }
    let array = a.array(0)?;
    let null = if a.len() > 2 && !a.null(2) { Some(a.text(2)?) } else { None };
    let shown = array.elements.iter().filter_map(|element| match element {
        Datum::Null => null.map(str::to_owned),
        element => Some(to_string(element, array.element, &context.exec.settings)),
    });
    Ok(shown.collect::<Vec<_>>().join(a.text(1)?).into())
}

/// The parts of a text, those equal to a given one null.
pub(in crate::types::functions) fn parts(a: &[Datum]) -> Result<Option<Vec<Datum>>> {
    if a.null(0) {
        return Ok(None);
    }
    let text = a.text(0)?;
    let null = if a.len() > 2 && !a.null(2) { Some(a.text(2)?) } else { None };
    let part = |part: &str| if Some(part) == null { Datum::Null } else { Datum::text(part) };
    if text.is_empty() {
        return Ok(Some(vec![]));
    }
    if a.null(1) {
        let mut buffer = [0; 4];
        return Ok(Some(text.chars().map(|it| part(it.encode_utf8(&mut buffer))).collect()));
    }
    let delimiter = a.text(1)?;
    if delimiter.is_empty() {
        return Ok(Some(vec![part(text)]));
    }
    Ok(Some(text.split(delimiter).map(part).collect()))
}

fn from_text(a: &[Datum]) -> Result<Datum> {
    Ok(parts(a)?.map_or(Datum::Null, |parts| flat(Text, parts)))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(395, "array_to_string", &[AnyArray, Text], Text, to_text).stable(),
    f(384, "array_to_string", &[AnyArray, Text, Text], Text, to_text).lax().stable(),
    f(394, "string_to_array", &[Text, Text], TextArray, |_, a| from_text(a)).lax(),
    f(376, "string_to_array", &[Text, Text, Text], TextArray, |_, a| from_text(a)).lax(),
];
