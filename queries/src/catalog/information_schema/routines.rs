//! Functions and their parameters.

use super::columns::data_type;
use super::database;
use crate::catalog::cell::{int4, text, yes_or_no};
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::table::Rows;
use crate::types::Datum;
use crate::types::functions::registry::{self, Registered};
use crate::types::functions::{Callee, Volatility};

pub(super) static MAKERS: &[Maker] =
    &[Maker::live("routines", ROUTINE, routines), Maker::live("parameters", PARAMETER, parameters)];

const ROUTINE: &[&str] = &[
    "specific_catalog",
    "specific_schema",
    "specific_name",
    "routine_catalog",
    "routine_schema",
    "routine_name",
    "routine_type",
    "data_type",
    "type_udt_catalog",
    "type_udt_schema",
    "type_udt_name",
    "dtd_identifier",
    "routine_body",
    "external_language",
    "parameter_style",
    "is_deterministic",
    "sql_data_access",
    "security_type",
];

/// Functions that have an OID.
fn known() -> impl Iterator<Item = &'static Registered> {
    registry::all().iter().filter(|registered| registered.callee.oid() != 0)
}

fn specific_name(callee: Callee) -> Datum {
    text(format!("{}_{}", callee.name(), callee.oid()))
}

fn routines(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for registered in known() {
        let callee = registered.callee;
        let plain = matches!(callee, Callee::Scalar(_) | Callee::Set(_));
        let deterministic =
            matches!(callee, Callee::Scalar(it) if it.volatility == Volatility::Immutable);
        rows.push([
            database(scope),
            text(registered.schema),
            specific_name(callee),
            database(scope),
            text(registered.schema),
            text(callee.name()),
            if plain { text("FUNCTION") } else { Datum::Null },
            data_type(callee.result()),
            database(scope),
            text("pg_catalog"),
            text(callee.result().typname()),
            text("0"),
            text("EXTERNAL"),
            text("INTERNAL"),
            text("GENERAL"),
            yes_or_no(deterministic),
            text("MODIFIES"),
            text("INVOKER"),
        ]);
    }
}

const PARAMETER: &[&str] = &[
    "specific_catalog",
    "specific_schema",
    "specific_name",
    "ordinal_position",
    "parameter_mode",
    "is_result",
    "as_locator",
    "data_type",
    "udt_catalog",
    "udt_schema",
    "udt_name",
    "dtd_identifier",
];

fn parameters(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for registered in known() {
        for (place, ty) in registered.callee.arguments().iter().enumerate() {
            rows.push([
                database(scope),
                text(registered.schema),
                specific_name(registered.callee),
                int4(place + 1),
                text("IN"),
                yes_or_no(false),
                yes_or_no(false),
                data_type(*ty),
                database(scope),
                text("pg_catalog"),
                text(ty.typname()),
                text((place + 1).to_string()),
            ]);
        }
    }
}
