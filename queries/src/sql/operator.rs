//! Operators: which function they are, and comparisons of rows, which are comparisons of their fields.

use sqlparser::ast::{BinaryOperator, Expr as Ast};

use super::binder::{Binder, unsupported};
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Call, Expr};
use crate::types::functions::{ScalarFunction, common_type, resolve_operator};
use crate::types::{Datum, PgType};

/// The name in `pg_operator` of an operator that is written between its operands.
pub(super) fn operator_name(op: &BinaryOperator) -> Option<String> {
    use BinaryOperator as B;
    Some(match op {
        B::NotEq => "<>".to_owned(),
        B::Custom(name) => normal(name).to_owned(),
        B::PGCustomBinaryOperator(parts) => match parts.as_slice() {
            [name] => normal(name).to_owned(),
            [schema, name] if schema.eq_ignore_ascii_case("pg_catalog") => normal(name).to_owned(),
            _ => return None,
        },
        B::And | B::Or | B::Xor | B::Overlaps | B::Match | B::Regexp | B::Glob | B::Assignment => {
            return None;
        }
        other => other.to_string(),
    })
}

fn normal(name: &str) -> &str {
    if name == "!=" { "<>" } else { name }
}

impl Binder<'_> {
    /// Binds an operator between two bound operands.
    pub(super) fn binary(
        &mut self,
        op: &BinaryOperator,
        left: Expr,
        left_ast: &Ast,
        right: Expr,
        right_ast: &Ast,
    ) -> Result<Expr> {
        if *op == BinaryOperator::Overlaps {
            return self.overlaps(left, left_ast, right, right_ast);
        }
        let Some(name) = operator_name(op) else {
            let message = match op {
                BinaryOperator::PGCustomBinaryOperator(parts) => {
                    format!("operator {}", parts.join("."))
                }
                other => format!("operator {other}"),
            };
            return Err(unsupported(message).at(self.at_expr(left_ast)));
        };
        match (left, right) {
            (Expr::Row(left), Expr::Row(right)) if is_comparison(&name) => {
                self.compare_rows(&name, left, left_ast, right, right_ast)
            }
            (left, right) => self.operator(&name, left, left_ast, right, right_ast),
        }
    }

    /// Binds an operator by its name.
    pub(super) fn operator(
        &mut self,
        name: &str,
        left: Expr,
        left_ast: &Ast,
        right: Expr,
        right_ast: &Ast,
    ) -> Result<Expr> {
        let resolved = resolve_operator(name, Some(left.ty()), right.ty())
            .map_err(|error| error.at(self.at_binary(name, left_ast)))?;
        let left = self.coerce(left, resolved.arguments[0], Some(left_ast))?;
        let right = self.coerce(right, resolved.arguments[1], Some(right_ast))?;
        let extra = resolved.extra.map(|(value, ty)| Expr::Literal(value, ty));
        let arguments = [left, right].into_iter().chain(extra).collect();
        Ok(Expr::Call(Call {
            function: resolved.function,
            arguments,
            ty: resolved.result,
            position: None,
        }))
    }

    /// The place of an operator in the text; only errors look for it.
    pub(super) fn at_binary(&self, name: &str, left: &Ast) -> Option<usize> {
        let spellings: &[&str] = match name {
            "<>" => &["<>", "!="],
            "~~" => &["~~", "like"],
            "!~~" => &["!~~", "not"],
            "~~*" => &["~~*", "ilike"],
            "!~~*" => &["!~~*", "not"],
            "~" => &["~", "similar"],
            "!~" => &["!~", "not"],
            "=" => &["=", "in", "is"],
            "<=" => &["<=", "between", "and"],
            ">=" => &[">=", "between"],
            _ => return self.at_operator(left, &[name, "operator"]),
        };
        self.at_operator(left, spellings)
    }

    /// Binds a prefix operator.
    pub(super) fn prefix_operator(
        &mut self,
        name: &str,
        operand: Expr,
        operand_ast: &Ast,
    ) -> Result<Expr> {
        let resolved = resolve_operator(name, None, operand.ty())
            .map_err(|error| error.at(self.at_prefix(operand_ast, name)))?;
        let operand = self.coerce(operand, resolved.arguments[0], Some(operand_ast))?;
        let extra = resolved.extra.map(|(value, ty)| Expr::Literal(value, ty));
        let arguments = std::iter::once(operand).chain(extra).collect();
        Ok(Expr::Call(Call {
            function: resolved.function,
            arguments,
            ty: resolved.result,
            position: None,
        }))
    }

    /// The function of an operator over values of one type, for constructs that compare: the operands are brought to
    /// the type first.
    pub(super) fn comparison_of(
        &self,
        name: &str,
        ty: PgType,
        left_ast: &Ast,
    ) -> Result<(&'static ScalarFunction, [PgType; 2])> {
        let resolved = resolve_operator(name, Some(ty), ty)
            .map_err(|error| error.at(self.at_binary(name, left_ast)))?;
        Ok((resolved.function, [resolved.arguments[0], resolved.arguments[1]]))
    }

    /// Brings two values to one type that has an equality operator.
    pub(super) fn comparable(
        &mut self,
        left: Expr,
        left_ast: &Ast,
        right: Expr,
        right_ast: &Ast,
    ) -> Result<(Expr, Expr)> {
        let resolved = resolve_operator("=", Some(left.ty()), right.ty())
            .map_err(|error| error.at(self.at_binary("=", left_ast)))?;
        let ty = common_type(&resolved.arguments, "=")?;
        Ok((self.coerce(left, ty, Some(left_ast))?, self.coerce(right, ty, Some(right_ast))?))
    }

    /// `(a, b) op (c, d)`: equality of all fields, or the order of the first that differ.
    pub(super) fn compare_rows(
        &mut self,
        name: &str,
        left: Vec<Expr>,
        left_ast: &Ast,
        right: Vec<Expr>,
        right_ast: &Ast,
    ) -> Result<Expr> {
        if left.len() != right.len() {
            let at = self.at_binary(name, left_ast);
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "unequal number of entries in row expressions",
            )
            .at(at));
        }
        if left.is_empty() {
            let at = self.at_binary(name, left_ast);
            return Err(SqlError::unsupported("cannot compare rows of zero length").at(at));
        }
        let pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
        let (left_asts, right_asts) = (parts(left_ast, pairs.len()), parts(right_ast, pairs.len()));
        let each = |binder: &mut Self, name: &str, n: usize, (left, right): (Expr, Expr)| match (
            left, right,
        ) {
            (Expr::Row(left), Expr::Row(right)) => {
                binder.compare_rows(name, left, left_asts[n], right, right_asts[n])
            }
            (left, right) => binder.operator(name, left, left_asts[n], right, right_asts[n]),
        };
        if matches!(name, "=" | "<>") {
            let mut fields = Vec::with_capacity(pairs.len());
            for (n, pair) in pairs.into_iter().enumerate() {
                fields.push(each(self, name, n, pair)?);
            }
            return Ok(match fields.len() {
                1 => fields.remove(0),
                _ if name == "=" => Expr::And(fields),
                _ => Expr::Or(fields),
            });
        }
        // From the last field on: strictly before, or equal and what follows decides.
        let strict = if name.starts_with('<') { "<" } else { ">" };
        let mut decided: Option<Expr> = None;
        for (n, pair) in pairs.into_iter().enumerate().rev() {
            decided = Some(match decided {
                None => each(self, name, n, pair)?,
                Some(rest) => {
                    let before = each(self, strict, n, pair.clone())?;
                    let pair = (self.again(&pair.0), self.again(&pair.1));
                    let equal = each(self, "=", n, pair)?;
                    Expr::Or(vec![before, Expr::And(vec![equal, rest])])
                }
            });
        }
        Ok(decided.unwrap_or(Expr::Literal(Datum::Null, PgType::Bool)))
    }

    /// `(start, end) OVERLAPS (start, end)`.
    fn overlaps(
        &mut self,
        left: Expr,
        left_ast: &Ast,
        right: Expr,
        right_ast: &Ast,
    ) -> Result<Expr> {
        let (Expr::Row(left), Expr::Row(right)) = (left, right) else {
            let at = self.at_expr(left_ast);
            return Err(super::binder::syntax("syntax error at or near \"OVERLAPS\"").at(at));
        };
        for (row, ast, side) in [(&left, left_ast, "left"), (&right, right_ast, "right")] {
            if row.len() != 2 {
                let message =
                    format!("wrong number of parameters on {side} side of OVERLAPS expression");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.at_expr(ast)));
            }
        }
        let origins: Vec<Ast> =
            [left_ast, right_ast].iter().flat_map(|ast| parts(ast, 2)).cloned().collect();
        let arguments = left.into_iter().chain(right).collect();
        let origins: Vec<&Ast> = origins.iter().collect();
        self.call_scalar(
            Some("pg_catalog"),
            "overlaps",
            arguments,
            &origins,
            self.at_expr(left_ast),
        )
    }
}

fn is_comparison(name: &str) -> bool {
    matches!(name, "=" | "<>" | "<" | "<=" | ">" | ">=")
}

/// The expressions that a row was written as; the row itself where it was not written field by field.
pub(super) fn parts(row: &Ast, count: usize) -> Vec<&Ast> {
    match super::expr::strip(row) {
        Ast::Tuple(fields) if fields.len() == count => fields.iter().collect(),
        _ => vec![row; count],
    }
}
