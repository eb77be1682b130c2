//! Functions that give rows.

use crate::catalog::cell;
use crate::catalog::names;
use crate::catalog::pg::time_zones;
use crate::catalog::role_oid;
use crate::error::Result;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::functions::define::{Rows, rows};
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, SetFunction};

pub(crate) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: &[],
    aggregates: &[],
    sets: FUNCTIONS,
    windows: &[],
};

#[rustfmt::skip]
static FUNCTIONS: &[SetFunction] = &[
    rows(1686, "pg_get_keywords", &[], &[("word", Text), ("catcode", Char), ("barelabel", Bool), ("catdesc", Text), ("baredesc", Text)], |_, _| keywords()),
    rows(2856, "pg_timezone_names", &[], &[("name", Text), ("abbrev", Text), ("utc_offset", Interval), ("is_dst", Bool)], |c, _| {
        Ok(Box::new(time_zones(c.exec.transaction_time).into_iter().map(|row| Ok(row.to_vec()))))
    }),
    rows(3425, "pg_partition_ancestors", &[Regclass], &[("relid", Regclass)], |_, _| none()),
    rows(3423, "pg_partition_tree", &[Regclass], &[("relid", Regclass), ("parentrelid", Regclass), ("isleaf", Bool), ("level", Int4)], |_, _| none()),
    rows(3035, "pg_listening_channels", &[], &[("", Text)], |c, _| {
        Ok(Box::new(c.exec.settings.notifications.listening().into_iter().map(|channel| Ok(vec![Datum::text(channel)]))))
    }),
    rows(2289, "pg_options_to_table", &[TextArray], &[("option_name", Text), ("option_value", Text)], |_, a| options(a)),
    rows(1689, "aclexplode", &[AclItemArray], &[("grantor", Oid), ("grantee", Oid), ("privilege_type", Text), ("is_grantable", Bool)], |_, a| acl(a)),
    rows(2556, "pg_tablespace_databases", &[Oid], &[("", Oid)], |_, _| none()),
    rows(6119, "pg_get_publication_tables", &[Text], &[("relid", Oid), ("attrs", Int2Vector), ("qual", PgNodeTree)], |_, _| none()),
];

#[expect(clippy::unnecessary_wraps, reason = "what functions of the tables give")]
fn none() -> Result<Rows> {
    Ok(Box::new(std::iter::empty()))
}

#[expect(clippy::unnecessary_wraps, reason = "what functions of the tables give")]
fn keywords() -> Result<Rows> {
    Ok(Box::new(names::keywords().map(|keyword| {
        let description = match keyword.category {
            b'U' => "unreserved",
            b'C' => "unreserved (cannot be function or type name)",
            b'T' => "reserved (can be function or type name)",
            _ => "reserved",
        };
        let label = if keyword.bare_label { "can be bare label" } else { "requires AS" };
        Ok(vec![
            cell::text(keyword.word),
            cell::letter(keyword.category),
            cell::bool(keyword.bare_label),
            cell::text(description),
            cell::text(label),
        ])
    })))
}

/// `name=value` each.
fn options(a: &[Datum]) -> Result<Rows> {
    let mut found = Vec::new();
    for option in &a.array(0)?.elements {
        if let Datum::Text(option) = option {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Datum::text(value)),
                None => (option.as_str(), Datum::Null),
            };
            found.push(Ok(vec![Datum::text(name), value]));
        }
    }
    Ok(Box::new(found.into_iter()))
}

/// `grantee=letters/grantor` each; a letter followed by `*` may be granted on.
fn acl(a: &[Datum]) -> Result<Rows> {
    let mut found = Vec::new();
    for item in &a.array(0)?.elements {
        let Datum::Text(item) = item else { continue };
        let Some((grantee, rest)) = item.split_once('=') else { continue };
        let (letters, grantor) = rest.split_once('/').unwrap_or((rest, ""));
        let role = |name: &str| Datum::Oid(if name.is_empty() { 0 } else { role_oid(name) });
        for (place, letter) in letters.char_indices().filter(|(_, letter)| *letter != '*') {
            let grantable = letters[place + 1..].starts_with('*');
            let privilege = match letter {
                'a' => "INSERT",
                'r' => "SELECT",
                'w' => "UPDATE",
                'd' => "DELETE",
                'D' => "TRUNCATE",
                'x' => "REFERENCES",
                't' => "TRIGGER",
                'U' => "USAGE",
                'C' => "CREATE",
                'X' => "EXECUTE",
                'c' => "CONNECT",
                _ => "TEMPORARY",
            };
            found.push(Ok(vec![
                role(grantor),
                role(grantee),
                Datum::text(privilege),
                Datum::Bool(grantable),
            ]));
        }
    }
    Ok(Box::new(found.into_iter()))
}
