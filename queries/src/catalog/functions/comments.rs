//! What objects are: `obj_description` and its kin.

use super::{objects, text_or_null};
use crate::catalog::comments;
use crate::catalog::objects::Class;
use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1215, "obj_description", &[Oid, Name], Text, |c, a| of(c, a.oid(0)?, Some(a.text(1)?))).stable(),
    f(1348, "obj_description", &[Oid], Text, |c, a| of(c, a.oid(0)?, None)).stable(),
    f(1216, "col_description", &[Oid, Int4], Text, |c, a| of_column(c, a.oid(0)?, a.int4(1)?)).stable(),
    f(1993, "shobj_description", &[Oid, Name], Text, |_, _| Ok(Datum::Null)).stable(),
];

fn of_column(context: &EvalContext<'_>, oid: u32, number: i32) -> Result<Datum> {
    let objects = objects(context);
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let comment = objects.class(oid).zip(place).and_then(|(class, place)| {
        comments::of_column(class, &objects.attributes(class).get(place)?.name)
    });
    text_or_null(comment)
}

fn of(context: &EvalContext<'_>, oid: u32, catalog: Option<&str>) -> Result<Datum> {
    let objects = objects(context);
    let class = || objects.class(oid).and_then(Class::comment);
    let schema = || {
        let schema = objects.namespaces.iter().find(|schema| schema.oid == oid)?;
        Some(schema.comment).filter(|comment| !comment.is_empty())
    };
    text_or_null(match catalog {
        Some("pg_class") => class(),
        Some("pg_namespace") => schema(),
        Some(_) => None,
        None => class().or_else(schema),
    })
}
