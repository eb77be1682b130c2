//! Roles and the database.

use crate::catalog::cell::{bool, int4, letter, oid, text};
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::state::{BOOTSTRAP_ROLE, RoleRow, role_oid};
use crate::catalog::table::Rows;
use crate::types::Datum;

pub(super) static MAKERS: &[Maker] = &[
    Maker::live("pg_roles", ROLE, |scope, rows| roles(scope, rows, &text("********"))),
    Maker::live("pg_authid", ROLE, |scope, rows| roles(scope, rows, &Datum::Null)),
    Maker::live("pg_user", USER, users),
    Maker::live("pg_shadow", USER, users),
    Maker::live("pg_database", DATABASE, databases),
];

const ROLE: &[&str] = &[
    "oid",
    "rolname",
    "rolsuper",
    "rolinherit",
    "rolcreaterole",
    "rolcreatedb",
    "rolcanlogin",
    "rolreplication",
    "rolconnlimit",
    "rolpassword",
    "rolbypassrls",
];

fn roles(scope: &Scope<'_>, rows: &mut Rows<'_>, password: &Datum) {
    for role in scope.state.roles() {
        rows.push([
            oid(role_oid(&role.name)),
            text(&role.name),
            bool(role.superuser),
            bool(true),
            bool(role.superuser),
            bool(role.superuser),
            bool(role.login),
            bool(role.superuser),
            int4(-1),
            password.clone(),
            bool(role.superuser),
        ]);
    }
}

const USER: &[&str] =
    &["usename", "usesysid", "usecreatedb", "usesuper", "userepl", "usebypassrls", "passwd"];

fn users(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for RoleRow { name, superuser, .. } in scope.state.roles().into_iter().filter(|it| it.login) {
        rows.push([
            text(&name),
            oid(role_oid(&name)),
            bool(superuser),
            bool(superuser),
            bool(superuser),
            bool(superuser),
            text("********"),
        ]);
    }
}

/// The OID of the database, whatever name a client calls it by.
pub(super) const DATABASE_OID: u32 = 5;

const DATABASE: &[&str] = &[
    "oid",
    "datname",
    "datdba",
    "encoding",
    "datlocprovider",
    "datallowconn",
    "datconnlimit",
    "dattablespace",
    "datcollate",
    "datctype",
];

/// A node has one database; it goes by the name that the client connected to.
fn databases(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    rows.push([
        oid(DATABASE_OID),
        text(&scope.settings.database),
        oid(BOOTSTRAP_ROLE.1),
        int4(6),
        letter(b'c'),
        bool(true),
        int4(-1),
        oid(1663),
        text("C"),
        text("C.UTF-8"),
    ]);
}
