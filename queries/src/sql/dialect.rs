//! PostgreSQL's grammar as `sqlparser` knows it, put right where it differs from PostgreSQL 15.
//!
//! The dialect wraps [`PostgreSqlDialect`] and takes its identity, so that the parser's tests for it hold. What it
//! changes:
//! - `FOR SYSTEM_TIME AS OF` is parsed;
//! - chains of `AND` and of `OR` become balanced trees, however long they are;
//! - operators bind as in PostgreSQL, and comparisons do not chain;
//! - `COLLATE` may follow any operand, `interval(3)` a literal;
//! - `BETWEEN SYMMETRIC`, `VARIADIC` and `type 'literal'` are parsed, the first two into [`Expr::Named`] with the
//!   names [`SYMMETRIC`] and [`VARIADIC`], which nothing else makes.

use std::any::TypeId;

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Ident, ObjectName, TypedString, UnaryOperator,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Word};

/// The name of the wrapper around the first bound of a `BETWEEN SYMMETRIC`.
pub(super) const SYMMETRIC: &str = "between symmetric";
/// The name of the wrapper around an argument given as `VARIADIC`.
pub(super) const VARIADIC: &str = "variadic argument";

/// PostgreSQL 15's dialect, and ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct RotabaseDialect;

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};
/// Binds tighter than `COLLATE`: what stands after an unary sign.
const SIGN_PRECEDENCE: u8 = 120;
/// As tight as all operators without a rule of their own.
const OTHER_PRECEDENCE: u8 = 70;

macro_rules! as_postgres {
    ($($method:ident),* $(,)?) => {
        $(fn $method(&self) -> bool {
            POSTGRES.$method()
        })*
    };
}

impl Dialect for RotabaseDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRES.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        POSTGRES.is_reserved_for_identifier(kw)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        POSTGRES.is_table_alias(kw, parser)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRES.is_custom_operator_part(ch)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        POSTGRES.prec_value(prec)
    }

    as_postgres! {
        supports_unicode_string_literal, supports_filter_during_aggregation, supports_group_by_expr,
        supports_alter_user_as_alter_role, allow_extract_custom, allow_extract_single_quotes,
        supports_create_index_with_clause, supports_explain_with_utility_options, supports_listen_notify,
        supports_exclude_constraint, supports_factorial_operator, supports_bitwise_shift_operators,
        supports_comment_on, supports_load_extension, supports_named_fn_args_with_colon_operator,
        supports_named_fn_args_with_expr_name, supports_empty_projections, supports_nested_comments,
        supports_string_escape_constant, supports_array_typedef_with_brackets, supports_geometric_types,
        supports_order_by_using_operator, supports_set_names, supports_alter_column_type_using,
        supports_left_associative_joins_without_parens, supports_notnull_operator, supports_interval_options,
        supports_insert_table_alias, supports_create_table_like_parenthesized, supports_comma_separated_trim,
        supports_xml_expressions, supports_aliased_function_args,
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            // These are operators like any other; `sqlparser` would bind them as comparisons or as `^`.
            Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::Sharp
            | Token::Ampersand
            | Token::Pipe => Some(Ok(OTHER_PRECEDENCE)),
            Token::Word(word) if word.keyword == Keyword::OPERATOR => Some(Ok(OTHER_PRECEDENCE)),
            // Words that are operators elsewhere are names here.
            Token::Word(word)
                if matches!(
                    word.keyword,
                    Keyword::XOR
                        | Keyword::DIV
                        | Keyword::RLIKE
                        | Keyword::REGEXP
                        | Keyword::MATCH
                        | Keyword::MEMBER
                ) =>
            {
                Some(Ok(0))
            }
            Token::Word(word) if word.quote_style.is_none() && word.value == "isnull" => {
                Some(Ok(POSTGRES.prec_value(Precedence::Is)))
            }
            Token::ExclamationMark | Token::Assignment | Token::DoubleEq | Token::Spaceship => {
                Some(Ok(0))
            }
            _ => POSTGRES.get_next_precedence(parser),
        }
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::Minus | Token::Plus => Some(parse_sign(parser)),
            Token::Tilde => Some(parse_unary(parser, UnaryOperator::BitwiseNot)),
            Token::AtSign => Some(parse_unary(parser, UnaryOperator::PGAbs)),
            Token::PGSquareRoot => Some(parse_unary(parser, UnaryOperator::PGSquareRoot)),
            Token::PGCubeRoot => Some(parse_unary(parser, UnaryOperator::PGCubeRoot)),
            Token::Word(word) if word.quote_style.is_none() && word.value == "variadic" => {
                parser.next_token();
                Some(parser.parse_expr().map(|expr| named(expr, VARIADIC)))
            }
            Token::Word(word) if word.quote_style.is_none() && word.value == "symmetric" => {
                parser.next_token();
                let precedence = POSTGRES.prec_value(Precedence::Between);
                Some(parser.parse_subexpr(precedence).map(|expr| named(expr, SYMMETRIC)))
            }
            Token::Word(word)
                if word.keyword == Keyword::INTERVAL
                    && word.quote_style.is_none()
                    && parser.peek_nth_token_ref(1).token == Token::LParen =>
            {
                Some(parse_interval_with_places(parser))
            }
            Token::Word(word)
                if is_type_name(word) && is_string(&parser.peek_nth_token_ref(1).token) =>
            {
                Some(parse_typed_string(parser))
            }
            _ => None,
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::Word(word) if word.keyword == Keyword::AND => {
                Some(parse_chain(parser, expr, Keyword::AND, &BinaryOperator::And, precedence))
            }
            Token::Word(word) if word.keyword == Keyword::OR => {
                Some(parse_chain(parser, expr, Keyword::OR, &BinaryOperator::Or, precedence))
            }
            Token::Word(word) if word.keyword == Keyword::COLLATE => {
                parser.next_token();
                let collation = parser.parse_object_name(false);
                let collate = |collation| Expr::Collate { expr: Box::new(expr.clone()), collation };
                Some(collation.map(collate))
            }
            Token::Word(word) if word.quote_style.is_none() && word.value == "isnull" => {
                parser.next_token();
                Some(Ok(Expr::IsNull(Box::new(expr.clone()))))
            }
            Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq
                if is_comparison(expr) =>
            {
                Some(parser.expected_ref("no second comparison", parser.peek_token_ref()))
            }
            _ => None,
        }
    }
}

fn named(expr: Expr, name: &str) -> Expr {
    Expr::Named { expr: Box::new(expr), name: Ident::new(name) }
}

fn is_comparison(expr: &Expr) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(expr, Expr::BinaryOp { op: Eq | NotEq | Lt | LtEq | Gt | GtEq, .. })
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::DollarQuotedString(_)
    )
}

/// Whether a word before a string names the string's type. Types with a grammar of their own are left to the parser.
fn is_type_name(word: &Word) -> bool {
    word.quote_style.is_some()
        || matches!(
            word.keyword,
            Keyword::NoKeyword
                | Keyword::NAME
                | Keyword::REGCLASS
                | Keyword::TEXT
                | Keyword::UUID
                | Keyword::BOOL
                | Keyword::BYTEA
                | Keyword::JSON
                | Keyword::JSONB
                | Keyword::INT2
                | Keyword::INT4
                | Keyword::INT8
                | Keyword::FLOAT4
                | Keyword::FLOAT8
        )
}

/// `type 'literal'` for a type that is one word.
fn parse_typed_string(parser: &mut Parser) -> Result<Expr, ParserError> {
    let name = parser.parse_identifier()?;
    let value = parser.parse_value()?;
    let data_type = DataType::Custom(ObjectName::from(vec![name]), vec![]);
    Ok(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
}

/// `interval(3) '..'`.
fn parse_interval_with_places(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.next_token();
    let precision = parser.parse_optional_precision()?;
    let value = parser.parse_value()?;
    let data_type = DataType::Interval { fields: None, precision };
    Ok(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
}

/// A sign binds tighter than `^`, `*` and `AT TIME ZONE`.
fn parse_sign(parser: &mut Parser) -> Result<Expr, ParserError> {
    let op = if parser.next_token().token == Token::Minus {
        UnaryOperator::Minus
    } else {
        UnaryOperator::Plus
    };
    let expr = Box::new(parser.parse_subexpr(SIGN_PRECEDENCE)?);
    Ok(Expr::UnaryOp { op, expr })
}

fn parse_unary(parser: &mut Parser, op: UnaryOperator) -> Result<Expr, ParserError> {
    parser.next_token();
    let expr = Box::new(parser.parse_subexpr(OTHER_PRECEDENCE)?);
    Ok(Expr::UnaryOp { op, expr })
}

/// All operands of a chain of `AND` or of `OR`, as a balanced tree: both are associative, and a tree as deep as the
/// chain is long would overflow the stack of whoever walks or drops it.
fn parse_chain(
    parser: &mut Parser,
    first: &Expr,
    keyword: Keyword,
    op: &BinaryOperator,
    precedence: u8,
) -> Result<Expr, ParserError> {
    let mut operands = vec![first.clone()];
    while parser.parse_keyword(keyword) {
        operands.push(parser.parse_subexpr(precedence)?);
    }
    while operands.len() > 1 {
        let mut halved = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            halved.push(match rest.next() {
                Some(right) => {
                    Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }
                }
                None => left,
            });
        }
        operands = halved;
    }
    Ok(operands.pop().expect("there was a first operand"))
}
