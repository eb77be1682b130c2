//! The rows of `pg_type`, as PostgreSQL 15 has them, for the types that we have.
//!
//! Tools join this table with `pg_proc` and read every column of it, so the rows are complete.

use super::PgType;
use super::PgType::*;

/// A function named in `pg_type`: its OID and its name; 0 and empty for none.
pub type FunctionName = (u32, &'static str);

/// A row of `pg_type`.
#[derive(Debug)]
pub struct TypeRow {
    /// Which type.
    pub ty: PgType,
    /// `typname`.
    pub name: &'static str,
    /// What `format_type(oid, NULL)` gives.
    pub sql_name: &'static str,
    /// `typlen`.
    pub length: i16,
    /// `typbyval`.
    pub by_value: bool,
    /// `typtype`: `b` base, `p` pseudo.
    pub kind: u8,
    /// `typcategory`.
    pub category: u8,
    /// `typispreferred`.
    pub preferred: bool,
    /// `typdelim`.
    pub delimiter: u8,
    /// `typelem`.
    pub element: u32,
    /// `typarray`.
    pub array: u32,
    /// `typinput`, `typoutput`, `typreceive`, `typsend`, `typmodin`, `typmodout`, `typanalyze`, `typsubscript`.
    pub functions: [FunctionName; 8],
    /// `typalign`.
    pub align: u8,
    /// `typstorage`.
    pub storage: u8,
    /// `typcollation`.
    pub collation: u32,
}

/// The row of the type with an OID.
pub fn by_oid(oid: u32) -> Option<&'static TypeRow> {
    let place = ROWS.binary_search_by_key(&oid, |row| row.ty.oid()).ok()?;
    Some(&ROWS[place])
}

#[expect(clippy::too_many_arguments, reason = "the columns of the table below")]
const fn row(
    ty: PgType,
    name: &'static str,
    sql_name: &'static str,
    length: i16,
    by_value: bool,
    kind: u8,
    category: u8,
    preferred: bool,
    delimiter: u8,
    element: u32,
    array: u32,
    functions: [FunctionName; 8],
    align: u8,
    storage: u8,
    collation: u32,
) -> TypeRow {
    TypeRow {
        ty,
        name,
        sql_name,
        length,
        by_value,
        kind,
        category,
        preferred,
        delimiter,
        element,
        array,
        functions,
        align,
        storage,
        collation,
    }
}

/// All rows, by OID.
#[rustfmt::skip]
pub static ROWS: &[TypeRow] = &[
    row(Bool, "bool", "boolean", 1, true, b'b', b'B', true, b',', 0, 1000, [(1242, "boolin"), (1243, "boolout"), (2436, "boolrecv"), (2437, "boolsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'c', b'p', 0),
    row(Bytea, "bytea", "bytea", -1, false, b'b', b'U', false, b',', 0, 1001, [(1244, "byteain"), (31, "byteaout"), (2412, "bytearecv"), (2413, "byteasend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'x', 0),
    row(Char, "char", "\"char\"", 1, true, b'b', b'Z', false, b',', 0, 1002, [(1245, "charin"), (33, "charout"), (2434, "charrecv"), (2435, "charsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'c', b'p', 0),
    row(Name, "name", "name", 64, false, b'b', b'S', false, b',', 18, 1003, [(34, "namein"), (35, "nameout"), (2422, "namerecv"), (2423, "namesend"), (0, ""), (0, ""), (0, ""), (6180, "raw_array_subscript_handler")], b'c', b'p', 950),
    row(Int8, "int8", "bigint", 8, true, b'b', b'N', false, b',', 0, 1016, [(460, "int8in"), (461, "int8out"), (2408, "int8recv"), (2409, "int8send"), (0, ""), (0, ""), (0, ""), (0, "")], b'd', b'p', 0),
    row(Int2, "int2", "smallint", 2, true, b'b', b'N', false, b',', 0, 1005, [(38, "int2in"), (39, "int2out"), (2404, "int2recv"), (2405, "int2send"), (0, ""), (0, ""), (0, ""), (0, "")], b's', b'p', 0),
    row(Int2Vector, "int2vector", "int2vector", -1, false, b'b', b'A', false, b',', 21, 1006, [(40, "int2vectorin"), (41, "int2vectorout"), (2410, "int2vectorrecv"), (2411, "int2vectorsend"), (0, ""), (0, ""), (0, ""), (6179, "array_subscript_handler")], b'i', b'p', 0),
    row(Int4, "int4", "integer", 4, true, b'b', b'N', false, b',', 0, 1007, [(42, "int4in"), (43, "int4out"), (2406, "int4recv"), (2407, "int4send"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Regproc, "regproc", "regproc", 4, true, b'b', b'N', false, b',', 0, 1008, [(44, "regprocin"), (45, "regprocout"), (2444, "regprocrecv"), (2445, "regprocsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Text, "text", "text", -1, false, b'b', b'S', true, b',', 0, 1009, [(46, "textin"), (47, "textout"), (2414, "textrecv"), (2415, "textsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'x', 100),
    row(Oid, "oid", "oid", 4, true, b'b', b'N', true, b',', 0, 1028, [(1798, "oidin"), (1799, "oidout"), (2418, "oidrecv"), (2419, "oidsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Tid, "tid", "tid", 6, false, b'b', b'U', false, b',', 0, 1010, [(48, "tidin"), (49, "tidout"), (2438, "tidrecv"), (2439, "tidsend"), (0, ""), (0, ""), (0, ""), (0, "")], b's', b'p', 0),
    row(Xid, "xid", "xid", 4, true, b'b', b'U', false, b',', 0, 1011, [(50, "xidin"), (51, "xidout"), (2440, "xidrecv"), (2441, "xidsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Cid, "cid", "cid", 4, true, b'b', b'U', false, b',', 0, 1012, [(52, "cidin"), (53, "cidout"), (2442, "cidrecv"), (2443, "cidsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(OidVector, "oidvector", "oidvector", -1, false, b'b', b'A', false, b',', 26, 1013, [(54, "oidvectorin"), (55, "oidvectorout"), (2420, "oidvectorrecv"), (2421, "oidvectorsend"), (0, ""), (0, ""), (0, ""), (6179, "array_subscript_handler")], b'i', b'p', 0),
    row(Json, "json", "json", -1, false, b'b', b'U', false, b',', 0, 199, [(321, "json_in"), (322, "json_out"), (323, "json_recv"), (324, "json_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'x', 0),
    row(PgNodeTree, "pg_node_tree", "pg_node_tree", -1, false, b'b', b'Z', false, b',', 0, 0, [(195, "pg_node_tree_in"), (196, "pg_node_tree_out"), (197, "pg_node_tree_recv"), (198, "pg_node_tree_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'x', 100),
    row(JsonArray, "_json", "json[]", -1, false, b'b', b'A', false, b',', 114, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Xid8Array, "_xid8", "xid8[]", -1, false, b'b', b'A', false, b',', 5069, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(Float4, "float4", "real", 4, true, b'b', b'N', false, b',', 0, 1021, [(200, "float4in"), (201, "float4out"), (2424, "float4recv"), (2425, "float4send"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Float8, "float8", "double precision", 8, true, b'b', b'N', true, b',', 0, 1022, [(214, "float8in"), (215, "float8out"), (2426, "float8recv"), (2427, "float8send"), (0, ""), (0, ""), (0, ""), (0, "")], b'd', b'p', 0),
    row(Unknown, "unknown", "unknown", -2, false, b'p', b'X', false, b',', 0, 0, [(109, "unknownin"), (110, "unknownout"), (2416, "unknownrecv"), (2417, "unknownsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'c', b'p', 0),
    row(BoolArray, "_bool", "boolean[]", -1, false, b'b', b'A', false, b',', 16, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(ByteaArray, "_bytea", "bytea[]", -1, false, b'b', b'A', false, b',', 17, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(CharArray, "_char", "\"char\"[]", -1, false, b'b', b'A', false, b',', 18, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(NameArray, "_name", "name[]", -1, false, b'b', b'A', false, b',', 19, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 950),
    row(Int2Array, "_int2", "smallint[]", -1, false, b'b', b'A', false, b',', 21, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Int2VectorArray, "_int2vector", "int2vector[]", -1, false, b'b', b'A', false, b',', 22, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Int4Array, "_int4", "integer[]", -1, false, b'b', b'A', false, b',', 23, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(RegprocArray, "_regproc", "regproc[]", -1, false, b'b', b'A', false, b',', 24, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(TextArray, "_text", "text[]", -1, false, b'b', b'A', false, b',', 25, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 100),
    row(TidArray, "_tid", "tid[]", -1, false, b'b', b'A', false, b',', 27, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(XidArray, "_xid", "xid[]", -1, false, b'b', b'A', false, b',', 28, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(CidArray, "_cid", "cid[]", -1, false, b'b', b'A', false, b',', 29, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(OidVectorArray, "_oidvector", "oidvector[]", -1, false, b'b', b'A', false, b',', 30, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(BpcharArray, "_bpchar", "character[]", -1, false, b'b', b'A', false, b',', 1042, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2913, "bpchartypmodin"), (2914, "bpchartypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 100),
    row(VarcharArray, "_varchar", "character varying[]", -1, false, b'b', b'A', false, b',', 1043, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2915, "varchartypmodin"), (2916, "varchartypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 100),
    row(Int8Array, "_int8", "bigint[]", -1, false, b'b', b'A', false, b',', 20, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(Float4Array, "_float4", "real[]", -1, false, b'b', b'A', false, b',', 700, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Float8Array, "_float8", "double precision[]", -1, false, b'b', b'A', false, b',', 701, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(OidArray, "_oid", "oid[]", -1, false, b'b', b'A', false, b',', 26, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(AclItem, "aclitem", "aclitem", 12, false, b'b', b'U', false, b',', 0, 1034, [(1031, "aclitemin"), (1032, "aclitemout"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(AclItemArray, "_aclitem", "aclitem[]", -1, false, b'b', b'A', false, b',', 1033, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Bpchar, "bpchar", "character", -1, false, b'b', b'S', false, b',', 0, 1014, [(1044, "bpcharin"), (1045, "bpcharout"), (2430, "bpcharrecv"), (2431, "bpcharsend"), (2913, "bpchartypmodin"), (2914, "bpchartypmodout"), (0, ""), (0, "")], b'i', b'x', 100),
    row(Varchar, "varchar", "character varying", -1, false, b'b', b'S', false, b',', 0, 1015, [(1046, "varcharin"), (1047, "varcharout"), (2432, "varcharrecv"), (2433, "varcharsend"), (2915, "varchartypmodin"), (2916, "varchartypmodout"), (0, ""), (0, "")], b'i', b'x', 100),
    row(Date, "date", "date", 4, true, b'b', b'D', false, b',', 0, 1182, [(1084, "date_in"), (1085, "date_out"), (2468, "date_recv"), (2469, "date_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Time, "time", "time without time zone", 8, true, b'b', b'D', false, b',', 0, 1183, [(1143, "time_in"), (1144, "time_out"), (2470, "time_recv"), (2471, "time_send"), (2909, "timetypmodin"), (2910, "timetypmodout"), (0, ""), (0, "")], b'd', b'p', 0),
    row(Timestamp, "timestamp", "timestamp without time zone", 8, true, b'b', b'D', false, b',', 0, 1115, [(1312, "timestamp_in"), (1313, "timestamp_out"), (2474, "timestamp_recv"), (2475, "timestamp_send"), (2905, "timestamptypmodin"), (2906, "timestamptypmodout"), (0, ""), (0, "")], b'd', b'p', 0),
    row(TimestampArray, "_timestamp", "timestamp without time zone[]", -1, false, b'b', b'A', false, b',', 1114, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2905, "timestamptypmodin"), (2906, "timestamptypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(DateArray, "_date", "date[]", -1, false, b'b', b'A', false, b',', 1082, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(TimeArray, "_time", "time without time zone[]", -1, false, b'b', b'A', false, b',', 1083, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2909, "timetypmodin"), (2910, "timetypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(TimestampTz, "timestamptz", "timestamp with time zone", 8, true, b'b', b'D', true, b',', 0, 1185, [(1150, "timestamptz_in"), (1151, "timestamptz_out"), (2476, "timestamptz_recv"), (2477, "timestamptz_send"), (2907, "timestamptztypmodin"), (2908, "timestamptztypmodout"), (0, ""), (0, "")], b'd', b'p', 0),
    row(TimestampTzArray, "_timestamptz", "timestamp with time zone[]", -1, false, b'b', b'A', false, b',', 1184, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2907, "timestamptztypmodin"), (2908, "timestamptztypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(Interval, "interval", "interval", 16, false, b'b', b'T', true, b',', 0, 1187, [(1160, "interval_in"), (1161, "interval_out"), (2478, "interval_recv"), (2479, "interval_send"), (2903, "intervaltypmodin"), (2904, "intervaltypmodout"), (0, ""), (0, "")], b'd', b'p', 0),
    row(IntervalArray, "_interval", "interval[]", -1, false, b'b', b'A', false, b',', 1186, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2903, "intervaltypmodin"), (2904, "intervaltypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(NumericArray, "_numeric", "numeric[]", -1, false, b'b', b'A', false, b',', 1700, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2917, "numerictypmodin"), (2918, "numerictypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(CstringArray, "_cstring", "cstring[]", -1, false, b'b', b'A', false, b',', 2275, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(TimeTz, "timetz", "time with time zone", 12, false, b'b', b'D', false, b',', 0, 1270, [(1350, "timetz_in"), (1351, "timetz_out"), (2472, "timetz_recv"), (2473, "timetz_send"), (2911, "timetztypmodin"), (2912, "timetztypmodout"), (0, ""), (0, "")], b'd', b'p', 0),
    row(TimeTzArray, "_timetz", "time with time zone[]", -1, false, b'b', b'A', false, b',', 1266, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (2911, "timetztypmodin"), (2912, "timetztypmodout"), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(Numeric, "numeric", "numeric", -1, false, b'b', b'N', false, b',', 0, 1231, [(1701, "numeric_in"), (1702, "numeric_out"), (2460, "numeric_recv"), (2461, "numeric_send"), (2917, "numerictypmodin"), (2918, "numerictypmodout"), (0, ""), (0, "")], b'i', b'm', 0),
    row(Regprocedure, "regprocedure", "regprocedure", 4, true, b'b', b'N', false, b',', 0, 2207, [(2212, "regprocedurein"), (2213, "regprocedureout"), (2446, "regprocedurerecv"), (2447, "regproceduresend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Regoper, "regoper", "regoper", 4, true, b'b', b'N', false, b',', 0, 2208, [(2214, "regoperin"), (2215, "regoperout"), (2448, "regoperrecv"), (2449, "regopersend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Regoperator, "regoperator", "regoperator", 4, true, b'b', b'N', false, b',', 0, 2209, [(2216, "regoperatorin"), (2217, "regoperatorout"), (2450, "regoperatorrecv"), (2451, "regoperatorsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Regclass, "regclass", "regclass", 4, true, b'b', b'N', false, b',', 0, 2210, [(2218, "regclassin"), (2219, "regclassout"), (2452, "regclassrecv"), (2453, "regclasssend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Regtype, "regtype", "regtype", 4, true, b'b', b'N', false, b',', 0, 2211, [(2220, "regtypein"), (2221, "regtypeout"), (2454, "regtyperecv"), (2455, "regtypesend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(RegprocedureArray, "_regprocedure", "regprocedure[]", -1, false, b'b', b'A', false, b',', 2202, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(RegoperArray, "_regoper", "regoper[]", -1, false, b'b', b'A', false, b',', 2203, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(RegoperatorArray, "_regoperator", "regoperator[]", -1, false, b'b', b'A', false, b',', 2204, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(RegclassArray, "_regclass", "regclass[]", -1, false, b'b', b'A', false, b',', 2205, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(RegtypeArray, "_regtype", "regtype[]", -1, false, b'b', b'A', false, b',', 2206, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Record, "record", "record", -1, false, b'p', b'P', false, b',', 0, 2287, [(2290, "record_in"), (2291, "record_out"), (2402, "record_recv"), (2403, "record_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'd', b'x', 0),
    row(Cstring, "cstring", "cstring", -2, false, b'p', b'P', false, b',', 0, 1263, [(2292, "cstring_in"), (2293, "cstring_out"), (2500, "cstring_recv"), (2501, "cstring_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'c', b'p', 0),
    row(Any, "any", "\"any\"", 4, true, b'p', b'P', false, b',', 0, 0, [(2294, "any_in"), (2295, "any_out"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(AnyArray, "anyarray", "anyarray", -1, false, b'p', b'P', false, b',', 0, 0, [(2296, "anyarray_in"), (2297, "anyarray_out"), (2502, "anyarray_recv"), (2503, "anyarray_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'd', b'x', 0),
    row(Void, "void", "void", 4, true, b'p', b'P', false, b',', 0, 0, [(2298, "void_in"), (2299, "void_out"), (3120, "void_recv"), (3121, "void_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Trigger, "trigger", "trigger", 4, true, b'p', b'P', false, b',', 0, 0, [(2300, "trigger_in"), (2301, "trigger_out"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Internal, "internal", "internal", 8, true, b'p', b'P', false, b',', 0, 0, [(2304, "internal_in"), (2305, "internal_out"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'd', b'p', 0),
    row(AnyElement, "anyelement", "anyelement", 4, true, b'p', b'P', false, b',', 0, 0, [(2312, "anyelement_in"), (2313, "anyelement_out"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(RecordArray, "_record", "record[]", -1, false, b'p', b'P', false, b',', 2249, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'd', b'x', 0),
    row(AnyNonArray, "anynonarray", "anynonarray", 4, true, b'p', b'P', false, b',', 0, 0, [(2777, "anynonarray_in"), (2778, "anynonarray_out"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(Uuid, "uuid", "uuid", 16, false, b'b', b'U', false, b',', 0, 2951, [(2952, "uuid_in"), (2953, "uuid_out"), (2961, "uuid_recv"), (2962, "uuid_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'c', b'p', 0),
    row(UuidArray, "_uuid", "uuid[]", -1, false, b'b', b'A', false, b',', 2950, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Regconfig, "regconfig", "regconfig", 4, true, b'b', b'N', false, b',', 0, 3735, [(3736, "regconfigin"), (3737, "regconfigout"), (3738, "regconfigrecv"), (3739, "regconfigsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(RegconfigArray, "_regconfig", "regconfig[]", -1, false, b'b', b'A', false, b',', 3734, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Regdictionary, "regdictionary", "regdictionary", 4, true, b'b', b'N', false, b',', 0, 3770, [(3771, "regdictionaryin"), (3772, "regdictionaryout"), (3773, "regdictionaryrecv"), (3774, "regdictionarysend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(RegdictionaryArray, "_regdictionary", "regdictionary[]", -1, false, b'b', b'A', false, b',', 3769, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Jsonb, "jsonb", "jsonb", -1, false, b'b', b'U', false, b',', 0, 3807, [(3806, "jsonb_in"), (3804, "jsonb_out"), (3805, "jsonb_recv"), (3803, "jsonb_send"), (0, ""), (0, ""), (0, ""), (6098, "jsonb_subscript_handler")], b'i', b'x', 0),
    row(JsonbArray, "_jsonb", "jsonb[]", -1, false, b'b', b'A', false, b',', 3802, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Jsonpath, "jsonpath", "jsonpath", -1, false, b'b', b'U', false, b',', 0, 4073, [(4001, "jsonpath_in"), (4003, "jsonpath_out"), (4002, "jsonpath_recv"), (4004, "jsonpath_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'x', 0),
    row(JsonpathArray, "_jsonpath", "jsonpath[]", -1, false, b'b', b'A', false, b',', 4072, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Regnamespace, "regnamespace", "regnamespace", 4, true, b'b', b'N', false, b',', 0, 4090, [(4084, "regnamespacein"), (4085, "regnamespaceout"), (4087, "regnamespacerecv"), (4088, "regnamespacesend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(RegnamespaceArray, "_regnamespace", "regnamespace[]", -1, false, b'b', b'A', false, b',', 4089, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Regrole, "regrole", "regrole", 4, true, b'b', b'N', false, b',', 0, 4097, [(4098, "regrolein"), (4092, "regroleout"), (4094, "regrolerecv"), (4095, "regrolesend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(RegroleArray, "_regrole", "regrole[]", -1, false, b'b', b'A', false, b',', 4096, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Regcollation, "regcollation", "regcollation", 4, true, b'b', b'N', false, b',', 0, 4192, [(4193, "regcollationin"), (4194, "regcollationout"), (4196, "regcollationrecv"), (4197, "regcollationsend"), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(RegcollationArray, "_regcollation", "regcollation[]", -1, false, b'b', b'A', false, b',', 4191, 0, [(750, "array_in"), (751, "array_out"), (2400, "array_recv"), (2401, "array_send"), (0, ""), (0, ""), (3816, "array_typanalyze"), (6179, "array_subscript_handler")], b'i', b'x', 0),
    row(Xid8, "xid8", "xid8", 8, true, b'b', b'U', false, b',', 0, 271, [(5070, "xid8in"), (5081, "xid8out"), (5082, "xid8recv"), (5083, "xid8send"), (0, ""), (0, ""), (0, ""), (0, "")], b'd', b'p', 0),
    row(AnyCompatible, "anycompatible", "anycompatible", 4, true, b'p', b'P', false, b',', 0, 0, [(5086, "anycompatible_in"), (5087, "anycompatible_out"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
    row(AnyCompatibleArray, "anycompatiblearray", "anycompatiblearray", -1, false, b'p', b'P', false, b',', 0, 0, [(5088, "anycompatiblearray_in"), (5089, "anycompatiblearray_out"), (5090, "anycompatiblearray_recv"), (5091, "anycompatiblearray_send"), (0, ""), (0, ""), (0, ""), (0, "")], b'd', b'x', 0),
    row(AnyCompatibleNonArray, "anycompatiblenonarray", "anycompatiblenonarray", 4, true, b'p', b'P', false, b',', 0, 0, [(5092, "anycompatiblenonarray_in"), (5093, "anycompatiblenonarray_out"), (0, ""), (0, ""), (0, ""), (0, ""), (0, ""), (0, "")], b'i', b'p', 0),
];
