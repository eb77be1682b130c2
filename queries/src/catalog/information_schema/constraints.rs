//! Keys and the columns they are made of.

use super::{database, visible};
use crate::catalog::PUBLIC;
use crate::catalog::cell::{int4, text, yes_or_no};
use crate::catalog::objects::Class;
use crate::catalog::relation::{Maker, Scope};
use crate::catalog::table::Rows;
use crate::relation::ForeignKey;
use crate::types::Datum;

pub(super) static MAKERS: &[Maker] = &[
    Maker::live("table_constraints", CONSTRAINT, table_constraints),
    Maker::live(
        "check_constraints",
        &["constraint_catalog", "constraint_schema", "constraint_name", "check_clause"],
        check_constraints,
    ),
    Maker::live("key_column_usage", KEY_COLUMN, key_columns),
    Maker::live("constraint_column_usage", USED_COLUMN, used_columns),
    Maker::live("constraint_table_usage", USED_TABLE, used_tables),
    Maker::live("referential_constraints", REFERENCE, references),
];

/// Visible tables that are no system tables, which the standard does not list constraints of.
fn tables<'a>(scope: &Scope<'a>) -> impl Iterator<Item = &'a Class> {
    visible(scope).into_iter().filter(|class| class.kind == b'r')
}

/// The columns that are never null, with the names that PostgreSQL makes up for that.
fn not_null(scope: &Scope<'_>, class: &Class) -> Vec<(String, String)> {
    let schema = scope.objects.namespace_oid(&class.schema);
    let columns = scope.objects.attributes(class).iter().enumerate();
    columns
        .filter(|(_, column)| column.not_null)
        .map(|(place, column)| {
            (format!("{schema}_{}_{}_not_null", class.oid, place + 1), column.name.clone())
        })
        .collect()
}

const CONSTRAINT: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "table_catalog",
    "table_schema",
    "table_name",
    "constraint_type",
    "is_deferrable",
    "initially_deferred",
    "enforced",
    "nulls_distinct",
];

fn table_constraints(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in tables(scope) {
        let mut add = |name: &str, kind: &str, nulls_distinct: Datum| {
            rows.push([
                database(scope),
                text(&class.schema),
                text(name),
                database(scope),
                text(&class.schema),
                text(&class.name),
                text(kind),
                yes_or_no(false),
                yes_or_no(false),
                yes_or_no(true),
                nulls_distinct,
            ]);
        };
        if let Some(index) = class.primary_key() {
            add(index.name, "PRIMARY KEY", yes_or_no(true));
        }
        class.foreign_keys().iter().for_each(|key| add(key.name, "FOREIGN KEY", Datum::Null));
        for (name, _) in not_null(scope, class) {
            add(&name, "CHECK", Datum::Null);
        }
    }
}

fn check_constraints(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in tables(scope) {
        for (name, column) in not_null(scope, class) {
            let clause = text(format!("{column} IS NOT NULL"));
            rows.push([database(scope), text(&class.schema), text(name), clause]);
        }
    }
}

const KEY_COLUMN: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
    "position_in_unique_constraint",
];

fn key_columns(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in tables(scope) {
        let attributes = scope.objects.attributes(class);
        let mut add = |name: &str, columns: &[usize], referenced: Option<&ForeignKey>| {
            for (place, column) in columns.iter().enumerate() {
                rows.push([
                    database(scope),
                    text(&class.schema),
                    text(name),
                    database(scope),
                    text(&class.schema),
                    text(&class.name),
                    text(&attributes[*column].name),
                    int4(place + 1),
                    referenced.map_or(Datum::Null, |_| int4(place + 1)),
                ]);
            }
        };
        if let Some(index) = class.primary_key() {
            add(index.name, &index.columns, None);
        }
        class.foreign_keys().iter().for_each(|key| add(key.name, &key.columns, Some(key)));
    }
}

/// Each constraint with the table and the columns that it needs: of a foreign key, those that it refers to.
fn used<'a>(scope: &Scope<'a>) -> Vec<(&'a Class, &'a Class, &'a str, &'a [usize])> {
    let mut used: Vec<(&Class, &Class, &str, &[usize])> = Vec::new();
    for class in tables(scope) {
        if let Some(index) = class.primary_key() {
            used.push((class, class, index.name, &index.columns));
        }
        for key in class.foreign_keys() {
            if let Some(referenced) = scope.objects.public(key.table) {
                used.push((class, referenced, key.name, &key.referenced));
            }
        }
    }
    used
}

const USED_COLUMN: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
];

fn used_columns(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for (class, table, name, columns) in used(scope) {
        for column in columns {
            rows.push([
                database(scope),
                text(&table.schema),
                text(&table.name),
                text(&scope.objects.attributes(table)[*column].name),
                database(scope),
                text(&class.schema),
                text(name),
            ]);
        }
    }
}

const USED_TABLE: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
];

fn used_tables(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for (class, table, name, _) in used(scope) {
        rows.push([
            database(scope),
            text(&table.schema),
            text(&table.name),
            database(scope),
            text(&class.schema),
            text(name),
        ]);
    }
}

const REFERENCE: &[&str] = &[
    "constraint_catalog",
    "constraint_schema",
    "constraint_name",
    "unique_constraint_catalog",
    "unique_constraint_schema",
    "unique_constraint_name",
    "match_option",
    "update_rule",
    "delete_rule",
];

fn references(scope: &Scope<'_>, rows: &mut Rows<'_>) {
    for class in tables(scope) {
        for key in class.foreign_keys() {
            let referenced = scope.objects.public(key.table).and_then(Class::primary_key);
            let Some(referenced) = referenced else { continue };
            rows.push([
                database(scope),
                text(&class.schema),
                text(key.name),
                database(scope),
                text(PUBLIC),
                text(referenced.name),
                text("NONE"),
                text("NO ACTION"),
                text("SET NULL"),
            ]);
        }
    }
}
