//! The catalog as running statements see it: the current names, and the state of the running system.
//!
//! One [`System`] stands behind all sessions' settings, as what knows the names of the `reg*` types. Virtual
//! relations and catalog functions find it there, so that they show the names as they are now without a catalog
//! having to hold itself.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

use super::Catalog;
use super::objects::Objects;
use super::state::{NoState, SystemState, role_oid};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::Settings;
use crate::types::{ObjectNames, PgType};

/// The current names and the running system.
#[derive(Debug)]
pub struct System {
    objects: RwLock<Arc<Objects>>,
    state: Arc<dyn SystemState>,
}

/// What statements outside a database see: built-in names alone.
static BUILT_IN: LazyLock<System> = LazyLock::new(|| {
    let system = System::new(Arc::new(NoState));
    system.publish(Arc::new(super::with_system_relations(Vec::new())));
    system
});

impl System {
    /// A system without names yet.
    pub fn new(state: Arc<dyn SystemState>) -> Self {
        Self { objects: RwLock::new(Arc::new(Objects::new(Arc::default(), Vec::new()))), state }
    }

    /// Makes these the current names, and the current grants those that the catalog shows: called whenever a view, a
    /// role or a grant has changed. Statements that are running may still see what was before.
    pub fn publish(&self, catalog: Arc<Catalog>) {
        let objects = Arc::new(Objects::new(catalog, self.state.grants()));
        *self.objects.write() = objects;
    }

    /// The system behind a session's settings.
    pub fn of(settings: &Settings) -> &Self {
        let names: &dyn Any = &*settings.objects;
        names.downcast_ref().unwrap_or(&BUILT_IN)
    }

    /// The running system.
    pub fn state(&self) -> &dyn SystemState {
        &*self.state
    }

    /// The objects that the current names stand for.
    pub(crate) fn objects(&self) -> Arc<Objects> {
        Arc::clone(&self.objects.read())
    }

    /// The name of a role.
    pub(crate) fn role_name(&self, oid: u32) -> Option<String> {
        self.state.roles().into_iter().map(|role| role.name).find(|name| role_oid(name) == oid)
    }
}

impl ObjectNames for System {
    fn name(&self, ty: PgType, oid: u32) -> Option<String> {
        match ty {
            PgType::Regrole => self.role_name(oid).map(|name| super::names::quote(&name)),
            _ => self.objects().name(ty, oid),
        }
    }

    fn oid(&self, ty: PgType, name: &str) -> Result<u32> {
        if ty != PgType::Regrole {
            return self.objects().oid(ty, name);
        }
        let role = match super::names::parts(name).as_deref() {
            Some([role]) => role.clone(),
            _ => return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
        };
        let known = self.state.roles().iter().any(|it| it.name == role);
        if known { Ok(role_oid(&role)) } else { Err(crate::types::undefined_object(ty, &role)) }
    }
}
