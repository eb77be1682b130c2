//! Choosing a function (chapter 10.3 of the manual; `parse_func.c`).

use super::candidates::{Candidate, Choice, choose};
use super::coerce::{CoercionContext, resolve_cast};
use super::{polymorphic, types_literal};
use crate::error::{Result, SqlError, SqlState};
use crate::types::functions::registry::{self, Registered};
use crate::types::functions::{AggregateFunction, ScalarFunction, SetFunction, WindowFunction};
use crate::types::{Datum, PgType};

/// What a call calls.
#[derive(Clone, Copy, Debug)]
pub enum Callee {
    /// A function from values to a value.
    Scalar(&'static ScalarFunction),
    /// An aggregate.
    Aggregate(&'static AggregateFunction),
    /// A set-returning function.
    Set(&'static SetFunction),
    /// A window function that is no aggregate.
    Window(&'static WindowFunction),
    /// No function: a type's name used as one, `float8('1')`. The one argument is cast to it explicitly.
    Cast(PgType),
}

impl Callee {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scalar(it) => it.name,
            Self::Aggregate(it) => it.name,
            Self::Set(it) => it.name,
            Self::Window(it) => it.name,
            Self::Cast(ty) => ty.typname(),
        }
    }

    /// Its OID in `pg_proc`, or 0.
    pub fn oid(&self) -> u32 {
        match self {
            Self::Scalar(it) => it.oid,
            Self::Aggregate(it) => it.oid,
            Self::Set(it) => it.oid,
            Self::Window(it) => it.oid,
            Self::Cast(_) => 0,
        }
    }

    /// Its declared argument types.
    pub fn arguments(&self) -> &'static [PgType] {
        match self {
            Self::Scalar(it) => it.arguments,
            Self::Aggregate(it) => it.arguments,
            Self::Set(it) => it.arguments,
            Self::Window(it) => it.arguments,
            Self::Cast(_) => &[],
        }
    }

    /// Whether its last argument repeats.
    pub fn is_variadic(&self) -> bool {
        match self {
            Self::Scalar(it) => it.variadic,
            Self::Aggregate(it) => it.variadic,
            Self::Set(it) => it.variadic,
            Self::Window(_) | Self::Cast(_) => false,
        }
    }

    /// Its declared result type: of several columns `record`.
    pub fn result(&self) -> PgType {
        match self {
            Self::Scalar(it) => it.result,
            Self::Aggregate(it) => it.result,
            Self::Set(it) => match it.columns {
                [(_, ty)] => *ty,
                _ => PgType::Record,
            },
            Self::Window(it) => it.result,
            Self::Cast(ty) => *ty,
        }
    }
}

/// The function of a call.
#[derive(Clone, Debug)]
pub struct ResolvedFunction {
    /// What is called.
    pub callee: Callee,
    /// The types that the arguments have to be brought to, as many as were given. An argument for `any` keeps its
    /// type; `unknown` becomes `text`.
    pub arguments: Vec<PgType>,
    /// A literal to pass after the arguments, if the function is [typed](ScalarFunction::typed).
    pub extra: Option<(Datum, PgType)>,
    /// The type of the result, polymorphism resolved.
    pub result: PgType,
    /// Of a set-returning function: the names and types of its columns, polymorphism resolved.
    pub columns: Vec<(&'static str, PgType)>,
    /// Whether the last argument was declared `VARIADIC` and the arguments are spread out.
    pub spread: bool,
}

/// Chooses the function for arguments of these types. `schema` limits the search; `variadic_call` says that the
/// last argument is marked `VARIADIC`. For an ordered-set aggregate the arguments are the direct ones and then
/// those of `WITHIN GROUP`.
pub fn resolve_function(
    schema: Option<&str>,
    name: &str,
    actual: &[PgType],
    variadic_call: bool,
) -> Result<ResolvedFunction> {
    let candidates = candidates(schema, name, actual.len(), variadic_call);
    let same = |it: &&Candidate<(Callee, bool)>| it.arguments == actual;
    if let Some(found) = candidates.iter().find(same) {
        return resolved(found.item, actual, &found.arguments);
    }
    if let Some(ty) = cast_by_name(schema, name, actual) {
        let (callee, arguments) = (Callee::Cast(ty), actual.to_vec());
        return Ok(ResolvedFunction {
            callee,
            arguments,
            extra: None,
            result: ty,
            columns: vec![],
            spread: false,
        });
    }
    match choose(actual, candidates) {
        Choice::One(one) => resolved(one.item, actual, &one.arguments),
        Choice::None => Err(undefined(schema, name, actual)),
        Choice::Ambiguous => {
            let message = format!("function {} is not unique", signature(schema, name, actual));
            Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).with_hint(
                "Could not choose a best candidate function. You might need to add explicit type casts.",
            ))
        }
    }
}

/// The functions that take so many arguments, with the types each argument would need; plain ones before those
/// whose variadic argument is spread out.
fn candidates(
    schema: Option<&str>,
    name: &str,
    count: usize,
    variadic_call: bool,
) -> Vec<Candidate<(Callee, bool)>> {
    let mut found: Vec<Candidate<(Callee, bool)>> = Vec::new();
    let in_schema = |it: &&Registered| match schema {
        Some(schema) => it.schema == schema,
        None => it.schema == "pg_catalog" || it.schema == "public",
    };
    for registered in registry::functions_named(name).iter().filter(in_schema) {
        let callee = registered.callee;
        let declared = callee.arguments();
        let spread = callee.is_variadic() && !variadic_call;
        let arguments = match declared.split_last() {
            Some((last, rest)) if spread && declared.len() <= count => {
                let element =
                    if *last == PgType::Any { PgType::Any } else { last.element_declared() };
                let mut arguments = rest.to_vec();
                arguments.resize(count, element);
                arguments
            }
            _ if declared.len() == count && !spread && (!variadic_call || callee.is_variadic()) => {
                declared.to_vec()
            }
            _ => continue,
        };
        match found.iter_mut().find(|it| it.arguments == arguments) {
            Some(other) if other.item.1 && !spread => {
                *other = Candidate { arguments, item: (callee, spread) }
            }
            Some(_) => {}
            None => found.push(Candidate { arguments, item: (callee, spread) }),
        }
    }
    found
}

impl PgType {
    /// The element type of a declared variadic array, polymorphic ones included.
    fn element_declared(self) -> Self {
        match self {
            Self::AnyArray => Self::AnyElement,
            Self::AnyCompatibleArray => Self::AnyCompatible,
            other => other.element().unwrap_or(other),
        }
    }
}

/// A type's name called with one argument that can be cast to it without a function.
fn cast_by_name(schema: Option<&str>, name: &str, actual: &[PgType]) -> Option<PgType> {
    let [source] = *actual else { return None };
    if schema.is_some_and(|schema| schema != "pg_catalog") {
        return None;
    }
    let target = PgType::from_typname(name).filter(|ty| ty.row().kind == b'b')?;
    if source == PgType::Unknown {
        return Some(target);
    }
    if source == PgType::Record && target.category() == b'S' {
        return None;
    }
    let by_function = registry::cast(source, target).is_some_and(|it| it.function.is_some());
    let array = source.is_array() && target.is_array() && source != target;
    let found = resolve_cast(source, target, CoercionContext::Explicit).is_some();
    (found && !by_function && !array).then_some(target)
}

fn resolved(
    (callee, spread): (Callee, bool),
    actual: &[PgType],
    declared: &[PgType],
) -> Result<ResolvedFunction> {
    let unified = polymorphic::unify(actual, declared)?;
    let arguments: Vec<PgType> = declared
        .iter()
        .zip(actual)
        .map(|(declared, actual)| match (declared, actual) {
            (PgType::Any, PgType::Unknown) => Ok(PgType::Text),
            (PgType::Any, actual) => Ok(*actual),
            _ => unified.resolve(*declared),
        })
        .collect::<Result<_>>()?;
    let result = unified.resolve(callee.result())?;
    let columns = match callee {
        Callee::Set(set) => set
            .columns
            .iter()
            .map(|(name, ty)| Ok((*name, unified.resolve(*ty)?)))
            .collect::<Result<_>>()?,
        _ => vec![],
    };
    let typed = matches!(callee, Callee::Scalar(it) if it.typed);
    // The types as they were given, so that `pg_typeof` of a literal is `unknown`; polymorphic ones as resolved.
    let seen: Vec<PgType> = declared
        .iter()
        .zip(actual.iter().zip(&arguments))
        .map(
            |(declared, (actual, resolved))| {
                if *declared == PgType::Any { *actual } else { *resolved }
            },
        )
        .collect();
    let extra = typed.then(|| types_literal(&seen, callee.is_variadic() && !spread));
    Ok(ResolvedFunction { callee, arguments, extra, result, columns, spread })
}

/// A call as error messages name it: `foo(integer, unknown)`.
pub fn signature(schema: Option<&str>, name: &str, actual: &[PgType]) -> String {
    let types: Vec<&str> = actual.iter().map(|ty| ty.name()).collect();
    let qualifier = schema.map(|schema| format!("{schema}.")).unwrap_or_default();
    format!("{qualifier}{name}({})", types.join(", "))
}

fn undefined(schema: Option<&str>, name: &str, actual: &[PgType]) -> SqlError {
    let message = format!("function {} does not exist", signature(schema, name, actual));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}
