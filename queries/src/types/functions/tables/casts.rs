//! `pg_cast`: which conversions there are besides those through text, and where they happen by themselves.

use self::Context::{Assignment, Explicit, Implicit};
use self::Method::{Binary, Function, InOut};
use crate::types::PgType::{self, *};

/// Where a cast happens by itself (`castcontext`). Ordered: what happens in one context happens in later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// Anywhere.
    Implicit,
    /// When a value is stored in a column.
    Assignment,
    /// Only when it is written out.
    Explicit,
}

/// What does it (`castmethod`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A function with this name.
    Function(&'static str),
    /// Nothing: the types share a representation.
    Binary,
    /// The text form of the one, read as the other.
    InOut,
}

/// A row of `pg_cast`.
#[derive(Debug)]
pub struct Cast {
    /// Its OID.
    pub oid: u32,
    /// From this type.
    pub source: PgType,
    /// To this type.
    pub target: PgType,
    /// Where it happens by itself.
    pub context: Context,
    /// What does it.
    pub method: Method,
}

const fn cast(oid: u32, source: PgType, target: PgType, context: Context, method: Method) -> Cast {
    Cast { oid, source, target, context, method }
}

/// The argument types that a cast's function may have: the value, then perhaps the type modifier, then perhaps
/// whether the cast is explicit. A function over `text` serves the other string types.
pub(crate) fn function_arguments(cast: &Cast) -> Vec<Vec<PgType>> {
    let mut firsts = vec![cast.source];
    if matches!(cast.source, Varchar | Text | Bpchar) {
        firsts.push(Text);
    }
    if cast.source.is_reg() {
        firsts.push(Oid);
    }
    let with = |rest: &'static [PgType]| firsts.iter().map(move |it| [&[*it], rest].concat());
    with(&[]).chain(with(&[Int4])).chain(with(&[Int4, Bool])).collect()
}

/// All rows, by OID.
#[rustfmt::skip]
pub static ROWS: &[Cast] = &[
    cast(10000, Int8, Int2, Assignment, Function("int2")),
    cast(10001, Int8, Int4, Assignment, Function("int4")),
    cast(10002, Int8, Float4, Implicit, Function("float4")),
    cast(10003, Int8, Float8, Implicit, Function("float8")),
    cast(10004, Int8, Numeric, Implicit, Function("numeric")),
    cast(10005, Int2, Int8, Implicit, Function("int8")),
    cast(10006, Int2, Int4, Implicit, Function("int4")),
    cast(10007, Int2, Float4, Implicit, Function("float4")),
    cast(10008, Int2, Float8, Implicit, Function("float8")),
    cast(10009, Int2, Numeric, Implicit, Function("numeric")),
    cast(10010, Int4, Int8, Implicit, Function("int8")),
    cast(10011, Int4, Int2, Assignment, Function("int2")),
    cast(10012, Int4, Float4, Implicit, Function("float4")),
    cast(10013, Int4, Float8, Implicit, Function("float8")),
    cast(10014, Int4, Numeric, Implicit, Function("numeric")),
    cast(10015, Float4, Int8, Assignment, Function("int8")),
    cast(10016, Float4, Int2, Assignment, Function("int2")),
    cast(10017, Float4, Int4, Assignment, Function("int4")),
    cast(10018, Float4, Float8, Implicit, Function("float8")),
    cast(10019, Float4, Numeric, Assignment, Function("numeric")),
    cast(10020, Float8, Int8, Assignment, Function("int8")),
    cast(10021, Float8, Int2, Assignment, Function("int2")),
    cast(10022, Float8, Int4, Assignment, Function("int4")),
    cast(10023, Float8, Float4, Assignment, Function("float4")),
    cast(10024, Float8, Numeric, Assignment, Function("numeric")),
    cast(10025, Numeric, Int8, Assignment, Function("int8")),
    cast(10026, Numeric, Int2, Assignment, Function("int2")),
    cast(10027, Numeric, Int4, Assignment, Function("int4")),
    cast(10028, Numeric, Float4, Implicit, Function("float4")),
    cast(10029, Numeric, Float8, Implicit, Function("float8")),
    cast(10034, Int4, Bool, Explicit, Function("bool")),
    cast(10035, Bool, Int4, Explicit, Function("int4")),
    cast(10036, Xid8, Xid, Explicit, Function("xid")),
    cast(10037, Int8, Oid, Implicit, Function("oid")),
    cast(10038, Int2, Oid, Implicit, Function("int4")),
    cast(10039, Int4, Oid, Implicit, Binary),
    cast(10040, Oid, Int8, Assignment, Function("int8")),
    cast(10041, Oid, Int4, Assignment, Binary),
    cast(10042, Oid, Regproc, Implicit, Binary),
    cast(10043, Regproc, Oid, Implicit, Binary),
    cast(10044, Int8, Regproc, Implicit, Function("oid")),
    cast(10045, Int2, Regproc, Implicit, Function("int4")),
    cast(10046, Int4, Regproc, Implicit, Binary),
    cast(10047, Regproc, Int8, Assignment, Function("int8")),
    cast(10048, Regproc, Int4, Assignment, Binary),
    cast(10049, Regproc, Regprocedure, Implicit, Binary),
    cast(10050, Regprocedure, Regproc, Implicit, Binary),
    cast(10051, Oid, Regprocedure, Implicit, Binary),
    cast(10052, Regprocedure, Oid, Implicit, Binary),
    cast(10053, Int8, Regprocedure, Implicit, Function("oid")),
    cast(10054, Int2, Regprocedure, Implicit, Function("int4")),
    cast(10055, Int4, Regprocedure, Implicit, Binary),
    cast(10056, Regprocedure, Int8, Assignment, Function("int8")),
    cast(10057, Regprocedure, Int4, Assignment, Binary),
    cast(10058, Oid, Regoper, Implicit, Binary),
    cast(10059, Regoper, Oid, Implicit, Binary),
    cast(10060, Int8, Regoper, Implicit, Function("oid")),
    cast(10061, Int2, Regoper, Implicit, Function("int4")),
    cast(10062, Int4, Regoper, Implicit, Binary),
    cast(10063, Regoper, Int8, Assignment, Function("int8")),
    cast(10064, Regoper, Int4, Assignment, Binary),
    cast(10065, Regoper, Regoperator, Implicit, Binary),
    cast(10066, Regoperator, Regoper, Implicit, Binary),
    cast(10067, Oid, Regoperator, Implicit, Binary),
    cast(10068, Regoperator, Oid, Implicit, Binary),
    cast(10069, Int8, Regoperator, Implicit, Function("oid")),
    cast(10070, Int2, Regoperator, Implicit, Function("int4")),
    cast(10071, Int4, Regoperator, Implicit, Binary),
    cast(10072, Regoperator, Int8, Assignment, Function("int8")),
    cast(10073, Regoperator, Int4, Assignment, Binary),
    cast(10074, Oid, Regclass, Implicit, Binary),
    cast(10075, Regclass, Oid, Implicit, Binary),
    cast(10076, Int8, Regclass, Implicit, Function("oid")),
    cast(10077, Int2, Regclass, Implicit, Function("int4")),
    cast(10078, Int4, Regclass, Implicit, Binary),
    cast(10079, Regclass, Int8, Assignment, Function("int8")),
    cast(10080, Regclass, Int4, Assignment, Binary),
    cast(10081, Oid, Regcollation, Implicit, Binary),
    cast(10082, Regcollation, Oid, Implicit, Binary),
    cast(10083, Int8, Regcollation, Implicit, Function("oid")),
    cast(10084, Int2, Regcollation, Implicit, Function("int4")),
    cast(10085, Int4, Regcollation, Implicit, Binary),
    cast(10086, Regcollation, Int8, Assignment, Function("int8")),
    cast(10087, Regcollation, Int4, Assignment, Binary),
    cast(10088, Oid, Regtype, Implicit, Binary),
    cast(10089, Regtype, Oid, Implicit, Binary),
    cast(10090, Int8, Regtype, Implicit, Function("oid")),
    cast(10091, Int2, Regtype, Implicit, Function("int4")),
    cast(10092, Int4, Regtype, Implicit, Binary),
    cast(10093, Regtype, Int8, Assignment, Function("int8")),
    cast(10094, Regtype, Int4, Assignment, Binary),
    cast(10095, Oid, Regconfig, Implicit, Binary),
    cast(10096, Regconfig, Oid, Implicit, Binary),
    cast(10097, Int8, Regconfig, Implicit, Function("oid")),
    cast(10098, Int2, Regconfig, Implicit, Function("int4")),
    cast(10099, Int4, Regconfig, Implicit, Binary),
    cast(10100, Regconfig, Int8, Assignment, Function("int8")),
    cast(10101, Regconfig, Int4, Assignment, Binary),
    cast(10102, Oid, Regdictionary, Implicit, Binary),
    cast(10103, Regdictionary, Oid, Implicit, Binary),
    cast(10104, Int8, Regdictionary, Implicit, Function("oid")),
    cast(10105, Int2, Regdictionary, Implicit, Function("int4")),
    cast(10106, Int4, Regdictionary, Implicit, Binary),
    cast(10107, Regdictionary, Int8, Assignment, Function("int8")),
    cast(10108, Regdictionary, Int4, Assignment, Binary),
    cast(10109, Text, Regclass, Implicit, Function("regclass")),
    cast(10110, Varchar, Regclass, Implicit, Function("regclass")),
    cast(10111, Oid, Regrole, Implicit, Binary),
    cast(10112, Regrole, Oid, Implicit, Binary),
    cast(10113, Int8, Regrole, Implicit, Function("oid")),
    cast(10114, Int2, Regrole, Implicit, Function("int4")),
    cast(10115, Int4, Regrole, Implicit, Binary),
    cast(10116, Regrole, Int8, Assignment, Function("int8")),
    cast(10117, Regrole, Int4, Assignment, Binary),
    cast(10118, Oid, Regnamespace, Implicit, Binary),
    cast(10119, Regnamespace, Oid, Implicit, Binary),
    cast(10120, Int8, Regnamespace, Implicit, Function("oid")),
    cast(10121, Int2, Regnamespace, Implicit, Function("int4")),
    cast(10122, Int4, Regnamespace, Implicit, Binary),
    cast(10123, Regnamespace, Int8, Assignment, Function("int8")),
    cast(10124, Regnamespace, Int4, Assignment, Binary),
    cast(10125, Text, Bpchar, Implicit, Binary),
    cast(10126, Text, Varchar, Implicit, Binary),
    cast(10127, Bpchar, Text, Implicit, Function("text")),
    cast(10128, Bpchar, Varchar, Implicit, Function("text")),
    cast(10129, Varchar, Text, Implicit, Binary),
    cast(10130, Varchar, Bpchar, Implicit, Binary),
    cast(10131, Char, Text, Implicit, Function("text")),
    cast(10132, Char, Bpchar, Assignment, Function("bpchar")),
    cast(10133, Char, Varchar, Assignment, Function("text")),
    cast(10134, Name, Text, Implicit, Function("text")),
    cast(10135, Name, Bpchar, Assignment, Function("bpchar")),
    cast(10136, Name, Varchar, Assignment, Function("varchar")),
    cast(10137, Text, Char, Assignment, Function("char")),
    cast(10138, Bpchar, Char, Assignment, Function("char")),
    cast(10139, Varchar, Char, Assignment, Function("char")),
    cast(10140, Text, Name, Implicit, Function("name")),
    cast(10141, Bpchar, Name, Implicit, Function("name")),
    cast(10142, Varchar, Name, Implicit, Function("name")),
    cast(10143, Char, Int4, Explicit, Function("int4")),
    cast(10144, Int4, Char, Explicit, Function("char")),
    cast(10145, PgNodeTree, Text, Implicit, Binary),
    cast(10152, Date, Timestamp, Implicit, Function("timestamp")),
    cast(10153, Date, TimestampTz, Implicit, Function("timestamptz")),
    cast(10154, Time, Interval, Implicit, Function("interval")),
    cast(10155, Time, TimeTz, Implicit, Function("timetz")),
    cast(10156, Timestamp, Date, Assignment, Function("date")),
    cast(10157, Timestamp, Time, Assignment, Function("time")),
    cast(10158, Timestamp, TimestampTz, Implicit, Function("timestamptz")),
    cast(10159, TimestampTz, Date, Assignment, Function("date")),
    cast(10160, TimestampTz, Time, Assignment, Function("time")),
    cast(10161, TimestampTz, Timestamp, Assignment, Function("timestamp")),
    cast(10162, TimestampTz, TimeTz, Assignment, Function("timetz")),
    cast(10163, Interval, Time, Assignment, Function("time")),
    cast(10164, TimeTz, Time, Assignment, Function("time")),
    cast(10191, Bool, Text, Assignment, Function("text")),
    cast(10196, Bool, Varchar, Assignment, Function("text")),
    cast(10201, Bool, Bpchar, Assignment, Function("text")),
    cast(10204, Bpchar, Bpchar, Implicit, Function("bpchar")),
    cast(10205, Varchar, Varchar, Implicit, Function("varchar")),
    cast(10206, Time, Time, Implicit, Function("time")),
    cast(10207, Timestamp, Timestamp, Implicit, Function("timestamp")),
    cast(10208, TimestampTz, TimestampTz, Implicit, Function("timestamptz")),
    cast(10209, Interval, Interval, Implicit, Function("interval")),
    cast(10210, TimeTz, TimeTz, Implicit, Function("timetz")),
    cast(10213, Numeric, Numeric, Implicit, Function("numeric")),
    cast(10214, Json, Jsonb, Assignment, InOut),
    cast(10215, Jsonb, Json, Assignment, InOut),
    cast(10216, Jsonb, Bool, Explicit, Function("bool")),
    cast(10217, Jsonb, Numeric, Explicit, Function("numeric")),
    cast(10218, Jsonb, Int2, Explicit, Function("int2")),
    cast(10219, Jsonb, Int4, Explicit, Function("int4")),
    cast(10220, Jsonb, Int8, Explicit, Function("int8")),
    cast(10221, Jsonb, Float4, Explicit, Function("float4")),
    cast(10222, Jsonb, Float8, Explicit, Function("float8")),
];
