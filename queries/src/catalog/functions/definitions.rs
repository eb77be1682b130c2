//! Objects as SQL: `format_type`, `pg_get_indexdef` and their kin.

use super::{objects, relation, system, text_or_null};
use crate::catalog::definitions;
use crate::catalog::names;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::{self, *};
use crate::types::functions::define::f;
use crate::types::functions::registry::{self, FunctionTable};
use crate::types::functions::{Arguments, Callee, ScalarFunction};

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1081, "format_type", &[Oid, Int4], Text, |_, a| format_type(a)).stable().lax(),
    f(1642, "pg_get_userbyid", &[Oid], Name, |c, a| {
        let role = a.oid(0)?;
        Ok(Datum::text(system(c).role_name(role).unwrap_or_else(|| format!("unknown (OID={role})"))))
    }).stable(),
    f(1716, "pg_get_expr", &[PgNodeTree, Oid], Text, |_, a| Ok(a[0].clone())).stable(),
    f(2509, "pg_get_expr", &[PgNodeTree, Oid, Bool], Text, |_, a| Ok(a[0].clone())).stable(),
    f(1643, "pg_get_indexdef", &[Oid], Text, |c, a| text_or_null(definitions::index(&objects(c), a.oid(0)?))).stable(),
    f(2507, "pg_get_indexdef", &[Oid, Int4, Bool], Text, index).stable(),
    f(1387, "pg_get_constraintdef", &[Oid], Text, |c, a| text_or_null(definitions::constraint(&objects(c), a.oid(0)?))).stable(),
    f(2508, "pg_get_constraintdef", &[Oid, Bool], Text, |c, a| text_or_null(definitions::constraint(&objects(c), a.oid(0)?))).stable(),
    f(1640, "pg_get_viewdef", &[Text], Text, |c, a| view(c, relation(c, a.text(0)?)?)).stable(),
    f(1641, "pg_get_viewdef", &[Oid], Text, |c, a| view(c, a.oid(0)?)).stable(),
    f(2505, "pg_get_viewdef", &[Text, Bool], Text, |c, a| view(c, relation(c, a.text(0)?)?)).stable(),
    f(2506, "pg_get_viewdef", &[Oid, Bool], Text, |c, a| view(c, a.oid(0)?)).stable(),
    f(3159, "pg_get_viewdef", &[Oid, Int4], Text, |c, a| view(c, a.oid(0)?)).stable(),
    f(1573, "pg_get_ruledef", &[Oid], Text, |c, a| rule(c, a.oid(0)?)).stable(),
    f(2504, "pg_get_ruledef", &[Oid, Bool], Text, |c, a| rule(c, a.oid(0)?)).stable(),
    f(1662, "pg_get_triggerdef", &[Oid], Text, |_, _| Ok(Datum::Null)).stable(),
    f(2730, "pg_get_triggerdef", &[Oid, Bool], Text, |_, _| Ok(Datum::Null)).stable(),
    f(2165, "pg_get_function_result", &[Oid], Text, |_, a| text_or_null(callee(a.oid(0)?).map(result))).stable(),
    f(2162, "pg_get_function_arguments", &[Oid], Text, |_, a| text_or_null(callee(a.oid(0)?).map(arguments))).stable(),
    f(2232, "pg_get_function_identity_arguments", &[Oid], Text, |_, a| text_or_null(callee(a.oid(0)?).map(inputs))).stable(),
    f(3808, "pg_get_function_arg_default", &[Oid, Int4], Text, |_, _| Ok(Datum::Null)).stable(),
    f(6197, "pg_get_function_sqlbody", &[Oid], Text, |_, _| Ok(Datum::Null)).stable(),
    f(2098, "pg_get_functiondef", &[Oid], Text, |_, a| function(a.oid(0)?)).stable(),
    f(1665, "pg_get_serial_sequence", &[Text, Text], Text, serial_sequence).stable(),
    f(3352, "pg_get_partkeydef", &[Oid], Text, |_, _| Ok(Datum::Null)).stable(),
    f(3408, "pg_get_partition_constraintdef", &[Oid], Text, |_, _| Ok(Datum::Null)).stable(),
    f(3415, "pg_get_statisticsobjdef", &[Oid], Text, |_, _| Ok(Datum::Null)).stable(),
    f(6174, "pg_get_statisticsobjdef_columns", &[Oid], Text, |_, _| Ok(Datum::Null)).stable(),
    f(6173, "pg_get_statisticsobjdef_expressions", &[Oid], TextArray, |_, _| Ok(Datum::Null)).stable(),
    f(3537, "pg_describe_object", &[Oid, Oid, Int4], Text, describe).stable(),
];

/// A type's name with its modifier.
fn format_type(a: &[Datum]) -> Result<Datum> {
    if a.null(0) {
        return Ok(Datum::Null);
    }
    let oid = a.oid(0)?;
    if oid == 0 {
        return Ok(Datum::text("-"));
    }
    let Some(ty) = PgType::from_oid(oid) else { return Ok(Datum::text("???")) };
    let typmod = if a.null(1) { None } else { Some(a.int4(1)?) };
    let (base, suffix) = match ty.element() {
        Some(element) if ty.is_array() => (element, "[]"),
        _ => (ty, ""),
    };
    Ok(Datum::text(format!("{}{suffix}", with_modifier(base, typmod))))
}

fn with_modifier(ty: PgType, typmod: Option<i32>) -> String {
    let name = ty.name();
    let Some(typmod) = typmod.filter(|typmod| *typmod >= 0) else {
        return if ty == Bpchar && typmod.is_some() {
            "bpchar".to_owned()
        } else {
            name.to_owned()
        };
    };
    match ty {
        Varchar | Bpchar if typmod >= 4 => format!("{name}({})", typmod - 4),
        Numeric if typmod >= 4 => {
            let (precision, scale) = ((typmod - 4) >> 16, (typmod - 4) & 0x7ff);
            // The scale has eleven bits and a sign.
            let scale = (scale ^ 1024) - 1024;
            format!("{name}({precision},{scale})")
        }
        Time | TimeTz | Timestamp | TimestampTz => {
            let (head, tail) = name.split_once(' ').unwrap_or((name, ""));
            format!("{head}({typmod}){}{tail}", if tail.is_empty() { "" } else { " " })
        }
        Interval if typmod & 0xffff != 0xffff => format!("{name}({})", typmod & 0xffff),
        _ => name.to_owned(),
    }
}

fn index(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let objects = objects(context);
    match usize::try_from(a.int4(1)?) {
        Ok(0) => text_or_null(definitions::index(&objects, a.oid(0)?)),
        Ok(column) => {
            let text = definitions::index_column(&objects, a.oid(0)?, column);
            Ok(Datum::text(text.unwrap_or_default()))
        }
        Err(_) => Ok(Datum::text("")),
    }
}

fn view(context: &EvalContext<'_>, oid: u32) -> Result<Datum> {
    let objects = objects(context);
    let view = objects.class(oid).filter(|class| class.kind == b'v');
    text_or_null(view.map(|class| definitions::view(&objects, class)))
}

fn rule(context: &EvalContext<'_>, oid: u32) -> Result<Datum> {
    let objects = objects(context);
    let view = objects.class(oid).filter(|class| class.kind == b'v');
    text_or_null(view.map(|class| {
        let (name, query) =
            (names::qualified(&class.schema, &class.name), definitions::view(&objects, class));
        format!("CREATE RULE \"_RETURN\" AS\n    ON SELECT TO {name} DO INSTEAD {query}")
    }))
}

fn callee(oid: u32) -> Option<Callee> {
    registry::function_by_oid(oid).map(|registered| registered.callee)
}

fn result(callee: Callee) -> String {
    let setof = if matches!(callee, Callee::Set(_)) { "SETOF " } else { "" };
    format!("{setof}{}", callee.result().name())
}

/// The argument types as they are declared.
fn inputs(callee: Callee) -> String {
    let last = callee.arguments().len().saturating_sub(1);
    let argument = |(place, ty): (usize, &PgType)| {
        let variadic = if callee.is_variadic() && place == last { "VARIADIC " } else { "" };
        format!("{variadic}{}", ty.name())
    };
    callee.arguments().iter().enumerate().map(argument).collect::<Vec<_>>().join(", ")
}

/// The arguments, and the columns of the rows that the function gives.
fn arguments(callee: Callee) -> String {
    let mut all: Vec<String> = vec![inputs(callee)];
    if let Callee::Set(set) = callee
        && set.columns.len() > 1
    {
        let output =
            |(name, ty): &(&str, PgType)| format!("OUT {} {}", names::quote(name), ty.name());
        all.extend(set.columns.iter().map(output));
    }
    all.retain(|argument| !argument.is_empty());
    all.join(", ")
}

fn function(oid: u32) -> Result<Datum> {
    let Some(callee) = callee(oid) else { return Ok(Datum::Null) };
    if matches!(callee, Callee::Aggregate(_)) {
        let message = format!("\"{}\" is an aggregate function", callee.name());
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    }
    let name = names::qualified("pg_catalog", callee.name());
    Ok(Datum::text(format!(
        "CREATE OR REPLACE FUNCTION {name}({})\n RETURNS {}\n LANGUAGE internal\nAS $function${}$function$\n",
        arguments(callee),
        result(callee),
        callee.name(),
    )))
}

/// No column has a sequence, but the table and the column have to be there.
fn serial_sequence(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let table = relation(context, a.text(0)?)?;
    let (objects, column) = (objects(context), a.text(1)?);
    let Some(class) = objects.class(table) else { return Ok(Datum::Null) };
    if objects.attributes(class).iter().any(|attribute| attribute.name == column) {
        return Ok(Datum::Null);
    }
    let message = format!("column \"{column}\" of relation \"{}\" does not exist", class.name);
    Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
}

fn describe(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let objects = objects(context);
    let Some(class) = objects.class(a.oid(1)?) else { return Ok(Datum::Null) };
    let kind = if class.kind == b'r' { "table" } else { "view" };
    Ok(Datum::text(format!("{kind} {}", objects.class_name(class.oid).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_with_their_modifiers() {
        let of = |ty: PgType, typmod| with_modifier(ty, typmod);
        assert_eq!(of(Varchar, Some(7)), "character varying(3)");
        assert_eq!(of(Numeric, Some((10 << 16) + 2 + 4)), "numeric(10,2)");
        assert_eq!(of(TimestampTz, Some(3)), "timestamp(3) with time zone");
        assert_eq!(of(Int4, Some(-1)), "integer");
        assert_eq!(of(Bpchar, Some(-1)), "bpchar");
        assert_eq!(of(Bpchar, None), "character");
    }
}
