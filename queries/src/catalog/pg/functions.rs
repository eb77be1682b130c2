//! Functions, aggregates and operators.

use std::collections::BTreeSet;

use super::PG_CATALOG_OID;
use super::types::conversions;
use crate::catalog::cell::{array, bool, int2, letter, oid, oids, text};
use crate::catalog::objects::Objects;
use crate::catalog::relation::Maker;
use crate::catalog::state::BOOTSTRAP_ROLE;
use crate::catalog::table::Rows;
use crate::types::functions::{Callee, SetFunction, Volatility, registry};
use crate::types::{Datum, PgType};

pub(super) static MAKERS: &[Maker] = &[
    Maker::of_names("pg_proc", PROC, functions),
    Maker::of_names(
        "pg_aggregate",
        &[
            "aggfnoid",
            "aggkind",
            "aggnumdirectargs",
            "aggfinalmodify",
            "aggmfinalmodify",
            "aggtranstype",
        ],
        aggregates,
    ),
    Maker::of_names("pg_operator", OPERATOR, operators),
];

const PROC: &[&str] = &[
    "oid",
    "proname",
    "pronamespace",
    "proowner",
    "prolang",
    "procost",
    "prorows",
    "provariadic",
    "prokind",
    "proisstrict",
    "proretset",
    "provolatile",
    "proparallel",
    "pronargs",
    "prorettype",
    "proargtypes",
    "proallargtypes",
    "proargmodes",
    "proargnames",
    "prosrc",
];

/// The language `internal`.
const INTERNAL: u32 = 12;

fn functions(objects: &Objects, rows: &mut Rows<'_>) {
    let mut known = BTreeSet::new();
    for registered in registry::all() {
        let callee = registered.callee;
        if callee.oid() != 0 && known.insert(callee.oid()) {
            function(objects.namespace_oid(registered.schema), callee, rows);
        }
    }
    for (function, (name, arguments, result)) in conversions() {
        if known.insert(*function) {
            let strict = !arguments.contains(&PgType::Internal);
            row(
                rows,
                *function,
                PG_CATALOG_OID,
                name,
                arguments,
                Details { strict, result: result.oid(), ..Details::default() },
            );
        }
    }
}

/// What `pg_proc` says of a function beyond its name and arguments.
struct Details {
    kind: u8,
    strict: bool,
    volatility: u8,
    variadic: u32,
    returns_set: bool,
    result: u32,
    /// All argument types, modes and names, of a function with named result columns.
    outputs: [Datum; 3],
}

impl Default for Details {
    fn default() -> Self {
        Self {
            kind: b'f',
            strict: true,
            volatility: b'i',
            variadic: 0,
            returns_set: false,
            result: 0,
            outputs: [Datum::Null, Datum::Null, Datum::Null],
        }
    }
}

fn function(namespace: u32, callee: Callee, rows: &mut Rows<'_>) {
    let (kind, strict, volatility) = match callee {
        Callee::Scalar(it) => {
            let volatility = match it.volatility {
                Volatility::Immutable => b'i',
                Volatility::Stable => b's',
                Volatility::Volatile => b'v',
            };
            (b'f', it.strict, volatility)
        }
        Callee::Aggregate(_) => (b'a', false, b'i'),
        Callee::Set(it) => (b'f', it.strict, b's'),
        Callee::Window(_) => (b'w', false, b'i'),
        Callee::Cast(_) => return,
    };
    let variadic = match callee.arguments().last() {
        Some(PgType::Any) if callee.is_variadic() => PgType::Any.oid(),
        Some(PgType::AnyArray) if callee.is_variadic() => PgType::AnyElement.oid(),
        Some(last) if callee.is_variadic() => last.element().map_or(0, PgType::oid),
        _ => 0,
    };
    let outputs = match callee {
        Callee::Set(set) => outputs(set),
        _ => Details::default().outputs,
    };
    let details = Details {
        kind,
        strict,
        volatility,
        variadic,
        returns_set: matches!(callee, Callee::Set(_)),
        result: callee.result().oid(),
        outputs,
    };
    row(rows, callee.oid(), namespace, callee.name(), callee.arguments(), details);
}

fn outputs(set: &SetFunction) -> [Datum; 3] {
    if matches!(set.columns, [("", _)] | []) {
        return Details::default().outputs;
    }
    let types = set.arguments.iter().chain(set.columns.iter().map(|(_, ty)| ty));
    let modes = set.arguments.iter().map(|_| b'i').chain(set.columns.iter().map(|_| b'o'));
    let names = set.arguments.iter().map(|_| "").chain(set.columns.iter().map(|(name, _)| *name));
    [
        array(PgType::Oid, types.map(|ty| oid(ty.oid())).collect()),
        array(PgType::Char, modes.map(letter).collect()),
        array(PgType::Text, names.map(text).collect()),
    ]
}

fn row(
    rows: &mut Rows<'_>,
    function: u32,
    namespace: u32,
    name: &str,
    arguments: &[PgType],
    details: Details,
) {
    let [types, modes, names] = details.outputs;
    rows.push([
        oid(function),
        text(name),
        oid(namespace),
        oid(BOOTSTRAP_ROLE.1),
        oid(INTERNAL),
        Datum::Float4(1.0),
        Datum::Float4(if details.returns_set { 1000.0 } else { 0.0 }),
        oid(details.variadic),
        letter(details.kind),
        bool(details.strict),
        bool(details.returns_set),
        letter(details.volatility),
        letter(b's'),
        int2(arguments.len()),
        oid(details.result),
        oids(arguments.iter().map(|ty| ty.oid())),
        types,
        modes,
        names,
        text(name),
    ]);
}

fn aggregates(_: &Objects, rows: &mut Rows<'_>) {
    for registered in registry::all() {
        let Callee::Aggregate(aggregate) = registered.callee else { continue };
        rows.push([
            oid(aggregate.oid),
            letter(match (aggregate.hypothetical, aggregate.ordered_set) {
                (Some(_), _) => b'h',
                (None, true) => b'o',
                (None, false) => b'n',
            }),
            int2(if aggregate.hypothetical.is_some() {
                1
            } else if aggregate.ordered_set {
                aggregate.arguments.len().saturating_sub(1)
            } else {
                0
            }),
            letter(b'r'),
            letter(b'r'),
            oid(PgType::Internal.oid()),
        ]);
    }
}

const OPERATOR: &[&str] = &[
    "oid",
    "oprname",
    "oprnamespace",
    "oprowner",
    "oprkind",
    "oprcanmerge",
    "oprcanhash",
    "oprleft",
    "oprright",
    "oprresult",
    "oprcom",
    "oprnegate",
    "oprcode",
];

fn operators(_: &Objects, rows: &mut Rows<'_>) {
    for registered in registry::operators() {
        let operator = registered.operator;
        let equality = operator.name == "=";
        rows.push([
            oid(operator.oid),
            text(operator.name),
            oid(PG_CATALOG_OID),
            oid(BOOTSTRAP_ROLE.1),
            letter(if operator.left.is_some() { b'b' } else { b'l' }),
            bool(equality),
            bool(equality),
            oid(operator.left.map_or(0, PgType::oid)),
            oid(operator.right.oid()),
            oid(operator.result.oid()),
            oid(operator.commutator),
            oid(operator.negator),
            oid(registered.function.oid),
        ]);
    }
}
