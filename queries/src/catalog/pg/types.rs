//! Types and casts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::PG_CATALOG_OID;
use crate::catalog::cell::{bool, int2, int4, letter, oid, text};
use crate::catalog::objects::Objects;
use crate::catalog::relation::Maker;
use crate::catalog::state::BOOTSTRAP_ROLE;
use crate::catalog::table::Rows;
use crate::types::PgType;
use crate::types::functions::registry;
use crate::types::functions::tables::casts::{Context, Method};
use crate::types::type_table;

pub(super) static MAKERS: &[Maker] = &[
    Maker::of_names("pg_type", TYPE, types),
    Maker::of_names(
        "pg_cast",
        &["oid", "castsource", "casttarget", "castfunc", "castcontext", "castmethod"],
        casts,
    ),
];

const TYPE: &[&str] = &[
    "oid",
    "typname",
    "typnamespace",
    "typowner",
    "typlen",
    "typbyval",
    "typtype",
    "typcategory",
    "typispreferred",
    "typisdefined",
    "typdelim",
    "typsubscript",
    "typelem",
    "typarray",
    "typinput",
    "typoutput",
    "typreceive",
    "typsend",
    "typmodin",
    "typmodout",
    "typanalyze",
    "typalign",
    "typstorage",
    "typtypmod",
    "typcollation",
];

fn types(_: &Objects, rows: &mut Rows<'_>) {
    for row in type_table::ROWS {
        let [input, output, receive, send, modin, modout, analyze, subscript] =
            row.functions.map(|(function, _)| oid(function));
        rows.push([
            oid(row.ty.oid()),
            text(row.name),
            oid(PG_CATALOG_OID),
            oid(BOOTSTRAP_ROLE.1),
            int2(row.length),
            bool(row.by_value),
            letter(row.kind),
            letter(row.category),
            bool(row.preferred),
            bool(true),
            letter(row.delimiter),
            subscript,
            oid(row.element),
            oid(row.array),
            input,
            output,
            receive,
            send,
            modin,
            modout,
            analyze,
            letter(row.align),
            letter(row.storage),
            int4(-1),
            oid(row.collation),
        ]);
    }
}

fn casts(_: &Objects, rows: &mut Rows<'_>) {
    for registered in registry::casts() {
        let cast = registered.cast;
        let context = match cast.context {
            Context::Implicit => b'i',
            Context::Assignment => b'a',
            Context::Explicit => b'e',
        };
        let method = match cast.method {
            Method::Function(_) => b'f',
            Method::Binary => b'b',
            Method::InOut => b'i',
        };
        rows.push([
            oid(cast.oid),
            oid(cast.source.oid()),
            oid(cast.target.oid()),
            oid(registered.function.map_or(0, |function| function.oid)),
            letter(context),
            letter(method),
        ]);
    }
}

/// A function that reads or writes values of types: its name, argument types and result type, by its OID.
pub(in crate::catalog) type Conversion = (&'static str, Vec<PgType>, PgType);

/// The functions that `pg_type` names. They cannot be called, but tools look for them in `pg_proc`.
pub(in crate::catalog) fn conversions() -> &'static BTreeMap<u32, Conversion> {
    static CONVERSIONS: LazyLock<BTreeMap<u32, Conversion>> = LazyLock::new(find_conversions);
    &CONVERSIONS
}

fn find_conversions() -> BTreeMap<u32, Conversion> {
    let mut found = BTreeMap::new();
    for row in type_table::ROWS {
        let ty = if row.ty.is_array() { PgType::AnyArray } else { row.ty };
        let typed = |cstring| {
            if row.ty.is_array() { vec![cstring, PgType::Oid, PgType::Int4] } else { vec![cstring] }
        };
        let signatures = [
            (typed(PgType::Cstring), ty),
            (vec![ty], PgType::Cstring),
            (typed(PgType::Internal), ty),
            (vec![ty], PgType::Bytea),
            (vec![PgType::CstringArray], PgType::Int4),
            (vec![PgType::Int4], PgType::Cstring),
            (vec![PgType::Internal], PgType::Bool),
            (vec![PgType::Internal], PgType::Internal),
        ];
        for ((function, name), (arguments, result)) in row.functions.iter().zip(signatures) {
            if *function != 0 {
                found.entry(*function).or_insert((*name, arguments, result));
            }
        }
    }
    found
}
