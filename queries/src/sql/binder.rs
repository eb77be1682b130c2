//! The state of binding one statement, and the stack of rows in sight.

use std::sync::Arc;

use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::{Location, Token, Tokenizer};

use super::bound::WritingCte;
use super::cte::{CteEntry, WithPlace};
use super::dialect::RotabaseDialect;
use super::parameters::Parameters;
use super::position::Positions;
use super::scope::{Clause, Level, Namespace};
use super::token_cursor::{syntax_error_at, syntax_error_at_end};
use crate::as_of::Instant;
use crate::catalog::Catalog;
use crate::error::{Result, SqlError, SqlState};
use crate::exec::Settings;
use crate::types::PgType;

/// How deep views may use views.
pub(super) const VIEW_DEPTH_MAX: usize = 32;

/// Binds one statement.
pub(super) struct Binder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) settings: &'a Settings,
    /// The lines of the statement's text; none within a view, whose text the client did not send.
    pub(super) positions: Option<Arc<Positions>>,
    pub(super) parameters: Parameters,
    pub(super) levels: Vec<Level>,
    /// The common table expressions in sight, innermost last.
    pub(super) ctes: Vec<CteEntry>,
    /// The next number of a common table expression.
    pub(super) next_cte: usize,
    /// The lowest place in the stack of levels that was referred to.
    pub(super) lowest: usize,
    /// What a WITH may have at this place.
    pub(super) with_place: WithPlace,
    /// The statements that change data of the outermost WITH.
    pub(super) writes: Vec<WritingCte>,
    /// The locking clause that was bound last.
    pub(super) locks: Option<&'static str>,
    /// How many views this is in.
    pub(super) view_depth: usize,
    /// The instant that the view it is in is read as of.
    pub(super) instant: Option<Arc<Instant>>,
    /// Of the query bound last: the fields of its columns that are records.
    pub(super) target_fields: Vec<Vec<(String, PgType)>>,
    /// Of the query bound last: where its columns stand.
    pub(super) target_positions: Vec<Option<usize>>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        settings: &'a Settings,
        positions: Option<Arc<Positions>>,
    ) -> Self {
        Self {
            catalog,
            settings,
            positions,
            parameters: Parameters::default(),
            levels: Vec::new(),
            ctes: Vec::new(),
            next_cte: 0,
            lowest: usize::MAX,
            with_place: WithPlace::Nested,
            writes: Vec::new(),
            locks: None,
            view_depth: 0,
            instant: None,
            target_fields: Vec::new(),
            target_positions: Vec::new(),
        }
    }

    /// The row that expressions are over.
    pub(super) fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::new(Namespace::default(), Clause::Arguments));
        }
        self.levels.last_mut().expect("one was just pushed")
    }

    /// Binds something in a clause of the present level.
    pub(super) fn in_clause<T>(
        &mut self,
        clause: Clause,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.level().clause, clause);
        let bound = bind(self);
        self.level().clause = before;
        bound
    }

    /// Binds something over a row of its own, and gives the level back.
    pub(super) fn with_level<T>(
        &mut self,
        level: Level,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Level)> {
        self.levels.push(level);
        let bound = bind(self);
        let level = self.levels.pop().expect("it was pushed above");
        Ok((bound?, level))
    }

    /// Binds something, and tells whether it refers to a row outside of the levels that it pushes itself.
    pub(super) fn watching_outer<T>(
        &mut self,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, bool)> {
        let before = std::mem::replace(&mut self.lowest, usize::MAX);
        let height = self.levels.len();
        let bound = bind(self)?;
        let correlated = self.lowest < height;
        self.lowest = before.min(self.lowest);
        Ok((bound, correlated))
    }

    /// The place of a location, in characters from 1.
    pub(super) fn at(&self, location: Location) -> Option<usize> {
        self.positions.as_ref()?.character(location)
    }

    /// The place where a name stands.
    pub(super) fn at_ident(&self, ident: &ast::Ident) -> Option<usize> {
        self.at(ident.span.start)
    }

    /// The place where an expression begins.
    pub(super) fn at_expr(&self, expr: &ast::Expr) -> Option<usize> {
        self.at(expr.span().start)
    }

    /// The place where a name of several parts begins.
    pub(super) fn at_name(&self, name: &ast::ObjectName) -> Option<usize> {
        self.at(name.span().start)
    }

    /// The place of an operator behind its left side, found by looking at the tokens again. Only errors need it.
    pub(super) fn at_operator(&self, left: &ast::Expr, spellings: &[&str]) -> Option<usize> {
        let positions = self.positions.as_ref()?;
        let start = left.span().end;
        if start.line == 0 {
            return None;
        }
        let mut tokens = Vec::new();
        Tokenizer::new(&RotabaseDialect, positions.text())
            .tokenize_with_location_into_buf(&mut tokens)
            .ok()?;
        let behind = tokens.iter().skip_while(|token| token.span.start < start);
        let found =
            behind.filter(|token| !matches!(token.token, Token::Whitespace(_))).find(|token| {
                let text = token.token.to_string();
                spellings.iter().any(|spelling| text.eq_ignore_ascii_case(spelling))
            });
        positions.character(found?.span.start)
    }

    /// A syntax error at the token behind a location.
    pub(super) fn syntax_error_behind(&self, end: Location) -> SqlError {
        let Some(positions) = &self.positions else { return syntax("syntax error") };
        let mut tokens = Vec::new();
        let dialect = RotabaseDialect;
        let lexed =
            Tokenizer::new(&dialect, positions.text()).tokenize_with_location_into_buf(&mut tokens);
        let mut behind = tokens.iter().filter(|token| {
            token.span.start >= end && !matches!(token.token, Token::Whitespace(_))
        });
        match (lexed, behind.next()) {
            (Ok(()), Some(token)) if token.token != Token::SemiColon => {
                syntax_error_at(token, positions)
            }
            (Ok(()), Some(token)) => {
                syntax("syntax error at or near \";\"").at(positions.character(token.span.start))
            }
            _ => syntax_error_at_end(positions),
        }
    }

    /// The place of a prefix operator before its operand.
    pub(super) fn at_prefix(&self, operand: &ast::Expr, spelling: &str) -> Option<usize> {
        self.at_before(operand.span().start, spelling)
    }

    /// The place of the nearest token before a location that is spelled so.
    pub(super) fn at_before(&self, end: Location, spelling: &str) -> Option<usize> {
        let positions = self.positions.as_ref()?;
        let mut tokens = Vec::new();
        Tokenizer::new(&RotabaseDialect, positions.text())
            .tokenize_with_location_into_buf(&mut tokens)
            .ok()?;
        let before = tokens.iter().rev().skip_while(|token| token.span.start >= end);
        let mut found =
            before.filter(|token| token.token.to_string().eq_ignore_ascii_case(spelling));
        positions.character(found.next()?.span.start)
    }
}

/// A feature that is not offered.
pub(super) fn unsupported(what: impl AsRef<str>) -> SqlError {
    SqlError::unsupported(format!("{} is not supported", what.as_ref()))
}

/// A syntax error that only binding finds.
pub(super) fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}
