//! Who may do what with a relation. The session enforces it; here it is only told.

use super::PUBLIC;
use super::objects::{Class, Objects};
use super::state::{BOOTSTRAP_ROLE, RoleRow, SystemState};

/// What can be granted on a table.
pub(crate) const TABLE_PRIVILEGES: [&str; 4] = ["INSERT", "SELECT", "UPDATE", "DELETE"];

/// The role with a name, if there is one.
pub(crate) fn role(state: &dyn SystemState, name: &str) -> Option<RoleRow> {
    state.roles().into_iter().find(|role| role.name == name)
}

/// Whether a role is an administrator. The role that every database has is one.
pub(crate) fn is_superuser(state: &dyn SystemState, name: &str) -> bool {
    name == BOOTSTRAP_ROLE.0 || role(state, name).is_some_and(|role| role.superuser)
}

/// Whether a role may do something with a relation.
pub(crate) fn allows(
    state: &dyn SystemState,
    objects: &Objects,
    user: &str,
    class: &Class,
    privilege: &str,
) -> bool {
    if is_superuser(state, user) {
        return true;
    }
    if class.schema != PUBLIC {
        return privilege == "SELECT";
    }
    class.owner == super::role_oid(user) || granted(objects, class, user, privilege)
}

/// Whether a role, or everyone, was granted something on a relation.
pub(crate) fn granted(objects: &Objects, class: &Class, user: &str, privilege: &str) -> bool {
    objects.grants.iter().any(|grant| {
        class.schema == PUBLIC
            && grant.table == class.name
            && (grant.role == user || grant.role == "public")
            && grant.privilege == privilege
    })
}
