//! Parses CREATE VIEW and DROP VIEW, and says of all other statements of PostgreSQL that they are not offered.

use sqlparser::tokenizer::Token;

use super::parse::parse_query;
use super::statement::{Node, Source, ViewNode};
use super::token_cursor::TokenCursor;
use super::utility::Utility;
use crate::error::{Result, SqlError};

/// `CREATE [OR REPLACE] VIEW name [(columns)] AS query`.
pub(super) fn create_view(cursor: &mut TokenCursor<'_>, source: &Source) -> Result<Node> {
    let start = cursor.clone();
    cursor.expect("create")?;
    let replace = cursor.take_all(&["or", "replace"]);
    if matches!(cursor.word(), Some("temp" | "temporary")) {
        return Err(cursor.unsupported("temporary views are not supported"));
    }
    if cursor.is_word("recursive") {
        return Err(cursor
            .unsupported("CREATE RECURSIVE VIEW is not supported")
            .with_hint("Use WITH RECURSIVE."));
    }
    if !cursor.take("view") {
        return Err(refused(&start));
    }
    let name = cursor.object_name()?;
    let mut columns = Vec::new();
    if cursor.take_token(&Token::LParen) {
        columns = cursor.list(TokenCursor::ident)?;
        cursor.expect_token(&Token::RParen)?;
    }
    if cursor.is_word("with") {
        return Err(cursor.unsupported("options of a view are not supported"));
    }
    cursor.expect("as")?;
    let text = source.text[cursor.byte()..source.range.end].to_owned();
    let query = parse_query(cursor)?;
    Ok(Node::CreateView(Box::new(ViewNode { name, columns, replace, query, text })))
}

/// `DROP VIEW [IF EXISTS] names [CASCADE|RESTRICT]`.
pub(super) fn drop_view(cursor: &mut TokenCursor<'_>) -> Result<Utility> {
    cursor.expect("drop")?;
    cursor.expect("view")?;
    let if_exists = cursor.take_all(&["if", "exists"]);
    let views = cursor.list(TokenCursor::qualified_name)?;
    let cascade = cursor.take_one_of(&["cascade", "restrict"]) == Some("cascade");
    cursor.expect_end()?;
    Ok(Utility::DropView { views, if_exists, cascade })
}

const TABLES: &str =
    "The tables are fixed: airports, airplanes, rotations, legs. Define views with CREATE VIEW.";

/// Statements that begin with a known word but are not offered, and what is no statement at all.
pub(super) fn refused(cursor: &TokenCursor<'_>) -> SqlError {
    let verb = cursor.word().unwrap_or_default();
    let noun = noun(cursor);
    let feature = match verb {
        "create" | "alter" | "drop" if !noun.is_empty() => format!("{verb} {noun}"),
        "comment" | "security" | "refresh" | "import" | "reassign" | "do" | "call" | "load"
        | "reindex" | "cluster" => verb.to_owned(),
        "truncate" => {
            return cursor.unsupported("TRUNCATE is not supported").with_hint("Use DELETE.");
        }
        "merge" => {
            return cursor
                .unsupported("MERGE is not supported")
                .with_hint("Use INSERT .. ON CONFLICT, UPDATE and DELETE.");
        }
        "lock" => {
            return cursor.unsupported("LOCK TABLE is not supported").with_hint(
                "Add a condition on the column \"version\" to the writing statement instead.",
            );
        }
        _ => return cursor.error(),
    };
    let error = cursor.unsupported(format!("{} is not supported", feature.to_ascii_uppercase()));
    if noun == "table" || noun == "index" { error.with_hint(TABLES) } else { error }
}

/// What a CREATE, ALTER or DROP is about.
fn noun<'a>(cursor: &TokenCursor<'a>) -> &'a str {
    let mut ahead = 1;
    while matches!(
        cursor.word_nth(ahead),
        Some(
            "or" | "replace"
                | "temp"
                | "temporary"
                | "unlogged"
                | "global"
                | "local"
                | "unique"
                | "trusted"
        )
    ) {
        ahead += 1;
    }
    match (cursor.word_nth(ahead), cursor.word_nth(ahead + 1)) {
        (Some("materialized"), Some("view")) => "materialized view",
        (Some("foreign"), Some("table")) => "foreign table",
        (Some("user"), Some("mapping")) => "user mapping",
        (Some("event"), Some("trigger")) => "event trigger",
        (
            Some(
                noun @ ("table" | "index" | "schema" | "sequence" | "type" | "domain" | "function"
                | "procedure" | "trigger" | "extension" | "database" | "rule" | "policy"
                | "publication" | "subscription" | "server" | "aggregate" | "operator"
                | "collation" | "conversion" | "cast" | "language" | "statistics"
                | "tablespace" | "view" | "system" | "default" | "routine" | "transform"
                | "access" | "text" | "owned"),
            ),
            _,
        ) => noun,
        _ => "",
    }
}
