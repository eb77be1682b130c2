//! Conversions between types: which there are, where they happen, and the calls that carry them out.
//!
//! Source: `parse_coerce.c` (`find_coercion_pathway`, `can_coerce_type`, `find_typmod_coercion_function`).

use smallvec::SmallVec;

use super::polymorphic;
use crate::types::functions::registry::{self, RegisteredCast};
use crate::types::functions::tables::casts::{Context, Method};
use crate::types::functions::{ScalarFunction, io};
use crate::types::{Datum, PgType};

/// Where a conversion is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoercionContext {
    /// In an expression, by itself.
    Implicit,
    /// Storing into a column.
    Assignment,
    /// A cast that is written out.
    Explicit,
}

/// One call of a conversion: the function applied to the value and the extra arguments.
#[derive(Clone, Debug)]
pub struct Step {
    /// The function.
    pub function: &'static ScalarFunction,
    /// Literals after the value.
    pub extra: SmallVec<[(Datum, PgType); 2]>,
    /// The type after the step.
    pub result: PgType,
}

/// A conversion: no step means that the value stays as it is and only its type changes.
#[derive(Clone, Debug, Default)]
pub struct Coercion {
    /// The steps, innermost first.
    pub steps: SmallVec<[Step; 2]>,
}

/// The way from one type to another.
enum Pathway {
    Relabel,
    Function(&'static ScalarFunction),
    Array,
    ThroughText,
}

fn pathway(from: PgType, to: PgType, context: CoercionContext) -> Option<Pathway> {
    if from == to {
        return Some(Pathway::Relabel);
    }
    if let Some(found) = registry::cast(from, to) {
        return allowed(found, context).then(|| by_row(found));
    }
    // PostgreSQL refuses conversions to the vector types, because their lower bound has to be 0.
    if !to.is_vector()
        && let (Some(from_element), Some(to_element)) = (from.element(), to.element())
        && pathway(from_element, to_element, context).is_some()
    {
        return Some(Pathway::Array);
    }
    let to_string = context >= CoercionContext::Assignment && to.category() == b'S';
    let from_string = context >= CoercionContext::Explicit && from.category() == b'S';
    let pseudo = |ty: PgType| ty.row().kind == b'p' && ty != PgType::Record;
    ((to_string && !pseudo(from)) || (from_string && !pseudo(to))).then_some(Pathway::ThroughText)
}

fn allowed(found: &RegisteredCast, context: CoercionContext) -> bool {
    let needed = match found.cast.context {
        Context::Implicit => CoercionContext::Implicit,
        Context::Assignment => CoercionContext::Assignment,
        Context::Explicit => CoercionContext::Explicit,
    };
    context >= needed
}

fn by_row(found: &RegisteredCast) -> Pathway {
    match (found.cast.method, found.function) {
        (Method::Function(_), Some(function)) => Pathway::Function(function),
        (Method::InOut, _) => Pathway::ThroughText,
        (Method::Binary | Method::Function(_), _) => Pathway::Relabel,
    }
}

/// Whether all values can be brought to the wanted types in a context; `unknown` can become anything.
pub fn can_coerce(from: &[PgType], to: &[PgType], context: CoercionContext) -> bool {
    let one = |(from, to): (&PgType, &PgType)| {
        from == to
            || *from == PgType::Unknown
            || *to == PgType::Any
            || to.is_polymorphic()
            || (*to == PgType::RecordArray && from.element() == Some(PgType::Record))
            || pathway(*from, *to, context).is_some()
    };
    let generic = to.iter().any(|ty| ty.is_polymorphic());
    from.iter().zip(to).all(one) && (!generic || polymorphic::unify(from, to).is_ok())
}

/// The conversion from one type to another in a context, if there is one. A type modifier of the target is
/// applied afterwards, see [`length_coercion`]. `unknown` counts as `text` here: literals are read, not converted.
pub fn resolve_cast(from: PgType, to: PgType, context: CoercionContext) -> Option<Coercion> {
    let from = if from == PgType::Unknown { PgType::Text } else { from };
    let mut coercion = Coercion::default();
    match pathway(from, to, context)? {
        Pathway::Relabel => coercion.reinterpret(from, to),
        Pathway::Function(function) => {
            coercion.push(function, cast_extras(function, context), function.result);
            coercion.reinterpret(function.result, to);
        }
        Pathway::ThroughText => {
            if from.category() != b'S' {
                coercion.push(io::output_function(from), SmallVec::new(), PgType::Text);
            }
            if to.category() != b'S' || to == PgType::Name {
                coercion.push(io::input_function(to), SmallVec::new(), to);
            }
        }
        Pathway::Array => {
            let types = [from.element()?, to.element()?];
            let literal = |oid: u32| (Datum::Oid(oid), PgType::Oid);
            let explicit = (Datum::Bool(context == CoercionContext::Explicit), PgType::Bool);
            let extra = [literal(types[0].oid()), literal(types[1].oid()), explicit];
            coercion.push(&io::ARRAY_CAST, extra.into_iter().collect(), to);
        }
    }
    Some(coercion)
}

/// The extra arguments of a conversion function: no type modifier, and whether the cast is written out.
fn cast_extras(
    function: &ScalarFunction,
    context: CoercionContext,
) -> SmallVec<[(Datum, PgType); 2]> {
    let all = [
        (Datum::Int4(-1), PgType::Int4),
        (Datum::Bool(context == CoercionContext::Explicit), PgType::Bool),
    ];
    all.into_iter().take(function.arguments.len() - 1).collect()
}

/// The call that fits a value of a type to a type modifier (`varchar(3)`, `numeric(10,2)`, `timestamp(0)`); none
/// if the type or the modifier asks for nothing. Too long is an error unless the cast is written out.
pub fn length_coercion(ty: PgType, typmod: i32, context: CoercionContext) -> Option<Step> {
    if typmod < 0 {
        return None;
    }
    let explicit = context == CoercionContext::Explicit;
    if ty.is_array() {
        let element = ty.element()?;
        registry::cast(element, element)?;
        let extra = [
            (Datum::Oid(element.oid()), PgType::Oid),
            (Datum::Int4(typmod), PgType::Int4),
            (Datum::Bool(explicit), PgType::Bool),
        ];
        return Some(Step {
            function: &io::ARRAY_LENGTH,
            extra: extra.into_iter().collect(),
            result: ty,
        });
    }
    let function = registry::cast(ty, ty)?.function?;
    let all = [(Datum::Int4(typmod), PgType::Int4), (Datum::Bool(explicit), PgType::Bool)];
    let extra = all.into_iter().take(function.arguments.len() - 1).collect();
    Some(Step { function, extra, result: ty })
}

impl Coercion {
    fn push(
        &mut self,
        function: &'static ScalarFunction,
        extra: SmallVec<[(Datum, PgType); 2]>,
        result: PgType,
    ) {
        self.steps.push(Step { function, extra, result });
    }

    /// PostgreSQL keeps `integer` and the types like `oid` in the same four bytes; our values tell them apart.
    fn reinterpret(&mut self, from: PgType, to: PgType) {
        let oid_like = |ty: PgType| ty == PgType::Oid || ty.is_reg();
        if from == PgType::Int4 && oid_like(to) {
            self.push(&io::INT4_TO_OID, SmallVec::new(), to);
        } else if oid_like(from) && to == PgType::Int4 {
            self.push(&io::OID_TO_INT4, SmallVec::new(), to);
        }
    }
}
