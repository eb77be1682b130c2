//! Forms with a grammar of their own that are calls of functions: `EXTRACT`, `SUBSTRING`, `AT TIME ZONE`,
//! `CURRENT_DATE` and the like.

use sqlparser::ast::{self, CeilFloorKind, DateTimeField, Expr as Ast, TrimWhereField};

use super::binder::{Binder, syntax, unsupported};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::Expr;
use crate::types::functions::{CoercionContext, length_coercion};
use crate::types::typmod::IntervalFields;
use crate::types::{Datum, PgType};

const CATALOG: Option<&str> = Some("pg_catalog");

impl Binder<'_> {
    /// Binds a form that is a call in disguise; everything else is not offered.
    pub(super) fn bind_special(&mut self, expr: &Ast) -> Result<Expr> {
        match expr {
            Ast::Extract { field, expr: value, .. } => {
                let field = Expr::Literal(Datum::text(field_name(field)), PgType::Text);
                let bound = self.bind_expr(value)?;
                let arguments = vec![field, bound];
                self.call_scalar(
                    CATALOG,
                    "extract",
                    arguments,
                    &[value, value],
                    self.at_expr(value),
                )
            }
            Ast::AtTimeZone { timestamp, time_zone } => {
                self.bind_call(expr, "timezone", &[time_zone, timestamp])
            }
            Ast::Ceil { expr: value, field } => match field {
                CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {
                    self.bind_call(expr, "ceil", &[value])
                }
                _ => Err(syntax("syntax error in CEIL").at(self.at_expr(value))),
            },
            Ast::Floor { expr: value, field } => match field {
                CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {
                    self.bind_call(expr, "floor", &[value])
                }
                _ => Err(syntax("syntax error in FLOOR").at(self.at_expr(value))),
            },
            Ast::Position { expr: needle, r#in } => {
                self.bind_call(expr, "position", &[r#in, needle])
            }
            Ast::Overlay { expr: value, overlay_what, overlay_from, overlay_for } => {
                let mut arguments = vec![&**value, overlay_what, overlay_from];
                arguments.extend(overlay_for.as_deref());
                self.bind_call(expr, "overlay", &arguments)
            }
            Ast::Substring { expr: value, substring_from, substring_for, shorthand, .. } => {
                let name = if *shorthand { "substr" } else { "substring" };
                self.bind_substring(
                    expr,
                    name,
                    value,
                    substring_from.as_deref(),
                    substring_for.as_deref(),
                )
            }
            Ast::Trim { trim_where, trim_what, expr: value, trim_characters } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let mut arguments = vec![&**value];
                arguments.extend(trim_what.as_deref());
                arguments.extend(trim_characters.iter().flatten());
                self.bind_call(expr, name, &arguments)
            }
            Ast::Collate { expr: value, collation } => self.bind_collate(value, collation),
            Ast::Interval(interval) => self.bind_interval(interval),
            Ast::GroupingSets(_) | Ast::Cube(_) | Ast::Rollup(_) => {
                Err(syntax("grouping sets are allowed in GROUP BY only").at(self.at_expr(expr)))
            }
            Ast::Wildcard(_) | Ast::QualifiedWildcard(..) => {
                Err(unsupported("row expansion via \"*\" here").at(self.at_expr(expr)))
            }
            other => Err(unsupported(form_name(other)).at(self.at_expr(other))),
        }
    }

    /// Binds a call of a function over expressions.
    fn bind_call(&mut self, whole: &Ast, name: &str, arguments: &[&Ast]) -> Result<Expr> {
        let bound = arguments
            .iter()
            .map(|argument| self.bind_expr(argument))
            .collect::<Result<Vec<_>>>()?;
        self.call_scalar(CATALOG, name, bound, arguments, self.at_expr(whole))
    }

    /// `SUBSTRING(x FROM a FOR b)`: without `FROM` it starts at 1; with a text after `FROM` it is a pattern.
    fn bind_substring(
        &mut self,
        whole: &Ast,
        name: &str,
        value: &Ast,
        from: Option<&Ast>,
        length: Option<&Ast>,
    ) -> Result<Expr> {
        let mut arguments = vec![self.bind_expr(value)?];
        let mut origins = vec![value];
        arguments.push(match from {
            Some(from) => self.bind_expr(from)?,
            None => Expr::Literal(Datum::Int4(1), PgType::Int4),
        });
        origins.push(from.unwrap_or(value));
        if let Some(length) = length {
            let bound = self.bind_expr(length)?;
            // Without FROM the length has to be a number.
            arguments.push(match from {
                None => self.coerce(bound, PgType::Int4, Some(length))?,
                Some(_) => bound,
            });
            origins.push(length);
        }
        self.call_scalar(CATALOG, name, arguments, &origins, self.at_expr(whole))
    }

    /// Values are compared bytewise: only the collations that say so are accepted.
    fn bind_collate(&mut self, value: &Ast, collation: &ast::ObjectName) -> Result<Expr> {
        let bound = self.bind_expr(value)?;
        let parts: Vec<&str> = collation
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|it| it.value.as_str())
            .collect();
        let at = self.at_name(collation);
        match parts.as_slice() {
            ["default" | "C" | "POSIX" | "ucs_basic"]
            | ["pg_catalog", "default" | "C" | "POSIX" | "ucs_basic"] => {}
            _ => {
                let message = format!(
                    "collation \"{}\" for encoding \"UTF8\" does not exist",
                    parts.join(".")
                );
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(at));
            }
        }
        let ty = bound.ty();
        let collatable = matches!(ty, PgType::Unknown) || ty.category() == b'S' || ty.is_array();
        if !collatable {
            let message = format!("collations are not supported by type {ty}");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(at));
        }
        Ok(bound)
    }

    /// `INTERVAL '..'` with an optional field: a number alone counts in the last field.
    fn bind_interval(&mut self, interval: &ast::Interval) -> Result<Expr> {
        let literal = match &*interval.value {
            Ast::Value(value) => self.bind_value(value)?,
            other => return Err(syntax("syntax error in INTERVAL").at(self.at_expr(other))),
        };
        let Expr::Literal(Datum::Text(text), PgType::Unknown) = &literal else {
            return Err(syntax("syntax error in INTERVAL").at(self.at_expr(&interval.value)));
        };
        let text = text.to_string();
        let typmod =
            interval_typmod(interval).map_err(|error| error.at(self.at_expr(&interval.value)))?;
        self.read_interval(&text, typmod, Some(&interval.value))
    }

    /// Words that are calls without parentheses: `CURRENT_USER` and the like. None if the word is a name.
    pub(super) fn bind_bare_word(&mut self, ident: &ast::Ident) -> Result<Option<Expr>> {
        if ident.quote_style.is_some() {
            return Ok(None);
        }
        if ident.value == "default" {
            return Err(syntax("DEFAULT is not allowed in this context").at(self.at_ident(ident)));
        }
        self.bind_value_function(ident, None)
    }

    /// `CURRENT_DATE`, `LOCALTIME(3)`, `CURRENT_USER` …; none for other names.
    pub(super) fn bind_value_function(
        &mut self,
        ident: &ast::Ident,
        precision: Option<i32>,
    ) -> Result<Option<Expr>> {
        let at = self.at_ident(ident);
        let ty = match ident.value.as_str() {
            "current_date" => PgType::Date,
            "current_time" => PgType::TimeTz,
            "current_timestamp" => PgType::TimestampTz,
            "localtime" => PgType::Time,
            "localtimestamp" => PgType::Timestamp,
            word => {
                let function = match word {
                    "current_user" | "user" | "current_role" => "current_user",
                    "session_user" => "session_user",
                    "current_catalog" => "current_database",
                    "current_schema" => "current_schema",
                    _ => return Ok(None),
                };
                return self.call_scalar(CATALOG, function, vec![], &[], at).map(Some);
            }
        };
        let now = self.call_scalar(CATALOG, "now", vec![], &[], at)?;
        let value = self.cast(now, (ty, -1), None, |_| at)?;
        let step =
            precision.and_then(|it| length_coercion(ty, it.clamp(0, 6), CoercionContext::Implicit));
        Ok(Some(match step {
            Some(step) => super::coerce::apply_step(value, step),
            None => value,
        }))
    }
}

/// The name of a field of a date or time, as `extract` wants it.
pub(super) fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.to_ascii_lowercase(),
        DateTimeField::Week(None) => "week".to_owned(),
        other => other.to_string().to_ascii_lowercase(),
    }
}

/// The type modifier of `INTERVAL '..' DAY TO SECOND(3)`.
fn interval_typmod(interval: &ast::Interval) -> Result<i32> {
    let Some(first) = interval.leading_field.as_ref().map(field_name) else { return Ok(-1) };
    let last = interval.last_field.as_ref().map(field_name);
    let invalid = |word: &str| syntax(format!("syntax error at or near \"{word}\""));
    let fields = IntervalFields::from_names(&first, last.as_deref())
        .ok_or_else(|| invalid(last.as_deref().unwrap_or(&first)))?;
    // Only seconds have decimal places; `sqlparser` gives those of a field alone as the leading precision.
    let places = match (interval.leading_precision, interval.fractional_seconds_precision) {
        (None, places) => places,
        (Some(places), None) if first == "second" => Some(places),
        _ => return Err(invalid("(")),
    };
    fields.typmod(places.map(|it| i32::try_from(it).unwrap_or(i32::MAX)))
}

/// What a form is called when it is refused.
fn form_name(expr: &Ast) -> &'static str {
    match expr {
        Ast::IsJson { .. } => "IS JSON",
        Ast::IsNormalized { .. } => "IS NORMALIZED",
        Ast::JsonAccess { .. } => "this access to JSON",
        Ast::InUnnest { .. } => "IN UNNEST",
        Ast::Convert { .. } => "CONVERT",
        Ast::Prefixed { .. } => "a literal with a character set",
        Ast::Lambda(_) => "a lambda function",
        _ => "this expression",
    }
}
