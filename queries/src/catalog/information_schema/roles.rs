//! Roles, privileges and character sets.

use super::{database, visible};
use crate::catalog::cell::{text, yes_or_no};
use crate::catalog::objects::Class;
use crate::catalog::privileges::{self, TABLE_PRIVILEGES};
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::state::BOOTSTRAP_ROLE;
use crate::catalog::table::Rows;
use crate::types::Datum;

pub(super) static MAKERS: &[Maker] = &[
    Maker::live("enabled_roles", &["role_name"], |scope, rows| {
        rows.push([text(&scope.settings.user)]);
    }),
    Maker::live("character_sets", CHARACTER_SET, |scope, rows| {
        let database = || database(scope);
        rows.push([
            text("UTF8"),
            text("UCS"),
            text("UTF8"),
            database(),
            text("pg_catalog"),
            text("ucs_basic"),
        ]);
    }),
    Maker::live("collations", COLLATION, |scope, rows| {
        for name in COLLATIONS {
            rows.push([database(scope), text("pg_catalog"), text(name), text("NO PAD")]);
        }
    }),
    Maker::live("collation_character_set_applicability", APPLICABILITY, |scope, rows| {
        for name in COLLATIONS {
            rows.push([database(scope), text("pg_catalog"), text(name), text("UTF8")]);
        }
    }),
    Maker::live("table_privileges", TABLE_PRIVILEGE, |scope, rows| grants(scope, rows, true)),
    Maker::live("role_table_grants", TABLE_PRIVILEGE, |scope, rows| grants(scope, rows, false)),
    Maker::live("column_privileges", COLUMN_PRIVILEGE, |scope, rows| {
        column_grants(scope, rows, true);
    }),
    Maker::live("role_column_grants", COLUMN_PRIVILEGE, |scope, rows| {
        column_grants(scope, rows, false);
    }),
];

const COLLATIONS: [&str; 4] = ["default", "C", "POSIX", "ucs_basic"];
const COLLATION: &[&str] =
    &["collation_catalog", "collation_schema", "collation_name", "pad_attribute"];
const APPLICABILITY: &[&str] =
    &["collation_catalog", "collation_schema", "collation_name", "character_set_name"];
const CHARACTER_SET: &[&str] = &[
    "character_set_name",
    "character_repertoire",
    "form_of_use",
    "default_collate_catalog",
    "default_collate_schema",
    "default_collate_name",
];
const TABLE_PRIVILEGE: &[&str] = &[
    "grantor",
    "grantee",
    "table_catalog",
    "table_schema",
    "table_name",
    "privilege_type",
    "is_grantable",
    "with_hierarchy",
];
const COLUMN_PRIVILEGE: &[&str] = &[
    "grantor",
    "grantee",
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "privilege_type",
    "is_grantable",
];

/// Who has which privilege on a relation: its owner all that make sense, others what they were granted.
fn privileges_on(
    scope: &Scope<'_>,
    class: &Class,
    everyone: bool,
) -> Vec<(String, &'static str, bool)> {
    let mut found = Vec::new();
    let roles = scope.state.roles();
    let owner = roles.iter().find(|role| crate::catalog::role_oid(&role.name) == class.owner);
    let owner = owner.map_or(BOOTSTRAP_ROLE.0, |role| &role.name);
    for privilege in TABLE_PRIVILEGES {
        if privilege == "SELECT" || class.is_writable() {
            found.push((owner.to_owned(), privilege, true));
        }
    }
    if everyone && class.is_system() {
        found.push(("PUBLIC".to_owned(), "SELECT", false));
    }
    for grant in &scope.objects.grants {
        let to_everyone = grant.role == "public";
        if grant.table == class.name && !class.is_system() && (everyone || !to_everyone) {
            let grantee = if to_everyone { "PUBLIC" } else { &grant.role };
            found.push((grantee.to_owned(), grant.privilege, false));
        }
    }
    let user = &scope.settings.user;
    let superuser = privileges::is_superuser(scope.state, user);
    found.retain(|(grantee, _, _)| superuser || grantee == user || grantee == "PUBLIC");
    found
}

fn grants(scope: &Scope<'_>, rows: &mut Rows<'_>, everyone: bool) {
    for class in visible(scope) {
        for (grantee, privilege, grantable) in privileges_on(scope, class, everyone) {
            rows.push([
                text(BOOTSTRAP_ROLE.0),
                text(grantee),
                database(scope),
                text(&class.schema),
                text(&class.name),
                text(privilege),
                yes_or_no(grantable),
                yes_or_no(privilege == "SELECT"),
            ]);
        }
    }
}

fn column_grants(scope: &Scope<'_>, rows: &mut Rows<'_>, everyone: bool) {
    for class in visible(scope) {
        for (grantee, privilege, grantable) in privileges_on(scope, class, everyone) {
            if privilege == "DELETE" {
                continue;
            }
            for column in scope.objects.attributes(class) {
                let row: [Datum; 8] = [
                    text(BOOTSTRAP_ROLE.0),
                    text(&grantee),
                    database(scope),
                    text(&class.schema),
                    text(&class.name),
                    text(&column.name),
                    text(privilege),
                    yes_or_no(grantable),
                ];
                rows.push(row);
            }
        }
    }
}
