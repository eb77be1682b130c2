//! Objects as the SQL that would make them: what `pg_get_indexdef` and its kin give.

use super::names;
use super::objects::{Class, Found, Objects};
use crate::relation::{ForeignKey, Index};

/// `CREATE INDEX ...` of an index.
pub(crate) fn index(objects: &Objects, oid: u32) -> Option<String> {
    let Some(Found::Index(class, index)) = objects.found(oid) else { return None };
    let unique = if index.unique { "UNIQUE " } else { "" };
    let name = names::quote(index.name);
    let table = names::qualified(&class.schema, &class.name);
    let columns = columns(objects, class, &index.columns);
    Some(format!("CREATE {unique}INDEX {name} ON {table} USING btree ({columns})"))
}

/// A column of an index, from 1.
pub(crate) fn index_column(objects: &Objects, oid: u32, number: usize) -> Option<String> {
    let Some(Found::Index(class, index)) = objects.found(oid) else { return None };
    let column = *index.columns.get(number.checked_sub(1)?)?;
    Some(names::quote(&objects.attributes(class)[column].name))
}

/// A constraint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Constraint<'a> {
    PrimaryKey(&'a Class, &'a Index),
    ForeignKey(&'a Class, &'a ForeignKey),
}

/// All constraints of all tables.
pub(crate) fn constraints(objects: &Objects) -> impl Iterator<Item = Constraint<'_>> {
    objects.classes.iter().flat_map(|class| {
        let primary = class.primary_key().map(|index| Constraint::PrimaryKey(class, index));
        let foreign = class.foreign_keys().iter().map(|key| Constraint::ForeignKey(class, key));
        primary.into_iter().chain(foreign)
    })
}

/// The constraint with an OID, as `ALTER TABLE ... ADD CONSTRAINT name` would continue.
pub(crate) fn constraint(objects: &Objects, oid: u32) -> Option<String> {
    constraints(objects).find_map(|constraint| match constraint {
        Constraint::PrimaryKey(class, index) if index.oid == oid => {
            Some(format!("PRIMARY KEY ({})", columns(objects, class, &index.columns)))
        }
        Constraint::ForeignKey(class, key) if key.oid == oid => {
            let referenced = objects.public(key.table)?;
            Some(format!(
                "FOREIGN KEY ({}) REFERENCES {}({}) ON DELETE SET NULL",
                columns(objects, class, &key.columns),
                names::quote(key.table),
                columns(objects, referenced, &key.referenced),
            ))
        }
        _ => None,
    })
}

/// The query of a view. A relation that is maintained has none; what it shows is said as far as SQL can say it.
pub(crate) fn view(objects: &Objects, class: &Class) -> String {
    if let Some(view) = class.view() {
        return format!(" {};", view.query.trim().trim_end_matches(';'));
    }
    let names = objects.attributes(class).iter().map(|column| column.name.as_str());
    let table = names::qualified(&class.schema, &class.name);
    format!(" SELECT {}\n   FROM {table};", names::list(names))
}

fn columns(objects: &Objects, class: &Class, places: &[usize]) -> String {
    let attributes = objects.attributes(class);
    names::list(places.iter().map(|place| attributes[*place].name.as_str()))
}
