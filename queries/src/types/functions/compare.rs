//! The comparison operators of every type.

use std::cmp::Ordering;

use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, CompareFn, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{self, *};
use crate::types::compare::{
    any, array_values, floats, integers, is_comparable, is_ordered, padded, records, texts,
};
use crate::types::datetime::zone;
use crate::types::datetime::{DAY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};
use crate::types::{ArrayValue, Datum};

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// Compares two arguments by an order.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the order has to become part of each function")]
fn by(arguments: &[Datum], order: CompareFn, test: fn(Ordering) -> bool) -> Result<Datum> {
    match arguments {
        [left, right] => Ok(Datum::Bool(test(order(left, right)))),
        _ => Err(SqlError::internal("a comparison has two arguments")),
    }
}

/// Compares a date, a timestamp and a timestamp with time zone with each other.
fn mixed(
    context: &EvalContext<'_>,
    arguments: &[Datum],
    test: fn(Ordering) -> bool,
) -> Result<Datum> {
    let [left, right] = arguments else {
        return Err(SqlError::internal("a comparison has two arguments"));
    };
    let with_zone = matches!(left, Datum::TimestampTz(_)) || matches!(right, Datum::TimestampTz(_));
    let moment = |value: &Datum| {
        let local = match value {
            Datum::Date(i32::MIN) => return TIMESTAMP_MINUS_INFINITY,
            Datum::Date(i32::MAX) => return TIMESTAMP_INFINITY,
            Datum::TimestampTz(it) => return *it,
            Datum::Date(days) => i64::from(*days).saturating_mul(DAY).min(TIMESTAMP_INFINITY - 1),
            Datum::Timestamp(it) => *it,
            _ => return 0,
        };
        let finite = local != TIMESTAMP_INFINITY && local != TIMESTAMP_MINUS_INFINITY;
        if with_zone && finite {
            zone::to_utc(&context.exec.settings.time_zone, local)
        } else {
            local
        }
    };
    Ok(Datum::Bool(test(moment(left).cmp(&moment(right)))))
}

/// The error for a type that has no equality or no order.
pub(crate) fn no_operator(ty: PgType, what: &str) -> SqlError {
    let message = format!("could not identify {what} for type {ty}");
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
}

/// Fails if values of a type cannot be compared with a test.
fn check_type(ty: PgType, test: fn(Ordering) -> bool) -> Result<()> {
    let equality = test(Ordering::Less) == test(Ordering::Greater);
    if equality && !is_comparable(ty) {
        return Err(no_operator(ty, "an equality operator"));
    }
    if !equality && !is_ordered(ty) {
        return Err(no_operator(ty, "a comparison function"));
    }
    Ok(())
}

fn of_records(arguments: &[Datum], test: fn(Ordering) -> bool) -> Result<Datum> {
    let (left, right) = (arguments.record(0)?, arguments.record(1)?);
    let mismatch = |message: String| SqlError::new(SqlState::DATATYPE_MISMATCH, message);
    for (place, ((a, _), (b, _))) in left.iter().zip(right).enumerate() {
        if a != b && !(a.category() == b'S' && b.category() == b'S') {
            let message = format!(
                "cannot compare dissimilar column types {a} and {b} at record column {}",
                place + 1
            );
            return Err(mismatch(message));
        }
        check_type(*a, test)?;
    }
    if left.len() != right.len() {
        return Err(mismatch(
            "cannot compare record types with different numbers of columns".to_owned(),
        ));
    }
    Ok(Datum::Bool(test(records(left, right))))
}

fn of_arrays(arguments: &[Datum], test: fn(Ordering) -> bool) -> Result<Datum> {
    let (left, right): (&ArrayValue, &ArrayValue) = (arguments.array(0)?, arguments.array(1)?);
    check_type(left.element, test)?;
    Ok(Datum::Bool(test(array_values(left, right))))
}

fn xid_integer(arguments: &[Datum], test: fn(Ordering) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(test(arguments.oid(0)?.cmp(&arguments.int4(1)?.cast_unsigned()))))
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(852, "int48eq", &[Int4, Int8], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(853, "int48ne", &[Int4, Int8], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(854, "int48lt", &[Int4, Int8], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(56, "boollt", &[Bool, Bool], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(57, "boolgt", &[Bool, Bool], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(855, "int48gt", &[Int4, Int8], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(856, "int48le", &[Int4, Int8], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(857, "int48ge", &[Int4, Int8], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(84, "boolne", &[Bool, Bool], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(60, "booleq", &[Bool, Bool], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(61, "chareq", &[Char, Char], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(62, "nameeq", &[Name, Name], Bool, |_, a| by(a, texts, Ordering::is_eq)),
    f(63, "int2eq", &[Int2, Int2], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(64, "int2lt", &[Int2, Int2], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(65, "int4eq", &[Int4, Int4], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(66, "int4lt", &[Int4, Int4], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(67, "texteq", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_eq)),
    f(240, "nameeqtext", &[Name, Text], Bool, |_, a| by(a, texts, Ordering::is_eq)),
    f(241, "namelttext", &[Name, Text], Bool, |_, a| by(a, texts, Ordering::is_lt)),
    f(242, "nameletext", &[Name, Text], Bool, |_, a| by(a, texts, Ordering::is_le)),
    f(243, "namegetext", &[Name, Text], Bool, |_, a| by(a, texts, Ordering::is_ge)),
    f(244, "namegttext", &[Name, Text], Bool, |_, a| by(a, texts, Ordering::is_gt)),
    f(245, "namenetext", &[Name, Text], Bool, |_, a| by(a, texts, Ordering::is_ne)),
    f(247, "texteqname", &[Text, Name], Bool, |_, a| by(a, texts, Ordering::is_eq)),
    f(248, "textltname", &[Text, Name], Bool, |_, a| by(a, texts, Ordering::is_lt)),
    f(249, "textlename", &[Text, Name], Bool, |_, a| by(a, texts, Ordering::is_le)),
    f(250, "textgename", &[Text, Name], Bool, |_, a| by(a, texts, Ordering::is_ge)),
    f(251, "textgtname", &[Text, Name], Bool, |_, a| by(a, texts, Ordering::is_gt)),
    f(252, "textnename", &[Text, Name], Bool, |_, a| by(a, texts, Ordering::is_ne)),
    f(68, "xideq", &[Xid, Xid], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1319, "xideqint4", &[Xid, Int4], Bool, |_, a| xid_integer(a, Ordering::is_eq)),
    f(69, "cideq", &[Cid, Cid], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1292, "tideq", &[Tid, Tid], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1265, "tidne", &[Tid, Tid], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(467, "int8eq", &[Int8, Int8], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(468, "int8ne", &[Int8, Int8], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(469, "int8lt", &[Int8, Int8], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(470, "int8gt", &[Int8, Int8], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(471, "int8le", &[Int8, Int8], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(472, "int8ge", &[Int8, Int8], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(474, "int84eq", &[Int8, Int4], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(475, "int84ne", &[Int8, Int4], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(476, "int84lt", &[Int8, Int4], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(477, "int84gt", &[Int8, Int4], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(478, "int84le", &[Int8, Int4], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(479, "int84ge", &[Int8, Int4], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(144, "int4ne", &[Int4, Int4], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(145, "int2ne", &[Int2, Int2], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(146, "int2gt", &[Int2, Int2], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(147, "int4gt", &[Int4, Int4], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(148, "int2le", &[Int2, Int2], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(149, "int4le", &[Int4, Int4], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(151, "int2ge", &[Int2, Int2], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(150, "int4ge", &[Int4, Int4], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(157, "textne", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_ne)),
    f(158, "int24eq", &[Int2, Int4], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(159, "int42eq", &[Int4, Int2], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(160, "int24lt", &[Int2, Int4], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(161, "int42lt", &[Int4, Int2], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(162, "int24gt", &[Int2, Int4], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(163, "int42gt", &[Int4, Int2], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(164, "int24ne", &[Int2, Int4], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(165, "int42ne", &[Int4, Int2], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(166, "int24le", &[Int2, Int4], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(167, "int42le", &[Int4, Int2], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(168, "int24ge", &[Int2, Int4], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(169, "int42ge", &[Int4, Int2], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(184, "oideq", &[Oid, Oid], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(185, "oidne", &[Oid, Oid], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(716, "oidlt", &[Oid, Oid], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1638, "oidgt", &[Oid, Oid], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(717, "oidle", &[Oid, Oid], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1639, "oidge", &[Oid, Oid], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(287, "float4eq", &[Float4, Float4], Bool, |_, a| by(a, floats, Ordering::is_eq)),
    f(288, "float4ne", &[Float4, Float4], Bool, |_, a| by(a, floats, Ordering::is_ne)),
    f(289, "float4lt", &[Float4, Float4], Bool, |_, a| by(a, floats, Ordering::is_lt)),
    f(291, "float4gt", &[Float4, Float4], Bool, |_, a| by(a, floats, Ordering::is_gt)),
    f(290, "float4le", &[Float4, Float4], Bool, |_, a| by(a, floats, Ordering::is_le)),
    f(292, "float4ge", &[Float4, Float4], Bool, |_, a| by(a, floats, Ordering::is_ge)),
    f(70, "charne", &[Char, Char], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1246, "charlt", &[Char, Char], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(72, "charle", &[Char, Char], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(73, "chargt", &[Char, Char], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(74, "charge", &[Char, Char], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(659, "namene", &[Name, Name], Bool, |_, a| by(a, texts, Ordering::is_ne)),
    f(619, "oidvectorne", &[OidVector, OidVector], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(677, "oidvectorlt", &[OidVector, OidVector], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(681, "oidvectorgt", &[OidVector, OidVector], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(678, "oidvectorle", &[OidVector, OidVector], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(680, "oidvectorge", &[OidVector, OidVector], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(679, "oidvectoreq", &[OidVector, OidVector], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(655, "namelt", &[Name, Name], Bool, |_, a| by(a, texts, Ordering::is_lt)),
    f(656, "namele", &[Name, Name], Bool, |_, a| by(a, texts, Ordering::is_le)),
    f(657, "namegt", &[Name, Name], Bool, |_, a| by(a, texts, Ordering::is_gt)),
    f(658, "namege", &[Name, Name], Bool, |_, a| by(a, texts, Ordering::is_ge)),
    f(740, "text_lt", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_lt)),
    f(741, "text_le", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_le)),
    f(742, "text_gt", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_gt)),
    f(743, "text_ge", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_ge)),
    f(293, "float8eq", &[Float8, Float8], Bool, |_, a| by(a, floats, Ordering::is_eq)),
    f(294, "float8ne", &[Float8, Float8], Bool, |_, a| by(a, floats, Ordering::is_ne)),
    f(295, "float8lt", &[Float8, Float8], Bool, |_, a| by(a, floats, Ordering::is_lt)),
    f(296, "float8le", &[Float8, Float8], Bool, |_, a| by(a, floats, Ordering::is_le)),
    f(297, "float8gt", &[Float8, Float8], Bool, |_, a| by(a, floats, Ordering::is_gt)),
    f(298, "float8ge", &[Float8, Float8], Bool, |_, a| by(a, floats, Ordering::is_ge)),
    f(1062, "aclitemeq", &[AclItem, AclItem], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1048, "bpchareq", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_eq)),
    f(1053, "bpcharne", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_ne)),
    f(1049, "bpcharlt", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_lt)),
    f(1050, "bpcharle", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_le)),
    f(1051, "bpchargt", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_gt)),
    f(1052, "bpcharge", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_ge)),
    f(744, "array_eq", &[AnyArray, AnyArray], Bool, |_, a| of_arrays(a, Ordering::is_eq)),
    f(390, "array_ne", &[AnyArray, AnyArray], Bool, |_, a| of_arrays(a, Ordering::is_ne)),
    f(391, "array_lt", &[AnyArray, AnyArray], Bool, |_, a| of_arrays(a, Ordering::is_lt)),
    f(392, "array_gt", &[AnyArray, AnyArray], Bool, |_, a| of_arrays(a, Ordering::is_gt)),
    f(393, "array_le", &[AnyArray, AnyArray], Bool, |_, a| of_arrays(a, Ordering::is_le)),
    f(396, "array_ge", &[AnyArray, AnyArray], Bool, |_, a| of_arrays(a, Ordering::is_ge)),
    f(1086, "date_eq", &[Date, Date], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1091, "date_ne", &[Date, Date], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1087, "date_lt", &[Date, Date], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1088, "date_le", &[Date, Date], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1089, "date_gt", &[Date, Date], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(1090, "date_ge", &[Date, Date], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(1145, "time_eq", &[Time, Time], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1106, "time_ne", &[Time, Time], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1102, "time_lt", &[Time, Time], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1103, "time_le", &[Time, Time], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1104, "time_gt", &[Time, Time], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(1105, "time_ge", &[Time, Time], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(299, "float48eq", &[Float4, Float8], Bool, |_, a| by(a, floats, Ordering::is_eq)),
    f(300, "float48ne", &[Float4, Float8], Bool, |_, a| by(a, floats, Ordering::is_ne)),
    f(301, "float48lt", &[Float4, Float8], Bool, |_, a| by(a, floats, Ordering::is_lt)),
    f(303, "float48gt", &[Float4, Float8], Bool, |_, a| by(a, floats, Ordering::is_gt)),
    f(302, "float48le", &[Float4, Float8], Bool, |_, a| by(a, floats, Ordering::is_le)),
    f(304, "float48ge", &[Float4, Float8], Bool, |_, a| by(a, floats, Ordering::is_ge)),
    f(305, "float84eq", &[Float8, Float4], Bool, |_, a| by(a, floats, Ordering::is_eq)),
    f(306, "float84ne", &[Float8, Float4], Bool, |_, a| by(a, floats, Ordering::is_ne)),
    f(307, "float84lt", &[Float8, Float4], Bool, |_, a| by(a, floats, Ordering::is_lt)),
    f(309, "float84gt", &[Float8, Float4], Bool, |_, a| by(a, floats, Ordering::is_gt)),
    f(308, "float84le", &[Float8, Float4], Bool, |_, a| by(a, floats, Ordering::is_le)),
    f(310, "float84ge", &[Float8, Float4], Bool, |_, a| by(a, floats, Ordering::is_ge)),
    f(1152, "timestamptz_eq", &[TimestampTz, TimestampTz], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1153, "timestamptz_ne", &[TimestampTz, TimestampTz], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1154, "timestamptz_lt", &[TimestampTz, TimestampTz], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1155, "timestamptz_le", &[TimestampTz, TimestampTz], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1157, "timestamptz_gt", &[TimestampTz, TimestampTz], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(1156, "timestamptz_ge", &[TimestampTz, TimestampTz], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(1162, "interval_eq", &[Interval, Interval], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1163, "interval_ne", &[Interval, Interval], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1164, "interval_lt", &[Interval, Interval], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1165, "interval_le", &[Interval, Interval], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1167, "interval_gt", &[Interval, Interval], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(1166, "interval_ge", &[Interval, Interval], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(1352, "timetz_eq", &[TimeTz, TimeTz], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1353, "timetz_ne", &[TimeTz, TimeTz], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1354, "timetz_lt", &[TimeTz, TimeTz], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1355, "timetz_le", &[TimeTz, TimeTz], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1357, "timetz_gt", &[TimeTz, TimeTz], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(1356, "timetz_ge", &[TimeTz, TimeTz], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(1691, "boolle", &[Bool, Bool], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1692, "boolge", &[Bool, Bool], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(1718, "numeric_eq", &[Numeric, Numeric], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1719, "numeric_ne", &[Numeric, Numeric], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1722, "numeric_lt", &[Numeric, Numeric], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1723, "numeric_le", &[Numeric, Numeric], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1720, "numeric_gt", &[Numeric, Numeric], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(1721, "numeric_ge", &[Numeric, Numeric], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(1850, "int28eq", &[Int2, Int8], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(1851, "int28ne", &[Int2, Int8], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(1852, "int28lt", &[Int2, Int8], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(1853, "int28gt", &[Int2, Int8], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(1854, "int28le", &[Int2, Int8], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(1855, "int28ge", &[Int2, Int8], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(1856, "int82eq", &[Int8, Int2], Bool, |_, a| by(a, integers, Ordering::is_eq)),
    f(1857, "int82ne", &[Int8, Int2], Bool, |_, a| by(a, integers, Ordering::is_ne)),
    f(1858, "int82lt", &[Int8, Int2], Bool, |_, a| by(a, integers, Ordering::is_lt)),
    f(1859, "int82gt", &[Int8, Int2], Bool, |_, a| by(a, integers, Ordering::is_gt)),
    f(1860, "int82le", &[Int8, Int2], Bool, |_, a| by(a, integers, Ordering::is_le)),
    f(1861, "int82ge", &[Int8, Int2], Bool, |_, a| by(a, integers, Ordering::is_ge)),
    f(1948, "byteaeq", &[Bytea, Bytea], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(1953, "byteane", &[Bytea, Bytea], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(1949, "bytealt", &[Bytea, Bytea], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(1950, "byteale", &[Bytea, Bytea], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(1951, "byteagt", &[Bytea, Bytea], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(1952, "byteage", &[Bytea, Bytea], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(2052, "timestamp_eq", &[Timestamp, Timestamp], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(2053, "timestamp_ne", &[Timestamp, Timestamp], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(2054, "timestamp_lt", &[Timestamp, Timestamp], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(2055, "timestamp_le", &[Timestamp, Timestamp], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(2057, "timestamp_gt", &[Timestamp, Timestamp], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(2056, "timestamp_ge", &[Timestamp, Timestamp], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(2160, "text_pattern_lt", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_lt)),
    f(2161, "text_pattern_le", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_le)),
    f(2163, "text_pattern_ge", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_ge)),
    f(2164, "text_pattern_gt", &[Text, Text], Bool, |_, a| by(a, texts, Ordering::is_gt)),
    f(2174, "bpchar_pattern_lt", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_lt)),
    f(2175, "bpchar_pattern_le", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_le)),
    f(2177, "bpchar_pattern_ge", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_ge)),
    f(2178, "bpchar_pattern_gt", &[Bpchar, Bpchar], Bool, |_, a| by(a, padded, Ordering::is_gt)),
    f(2338, "date_lt_timestamp", &[Date, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_lt)),
    f(2339, "date_le_timestamp", &[Date, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_le)),
    f(2340, "date_eq_timestamp", &[Date, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_eq)),
    f(2342, "date_ge_timestamp", &[Date, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_ge)),
    f(2341, "date_gt_timestamp", &[Date, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_gt)),
    f(2343, "date_ne_timestamp", &[Date, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_ne)),
    f(2351, "date_lt_timestamptz", &[Date, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_lt)).stable(),
    f(2352, "date_le_timestamptz", &[Date, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_le)).stable(),
    f(2353, "date_eq_timestamptz", &[Date, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_eq)).stable(),
    f(2355, "date_ge_timestamptz", &[Date, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_ge)).stable(),
    f(2354, "date_gt_timestamptz", &[Date, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_gt)).stable(),
    f(2356, "date_ne_timestamptz", &[Date, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_ne)).stable(),
    f(2364, "timestamp_lt_date", &[Timestamp, Date], Bool, |c, a| mixed(c, a, Ordering::is_lt)),
    f(2365, "timestamp_le_date", &[Timestamp, Date], Bool, |c, a| mixed(c, a, Ordering::is_le)),
    f(2366, "timestamp_eq_date", &[Timestamp, Date], Bool, |c, a| mixed(c, a, Ordering::is_eq)),
    f(2368, "timestamp_ge_date", &[Timestamp, Date], Bool, |c, a| mixed(c, a, Ordering::is_ge)),
    f(2367, "timestamp_gt_date", &[Timestamp, Date], Bool, |c, a| mixed(c, a, Ordering::is_gt)),
    f(2369, "timestamp_ne_date", &[Timestamp, Date], Bool, |c, a| mixed(c, a, Ordering::is_ne)),
    f(2377, "timestamptz_lt_date", &[TimestampTz, Date], Bool, |c, a| mixed(c, a, Ordering::is_lt)).stable(),
    f(2378, "timestamptz_le_date", &[TimestampTz, Date], Bool, |c, a| mixed(c, a, Ordering::is_le)).stable(),
    f(2379, "timestamptz_eq_date", &[TimestampTz, Date], Bool, |c, a| mixed(c, a, Ordering::is_eq)).stable(),
    f(2381, "timestamptz_ge_date", &[TimestampTz, Date], Bool, |c, a| mixed(c, a, Ordering::is_ge)).stable(),
    f(2380, "timestamptz_gt_date", &[TimestampTz, Date], Bool, |c, a| mixed(c, a, Ordering::is_gt)).stable(),
    f(2382, "timestamptz_ne_date", &[TimestampTz, Date], Bool, |c, a| mixed(c, a, Ordering::is_ne)).stable(),
    f(2520, "timestamp_lt_timestamptz", &[Timestamp, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_lt)).stable(),
    f(2521, "timestamp_le_timestamptz", &[Timestamp, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_le)).stable(),
    f(2522, "timestamp_eq_timestamptz", &[Timestamp, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_eq)).stable(),
    f(2524, "timestamp_ge_timestamptz", &[Timestamp, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_ge)).stable(),
    f(2523, "timestamp_gt_timestamptz", &[Timestamp, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_gt)).stable(),
    f(2525, "timestamp_ne_timestamptz", &[Timestamp, TimestampTz], Bool, |c, a| mixed(c, a, Ordering::is_ne)).stable(),
    f(2527, "timestamptz_lt_timestamp", &[TimestampTz, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_lt)).stable(),
    f(2528, "timestamptz_le_timestamp", &[TimestampTz, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_le)).stable(),
    f(2529, "timestamptz_eq_timestamp", &[TimestampTz, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_eq)).stable(),
    f(2531, "timestamptz_ge_timestamp", &[TimestampTz, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_ge)).stable(),
    f(2530, "timestamptz_gt_timestamp", &[TimestampTz, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_gt)).stable(),
    f(2532, "timestamptz_ne_timestamp", &[TimestampTz, Timestamp], Bool, |c, a| mixed(c, a, Ordering::is_ne)).stable(),
    f(2791, "tidlt", &[Tid, Tid], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(2790, "tidgt", &[Tid, Tid], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(2793, "tidle", &[Tid, Tid], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(2792, "tidge", &[Tid, Tid], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(2956, "uuid_eq", &[Uuid, Uuid], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(2959, "uuid_ne", &[Uuid, Uuid], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(2954, "uuid_lt", &[Uuid, Uuid], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(2958, "uuid_gt", &[Uuid, Uuid], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(2955, "uuid_le", &[Uuid, Uuid], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(2957, "uuid_ge", &[Uuid, Uuid], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(2981, "record_eq", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_eq)),
    f(2982, "record_ne", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_ne)),
    f(2983, "record_lt", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_lt)),
    f(2984, "record_gt", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_gt)),
    f(2985, "record_le", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_le)),
    f(2986, "record_ge", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_ge)),
    f(3181, "record_image_eq", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_eq)),
    f(3182, "record_image_ne", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_ne)),
    f(3183, "record_image_lt", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_lt)),
    f(3184, "record_image_gt", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_gt)),
    f(3185, "record_image_le", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_le)),
    f(3186, "record_image_ge", &[Record, Record], Bool, |_, a| of_records(a, Ordering::is_ge)),
    f(4043, "jsonb_eq", &[Jsonb, Jsonb], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(4038, "jsonb_ne", &[Jsonb, Jsonb], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(4039, "jsonb_lt", &[Jsonb, Jsonb], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(4040, "jsonb_gt", &[Jsonb, Jsonb], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(4041, "jsonb_le", &[Jsonb, Jsonb], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(4042, "jsonb_ge", &[Jsonb, Jsonb], Bool, |_, a| by(a, any, Ordering::is_ge)),
    f(3308, "xidneq", &[Xid, Xid], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(3309, "xidneqint4", &[Xid, Int4], Bool, |_, a| xid_integer(a, Ordering::is_ne)),
    f(5084, "xid8eq", &[Xid8, Xid8], Bool, |_, a| by(a, any, Ordering::is_eq)),
    f(5085, "xid8ne", &[Xid8, Xid8], Bool, |_, a| by(a, any, Ordering::is_ne)),
    f(5034, "xid8lt", &[Xid8, Xid8], Bool, |_, a| by(a, any, Ordering::is_lt)),
    f(5035, "xid8gt", &[Xid8, Xid8], Bool, |_, a| by(a, any, Ordering::is_gt)),
    f(5036, "xid8le", &[Xid8, Xid8], Bool, |_, a| by(a, any, Ordering::is_le)),
    f(5037, "xid8ge", &[Xid8, Xid8], Bool, |_, a| by(a, any, Ordering::is_ge)),
];
