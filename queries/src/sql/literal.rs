//! Constants and parameters.

use sqlparser::ast::{self, Expr as Ast, Value};

use super::binder::{Binder, syntax, unsupported};
use crate::error::Result;
use crate::plan::Expr;
use crate::types::text::{self, ReadContext};
use crate::types::{Datum, PgType};

impl Binder<'_> {
    /// Binds a constant or a parameter.
    pub(super) fn bind_value(&mut self, value: &ast::ValueWithSpan) -> Result<Expr> {
        let unknown = |text: &str| Ok(Expr::Literal(Datum::text(text), PgType::Unknown));
        match &value.value {
            Value::Number(digits, _) => self.bind_number(digits, &Ast::Value(value.clone())),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => unknown(text),
            Value::DollarQuotedString(text) => unknown(&text.value),
            Value::Boolean(it) => Ok(Expr::Literal(Datum::Bool(*it), PgType::Bool)),
            Value::Null => Ok(Expr::Literal(Datum::Null, PgType::Unknown)),
            Value::Placeholder(name) => {
                let position = self.at(value.span.start);
                let Some(number) =
                    name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok())
                else {
                    return Err(syntax(format!("syntax error at or near \"{name}\"")).at(position));
                };
                let (place, ty) = self.parameters.refer(number, position)?;
                Ok(Expr::Parameter(place, ty))
            }
            Value::HexStringLiteral(_) | Value::SingleQuotedByteStringLiteral(_) => {
                Err(unsupported("a bit string").at(self.at(value.span.start)))
            }
            other => Err(syntax(format!("syntax error at or near \"{other}\""))
                .at(self.at(value.span.start))),
        }
    }

    /// A number: the smallest of `integer`, `bigint` and `numeric` that holds it.
    pub(super) fn bind_number(&mut self, digits: &str, origin: &Ast) -> Result<Expr> {
        if let Ok(value) = digits.parse::<i32>() {
            return Ok(Expr::Literal(Datum::Int4(value), PgType::Int4));
        }
        if let Ok(value) = digits.parse::<i64>() {
            return Ok(Expr::Literal(Datum::Int8(value), PgType::Int8));
        }
        let context = ReadContext { settings: self.settings, now: 0 };
        let value = text::read(PgType::Numeric, digits, &context)
            .map_err(|error| error.at(self.at_expr(origin)))?;
        Ok(Expr::Literal(value, PgType::Numeric))
    }
}
