//! Brings expressions to types: literals are read, parameters get the type, values are converted.

use sqlparser::ast;

use super::binder::Binder;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{Call, Expr};
use crate::types::datetime::interval;
use crate::types::functions::{CoercionContext, Step, common_type, length_coercion, resolve_cast};
use crate::types::text::{self, ReadContext};
use crate::types::typmod::IntervalFields;
use crate::types::{Datum, PgType};

/// Words in a date or time that mean the time of the transaction: such a text is read when the statement runs.
const RELATIVE_TIMES: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

impl Binder<'_> {
    /// Brings an expression to a type. `origin` is what it was bound from, for the place of an error.
    ///
    /// None if there is no such conversion in this context.
    pub(super) fn try_coerce(
        &mut self,
        expr: Expr,
        to: PgType,
        context: CoercionContext,
        origin: Option<&ast::Expr>,
    ) -> Result<Option<Expr>> {
        let from = expr.ty();
        if from == to && from != PgType::Unknown {
            return Ok(Some(expr));
        }
        match expr {
            Expr::Literal(Datum::Null, _) => Ok(Some(Expr::Literal(Datum::Null, to))),
            Expr::Literal(Datum::Text(literal), PgType::Unknown) => {
                self.read_literal(&literal, to, origin).map(Some)
            }
            Expr::Parameter(place, PgType::Unknown) => {
                let ty = if to == PgType::Any { PgType::Text } else { to };
                self.parameters.decide(place, ty)?;
                Ok(Some(Expr::Parameter(place, ty)))
            }
            // The branches of a construct that has no type yet.
            expr => {
                if matches!(to, PgType::Any) || to.is_polymorphic() {
                    return Ok(Some(expr));
                }
                let from = if from == PgType::Unknown { PgType::Text } else { from };
                Ok(resolve_cast(from, to, context).map(|coercion| {
                    let converted = coercion.steps.into_iter().fold(expr, apply_step);
                    retype(converted, to)
                }))
            }
        }
    }

    /// Brings an expression to a type for which a resolution has said that it can be.
    pub(super) fn coerce(
        &mut self,
        expr: Expr,
        to: PgType,
        origin: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let from = expr.ty();
        self.try_coerce(expr, to, CoercionContext::Implicit, origin)?.ok_or_else(|| {
            let message = format!("cannot cast type {from} to {to}");
            SqlError::new(SqlState::CANNOT_COERCE, message)
                .at(origin.and_then(|it| self.at_expr(it)))
        })
    }

    /// Brings a value to a column's type, as storing does.
    pub(super) fn assign(
        &mut self,
        expr: Expr,
        to: PgType,
        column: &str,
        origin: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let from = expr.ty();
        self.try_coerce(expr, to, CoercionContext::Assignment, origin)?.ok_or_else(|| {
            let message =
                format!("column \"{column}\" is of type {to} but expression is of type {from}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("You will need to rewrite or cast the expression.")
                .at(origin.and_then(|it| self.at_expr(it)))
        })
    }

    /// Brings an expression to `bool`; the construct that wants it is named in the error.
    pub(super) fn as_boolean(
        &mut self,
        expr: Expr,
        construct: &str,
        origin: &ast::Expr,
    ) -> Result<Expr> {
        let from = expr.ty();
        let converted =
            self.try_coerce(expr, PgType::Bool, CoercionContext::Assignment, Some(origin))?;
        converted.ok_or_else(|| {
            let message = format!("argument of {construct} must be type boolean, not type {from}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(self.at_expr(origin))
        })
    }

    /// Brings an expression to a type that a construct wants: `argument of LIMIT must be type bigint`.
    pub(super) fn as_wanted(
        &mut self,
        expr: Expr,
        to: PgType,
        construct: &str,
        origin: &ast::Expr,
    ) -> Result<Expr> {
        let from = expr.ty();
        let converted = self.try_coerce(expr, to, CoercionContext::Assignment, Some(origin))?;
        converted.ok_or_else(|| {
            let message = format!("argument of {construct} must be type {to}, not type {from}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(self.at_expr(origin))
        })
    }

    /// The common type of the branches of a construct, and the branches brought to it.
    pub(super) fn unify(
        &mut self,
        branches: Vec<Expr>,
        construct: &str,
        origins: &[&ast::Expr],
    ) -> Result<(Vec<Expr>, PgType)> {
        let types: Vec<PgType> = branches.iter().map(Expr::ty).collect();
        let ty = common_type(&types, construct).map_err(|error| {
            let culprit = self.mismatch_place(&types, origins);
            error.at(culprit)
        })?;
        let mut unified = Vec::with_capacity(branches.len());
        for (place, branch) in branches.into_iter().enumerate() {
            unified.push(self.coerce(branch, ty, origins.get(place).copied())?);
        }
        Ok((unified, ty))
    }

    /// Where the first branch stands that does not fit those before it.
    fn mismatch_place(&self, types: &[PgType], origins: &[&ast::Expr]) -> Option<usize> {
        let unfit = (1..=types.len()).find(|count| common_type(&types[..*count], "").is_err())?;
        self.at_expr(origins.get(unfit - 1)?)
    }

    /// A copy of an operand for another use of it: a parameter that has got a type since has it in the copy.
    pub(super) fn again(&self, operand: &Expr) -> Expr {
        match operand {
            Expr::Parameter(place, PgType::Unknown) => {
                Expr::Parameter(*place, self.parameters.known(*place))
            }
            other => other.clone(),
        }
    }

    /// A value whose type nothing has decided becomes text.
    pub(super) fn decided(&mut self, expr: Expr, origin: Option<&ast::Expr>) -> Result<Expr> {
        if expr.ty() == PgType::Unknown {
            self.coerce(expr, PgType::Text, origin)
        } else {
            Ok(expr)
        }
    }

    /// Reads a literal as a value of a type.
    pub(super) fn read_literal(
        &mut self,
        literal: &str,
        to: PgType,
        origin: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let at =
            |error: SqlError, binder: &Self| error.at(origin.and_then(|it| binder.at_expr(it)));
        let context = ReadContext { settings: self.settings, now: 0 };
        // Polymorphic and pseudo-types take the text as it is.
        if to == PgType::Any || to == PgType::Unknown {
            return Ok(Expr::Literal(Datum::text(literal), PgType::Text));
        }
        let value = text::read(to, literal, &context).map_err(|error| at(error, self))?;
        if is_relative(literal, to)
            && let Some(coercion) = resolve_cast(PgType::Text, to, CoercionContext::Explicit)
        {
            let text = Expr::Literal(Datum::text(literal), PgType::Text);
            return Ok(coercion.steps.into_iter().fold(text, apply_step));
        }
        Ok(Expr::Literal(value, to))
    }

    /// Reads an interval: the fields of its type say what a bare number counts.
    pub(super) fn read_interval(
        &mut self,
        text: &str,
        typmod: i32,
        origin: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let value = interval::read(text, IntervalFields::of(typmod), self.settings.interval_style)
            .map_err(|error| error.at(origin.and_then(|it| self.at_expr(it))))?;
        let literal = Expr::Literal(Datum::Interval(value), PgType::Interval);
        Ok(match length_coercion(PgType::Interval, typmod, CoercionContext::Explicit) {
            Some(step) => apply_step(literal, step),
            None => literal,
        })
    }

    /// Casts, as `CAST` and `::` do.
    pub(super) fn cast(
        &mut self,
        expr: Expr,
        (to, typmod): (PgType, i32),
        origin: Option<&ast::Expr>,
        at: impl FnOnce(&Self) -> Option<usize>,
    ) -> Result<Expr> {
        let from = expr.ty();
        if let (Expr::Literal(Datum::Text(text), PgType::Unknown), PgType::Interval) = (&expr, to) {
            let text = text.clone();
            return self.read_interval(&text, typmod, origin);
        }
        let Some(converted) = self.try_coerce(expr, to, CoercionContext::Explicit, origin)? else {
            let message = format!("cannot cast type {from} to {to}");
            return Err(SqlError::new(SqlState::CANNOT_COERCE, message).at(at(self)));
        };
        Ok(match length_coercion(to, typmod, CoercionContext::Explicit) {
            Some(step) => apply_step(converted, step),
            None => converted,
        })
    }
}

/// Whether a literal of a type means another time whenever it is read.
fn is_relative(literal: &str, ty: PgType) -> bool {
    let base = ty.element().unwrap_or(ty);
    let timely = matches!(
        base,
        PgType::Date | PgType::Time | PgType::TimeTz | PgType::Timestamp | PgType::TimestampTz
    );
    timely && {
        let lower = literal.to_ascii_lowercase();
        RELATIVE_TIMES.iter().any(|word| lower.contains(word))
    }
}

/// Calls a step of a conversion.
pub(super) fn apply_step(expr: Expr, step: Step) -> Expr {
    let extra = step.extra.into_iter().map(|(value, ty)| Expr::Literal(value, ty));
    let arguments = std::iter::once(expr).chain(extra).collect();
    Expr::Call(Call { function: step.function, arguments, ty: step.result, position: None })
}

/// The same value seen as a type that has the same form.
pub(super) fn retype(mut expr: Expr, to: PgType) -> Expr {
    match &mut expr {
        Expr::Literal(_, ty)
        | Expr::Parameter(_, ty)
        | Expr::Column(_, ty)
        | Expr::Outer { ty, .. }
        | Expr::Case { ty, .. }
        | Expr::Coalesce(_, ty)
        | Expr::Extreme { ty, .. }
        | Expr::Array { ty, .. }
        | Expr::Subscript { ty, .. }
        | Expr::Slice { ty, .. }
        | Expr::Field { ty, .. } => *ty = to,
        Expr::Call(call) => call.ty = to,
        Expr::Subquery(subquery) => subquery.ty = to,
        _ => {}
    }
    expr
}
