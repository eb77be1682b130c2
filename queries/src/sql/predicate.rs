//! Predicates: `IN`, `BETWEEN`, `LIKE`, `IS DISTINCT FROM`, `ANY` and `ALL`.

use sqlparser::ast::{self, BinaryOperator, Expr as Ast};

use super::binder::{Binder, syntax, unsupported};
use super::dialect::SYMMETRIC;
use super::expr::{negate_if, strip};
use super::operator::operator_name;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Expr, SubqueryKind};
use crate::types::PgType;
use crate::types::functions::{common_type, resolve_operator};

impl Binder<'_> {
    /// Binds a predicate; none if the expression is something else.
    pub(super) fn bind_predicate(&mut self, expr: &Ast) -> Result<Option<Expr>> {
        Ok(Some(match expr {
            Ast::IsDistinctFrom(left, right) => self.bind_distinct(left, right, false)?,
            Ast::IsNotDistinctFrom(left, right) => self.bind_distinct(left, right, true)?,
            Ast::InList { expr: input, list, negated } => {
                self.bind_in_list(input, list, *negated)?
            }
            Ast::InSubquery { expr: input, subquery, negated } => {
                let bound = self.bind_quantified_query(input, "=", subquery, false)?;
                negate_if(bound, *negated)
            }
            Ast::Between { expr: input, negated, low, high } => {
                self.bind_between(input, low, high, *negated)?
            }
            Ast::Like { negated, any, expr: input, pattern, escape_char } => {
                let name = if *negated { "!~~" } else { "~~" };
                self.bind_like(name, input, pattern, escape_char.as_deref(), *any)?
            }
            Ast::ILike { negated, any, expr: input, pattern, escape_char } => {
                let name = if *negated { "!~~*" } else { "~~*" };
                self.bind_like(name, input, pattern, escape_char.as_deref(), *any)?
            }
            Ast::SimilarTo { negated, expr: input, pattern, escape_char } => {
                self.bind_similar(input, pattern, escape_char.as_deref(), *negated)?
            }
            Ast::AnyOp { left, compare_op, right, .. } => {
                self.bind_quantified(left, compare_op, right, false)?
            }
            Ast::AllOp { left, compare_op, right } => {
                self.bind_quantified(left, compare_op, right, true)?
            }
            _ => return Ok(None),
        }))
    }

    fn bind_distinct(&mut self, left_ast: &Ast, right_ast: &Ast, negated: bool) -> Result<Expr> {
        let left = self.bind_expr(left_ast)?;
        let right = self.bind_expr(right_ast)?;
        if let (Expr::Row(left), Expr::Row(right)) = (&left, &right) {
            if left.len() != right.len() {
                return Err(syntax("unequal number of entries in row expressions")
                    .at(self.at_expr(left_ast)));
            }
            let mut fields = Vec::with_capacity(left.len());
            for (left, right) in left.iter().zip(right) {
                let (left, right) =
                    self.comparable(left.clone(), left_ast, right.clone(), right_ast)?;
                fields.push(Expr::IsDistinct {
                    left: Box::new(left),
                    right: Box::new(right),
                    negated,
                });
            }
            return Ok(match (fields.len(), negated) {
                (1, _) => fields.remove(0),
                (_, true) => Expr::And(fields),
                (_, false) => Expr::Or(fields),
            });
        }
        // Against NULL it is a test for null, whatever the type.
        for (null, other) in [(&right, &left), (&left, &right)] {
            if matches!(null, Expr::Literal(crate::types::Datum::Null, _)) {
                let other = Box::new(other.clone());
                return Ok(if negated { Expr::IsNull(other) } else { Expr::IsNotNull(other) });
            }
        }
        let (left, right) = self.comparable(left, left_ast, right, right_ast)?;
        Ok(Expr::IsDistinct { left: Box::new(left), right: Box::new(right), negated })
    }

    fn bind_in_list(&mut self, input_ast: &Ast, list: &[Ast], negated: bool) -> Result<Expr> {
        // IN ((SELECT ..)) with nothing else is IN (SELECT ..).
        if let [Ast::Subquery(query)] = list {
            let bound = self.bind_quantified_query(input_ast, "=", query, false)?;
            return Ok(negate_if(bound, negated));
        }
        let input = self.bind_expr(input_ast)?;
        if let Expr::Row(fields) = &input {
            let mut matches = Vec::with_capacity(list.len());
            for item in list {
                let Expr::Row(row) = self.bind_expr(item)? else {
                    return Err(syntax("unequal number of entries in row expressions")
                        .at(self.at_expr(item)));
                };
                let fields = fields.iter().map(|field| self.again(field)).collect();
                matches.push(self.compare_rows("=", fields, input_ast, row, item)?);
            }
            let any = if matches.len() == 1 { matches.remove(0) } else { Expr::Or(matches) };
            return Ok(negate_if(any, negated));
        }
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            items.push(self.bind_expr(item)?);
        }
        if let [_] = items.as_slice() {
            let item = items.remove(0);
            let name = if negated { "<>" } else { "=" };
            return self.operator(name, input, input_ast, item, &list[0]);
        }
        let types: Vec<PgType> =
            std::iter::once(input.ty()).chain(items.iter().map(Expr::ty)).collect();
        let Ok(ty) = common_type(&types, "IN") else {
            return self.bind_in_mixed_list(&input, input_ast, items, list, negated);
        };
        self.comparison_of("=", ty, input_ast)?;
        let input = self.coerce(input, ty, Some(input_ast))?;
        let mut converted = Vec::with_capacity(items.len());
        for (item, origin) in items.into_iter().zip(list) {
            converted.push(self.coerce(item, ty, Some(origin))?);
        }
        Ok(Expr::InList { input: Box::new(input), items: converted, negated })
    }

    /// Items without a common type are compared one by one.
    fn bind_in_mixed_list(
        &mut self,
        input: &Expr,
        input_ast: &Ast,
        items: Vec<Expr>,
        list: &[Ast],
        negated: bool,
    ) -> Result<Expr> {
        let name = if negated { "<>" } else { "=" };
        let mut comparisons = Vec::with_capacity(items.len());
        for (item, origin) in items.into_iter().zip(list) {
            let input = self.again(input);
            comparisons.push(self.operator(name, input, input_ast, item, origin)?);
        }
        Ok(if negated { Expr::And(comparisons) } else { Expr::Or(comparisons) })
    }

    fn bind_between(
        &mut self,
        input_ast: &Ast,
        low_ast: &Ast,
        high_ast: &Ast,
        negated: bool,
    ) -> Result<Expr> {
        let (symmetric, low_ast) = match low_ast {
            Ast::Named { expr, name } if name.value == SYMMETRIC => (true, expr.as_ref()),
            other => (false, other),
        };
        let input = self.bind_expr(input_ast)?;
        let low = self.bind_expr(low_ast)?;
        let high = self.bind_expr(high_ast)?;
        let mut between = |low: &Expr, low_ast: &Ast, high: &Expr, high_ast: &Ast| {
            let (value, bound) = (self.again(&input), self.again(low));
            let above = self.binary(&BinaryOperator::GtEq, value, input_ast, bound, low_ast)?;
            let (value, bound) = (self.again(&input), self.again(high));
            let below = self.binary(&BinaryOperator::LtEq, value, input_ast, bound, high_ast)?;
            Ok::<_, SqlError>(Expr::And(vec![above, below]))
        };
        let mut bound = between(&low, low_ast, &high, high_ast)?;
        if symmetric {
            let turned = between(&high, high_ast, &low, low_ast)?;
            bound = Expr::Or(vec![bound, turned]);
        }
        Ok(negate_if(bound, negated))
    }

    fn bind_like(
        &mut self,
        name: &str,
        input_ast: &Ast,
        pattern_ast: &Ast,
        escape: Option<&Ast>,
        any: bool,
    ) -> Result<Expr> {
        if any {
            return self.bind_quantified_named(input_ast, name, pattern_ast, false);
        }
        let input = self.bind_expr(input_ast)?;
        // LIKE ALL (..) comes as a call of a function of that name.
        if let Some(array) = all_argument(pattern_ast) {
            return self.bind_quantified_array(input, input_ast, name, array, true);
        }
        let mut pattern = self.bind_expr(pattern_ast)?;
        if let Some(escape_ast) = escape {
            let escape = self.bind_expr(escape_ast)?;
            let function = Some("pg_catalog");
            pattern = self.call_scalar(
                function,
                "like_escape",
                vec![pattern, escape],
                &[pattern_ast, escape_ast],
                self.at_expr(pattern_ast),
            )?;
        }
        self.operator(name, input, input_ast, pattern, pattern_ast)
    }

    fn bind_similar(
        &mut self,
        input_ast: &Ast,
        pattern_ast: &Ast,
        escape: Option<&Ast>,
        negated: bool,
    ) -> Result<Expr> {
        let input = self.bind_expr(input_ast)?;
        let mut arguments = vec![self.bind_expr(pattern_ast)?];
        let mut origins = vec![pattern_ast];
        if let Some(escape) = escape {
            arguments.push(self.bind_expr(escape)?);
            origins.push(escape);
        }
        let at = self.at_expr(pattern_ast);
        let pattern =
            self.call_scalar(Some("pg_catalog"), "similar_to_escape", arguments, &origins, at)?;
        self.operator(if negated { "!~" } else { "~" }, input, input_ast, pattern, pattern_ast)
    }

    /// `left op ANY (..)` and `ALL`.
    fn bind_quantified(
        &mut self,
        left: &Ast,
        op: &BinaryOperator,
        right: &Ast,
        all: bool,
    ) -> Result<Expr> {
        let Some(name) = operator_name(op) else {
            return Err(unsupported(format!("operator {op}")).at(self.at_expr(left)));
        };
        self.bind_quantified_named(left, &name, right, all)
    }

    fn bind_quantified_named(
        &mut self,
        left_ast: &Ast,
        name: &str,
        right: &Ast,
        all: bool,
    ) -> Result<Expr> {
        if let Ast::Subquery(query) = strip(right) {
            return self.bind_quantified_query(left_ast, name, query, all);
        }
        let left = self.bind_expr(left_ast)?;
        self.bind_quantified_array(left, left_ast, name, right, all)
    }

    fn bind_quantified_array(
        &mut self,
        left: Expr,
        left_ast: &Ast,
        name: &str,
        array_ast: &Ast,
        all: bool,
    ) -> Result<Expr> {
        let array = self.bind_expr(array_ast)?;
        let element = match array.ty() {
            PgType::Unknown => PgType::Unknown,
            ty => ty.element().ok_or_else(|| {
                let message = "op ANY/ALL (array) requires array on right side";
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .at(self.at_binary(name, left_ast))
            })?,
        };
        let resolved = resolve_operator(name, Some(left.ty()), element)
            .map_err(|error| error.at(self.at_binary(name, left_ast)))?;
        if resolved.result != PgType::Bool {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .at(self.at_binary(name, left_ast)));
        }
        let [left_type, element_type] = [resolved.arguments[0], resolved.arguments[1]];
        let left = self.coerce(left, left_type, Some(left_ast))?;
        let array_type = element_type.array().ok_or_else(|| {
            let message = format!("could not find array type for data type {element_type}");
            SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(self.at_binary(name, left_ast))
        })?;
        // A vector of oids or numbers is an array of them as it is.
        let array = if array.ty().is_vector() && array.ty().element() == Some(element_type) {
            array
        } else {
            self.coerce(array, array_type, Some(array_ast))?
        };
        let (left, array) = (Box::new(left), Box::new(array));
        Ok(Expr::Quantified { left, operator: resolved.function, array, all })
    }

    /// `left op ANY (SELECT ..)`, `IN (SELECT ..)`.
    pub(super) fn bind_quantified_query(
        &mut self,
        left_ast: &Ast,
        name: &str,
        query: &ast::Query,
        all: bool,
    ) -> Result<Expr> {
        let bound = self.bind_expr(left_ast)?;
        let left = match bound {
            Expr::Row(fields) => fields,
            one => vec![one],
        };
        let (mut plan, correlated) = self.bind_subplan(query)?;
        let at = self.at_binary(name, left_ast);
        if left.len() != plan.columns.len() {
            let message = if left.len() < plan.columns.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at));
        }
        if left.len() > 1 && !matches!(name, "=" | "<>") {
            return Err(unsupported("a comparison of rows with a subquery by this operator").at(at));
        }
        let (mut converted, mut operators, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (value, column) in left.into_iter().zip(plan.columns.iter()) {
            let resolved = resolve_operator(name, Some(value.ty()), column.ty)
                .map_err(|error| error.at(self.at_binary(name, left_ast)))?;
            converted.push(self.coerce(value, resolved.arguments[0], Some(left_ast))?);
            targets.push(resolved.arguments[1]);
            operators.push(resolved.function);
        }
        plan = self.coerce_plan(plan, &targets)?;
        let kind = SubqueryKind::Quantified { left: converted, operators, all };
        Ok(Expr::Subquery(Box::new(crate::plan::Subquery {
            plan,
            kind,
            correlated,
            ty: PgType::Bool,
        })))
    }
}

/// The array of `ALL (array)` where the grammar took it for a call.
fn all_argument(pattern: &Ast) -> Option<&Ast> {
    let Ast::Function(function) = pattern else { return None };
    let [ast::ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let ast::FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(array))]
            if name.quote_style.is_none() && name.value == "all" =>
        {
            Some(array)
        }
        _ => None,
    }
}
