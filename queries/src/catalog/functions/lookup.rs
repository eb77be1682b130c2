//! Finding objects: `to_regclass` and its kin, and whether a name alone means an object.

use super::{objects, system};
use crate::catalog::objects::Class;
use crate::catalog::{Catalog, cell, names};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::{self, *};
use crate::types::functions::define::f;
use crate::types::functions::registry::{self, FunctionTable};
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::{ObjectNames, type_table};

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(3495, "to_regclass", &[Text], Regclass, |c, a| find(c, a, Regclass)).stable(),
    f(4195, "to_regcollation", &[Text], Regcollation, |c, a| find(c, a, Regcollation)).stable(),
    f(4086, "to_regnamespace", &[Text], Regnamespace, |c, a| find(c, a, Regnamespace)).stable(),
    f(3492, "to_regoper", &[Text], Regoper, |c, a| find(c, a, Regoper)).stable(),
    f(3476, "to_regoperator", &[Text], Regoperator, |c, a| find(c, a, Regoperator)).stable(),
    f(3494, "to_regproc", &[Text], Regproc, |c, a| find(c, a, Regproc)).stable(),
    f(3479, "to_regprocedure", &[Text], Regprocedure, |c, a| find(c, a, Regprocedure)).stable(),
    f(4093, "to_regrole", &[Text], Regrole, |c, a| find(c, a, Regrole)).stable(),
    f(3493, "to_regtype", &[Text], Regtype, |c, a| find(c, a, Regtype)).stable(),
    f(1268, "parse_ident", &[Text, Bool], TextArray, |_, a| parse_ident(a.text(0)?, a.bool(1)?)),
    f(0, "parse_ident", &[Text], TextArray, |_, a| parse_ident(a.text(0)?, true)),
    f(2079, "pg_table_is_visible", &[Oid], Bool, table_visible).stable(),
    f(2080, "pg_type_is_visible", &[Oid], Bool, |_, a| known(type_table::by_oid(a.oid(0)?).is_some())).stable(),
    f(2081, "pg_function_is_visible", &[Oid], Bool, function_visible).stable(),
    f(2082, "pg_operator_is_visible", &[Oid], Bool, |_, a| operator_visible(a.oid(0)?)).stable(),
    f(2083, "pg_opclass_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(3829, "pg_opfamily_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(3815, "pg_collation_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(2093, "pg_conversion_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(3403, "pg_statistics_obj_is_visible", &[Oid], Bool, |_, _| known(false)).stable(),
    f(3758, "pg_ts_config_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(3757, "pg_ts_dict_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(3756, "pg_ts_parser_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(3768, "pg_ts_template_is_visible", &[Oid], Bool, |_, _| known(true)).stable(),
    f(6121, "pg_relation_is_publishable", &[Regclass], Bool, publishable).stable(),
    f(3842, "pg_relation_is_updatable", &[Regclass, Bool], Int4, updatable).stable(),
    f(3843, "pg_column_is_updatable", &[Regclass, Int2, Bool], Bool, |c, a| Ok(Datum::Bool(writable(c, a.oid(0)?)))).stable(),
    f(3424, "pg_partition_root", &[Regclass], Regclass, |_, _| Ok(Datum::Null)),
    f(6120, "pg_get_replica_identity_index", &[Regclass], Regclass, |c, a| {
        let objects = objects(c);
        let index = objects.class(a.oid(0)?).and_then(|class| class.primary_key());
        Ok(index.map_or(Datum::Null, |index| Datum::Oid(index.oid)))
    }).stable(),
    f(2999, "pg_relation_filenode", &[Regclass], Oid, |_, a| Ok(a[0].clone())).stable(),
    f(3034, "pg_relation_filepath", &[Regclass], Text, |_, _| Ok(Datum::Null)).stable(),
];

/// The object that a text names, null if there is none.
fn find(context: &EvalContext<'_>, a: &[Datum], ty: PgType) -> Result<Datum> {
    let text = a.text(0)?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Datum::Null);
    }
    match ObjectNames::oid(system(context), ty, text) {
        Ok(oid) => Ok(Datum::Oid(oid)),
        Err(SqlError { state: SqlState::INVALID_NAME, message, .. }) => {
            Err(SqlError::new(SqlState::INVALID_NAME, message))
        }
        Err(_) => Ok(Datum::Null),
    }
}

/// The parts of a qualified name; strictly, nothing may follow it.
fn parse_ident(text: &str, strict: bool) -> Result<Datum> {
    match names::leading_parts(text) {
        Some((parts, rest)) if !strict || rest.is_empty() => {
            Ok(cell::array(Text, parts.into_iter().map(Datum::text).collect()))
        }
        _ => {
            let message = format!("string is not a valid identifier: \"{text}\"");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what functions of the tables give")]
fn known(visible: bool) -> Result<Datum> {
    Ok(Datum::Bool(visible))
}

fn table_visible(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let visible = objects(context).is_visible(a.oid(0)?, &context.exec.settings.search_path);
    Ok(visible.map_or(Datum::Null, Datum::Bool))
}

fn function_visible(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let path = &context.exec.settings.search_path;
    let schema = registry::function_by_oid(a.oid(0)?).map(|registered| registered.schema);
    known(schema.is_none_or(|schema| Catalog::is_searched(schema, path)))
}

fn operator_visible(oid: u32) -> Result<Datum> {
    known(registry::operators().any(|registered| registered.operator.oid == oid))
}

fn writable(context: &EvalContext<'_>, oid: u32) -> bool {
    objects(context).class(oid).is_some_and(Class::is_writable)
}

/// Tables that are not the system's could be published, if there were publications.
fn publishable(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let objects = objects(context);
    let table = objects.class(a.oid(0)?);
    Ok(table.map_or(Datum::Null, |class| Datum::Bool(class.kind == b'r' && !class.is_system())))
}

/// The commands that a relation takes, as bits: UPDATE 4, INSERT 8, DELETE 16.
fn updatable(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(if writable(context, a.oid(0)?) { 28 } else { 0 }))
}
