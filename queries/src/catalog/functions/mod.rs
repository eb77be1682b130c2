//! The functions that look into the catalog, by topic; the registry of functions lists the tables.
//!
//! They find the names and the running system behind the session's settings, see [`System`]. As in PostgreSQL, a
//! function that is given an OID which is nothing's gives null rather than an error.

pub(crate) mod access;
pub(crate) mod comments;
pub(crate) mod definitions;
pub(crate) mod locks;
pub(crate) mod lookup;
pub(crate) mod session;
pub(crate) mod sets;
pub(crate) mod sizes;
pub(crate) mod standard;

use std::sync::Arc;

use super::objects::Objects;
use super::system::System;
use crate::error::Result;
use crate::exec::EvalContext;
use crate::types::{Datum, ObjectNames, PgType};

/// The system behind the statement.
fn system<'a>(context: &EvalContext<'a>) -> &'a System {
    System::of(&context.exec.settings)
}

/// The objects of the current catalog.
fn objects(context: &EvalContext<'_>) -> Arc<Objects> {
    system(context).objects()
}

/// The relation that a text names; 42P01 if there is none.
fn relation(context: &EvalContext<'_>, name: &str) -> Result<u32> {
    ObjectNames::oid(&*objects(context), PgType::Regclass, name)
}

/// A text, or null.
#[expect(clippy::unnecessary_wraps, reason = "what functions of the tables give")]
fn text_or_null(text: Option<impl AsRef<str>>) -> Result<Datum> {
    Ok(text.map_or(Datum::Null, Datum::text))
}
