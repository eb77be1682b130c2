//! The types that a column, a parameter or an expression can have.
//!
//! [`PgType`] is a name for an OID; what `pg_type` says of it stands in the table of [`super::type_table`]. An
//! array type is a type of its own; typmods (`varchar(3)`, `numeric(10,2)`) stand beside the type where they
//! matter, because PostgreSQL resolves functions without them.

use super::type_table::{self, TypeRow};

/// A PostgreSQL type. Arrays are types of their own; typmods (`varchar(3)`, `numeric(10,2)`) stand beside the
/// type where they matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum PgType {
    Bool = 16,
    Bytea = 17,
    /// `"char"`, one byte.
    Char = 18,
    Name = 19,
    Int8 = 20,
    Int2 = 21,
    Int2Vector = 22,
    Int4 = 23,
    Regproc = 24,
    Text = 25,
    Oid = 26,
    Tid = 27,
    Xid = 28,
    Cid = 29,
    OidVector = 30,
    Json = 114,
    PgNodeTree = 194,
    JsonArray = 199,
    Xid8Array = 271,
    Float4 = 700,
    Float8 = 701,
    /// A literal whose type the context decides.
    Unknown = 705,
    BoolArray = 1000,
    ByteaArray = 1001,
    CharArray = 1002,
    NameArray = 1003,
    Int2Array = 1005,
    Int2VectorArray = 1006,
    Int4Array = 1007,
    RegprocArray = 1008,
    TextArray = 1009,
    TidArray = 1010,
    XidArray = 1011,
    CidArray = 1012,
    OidVectorArray = 1013,
    BpcharArray = 1014,
    VarcharArray = 1015,
    Int8Array = 1016,
    Float4Array = 1021,
    Float8Array = 1022,
    OidArray = 1028,
    AclItem = 1033,
    AclItemArray = 1034,
    /// `character(n)`.
    Bpchar = 1042,
    Varchar = 1043,
    Date = 1082,
    Time = 1083,
    Timestamp = 1114,
    TimestampArray = 1115,
    DateArray = 1182,
    TimeArray = 1183,
    TimestampTz = 1184,
    TimestampTzArray = 1185,
    Interval = 1186,
    IntervalArray = 1187,
    NumericArray = 1231,
    CstringArray = 1263,
    TimeTz = 1266,
    TimeTzArray = 1270,
    Numeric = 1700,
    Regprocedure = 2202,
    Regoper = 2203,
    Regoperator = 2204,
    Regclass = 2205,
    Regtype = 2206,
    RegprocedureArray = 2207,
    RegoperArray = 2208,
    RegoperatorArray = 2209,
    RegclassArray = 2210,
    RegtypeArray = 2211,
    Record = 2249,
    Cstring = 2275,
    Any = 2276,
    AnyArray = 2277,
    Void = 2278,
    Trigger = 2279,
    Internal = 2281,
    AnyElement = 2283,
    RecordArray = 2287,
    AnyNonArray = 2776,
    Uuid = 2950,
    UuidArray = 2951,
    Regconfig = 3734,
    RegconfigArray = 3735,
    Regdictionary = 3769,
    RegdictionaryArray = 3770,
    Jsonb = 3802,
    JsonbArray = 3807,
    Jsonpath = 4072,
    JsonpathArray = 4073,
    Regnamespace = 4089,
    RegnamespaceArray = 4090,
    Regrole = 4096,
    RegroleArray = 4097,
    Regcollation = 4191,
    RegcollationArray = 4192,
    Xid8 = 5069,
    AnyCompatible = 5077,
    AnyCompatibleArray = 5078,
    AnyCompatibleNonArray = 5079,
}

/// The category of a type, as `pg_type.typcategory` groups them for the choice of functions.
pub type Category = u8;

impl PgType {
    /// Its OID.
    #[expect(clippy::as_conversions, reason = "the discriminant is the OID")]
    pub const fn oid(self) -> u32 {
        self as u32
    }

    /// The type with an OID, if it is one of ours.
    pub fn from_oid(oid: u32) -> Option<Self> {
        type_table::by_oid(oid).map(|row| row.ty)
    }

    /// What `pg_type` says of it.
    pub fn row(self) -> &'static TypeRow {
        type_table::by_oid(self.oid()).expect("every type has a row, as a test states")
    }

    /// Its name in `pg_type`: `int4`, `_int4`.
    pub fn typname(self) -> &'static str {
        self.row().name
    }

    /// Its name in SQL, as error messages and `format_type` show it: `integer`, `integer[]`.
    #[expect(clippy::misnamed_getters, reason = "the name that people know is the one in SQL")]
    pub fn name(self) -> &'static str {
        self.row().sql_name
    }

    /// The type that SQL's grammar means by a name, lower case and without typmod: `int4`, `integer`, `char`
    /// (which is `bpchar`), `"char"`, `timestamp with time zone`, `int4[]`, `_int4`. Several dimensions are one.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(element) = name.strip_suffix("[]") {
            return Self::from_name(element.trim_end_matches("[]"))?.array();
        }
        let by_sql_name =
            || type_table::ROWS.iter().find(|row| row.sql_name == name).map(|row| row.ty);
        alias(name).or_else(by_sql_name).or_else(|| Self::from_typname(name))
    }

    /// The type with a name in `pg_type`, as a quoted or qualified name means it: `char` is the one-byte type.
    pub fn from_typname(name: &str) -> Option<Self> {
        type_table::ROWS.iter().find(|row| row.name == name).map(|row| row.ty)
    }

    /// The type of the elements, if it is an array type (or `int2vector`, `oidvector`).
    pub fn element(self) -> Option<Self> {
        Self::from_oid(self.row().element).filter(|_| self.is_array() || self.is_vector())
    }

    /// The type of arrays of it.
    pub fn array(self) -> Option<Self> {
        Self::from_oid(self.row().array)
    }

    /// Whether it is an array type proper.
    pub fn is_array(self) -> bool {
        self.row().category == b'A' && self.row().kind == b'b' && !self.is_vector()
    }

    /// Whether it is `int2vector` or `oidvector`: arrays with lower bound 0 and a form of their own.
    pub const fn is_vector(self) -> bool {
        matches!(self, Self::Int2Vector | Self::OidVector)
    }

    /// Its category: `N` numeric, `S` string, `D` date and time, `T` timespan, `A` array, `B` boolean, `U` user,
    /// `P` pseudo-type, `X` unknown, `Z` internal.
    pub fn category(self) -> Category {
        self.row().category
    }

    /// Whether it is preferred in its category.
    pub fn is_preferred(self) -> bool {
        self.row().preferred
    }

    /// Its size in bytes, -1 for varying, as RowDescription gives it.
    pub fn length(self) -> i16 {
        self.row().length
    }

    /// Whether it stands for a type that the call decides.
    pub const fn is_polymorphic(self) -> bool {
        matches!(
            self,
            Self::AnyElement
                | Self::AnyArray
                | Self::AnyNonArray
                | Self::AnyCompatible
                | Self::AnyCompatibleArray
                | Self::AnyCompatibleNonArray
        )
    }

    /// Whether it is one of the `reg*` types, whose text is a name.
    pub const fn is_reg(self) -> bool {
        matches!(
            self,
            Self::Regproc
                | Self::Regprocedure
                | Self::Regoper
                | Self::Regoperator
                | Self::Regclass
                | Self::Regtype
                | Self::Regnamespace
                | Self::Regrole
                | Self::Regcollation
                | Self::Regconfig
                | Self::Regdictionary
        )
    }
}

impl std::fmt::Display for PgType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Names that SQL's grammar knows beside those in `pg_type`.
fn alias(name: &str) -> Option<PgType> {
    Some(match name {
        "int" => PgType::Int4,
        "decimal" | "dec" => PgType::Numeric,
        "float" => PgType::Float8,
        "char" | "character" | "nchar" | "national character" | "national char" => PgType::Bpchar,
        "char varying"
        | "national character varying"
        | "national char varying"
        | "nchar varying" => PgType::Varchar,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_row_and_refers_to_known_types() {
        for row in type_table::ROWS {
            assert_eq!(PgType::from_oid(row.ty.oid()), Some(row.ty));
            if row.array != 0 {
                let array = row.ty.array().unwrap();
                assert_eq!(array.row().element, row.ty.oid(), "{row:?}");
            }
            assert_eq!(PgType::from_name(row.sql_name).map(PgType::name), Some(row.sql_name));
        }
    }
}
