//! Who may do what: `has_table_privilege` and its kin.
//!
//! Each takes the role (or means the session's), the object by name or OID, and a list of privileges of which one
//! is enough. All forms share one implementation that tells the arguments apart.

use super::{objects, relation, system};
use crate::catalog::privileges;
use crate::catalog::role_oid;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::{self, *};
use crate::types::functions::define::{Implementation, f};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

const fn has(
    oid: u32,
    name: &'static str,
    arguments: &'static [PgType],
    call: Implementation,
) -> ScalarFunction {
    f(oid, name, arguments, Bool, call).stable()
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    has(1922, "has_table_privilege", &[Name, Text, Text], table),
    has(1923, "has_table_privilege", &[Name, Oid, Text], table),
    has(1924, "has_table_privilege", &[Oid, Text, Text], table),
    has(1925, "has_table_privilege", &[Oid, Oid, Text], table),
    has(1926, "has_table_privilege", &[Text, Text], table),
    has(1927, "has_table_privilege", &[Oid, Text], table),
    has(3024, "has_any_column_privilege", &[Name, Text, Text], table),
    has(3025, "has_any_column_privilege", &[Name, Oid, Text], table),
    has(3026, "has_any_column_privilege", &[Oid, Text, Text], table),
    has(3027, "has_any_column_privilege", &[Oid, Oid, Text], table),
    has(3028, "has_any_column_privilege", &[Text, Text], table),
    has(3029, "has_any_column_privilege", &[Oid, Text], table),
    has(3012, "has_column_privilege", &[Name, Text, Text, Text], column),
    has(3013, "has_column_privilege", &[Name, Text, Int2, Text], column),
    has(3014, "has_column_privilege", &[Name, Oid, Text, Text], column),
    has(3015, "has_column_privilege", &[Name, Oid, Int2, Text], column),
    has(3016, "has_column_privilege", &[Oid, Text, Text, Text], column),
    has(3017, "has_column_privilege", &[Oid, Text, Int2, Text], column),
    has(3018, "has_column_privilege", &[Oid, Oid, Text, Text], column),
    has(3019, "has_column_privilege", &[Oid, Oid, Int2, Text], column),
    has(3020, "has_column_privilege", &[Text, Text, Text], column),
    has(3021, "has_column_privilege", &[Text, Int2, Text], column),
    has(3022, "has_column_privilege", &[Oid, Text, Text], column),
    has(3023, "has_column_privilege", &[Oid, Int2, Text], column),
    has(2250, "has_database_privilege", &[Name, Text, Text], database),
    has(2251, "has_database_privilege", &[Name, Oid, Text], database),
    has(2252, "has_database_privilege", &[Oid, Text, Text], database),
    has(2253, "has_database_privilege", &[Oid, Oid, Text], database),
    has(2254, "has_database_privilege", &[Text, Text], database),
    has(2255, "has_database_privilege", &[Oid, Text], database),
    has(2268, "has_schema_privilege", &[Name, Text, Text], schema),
    has(2269, "has_schema_privilege", &[Name, Oid, Text], schema),
    has(2270, "has_schema_privilege", &[Oid, Text, Text], schema),
    has(2271, "has_schema_privilege", &[Oid, Oid, Text], schema),
    has(2272, "has_schema_privilege", &[Text, Text], schema),
    has(2273, "has_schema_privilege", &[Oid, Text], schema),
    has(2256, "has_function_privilege", &[Name, Text, Text], function),
    has(2257, "has_function_privilege", &[Name, Oid, Text], function),
    has(2258, "has_function_privilege", &[Oid, Text, Text], function),
    has(2259, "has_function_privilege", &[Oid, Oid, Text], function),
    has(2260, "has_function_privilege", &[Text, Text], function),
    has(2261, "has_function_privilege", &[Oid, Text], function),
    has(3138, "has_type_privilege", &[Name, Text, Text], usage),
    has(3139, "has_type_privilege", &[Name, Oid, Text], usage),
    has(3140, "has_type_privilege", &[Oid, Text, Text], usage),
    has(3141, "has_type_privilege", &[Oid, Oid, Text], usage),
    has(3142, "has_type_privilege", &[Text, Text], usage),
    has(3143, "has_type_privilege", &[Oid, Text], usage),
    has(2262, "has_language_privilege", &[Name, Text, Text], usage),
    has(2263, "has_language_privilege", &[Name, Oid, Text], usage),
    has(2264, "has_language_privilege", &[Oid, Text, Text], usage),
    has(2265, "has_language_privilege", &[Oid, Oid, Text], usage),
    has(2266, "has_language_privilege", &[Text, Text], usage),
    has(2267, "has_language_privilege", &[Oid, Text], usage),
    has(2181, "has_sequence_privilege", &[Name, Text, Text], nothing),
    has(2182, "has_sequence_privilege", &[Name, Oid, Text], nothing),
    has(2183, "has_sequence_privilege", &[Oid, Text, Text], nothing),
    has(2184, "has_sequence_privilege", &[Oid, Oid, Text], nothing),
    has(2185, "has_sequence_privilege", &[Text, Text], nothing),
    has(2186, "has_sequence_privilege", &[Oid, Text], nothing),
    has(2390, "has_tablespace_privilege", &[Name, Text, Text], administration),
    has(2391, "has_tablespace_privilege", &[Name, Oid, Text], administration),
    has(2392, "has_tablespace_privilege", &[Oid, Text, Text], administration),
    has(2393, "has_tablespace_privilege", &[Oid, Oid, Text], administration),
    has(2394, "has_tablespace_privilege", &[Text, Text], administration),
    has(2395, "has_tablespace_privilege", &[Oid, Text], administration),
    has(3006, "has_server_privilege", &[Name, Text, Text], nothing),
    has(3007, "has_server_privilege", &[Name, Oid, Text], nothing),
    has(3008, "has_server_privilege", &[Oid, Text, Text], nothing),
    has(3009, "has_server_privilege", &[Oid, Oid, Text], nothing),
    has(3010, "has_server_privilege", &[Text, Text], nothing),
    has(3011, "has_server_privilege", &[Oid, Text], nothing),
    has(3000, "has_foreign_data_wrapper_privilege", &[Name, Text, Text], nothing),
    has(3001, "has_foreign_data_wrapper_privilege", &[Name, Oid, Text], nothing),
    has(3002, "has_foreign_data_wrapper_privilege", &[Oid, Text, Text], nothing),
    has(3003, "has_foreign_data_wrapper_privilege", &[Oid, Oid, Text], nothing),
    has(3004, "has_foreign_data_wrapper_privilege", &[Text, Text], nothing),
    has(3005, "has_foreign_data_wrapper_privilege", &[Oid, Text], nothing),
    has(6205, "has_parameter_privilege", &[Name, Text, Text], administration),
    has(6206, "has_parameter_privilege", &[Oid, Text, Text], administration),
    has(6207, "has_parameter_privilege", &[Text, Text], administration),
    has(2705, "pg_has_role", &[Name, Name, Text], member),
    has(2706, "pg_has_role", &[Name, Oid, Text], member),
    has(2707, "pg_has_role", &[Oid, Name, Text], member),
    has(2708, "pg_has_role", &[Oid, Oid, Text], member),
    has(2709, "pg_has_role", &[Name, Text], member),
    has(2710, "pg_has_role", &[Oid, Text], member),
    has(3298, "row_security_active", &[Oid], |_, _| Ok(Datum::Bool(false))),
    has(3299, "row_security_active", &[Text], |c, a| relation(c, a.text(0)?).map(|_| Datum::Bool(false))),
];

/// A call's arguments: who, what, and which privileges.
struct Request<'a> {
    user: String,
    object: &'a [Datum],
    privileges: Vec<String>,
}

/// Takes the arguments apart: the last are the privileges, `objects` before them name the object, and the role is
/// what is left.
fn request<'a>(
    context: &EvalContext<'_>,
    a: &'a [Datum],
    objects: usize,
    known: &[&str],
) -> Result<Request<'a>> {
    let (last, rest) = a.split_last().ok_or_else(|| SqlError::internal("no arguments"))?;
    let place = rest.len().saturating_sub(objects);
    let user = match rest[..place].first() {
        None => context.exec.settings.user.clone(),
        Some(role) => role_name(context, role)?,
    };
    let privileges = std::slice::from_ref(last).text(0)?.split(',');
    let privileges = privileges.map(|word| privilege(word, known)).collect::<Result<_>>()?;
    Ok(Request { user, object: &rest[place..], privileges })
}

/// A privilege without `WITH GRANT OPTION`, if it is one that there is for the object.
fn privilege(word: &str, known: &[&str]) -> Result<String> {
    let upper = word.trim().to_uppercase();
    let bare = upper.strip_suffix(" WITH GRANT OPTION").unwrap_or(&upper);
    if known.contains(&bare) {
        return Ok(bare.to_owned());
    }
    let message = format!("unrecognized privilege type: \"{}\"", word.trim());
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

fn role_name(context: &EvalContext<'_>, role: &Datum) -> Result<String> {
    let state = system(context).state();
    match role {
        Datum::Text(name) if name == "public" || privileges::role(state, name).is_some() => {
            Ok(name.to_string())
        }
        Datum::Text(name) => {
            let message = format!("role \"{name}\" does not exist");
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
        Datum::Oid(oid) => Ok(system(context).role_name(*oid).unwrap_or_default()),
        other => Err(SqlError::internal(format!("{other:?} is no role"))),
    }
}

const ON_TABLES: &[&str] =
    &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];

fn table(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    on_table(context, &request(context, a, 1, ON_TABLES)?)
}

fn column(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    on_table(context, &request(context, a, 2, &["SELECT", "INSERT", "UPDATE", "REFERENCES"])?)
}

fn on_table(context: &EvalContext<'_>, request: &Request<'_>) -> Result<Datum> {
    let oid = match &request.object[0] {
        Datum::Oid(oid) => *oid,
        _ => relation(context, request.object.text(0)?)?,
    };
    let objects = objects(context);
    let Some(class) = objects.class(oid) else { return Ok(Datum::Null) };
    match request.object.get(1) {
        Some(Datum::Text(name)) => {
            let attributes = objects.attributes(class);
            if !attributes.iter().any(|attribute| attribute.name == **name) {
                let message =
                    format!("column \"{name}\" of relation \"{}\" does not exist", class.name);
                return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
            }
        }
        Some(Datum::Int2(number)) => {
            let number = usize::try_from(*number).unwrap_or(usize::MAX);
            if number == 0 || number > objects.attributes(class).len() {
                return Ok(Datum::Null);
            }
        }
        _ => {}
    }
    let (state, user) = (system(context).state(), &request.user);
    let allowed = |privilege: &String| privileges::allows(state, &objects, user, class, privilege);
    Ok(Datum::Bool(request.privileges.iter().any(allowed)))
}

/// Whether one of the privileges is among those that everyone has, or the role is an administrator.
fn everyone_may(context: &EvalContext<'_>, request: &Request<'_>, everyone: &[&str]) -> Datum {
    let superuser = privileges::is_superuser(system(context).state(), &request.user);
    let any = request.privileges.iter().any(|privilege| everyone.contains(&privilege.as_str()));
    Datum::Bool(superuser || any)
}

fn database(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let request = request(context, a, 1, &["CREATE", "TEMPORARY", "TEMP", "CONNECT"])?;
    if let Datum::Text(name) = &request.object[0]
        && **name != context.exec.settings.database
    {
        let message = format!("database \"{name}\" does not exist");
        return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message));
    }
    Ok(everyone_may(context, &request, &["CONNECT"]))
}

fn schema(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let request = request(context, a, 1, &["CREATE", "USAGE"])?;
    let objects = objects(context);
    match &request.object[0] {
        Datum::Text(name) if objects.namespace_oid(name) == 0 => {
            let message = format!("schema \"{name}\" does not exist");
            Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message))
        }
        Datum::Oid(oid) if !objects.namespaces.iter().any(|schema| schema.oid == *oid) => {
            Ok(Datum::Null)
        }
        _ => Ok(everyone_may(context, &request, &["USAGE"])),
    }
}

fn function(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    Ok(everyone_may(context, &request(context, a, 1, &["EXECUTE"])?, &["EXECUTE"]))
}

fn usage(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    Ok(everyone_may(context, &request(context, a, 1, &["USAGE"])?, &["USAGE"]))
}

/// What only administrators may do.
fn administration(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let known = ["CREATE", "SET", "ALTER SYSTEM"];
    Ok(everyone_may(context, &request(context, a, 1, &known)?, &[]))
}

/// Objects of a kind that there is none of.
fn nothing(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let request = request(context, a, 1, &["USAGE", "SELECT", "UPDATE"])?;
    match &request.object[0] {
        Datum::Text(name) => {
            let message = format!("relation \"{name}\" does not exist");
            Err(SqlError::new(SqlState::UNDEFINED_TABLE, message))
        }
        _ => Ok(Datum::Null),
    }
}

/// Roles have no members, so a role is a member of itself alone; administrators are members of all.
fn member(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let request = request(context, a, 1, &["MEMBER", "USAGE"])?;
    let role = role_name(context, &request.object[0])?;
    let superuser = privileges::is_superuser(system(context).state(), &request.user);
    Ok(Datum::Bool(superuser || role_oid(&role) == role_oid(&request.user)))
}
