//! Conversions that no row of `pg_proc` names: through the text form, element by element, and between the types
//! that PostgreSQL keeps in the same four bytes.

use std::sync::{Arc, LazyLock};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::define::f;
use super::resolve::{CoercionContext, length_coercion, resolve_cast};
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError};
use crate::exec::EvalContext;
use crate::types::text::{self, ReadContext};
use crate::types::{ArrayValue, Datum, PgType};

/// `integer` to `oid` and its kin.
pub(crate) static INT4_TO_OID: ScalarFunction =
    f(0, "oid", &[PgType::Int4], PgType::Oid, |_, a| Ok(Datum::Oid(a.int4(0)?.cast_unsigned())));

/// `oid` and its kin to `integer`.
pub(crate) static OID_TO_INT4: ScalarFunction =
    f(0, "int4", &[PgType::Oid], PgType::Int4, |_, a| Ok(Datum::Int4(a.oid(0)?.cast_signed())));

/// An array's elements converted one by one. Extra arguments: the OIDs of the element types, and whether the cast
/// is written out.
pub(crate) static ARRAY_CAST: ScalarFunction = f(
    0,
    "array_coerce",
    &[PgType::AnyArray, PgType::Oid, PgType::Oid, PgType::Bool],
    PgType::AnyArray,
    array_cast,
)
.stable();

/// An array's elements fitted to a type modifier one by one. Extra arguments: the OID of the element type, the
/// modifier, and whether the cast is written out.
pub(crate) static ARRAY_LENGTH: ScalarFunction = f(
    0,
    "array_coerce_length",
    &[PgType::AnyArray, PgType::Oid, PgType::Int4, PgType::Bool],
    PgType::AnyArray,
    array_length,
);

/// The function that gives the text form of a type's values.
pub(crate) fn output_function(ty: PgType) -> &'static ScalarFunction {
    FUNCTIONS.get(&ty).map_or(&FALLBACK[0], |pair| &pair[0])
}

/// The function that reads the text form of a type's values.
pub(crate) fn input_function(ty: PgType) -> &'static ScalarFunction {
    FUNCTIONS.get(&ty).map_or(&FALLBACK[1], |pair| &pair[1])
}

/// A type, known when the program is compiled, so that a plain function pointer knows it.
fn output<const OID: u32>(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    let ty = PgType::from_oid(OID).ok_or_else(|| SqlError::internal("no such type"))?;
    let value = arguments.first().unwrap_or(&Datum::Null);
    Ok(Datum::text(text::to_string(value, ty, &context.exec.settings)))
}

fn input<const OID: u32>(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    let ty = PgType::from_oid(OID).ok_or_else(|| SqlError::internal("no such type"))?;
    text::read(ty, arguments.text(0)?, &ReadContext::of(context))
}

macro_rules! conversions {
    ($($ty:ident)*) => {
        static PAIRS: &[(PgType, [ScalarFunction; 2])] = &[$((PgType::$ty, [
            f(0, "text", &[PgType::$ty], PgType::Text, output::<{ PgType::$ty.oid() }>).stable(),
            f(0, "cast", &[PgType::Text], PgType::$ty, input::<{ PgType::$ty.oid() }>).stable(),
        ])),*];
    };
}

conversions! {
    Bool Bytea Char Name Int8 Int2 Int2Vector Int4 Regproc Text Oid Tid Xid Cid OidVector Json
    PgNodeTree JsonArray Xid8Array Float4 Float8 Unknown BoolArray ByteaArray CharArray NameArray
    Int2Array Int2VectorArray Int4Array RegprocArray TextArray TidArray XidArray CidArray
    OidVectorArray BpcharArray VarcharArray Int8Array Float4Array Float8Array OidArray AclItem
    AclItemArray Bpchar Varchar Date Time Timestamp TimestampArray DateArray TimeArray TimestampTz
    TimestampTzArray Interval IntervalArray NumericArray CstringArray TimeTz TimeTzArray Numeric
    Regprocedure Regoper Regoperator Regclass Regtype RegprocedureArray RegoperArray
    RegoperatorArray RegclassArray RegtypeArray Record Cstring Void RecordArray Uuid UuidArray
    Regconfig RegconfigArray Regdictionary RegdictionaryArray Jsonb JsonbArray Jsonpath
    JsonpathArray Regnamespace
    RegnamespaceArray Regrole RegroleArray Regcollation RegcollationArray Xid8
}

static FALLBACK: [ScalarFunction; 2] = [
    f(0, "text", &[PgType::Text], PgType::Text, |_, a| Ok(Datum::text(a.text(0)?))),
    f(0, "text", &[PgType::Text], PgType::Text, |_, a| Ok(Datum::text(a.text(0)?))),
];

static FUNCTIONS: LazyLock<FxHashMap<PgType, &'static [ScalarFunction; 2]>> =
    LazyLock::new(|| PAIRS.iter().map(|(ty, pair)| (*ty, pair)).collect());

/// Whether a function only converts a value, so that an explanation shows it as a cast.
pub fn is_conversion(function: &ScalarFunction) -> bool {
    function.oid == 0
}

fn element_type(arguments: &[Datum], place: usize) -> Result<PgType> {
    PgType::from_oid(arguments.oid(place)?)
        .ok_or_else(|| SqlError::internal("no such element type"))
}

fn context_of(explicit: bool) -> CoercionContext {
    if explicit { CoercionContext::Explicit } else { CoercionContext::Assignment }
}

fn array_cast(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    let array = arguments.array(0)?;
    let (from, to) = (element_type(arguments, 1)?, element_type(arguments, 2)?);
    let coercion = resolve_cast(from, to, context_of(arguments.bool(3)?))
        .ok_or_else(|| SqlError::internal(format!("no conversion from {from} to {to}")))?;
    let convert = |element: &Datum| {
        coercion.steps.iter().try_fold(element.clone(), |value, step| apply(context, step, value))
    };
    let elements = array.elements.iter().map(convert).collect::<Result<_>>()?;
    Ok(Datum::Array(Arc::new(ArrayValue {
        element: to,
        dimensions: array.dimensions.clone(),
        elements,
    })))
}

fn array_length(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    let array = arguments.array(0)?;
    let element = element_type(arguments, 1)?;
    let Some(step) = length_coercion(element, arguments.int4(2)?, context_of(arguments.bool(3)?))
    else {
        return Ok(Datum::Array(Arc::clone(array)));
    };
    let elements =
        array.elements.iter().map(|it| apply(context, &step, it.clone())).collect::<Result<_>>()?;
    Ok(Datum::Array(Arc::new(ArrayValue {
        element,
        dimensions: array.dimensions.clone(),
        elements,
    })))
}

/// Carries out one step of a conversion.
pub(crate) fn apply(context: &EvalContext<'_>, step: &super::Step, value: Datum) -> Result<Datum> {
    if value.is_null() && step.function.strict {
        return Ok(Datum::Null);
    }
    let extra = step.extra.iter().map(|(literal, _)| literal.clone());
    let arguments: SmallVec<[Datum; 4]> = std::iter::once(value).chain(extra).collect();
    (step.function.call)(context, &arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::type_table;

    #[test]
    fn every_type_with_values_converts_through_text() {
        for row in type_table::ROWS.iter().filter(|row| row.kind == b'b') {
            assert!(FUNCTIONS.contains_key(&row.ty), "{row:?}");
        }
    }
}
