//! Parses statements about roles and privileges.

use sqlparser::tokenizer::Token;

use super::token_cursor::TokenCursor;
use super::utility::{
    CreateRole, Grant, GrantObjects, GrantRole, Privilege, RoleName, RoleOptions, Utility,
};
use crate::error::{Result, SqlError, SqlState};

/// `CREATE`, `ALTER` and `DROP` of a role, a user or a group.
pub(super) fn role(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let verb = cursor.word().unwrap_or_default();
    cursor.advance();
    let noun = cursor.word().unwrap_or_default();
    cursor.advance();
    let utility = match verb {
        "create" => {
            let position = cursor.position();
            let name = cursor.name()?;
            check_name(&name, position)?;
            let mut options =
                RoleOptions { login: (noun == "user").then_some(true), ..RoleOptions::default() };
            cursor.take("with");
            role_options(cursor, &mut options, true)?;
            Utility::CreateRole(CreateRole { name, options })
        }
        "alter" => alter(cursor)?,
        _ => {
            let if_exists = cursor.take_all(&["if", "exists"]);
            Utility::DropRole { roles: cursor.list(role_name)?, if_exists }
        }
    };
    cursor.expect_end()?;
    Ok(utility)
}

fn alter(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let role = role_name(cursor)?;
    if cursor.is_word("rename") {
        return Err(cursor.unsupported("ALTER ROLE .. RENAME is not supported"));
    }
    if matches!(cursor.word(), Some("set" | "reset" | "in")) {
        return Err(cursor.unsupported("settings of a role are not supported").with_hint(
            "Set defaults for all sessions in the configuration, or SET them in the session.",
        ));
    }
    if matches!(cursor.word(), Some("add" | "drop")) {
        return Err(cursor
            .unsupported("ALTER GROUP is not supported")
            .with_hint("Use GRANT or REVOKE."));
    }
    let mut options = RoleOptions::default();
    cursor.take("with");
    role_options(cursor, &mut options, false)?;
    Ok(Utility::AlterRole { role, options })
}

fn check_name(name: &str, position: Option<usize>) -> Result<()> {
    if name == "public" || name == "none" {
        let message = format!("role name \"{name}\" is reserved");
        return Err(SqlError::new(SqlState::RESERVED_NAME, message).at(position));
    }
    if name.starts_with("pg_") {
        return Err(SqlError::new(
            SqlState::RESERVED_NAME,
            format!("role name \"{name}\" is reserved"),
        )
        .with_detail("Role names starting with \"pg_\" are reserved."));
    }
    Ok(())
}

fn role_name(cursor: &mut TokenCursor<'_>) -> Result<RoleName> {
    if cursor.take_one_of(&["current_user", "current_role"]).is_some() {
        return Ok(RoleName::CurrentUser);
    }
    if cursor.take("session_user") {
        return Ok(RoleName::SessionUser);
    }
    cursor.name().map(RoleName::Name)
}

/// A role in GRANT and REVOKE, where all of them may be meant.
fn grantee(cursor: &mut TokenCursor<'_>) -> Result<RoleName> {
    cursor.take("group");
    if cursor.take("public") { Ok(RoleName::Public) } else { role_name(cursor) }
}

fn role_options(
    cursor: &mut TokenCursor<'_>,
    options: &mut RoleOptions,
    create: bool,
) -> Result<()> {
    while !cursor.at_end() {
        let position = cursor.position();
        let again = role_option(cursor, options, create)?;
        if again {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options")
                .at(position));
        }
    }
    Ok(())
}

/// Takes one option; whether it had been said before.
fn role_option(
    cursor: &mut TokenCursor<'_>,
    options: &mut RoleOptions,
    create: bool,
) -> Result<bool> {
    let Some(word) = cursor.word() else { return Err(cursor.error()) };
    let set = |option: &mut Option<bool>, value: bool| option.replace(value).is_some();
    let (name, value) = match word.strip_prefix("no") {
        Some(name) if !name.is_empty() && word != "none" => (name, false),
        _ => (word, true),
    };
    let again = match name {
        "superuser" => set(&mut options.superuser, value),
        "createdb" => set(&mut options.createdb, value),
        "createrole" => set(&mut options.createrole, value),
        "inherit" => set(&mut options.inherit, value),
        // CREATE USER has it set beforehand; saying it again is fine.
        "login" => {
            options.login = Some(value);
            false
        }
        "replication" => set(&mut options.replication, value),
        "bypassrls" => set(&mut options.bypassrls, value),
        _ => return valued_role_option(cursor, options, create),
    };
    cursor.advance();
    Ok(again)
}

fn valued_role_option(
    cursor: &mut TokenCursor<'_>,
    options: &mut RoleOptions,
    create: bool,
) -> Result<bool> {
    if cursor.take_all(&["connection", "limit"]) {
        let limit = i32::try_from(cursor.integer()?).map_err(|_| cursor.error())?;
        return Ok(options.connection_limit.replace(limit).is_some());
    }
    if cursor.take_all(&["valid", "until"]) {
        return Ok(options.valid_until.replace(cursor.string()?).is_some());
    }
    let encrypted = cursor.take("encrypted");
    if cursor.take("password") {
        let password =
            if !encrypted && cursor.take("null") { None } else { Some(cursor.string()?) };
        return Ok(options.password.replace(password).is_some());
    }
    if encrypted || !create {
        return Err(cursor.error());
    }
    if cursor.take_all(&["in", "role"]) || cursor.take_all(&["in", "group"]) {
        options.in_roles = cursor.list(role_name)?;
    } else if cursor.take("role") || cursor.take("user") {
        options.members = cursor.list(role_name)?;
    } else if cursor.take("admin") {
        options.admins = cursor.list(role_name)?;
    } else if cursor.take("sysid") {
        cursor.integer()?;
    } else {
        return Err(match cursor.word() {
            Some(word) => {
                let message = format!("unrecognized role option \"{word}\"");
                SqlError::new(SqlState::SYNTAX_ERROR, message).at(cursor.position())
            }
            None => cursor.error(),
        });
    }
    Ok(false)
}

/// `GRANT` and `REVOKE`, of privileges and of roles.
pub(super) fn grant(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    let grant = cursor.take("grant");
    if !grant {
        cursor.expect("revoke")?;
    }
    let grant_option = !grant && cursor.take_all(&["grant", "option", "for"]);
    let admin_option = !grant && cursor.take_all(&["admin", "option", "for"]);
    let on = cursor.rest().iter().any(|it| {
        matches!(&it.token, Token::Word(word) if word.quote_style.is_none() && word.value == "on")
    });
    let utility = if on && !admin_option {
        grant_privileges(cursor, grant, grant_option)?
    } else {
        grant_roles(cursor, grant, admin_option)?
    };
    cursor.expect_end()?;
    Ok(utility)
}

fn grantees(cursor: &mut TokenCursor<'_>, grant: bool) -> Result<Vec<RoleName>> {
    cursor.expect(if grant { "to" } else { "from" })?;
    cursor.list(grantee)
}

fn granted_by(cursor: &mut TokenCursor<'_>) -> Result<()> {
    if cursor.is_word("granted") {
        return Err(cursor.unsupported("GRANTED BY is not supported"));
    }
    Ok(())
}

fn cascade(cursor: &mut TokenCursor<'_>, grant: bool) -> bool {
    !grant && cursor.take_one_of(&["cascade", "restrict"]) == Some("cascade")
}

fn grant_roles(
    cursor: &mut TokenCursor<'_>,
    grant: bool,
    mut admin_option: bool,
) -> Result<Utility> {
    let granted = cursor.list(TokenCursor::name)?;
    let roles = grantees(cursor, grant)?;
    if grant && cursor.take("with") {
        cursor.expect("admin")?;
        cursor.expect("option")?;
        admin_option = true;
    }
    granted_by(cursor)?;
    let cascade = cascade(cursor, grant);
    Ok(Utility::GrantRole(GrantRole { grant, granted, roles, admin_option, cascade }))
}

fn grant_privileges(
    cursor: &mut TokenCursor<'_>,
    grant: bool,
    mut grant_option: bool,
) -> Result<Utility> {
    let privileges = if cursor.take("all") {
        cursor.take("privileges");
        if cursor.peek() == Some(&Token::LParen) {
            return Err(cursor.unsupported("privileges on columns are not supported"));
        }
        None
    } else {
        Some(cursor.list(privilege)?)
    };
    cursor.expect("on")?;
    let objects = objects(cursor)?;
    let roles = grantees(cursor, grant)?;
    if grant && cursor.take("with") {
        cursor.expect("grant")?;
        cursor.expect("option")?;
        grant_option = true;
    }
    granted_by(cursor)?;
    let cascade = cascade(cursor, grant);
    Ok(Utility::Grant(Grant { grant, privileges, objects, roles, grant_option, cascade }))
}

fn privilege(cursor: &mut TokenCursor<'_>) -> Result<Privilege> {
    let Some(word) = cursor.word() else { return Err(cursor.error()) };
    let privilege = match word {
        "select" => Privilege::Select,
        "insert" => Privilege::Insert,
        "update" => Privilege::Update,
        "delete" => Privilege::Delete,
        "truncate" => Privilege::Truncate,
        "references" => Privilege::References,
        "trigger" => Privilege::Trigger,
        "usage" => Privilege::Usage,
        "create" => Privilege::Create,
        "connect" => Privilege::Connect,
        "temporary" | "temp" => Privilege::Temporary,
        "execute" => Privilege::Execute,
        _ => {
            let message = format!("unrecognized privilege type \"{word}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
    };
    cursor.advance();
    if cursor.peek() == Some(&Token::LParen) {
        return Err(cursor.unsupported("privileges on columns are not supported"));
    }
    Ok(privilege)
}

fn objects(cursor: &mut TokenCursor<'_>) -> Result<GrantObjects> {
    if cursor.take_all(&["all", "tables", "in", "schema"]) {
        return Ok(GrantObjects::AllTablesInSchemas(cursor.list(TokenCursor::name)?));
    }
    match (cursor.word(), cursor.word_nth(1)) {
        (Some("all"), _) => {
            Err(cursor.unsupported("privileges on these objects are not supported"))
        }
        (Some("schema"), Some(_)) => {
            cursor.advance();
            Ok(GrantObjects::Schemas(cursor.list(TokenCursor::name)?))
        }
        (Some("database"), Some(_)) => {
            cursor.advance();
            Ok(GrantObjects::Databases(cursor.list(TokenCursor::name)?))
        }
        (
            Some(
                "sequence" | "function" | "procedure" | "routine" | "language" | "type" | "domain"
                | "tablespace" | "foreign" | "large" | "parameter",
            ),
            Some(next),
        ) if next != "to" && next != "from" => {
            Err(cursor.unsupported("privileges on these objects are not supported"))
        }
        _ => {
            cursor.take("table");
            Ok(GrantObjects::Tables(cursor.list(TokenCursor::qualified_name)?))
        }
    }
}
