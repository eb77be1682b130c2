//! All functions, operators and casts, found by name.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::tables::casts::{self, Cast};
use super::tables::operators::{self, Operator};
use super::{AggregateFunction, Callee, ScalarFunction, SetFunction, WindowFunction};
use crate::types::PgType;

/// The functions of one topic. Another module of the crate adds functions by adding a table to [`TABLES`].
#[derive(Clone, Copy, Debug)]
pub struct FunctionTable {
    /// The schema they are in.
    pub schema: &'static str,
    /// Functions from values to a value.
    pub scalars: &'static [ScalarFunction],
    /// Aggregates.
    pub aggregates: &'static [AggregateFunction],
    /// Set-returning functions.
    pub sets: &'static [SetFunction],
    /// Window functions.
    pub windows: &'static [WindowFunction],
}

impl FunctionTable {
    /// A table of scalar functions of `pg_catalog`.
    pub const fn scalars(scalars: &'static [ScalarFunction]) -> Self {
        Self { schema: "pg_catalog", scalars, aggregates: &[], sets: &[], windows: &[] }
    }
}

/// Every table of functions there is.
pub static TABLES: &[&FunctionTable] = &[
    &super::boolean::TABLE,
    &super::compare::TABLE,
    &super::integers::TABLE,
    &super::floats::TABLE,
    &super::numerics::TABLE,
    &super::strings::TABLE,
    &super::string_casts::TABLE,
    &super::string_any::TABLE,
    &super::bytes::TABLE,
    &super::hashes::TABLE,
    &super::like::TABLE,
    &super::regexp::TABLE,
    &super::datetime::arithmetic::TABLE,
    &super::datetime::convert::TABLE,
    &super::datetime::make::TABLE,
    &super::datetime::part::TABLE,
    &super::datetime::trunc::TABLE,
    &super::datetime::zone::TABLE,
    &super::to_char::DATES,
    &super::to_char::MOMENTS,
    &super::to_char::NUMBERS,
    &super::arrays::build::TABLE,
    &super::arrays::search::TABLE,
    &super::arrays::shape::TABLE,
    &super::arrays::strings::TABLE,
    &super::json::access::TABLE,
    &super::json::build::TABLE,
    &super::json::change::TABLE,
    &super::json::contain::TABLE,
    &super::json::expand::TABLE,
    &super::json::path::TABLE,
    &super::json::path::OPERATORS,
    &super::json::record::TABLE,
    &super::sets::elements::TABLE,
    &super::sets::series::TABLE,
    &super::aggregates::SUMS,
    &super::aggregates::EXTREMES,
    &super::aggregates::LOGIC,
    &super::aggregates::COLLECTIONS,
    &super::aggregates::SPREADS,
    &super::aggregates::REGRESSIONS,
    &super::aggregates::ORDERED,
    &super::system::TABLE,
    &super::unistr::TABLE,
    &super::windows::TABLE,
    &crate::catalog::functions::access::TABLE,
    &crate::catalog::functions::comments::TABLE,
    &crate::catalog::functions::definitions::TABLE,
    &crate::catalog::functions::locks::TABLE,
    &crate::catalog::functions::lookup::TABLE,
    &crate::catalog::functions::session::TABLE,
    &crate::catalog::functions::sets::TABLE,
    &crate::catalog::functions::sizes::TABLE,
    &crate::catalog::functions::standard::TABLE,
];

/// A function with the schema it is in.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// The schema.
    pub schema: &'static str,
    /// The function.
    pub callee: Callee,
}

/// An operator with its function.
#[derive(Clone, Copy, Debug)]
pub struct RegisteredOperator {
    /// The operator.
    pub operator: &'static Operator,
    /// Its function.
    pub function: &'static ScalarFunction,
}

/// A cast with its function, if it needs one.
#[derive(Clone, Copy, Debug)]
pub struct RegisteredCast {
    /// The cast.
    pub cast: &'static Cast,
    /// Its function.
    pub function: Option<&'static ScalarFunction>,
}

struct Registry {
    functions: Vec<Registered>,
    by_name: FxHashMap<&'static str, Vec<Registered>>,
    by_oid: FxHashMap<u32, Registered>,
    operators: FxHashMap<&'static str, Vec<RegisteredOperator>>,
    casts: FxHashMap<(PgType, PgType), RegisteredCast>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(build);

fn build() -> Registry {
    let mut functions = Vec::new();
    for table in TABLES {
        let mut add = |callee| functions.push(Registered { schema: table.schema, callee });
        table.scalars.iter().for_each(|it| add(Callee::Scalar(it)));
        table.aggregates.iter().for_each(|it| add(Callee::Aggregate(it)));
        table.sets.iter().for_each(|it| add(Callee::Set(it)));
        table.windows.iter().for_each(|it| add(Callee::Window(it)));
    }
    let mut by_name: FxHashMap<&'static str, Vec<Registered>> = FxHashMap::default();
    let mut by_oid = FxHashMap::default();
    for function in &functions {
        by_name.entry(function.callee.name()).or_default().push(*function);
        by_oid.insert(function.callee.oid(), *function);
    }
    by_oid.remove(&0);
    let find = |name: &str, arguments: &[PgType]| scalar_in(&by_name, name, arguments);
    let mut operators: FxHashMap<&'static str, Vec<RegisteredOperator>> = FxHashMap::default();
    for operator in operators::ROWS {
        if let Some(function) = find(operator.function, &operator.arguments()) {
            operators
                .entry(operator.name)
                .or_default()
                .push(RegisteredOperator { operator, function });
        }
    }
    let mut casts = FxHashMap::default();
    for cast in casts::ROWS {
        let function = match cast.method {
            casts::Method::Function(name) => match casts::function_arguments(cast)
                .iter()
                .find_map(|arguments| find(name, arguments))
            {
                Some(function) => Some(function),
                // Not implemented: PostgreSQL's rules then fall back on conversion through text.
                None => continue,
            },
            casts::Method::Binary | casts::Method::InOut => None,
        };
        casts.insert((cast.source, cast.target), RegisteredCast { cast, function });
    }
    Registry { functions, by_name, by_oid, operators, casts }
}

fn scalar_in(
    by_name: &FxHashMap<&'static str, Vec<Registered>>,
    name: &str,
    arguments: &[PgType],
) -> Option<&'static ScalarFunction> {
    by_name.get(name)?.iter().find_map(|it| match it.callee {
        Callee::Scalar(function) if function.arguments == arguments => Some(function),
        _ => None,
    })
}

/// Every function, for `pg_proc`.
pub fn all() -> &'static [Registered] {
    &REGISTRY.functions
}

/// The functions with a name.
pub fn functions_named(name: &str) -> &'static [Registered] {
    REGISTRY.by_name.get(name).map_or(&[], Vec::as_slice)
}

/// The function with an OID.
pub fn function_by_oid(oid: u32) -> Option<&'static Registered> {
    REGISTRY.by_oid.get(&oid)
}

/// The scalar function with a name and exactly these argument types.
pub fn scalar(name: &str, arguments: &[PgType]) -> Option<&'static ScalarFunction> {
    scalar_in(&REGISTRY.by_name, name, arguments)
}

/// The operators with a name.
pub fn operators_named(name: &str) -> &'static [RegisteredOperator] {
    REGISTRY.operators.get(name).map_or(&[], Vec::as_slice)
}

/// Every operator that has a function, for `pg_operator`.
pub fn operators() -> impl Iterator<Item = RegisteredOperator> {
    operators::ROWS.iter().filter_map(|row| {
        operators_named(row.name).iter().find(|it| std::ptr::eq(it.operator, row)).copied()
    })
}

/// The cast from one type to another, if there is a row for it.
pub fn cast(source: PgType, target: PgType) -> Option<&'static RegisteredCast> {
    REGISTRY.casts.get(&(source, target))
}

/// Every cast, for `pg_cast`.
pub fn casts() -> impl Iterator<Item = RegisteredCast> {
    casts::ROWS.iter().filter_map(|row| cast(row.source, row.target).copied())
}
