//! Binds expressions: which form is bound by what.

use sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, Expr as Ast, Subscript, UnaryOperator,
};

use super::binder::{Binder, syntax, unsupported};
use super::dialect::{SYMMETRIC, VARIADIC};
use super::rewrite::ALL_FIELDS;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, SubqueryKind};
use crate::types::functions::common_type;
use crate::types::{Datum, PgType};

impl Binder<'_> {
    /// Binds an expression over the innermost row in sight.
    pub(super) fn bind_expr(&mut self, expr: &Ast) -> Result<Expr> {
        match expr {
            Ast::Nested(inner) => self.bind_expr(inner),
            Ast::Identifier(ident) => match self.bind_bare_word(ident)? {
                Some(bound) => Ok(bound),
                None => self.bind_name(ident),
            },
            Ast::CompoundIdentifier(parts) => self.bind_qualified_name(parts),
            Ast::CompoundFieldAccess { root, access_chain } => self.bind_access(root, access_chain),
            Ast::Value(value) => self.bind_value(value),
            Ast::BinaryOp { .. } => self.bind_binary(expr),
            Ast::UnaryOp { op, expr: operand } => self.bind_unary(expr, *op, operand),
            Ast::IsTrue(input) => self.bind_is_bool(input, "IS TRUE", true, false),
            Ast::IsNotTrue(input) => self.bind_is_bool(input, "IS NOT TRUE", true, true),
            Ast::IsFalse(input) => self.bind_is_bool(input, "IS FALSE", false, false),
            Ast::IsNotFalse(input) => self.bind_is_bool(input, "IS NOT FALSE", false, true),
            Ast::IsUnknown(input) => {
                let bound = self.bind_boolean(input, "IS UNKNOWN")?;
                Ok(Expr::IsNull(Box::new(bound)))
            }
            Ast::IsNotUnknown(input) => {
                let bound = self.bind_boolean(input, "IS NOT UNKNOWN")?;
                Ok(Expr::IsNotNull(Box::new(bound)))
            }
            Ast::IsNull(input) => Ok(Expr::IsNull(Box::new(self.bind_expr(input)?))),
            Ast::IsNotNull(input) => Ok(Expr::IsNotNull(Box::new(self.bind_expr(input)?))),
            Ast::Cast { .. } | Ast::TypedString(_) => self.bind_cast(expr),
            Ast::Function(function) => self.bind_function(expr, function),
            Ast::Case { operand, conditions, else_result, .. } => {
                self.bind_case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Ast::Exists { subquery, negated } => {
                let exists = self.bind_subquery(subquery, SubqueryKind::Exists, PgType::Bool)?;
                Ok(negate_if(exists, *negated))
            }
            Ast::Subquery(query) => self.bind_scalar_subquery(query, expr),
            Ast::Tuple(fields) => Ok(Expr::Row(self.bind_row(fields)?)),
            Ast::Array(array) => self.bind_array(array, None, expr),
            Ast::Named { name, .. } if name.value == VARIADIC => {
                Err(syntax("syntax error at or near \"VARIADIC\"").at(self.at_expr(expr)))
            }
            Ast::Named { name, .. } if name.value == SYMMETRIC => {
                Err(syntax("syntax error at or near \"SYMMETRIC\"").at(self.at_expr(expr)))
            }
            _ => match self.bind_predicate(expr)? {
                Some(bound) => Ok(bound),
                None => self.bind_special(expr),
            },
        }
    }

    /// Binds an expression that has to be a boolean.
    pub(super) fn bind_boolean(&mut self, expr: &Ast, construct: &str) -> Result<Expr> {
        let bound = self.bind_expr(expr)?;
        self.as_boolean(bound, construct, expr)
    }

    fn bind_is_bool(
        &mut self,
        input: &Ast,
        construct: &str,
        value: bool,
        negated: bool,
    ) -> Result<Expr> {
        let input = Box::new(self.bind_boolean(input, construct)?);
        Ok(Expr::IsBool { input, value, negated })
    }

    /// Binds the fields of a row; values without a type become text.
    pub(super) fn bind_row(&mut self, fields: &[Ast]) -> Result<Vec<Expr>> {
        fields.iter().map(|field| self.bind_expr(field)).collect()
    }

    /// `AND`, `OR`, and chains of other operators from the left: without recursion along the chain.
    fn bind_binary(&mut self, expr: &Ast) -> Result<Expr> {
        let mut chain = Vec::new();
        let mut leftmost = expr;
        while let Ast::BinaryOp { left, op, right } = leftmost {
            if matches!(op, BinaryOperator::And | BinaryOperator::Or) {
                break;
            }
            chain.push((left, op, right));
            leftmost = left;
        }
        let mut bound = match leftmost {
            Ast::BinaryOp { op, .. } => self.bind_connective(leftmost, op)?,
            other => self.bind_expr(other)?,
        };
        for (left_ast, op, right_ast) in chain.into_iter().rev() {
            let right = self.bind_expr(right_ast)?;
            bound = self.binary(op, bound, left_ast, right, right_ast)?;
        }
        Ok(bound)
    }

    /// A balanced tree of one connective, flattened.
    fn bind_connective(&mut self, expr: &Ast, connective: &BinaryOperator) -> Result<Expr> {
        let construct = if *connective == BinaryOperator::And { "AND" } else { "OR" };
        let mut operands = Vec::new();
        let mut pending = vec![expr];
        while let Some(next) = pending.pop() {
            match next {
                Ast::BinaryOp { left, op, right } if op == connective => {
                    pending.push(right);
                    pending.push(left);
                }
                operand => operands.push(self.bind_boolean(operand, construct)?),
            }
        }
        Ok(if *connective == BinaryOperator::And {
            Expr::And(operands)
        } else {
            Expr::Or(operands)
        })
    }

    fn bind_unary(&mut self, whole: &Ast, op: UnaryOperator, operand: &Ast) -> Result<Expr> {
        let name = match op {
            UnaryOperator::Not => {
                let bound = self.bind_boolean(operand, "NOT")?;
                return Ok(Expr::Not(Box::new(bound)));
            }
            UnaryOperator::Minus => {
                if let Ast::Value(ast::ValueWithSpan {
                    value: ast::Value::Number(digits, _), ..
                }) = operand
                {
                    return self.bind_number(&format!("-{digits}"), operand);
                }
                "-"
            }
            UnaryOperator::Plus => "+",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            other => {
                return Err(unsupported(format!("operator {other}")).at(self.at_expr(whole)));
            }
        };
        let bound = self.bind_expr(operand)?;
        self.prefix_operator(name, bound, operand)
    }

    /// `CASE`: the simple form compares its operand with each value.
    fn bind_case(
        &mut self,
        operand: Option<&Ast>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Ast>,
    ) -> Result<Expr> {
        let before = self.level().no_sets.replace("CASE");
        let subject = match operand {
            Some(operand) => {
                let bound = self.bind_expr(operand)?;
                Some((self.decided(bound, Some(operand))?, operand))
            }
            None => None,
        };
        let (mut tests, mut results, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for when in conditions {
            tests.push(match &subject {
                Some((subject, origin)) => {
                    let value = self.bind_expr(&when.condition)?;
                    let test = self.binary(
                        &BinaryOperator::Eq,
                        subject.clone(),
                        origin,
                        value,
                        &when.condition,
                    )?;
                    self.as_boolean(test, "CASE/WHEN", &when.condition)?
                }
                None => self.bind_boolean(&when.condition, "CASE/WHEN")?,
            });
            results.push(self.bind_expr(&when.result)?);
            origins.push(&when.result);
        }
        let last = match otherwise {
            Some(otherwise) => self.bind_expr(otherwise)?,
            None => Expr::Literal(Datum::Null, PgType::Unknown),
        };
        self.level().no_sets = before;
        // PostgreSQL looks at the type of ELSE first.
        let types: Vec<PgType> =
            std::iter::once(last.ty()).chain(results.iter().map(Expr::ty)).collect();
        let mut all_origins = origins.clone();
        all_origins.insert(
            0,
            otherwise.unwrap_or_else(|| conditions.first().map_or(origins[0], |it| &it.result)),
        );
        let ty = common_type(&types, "CASE").map_err(|error| {
            let unfit = (1..=types.len()).find(|count| common_type(&types[..*count], "").is_err());
            error.at(unfit.and_then(|count| self.at_expr(all_origins[count - 1])))
        })?;
        let mut branches = Vec::with_capacity(tests.len());
        for ((test, result), origin) in tests.into_iter().zip(results).zip(origins) {
            branches.push((test, self.coerce(result, ty, Some(origin))?));
        }
        let otherwise = Box::new(self.coerce(last, ty, otherwise)?);
        Ok(Expr::Case { branches, otherwise, ty })
    }

    /// `x::type`, `CAST(x AS type)`, `type 'literal'`.
    fn bind_cast(&mut self, expr: &Ast) -> Result<Expr> {
        match expr {
            Ast::TypedString(typed) => {
                let target = self.data_type(&typed.data_type)?;
                let literal = self.bind_value(&typed.value)?;
                let origin = Ast::Value(typed.value.clone());
                self.cast(literal, target, Some(&origin), |_| None)
            }
            Ast::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr: inner,
                data_type,
                format: None,
            } => {
                let colons = matches!(expr, Ast::Cast { kind: CastKind::DoubleColon, .. });
                let at_type = |error: SqlError, binder: &Self| match error.position {
                    None if colons => error.at(binder.at_operator(inner, &["::"]).map(|at| at + 2)),
                    _ => error,
                };
                let target = self.data_type(data_type).map_err(|error| at_type(error, self))?;
                // An array's elements are cast one by one, so that literals among them are read.
                if let (Ast::Array(array), Some(element)) = (strip(inner), target.0.element()) {
                    let bound = self.bind_array(array, Some(element), inner)?;
                    return self.cast(bound, target, Some(inner), |binder| binder.at_expr(inner));
                }
                let bound = self.bind_expr(inner)?;
                self.cast(bound, target, Some(inner), |binder| {
                    if colons {
                        binder.at_operator(inner, &["::"])
                    } else {
                        binder.at_prefix(inner, "cast")
                    }
                })
            }
            _ => Err(syntax("syntax error in CAST").at(self.at_expr(expr))),
        }
    }

    /// `x[1]`, `x[1:2]`, `(x).field`, and chains of these.
    fn bind_access(&mut self, root: &Ast, chain: &[AccessExpr]) -> Result<Expr> {
        // `table.column[1]` comes with the column in the chain.
        let mut names = Vec::new();
        let mut rest = chain;
        if let Ast::Identifier(first) = root {
            names.push(first.clone());
            while let [AccessExpr::Dot(Ast::Identifier(next)), after @ ..] = rest {
                names.push(next.clone());
                rest = after;
            }
        }
        let (mut bound, mut place) = match names.as_slice() {
            [] => (self.bind_expr(root)?, root.clone()),
            [one] => (self.bind_expr(root)?, Ast::Identifier(one.clone())),
            several => {
                (self.bind_qualified_name(several)?, Ast::CompoundIdentifier(several.to_vec()))
            }
        };
        while let Some(next) = rest.first() {
            match next {
                AccessExpr::Dot(Ast::Identifier(field)) => {
                    bound = self.bind_field(bound, &place, field)?;
                    rest = &rest[1..];
                    // What is known of nested records ends here.
                    place = Ast::Value(ast::Value::Null.into());
                }
                AccessExpr::Dot(_) => {
                    return Err(unsupported("this field access").at(self.at_expr(root)));
                }
                AccessExpr::Subscript(_) => {
                    let count =
                        rest.iter().take_while(|it| matches!(it, AccessExpr::Subscript(_))).count();
                    let (subscripts, after) = rest.split_at(count);
                    bound = self.bind_subscripts(bound, root, subscripts)?;
                    rest = after;
                }
            }
        }
        Ok(bound)
    }

    fn bind_field(&mut self, record: Expr, place: &Ast, field: &ast::Ident) -> Result<Expr> {
        let at = self.at_ident(field);
        if field.value == ALL_FIELDS && field.quote_style == Some(super::rewrite::MARK) {
            return Err(unsupported("row expansion via \"*\" here").at(at));
        }
        if record.ty() != PgType::Record {
            let message = format!(
                "column notation .{} applied to type {}, which is not a composite type",
                field.value,
                record.ty()
            );
            return Err(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(self.at_expr(place).or(at))
            );
        }
        let fields = self.record_fields(place, &record);
        let Some(found) = fields.iter().position(|(name, _)| *name == field.value) else {
            let message =
                format!("could not identify column \"{}\" in record data type", field.value);
            return Err(
                SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(self.at_expr(place).or(at))
            );
        };
        let ty = fields[found].1;
        Ok(Expr::Field { record: Box::new(record), field: found, ty })
    }

    /// Subscripts of an array, all its dimensions at once; with one slice among them all are slices.
    fn bind_subscripts(
        &mut self,
        array: Expr,
        root: &Ast,
        subscripts: &[AccessExpr],
    ) -> Result<Expr> {
        let ty = array.ty();
        let subscripts = subscripts.iter().filter_map(|it| match it {
            AccessExpr::Subscript(subscript) => Some(subscript),
            AccessExpr::Dot(_) => None,
        });
        if ty == PgType::Jsonb {
            return self.bind_jsonb_subscripts(array, subscripts);
        }
        let Some(element) = ty.element() else {
            let message =
                format!("cannot subscript type {ty} because it does not support subscripting");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(self.at_expr(root)));
        };
        let subscripts: Vec<&Subscript> = subscripts.collect();
        if subscripts.iter().any(|it| matches!(it, Subscript::Slice { .. })) {
            let mut bounds = Vec::new();
            for subscript in subscripts {
                bounds.push(match subscript {
                    // A single number is the upper bound; the lower one is then 1.
                    Subscript::Index { index } => {
                        let one = Expr::Literal(Datum::Int4(1), PgType::Int4);
                        (Some(one), Some(self.bind_index(index)?))
                    }
                    Subscript::Slice { stride: Some(stride), .. } => {
                        return Err(
                            syntax("syntax error at or near \":\"").at(self.at_expr(stride))
                        );
                    }
                    Subscript::Slice { lower_bound, upper_bound, .. } => {
                        let lower =
                            lower_bound.as_ref().map(|bound| self.bind_index(bound)).transpose()?;
                        (
                            lower,
                            upper_bound.as_ref().map(|bound| self.bind_index(bound)).transpose()?,
                        )
                    }
                });
            }
            return Ok(Expr::Slice { array: Box::new(array), bounds, ty });
        }
        let mut indexes = Vec::new();
        for subscript in subscripts {
            if let Subscript::Index { index } = subscript {
                indexes.push(self.bind_index(index)?);
            }
        }
        Ok(Expr::Subscript { array: Box::new(array), indexes, ty: element })
    }

    fn bind_index(&mut self, index: &Ast) -> Result<Expr> {
        let bound = self.bind_expr(index)?;
        let from = bound.ty();
        let context = crate::types::functions::CoercionContext::Assignment;
        self.try_coerce(bound, PgType::Int4, context, Some(index))?.ok_or_else(|| {
            let message = format!("array subscript must have type integer, not {from}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(self.at_expr(index))
        })
    }

    /// `jsonb['key'][0]` is `->` by another name.
    fn bind_jsonb_subscripts<'s>(
        &mut self,
        mut value: Expr,
        subscripts: impl Iterator<Item = &'s Subscript>,
    ) -> Result<Expr> {
        for subscript in subscripts {
            let Subscript::Index { index } = subscript else {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "jsonb subscript does not support slices",
                ));
            };
            let bound = self.bind_expr(index)?;
            let ty = if matches!(bound.ty(), PgType::Int4 | PgType::Int2) {
                PgType::Int4
            } else {
                PgType::Text
            };
            let key = self.coerce(bound, ty, Some(index))?;
            value = self.operator("->", value, index, key, index)?;
        }
        Ok(value)
    }

    /// `ARRAY[..]`; the elements are brought to a wanted type, or to what they have in common.
    pub(super) fn bind_array(
        &mut self,
        array: &ast::Array,
        wanted: Option<PgType>,
        whole: &Ast,
    ) -> Result<Expr> {
        if !array.named {
            return Err(syntax("syntax error at or near \"[\"").at(self.at_expr(whole)));
        }
        let mut elements = Vec::with_capacity(array.elem.len());
        for element in &array.elem {
            // An inner list in brackets is an array too.
            elements.push(match element {
                Ast::Array(inner) => {
                    let inner = ast::Array { elem: inner.elem.clone(), named: true };
                    self.bind_array(&inner, wanted, element)?
                }
                other => self.bind_expr(other)?,
            });
        }
        let origins: Vec<&Ast> = array.elem.iter().collect();
        let nested = elements.iter().any(|element| element.ty().is_array());
        let element = match wanted {
            Some(element) if nested => element.array().unwrap_or(element),
            Some(element) => element,
            None if elements.is_empty() => {
                let message = "cannot determine type of empty array";
                return Err(SqlError::new(SqlState::INDETERMINATE_DATATYPE, message)
                    .with_hint(
                        "Explicitly cast to the desired type, for example ARRAY[]::integer[].",
                    )
                    .at(self.at_expr(whole)));
            }
            None => {
                let types: Vec<PgType> = elements.iter().map(Expr::ty).collect();
                common_type(&types, "ARRAY").map_err(|error| {
                    let unfit =
                        (1..=types.len()).find(|count| common_type(&types[..*count], "").is_err());
                    error.at(unfit.and_then(|count| self.at_expr(origins[count - 1])))
                })?
            }
        };
        let mut converted = Vec::with_capacity(elements.len());
        for (bound, origin) in elements.into_iter().zip(origins) {
            converted.push(match wanted {
                Some(_) => {
                    self.cast(bound, (element, -1), Some(origin), |binder| binder.at_expr(origin))?
                }
                None => self.coerce(bound, element, Some(origin))?,
            });
        }
        let ty = if element.is_array() {
            element
        } else {
            element.array().ok_or_else(|| {
                let message = format!("could not find array type for data type {element}");
                SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(self.at_expr(whole))
            })?
        };
        Ok(Expr::Array { elements: converted, ty })
    }
}

/// An expression without parentheses around it.
pub(super) fn strip(expr: &Ast) -> &Ast {
    let mut inner = expr;
    while let Ast::Nested(next) = inner {
        inner = next;
    }
    inner
}

/// `NOT`, if it is wanted.
pub(super) fn negate_if(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}
