//! The rows of `information_schema`: what the SQL standard says of tables, columns and keys.
//!
//! A role sees what it may do something with; an administrator sees everything.

mod columns;
mod constraints;
mod roles;
mod routines;
mod tables;

use super::cell::text;
use super::objects::Class;
use super::privileges::{self, TABLE_PRIVILEGES};
use super::relation::{Maker, Scope};
use crate::types::Datum;

/// What makes them; relations that are not named here have no rows.
pub(super) static MAKERS: &[&[Maker]] =
    &[columns::MAKERS, constraints::MAKERS, roles::MAKERS, routines::MAKERS, tables::MAKERS];

/// The name of the catalog: of the database.
fn database(scope: &Scope<'_>) -> Datum {
    text(&scope.settings.database)
}

/// The relations that the session's user may do something with.
fn visible<'a>(scope: &Scope<'a>) -> Vec<&'a Class> {
    let (state, objects, user) = (scope.state, scope.objects, &scope.settings.user);
    let superuser = privileges::is_superuser(state, user);
    let may = |class: &&Class| {
        let any = |privilege: &&str| privileges::allows(state, objects, user, class, privilege);
        superuser || TABLE_PRIVILEGES.iter().any(any)
    };
    objects.classes.iter().filter(may).collect()
}
