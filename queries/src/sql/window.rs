//! Window calls: their window, named or written out, and its frame.

use sqlparser::ast::{
    self, Expr as Ast, FunctionArgumentClause, Spanned, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};

use super::binder::{Binder, unsupported};
use super::call::CallName;
use super::rewrite::{EXCLUDE, MARK};
use super::scope::{Clause, WINDOWS};
use super::walk::uses_row;
use crate::error::{Result, SqlError, SqlState};
use crate::plan::{
    Expr, Frame, FrameBound, FrameExclusion, FrameUnit, SortKey, WindowCall, WindowCallee,
};
use crate::types::PgType;
use crate::types::functions::Callee;

/// A window with its names looked up.
#[derive(Clone)]
struct Window {
    partition: Vec<Expr>,
    order: Vec<SortKey>,
    frame: Frame,
    /// It has a frame of its own, so that it cannot be copied under another name.
    framed: bool,
}

fn windowing(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::WINDOWING_ERROR, message)
}

impl Binder<'_> {
    /// `function(..) OVER ..`.
    pub(super) fn bind_window_call(
        &mut self,
        name: &CallName<'_>,
        list: &ast::FunctionArgumentList,
        function: &ast::Function,
    ) -> Result<Expr> {
        self.check_windows_allowed(name.position)?;
        let Some(over) = &function.over else {
            return Err(SqlError::internal("a window call without a window"));
        };
        check_form(name, list, function)?;
        let windows_before = self.level().windows.len();
        let arguments = self.bind_arguments_of(list, name)?;
        if self.level().windows.len() > windows_before {
            return Err(windowing("window function calls cannot be nested").at(name.position));
        }
        let resolved = self.resolve_call(name, &arguments)?;
        let callee = window_callee(name, resolved.callee)?;
        if arguments.values.is_empty()
            && !arguments.star
            && matches!(callee, WindowCallee::Aggregate(_))
        {
            let message =
                format!("{}(*) must be used to call a parameterless aggregate function", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position));
        }
        let filter = match (&function.filter, callee) {
            (None, _) => None,
            (Some(filter), WindowCallee::Aggregate(_)) => Some(
                self.in_clause(Clause::Filter, |binder| binder.bind_boolean(filter, "FILTER"))?,
            ),
            (Some(_), WindowCallee::Window(_)) => {
                let message = "FILTER is not implemented for non-aggregate window functions";
                return Err(SqlError::unsupported(message).at(name.position));
            }
        };
        let arguments = self.convert_arguments(&resolved, arguments)?;
        let window = self.bind_window(over)?;
        let Window { partition, order, frame, .. } = window;
        let call = WindowCall {
            function: callee,
            arguments,
            filter,
            partition,
            order,
            frame,
            ty: resolved.result,
        };
        let level = self.level();
        level.windows.push(call);
        Ok(Expr::Column(WINDOWS + level.windows.len() - 1, resolved.result))
    }

    fn check_windows_allowed(&mut self, position: Option<usize>) -> Result<()> {
        let clause = self.level().clause;
        match clause {
            Clause::AggregateArguments => {
                let message = "aggregate function calls cannot contain window function calls";
                Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position))
            }
            clause if clause.allows_windows() => Ok(()),
            Clause::WindowPartition | Clause::WindowOrder | Clause::WindowFrame => {
                Err(windowing("window functions are not allowed in window definitions")
                    .at(position))
            }
            clause => {
                let message = format!("window functions are not allowed in {}", clause.name());
                Err(windowing(message).at(position))
            }
        }
    }

    fn bind_window(&mut self, over: &WindowType) -> Result<Window> {
        match over {
            WindowType::NamedWindow(name) => self.named_window(name),
            WindowType::WindowSpec(spec) => self.bind_window_spec(spec),
        }
    }

    fn named_window(&mut self, name: &ast::Ident) -> Result<Window> {
        let found = self
            .level()
            .named_windows
            .iter()
            .find(|it| it.name == name.value)
            .map(|it| it.spec.clone());
        let Some(spec) = found else {
            let message = format!("window \"{}\" does not exist", name.value);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(self.at_ident(name)));
        };
        self.bind_window_spec(&spec)
    }

    fn bind_window_spec(&mut self, spec: &WindowSpec) -> Result<Window> {
        let (base, exclusion) = base_and_exclusion(spec.window_name.as_ref());
        let base = match base {
            Some(name) => Some((self.named_window(&name)?, name)),
            None => None,
        };
        let partition = self.in_clause(Clause::WindowPartition, |binder| {
            let bind = |it| binder.bind_expr(it).and_then(|bound| binder.decided(bound, Some(it)));
            spec.partition_by.iter().map(bind).collect::<Result<Vec<_>>>()
        })?;
        let order = self.in_clause(Clause::WindowOrder, |binder| {
            let mut keys = Vec::with_capacity(spec.order_by.len());
            for key in &spec.order_by {
                let bound = binder.bind_expr(&key.expr)?;
                let expression = binder.decided(bound, Some(&key.expr))?;
                keys.push(binder.sort_key(expression, key)?);
            }
            Ok(keys)
        })?;
        let (partition, order) = match base {
            None => (partition, order),
            Some((base, name)) => self.extend_window(base, &name, &partition, order)?,
        };
        let framed = spec.window_frame.is_some();
        let frame = self.bind_frame(spec.window_frame.as_ref(), &order, exclusion)?;
        Ok(Window { partition, order, frame, framed })
    }

    /// A window that is copied from a named one may add an order, nothing else.
    fn extend_window(
        &self,
        base: Window,
        name: &ast::Ident,
        partition: &[Expr],
        order: Vec<SortKey>,
    ) -> Result<(Vec<Expr>, Vec<SortKey>)> {
        let at = self.at_before(name.span.start, "(");
        let refuse = |what: &str| {
            let message = format!("cannot {what} window \"{}\"", name.value);
            Err(windowing(message).at(at))
        };
        if !partition.is_empty() {
            return refuse("override PARTITION BY clause of");
        }
        if !order.is_empty() && !base.order.is_empty() {
            return refuse("override ORDER BY clause of");
        }
        if base.framed {
            let message =
                format!("cannot copy window \"{}\" because it has a frame clause", name.value);
            return Err(windowing(message).at(at));
        }
        Ok((base.partition, if order.is_empty() { base.order } else { order }))
    }

    fn bind_frame(
        &mut self,
        frame: Option<&ast::WindowFrame>,
        order: &[SortKey],
        exclusion: FrameExclusion,
    ) -> Result<Frame> {
        let Some(frame) = frame else {
            let (start, end) = (FrameBound::UnboundedPreceding, FrameBound::CurrentRow);
            return Ok(Frame { unit: FrameUnit::Range, start, end, exclusion });
        };
        let unit = match frame.units {
            WindowFrameUnits::Rows => FrameUnit::Rows,
            WindowFrameUnits::Range => FrameUnit::Range,
            WindowFrameUnits::Groups => FrameUnit::Groups,
        };
        if unit == FrameUnit::Groups && order.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause"));
        }
        let start = self.bind_frame_bound(&frame.start_bound, unit, order)?;
        let end = match &frame.end_bound {
            Some(end) => self.bind_frame_bound(end, unit, order)?,
            None => FrameBound::CurrentRow,
        };
        check_frame(&start, &end).map_err(|error| {
            let bounds = [Some(&frame.start_bound), frame.end_bound.as_ref()];
            let offset = bounds.into_iter().flatten().rev().find_map(|bound| match bound {
                WindowFrameBound::Preceding(Some(offset))
                | WindowFrameBound::Following(Some(offset)) => Some(offset),
                _ => None,
            });
            error.at(offset.and_then(|offset| self.at_expr(offset)))
        })?;
        Ok(Frame { unit, start, end, exclusion })
    }

    fn bind_frame_bound(
        &mut self,
        bound: &WindowFrameBound,
        unit: FrameUnit,
        order: &[SortKey],
    ) -> Result<FrameBound> {
        Ok(match bound {
            WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            WindowFrameBound::Preceding(None) => FrameBound::UnboundedPreceding,
            WindowFrameBound::Following(None) => FrameBound::UnboundedFollowing,
            WindowFrameBound::Preceding(Some(offset)) => {
                FrameBound::Preceding(Box::new(self.bind_frame_offset(offset, unit, order)?))
            }
            WindowFrameBound::Following(Some(offset)) => {
                FrameBound::Following(Box::new(self.bind_frame_offset(offset, unit, order)?))
            }
        })
    }

    fn bind_frame_offset(
        &mut self,
        offset: &Ast,
        unit: FrameUnit,
        order: &[SortKey],
    ) -> Result<Expr> {
        let name = match unit {
            FrameUnit::Rows => "ROWS",
            FrameUnit::Range => "RANGE",
            FrameUnit::Groups => "GROUPS",
        };
        let wanted = match (unit, order) {
            (FrameUnit::Rows | FrameUnit::Groups, _) => PgType::Int8,
            (FrameUnit::Range, [key]) => range_offset_type(key.expression.ty()).ok_or_else(|| {
                let ty = key.expression.ty();
                let message =
                    format!("RANGE with offset PRECEDING/FOLLOWING is not supported for column type {ty}");
                SqlError::unsupported(message).at(self.at_expr(offset))
            })?,
            (FrameUnit::Range, _) => {
                let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                return Err(windowing(message).at(self.at_before(offset.span().start, "(")));
            }
        };
        let bound = self.in_clause(Clause::WindowFrame, |binder| binder.bind_expr(offset))?;
        let bound = self.as_wanted(bound, wanted, name, offset)?;
        if uses_row(&bound) {
            let message = format!("argument of {name} must not contain variables");
            return Err(
                SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(self.at_expr(offset))
            );
        }
        Ok(bound)
    }
}

/// The window's base and what its frame leaves out, both of which may hide in its name.
fn base_and_exclusion(name: Option<&ast::Ident>) -> (Option<ast::Ident>, FrameExclusion) {
    let Some(name) = name else { return (None, FrameExclusion::NoOthers) };
    let hidden =
        if name.quote_style == Some(MARK) { name.value.strip_prefix(EXCLUDE) } else { None };
    let Some((word, base)) = hidden.and_then(|rest| rest.split_once(' ')) else {
        return (Some(name.clone()), FrameExclusion::NoOthers);
    };
    let exclusion = match word {
        "current" => FrameExclusion::CurrentRow,
        "group" => FrameExclusion::Group,
        "ties" => FrameExclusion::Ties,
        _ => FrameExclusion::NoOthers,
    };
    let base = (!base.is_empty()).then(|| ast::Ident {
        value: base.to_owned(),
        quote_style: None,
        span: name.span,
    });
    (base, exclusion)
}

fn check_frame(start: &FrameBound, end: &FrameBound) -> Result<()> {
    use FrameBound as B;
    let message = match (start, end) {
        (B::UnboundedFollowing, _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, B::UnboundedPreceding) => "frame end cannot be UNBOUNDED PRECEDING",
        (B::CurrentRow, B::Preceding(_)) => {
            "frame starting from current row cannot have preceding rows"
        }
        (B::Following(_), B::CurrentRow | B::Preceding(_)) => {
            "frame starting from following row cannot have preceding rows"
        }
        _ => return Ok(()),
    };
    Err(windowing(message))
}

/// The type of an offset in the order of values of a type.
fn range_offset_type(ty: PgType) -> Option<PgType> {
    match ty {
        PgType::Int2 | PgType::Int4 | PgType::Int8 => Some(PgType::Int8),
        PgType::Float4 | PgType::Float8 => Some(PgType::Float8),
        PgType::Numeric => Some(PgType::Numeric),
        PgType::Date
        | PgType::Time
        | PgType::TimeTz
        | PgType::Timestamp
        | PgType::TimestampTz
        | PgType::Interval => Some(PgType::Interval),
        _ => None,
    }
}

/// Refuses what a call with a window cannot have.
fn check_form(
    name: &CallName<'_>,
    list: &ast::FunctionArgumentList,
    function: &ast::Function,
) -> Result<()> {
    let error = if !function.within_group.is_empty() {
        ordered_set(name)
    } else if list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct) {
        SqlError::unsupported("DISTINCT is not implemented for window functions")
    } else {
        match list.clauses.first() {
            None => return Ok(()),
            Some(FunctionArgumentClause::OrderBy(_)) => {
                SqlError::unsupported("aggregate ORDER BY is not implemented for window functions")
            }
            Some(other) => unsupported(format!("{other} in a call")),
        }
    };
    Err(error.at(name.position))
}

fn ordered_set(name: &CallName<'_>) -> SqlError {
    SqlError::unsupported(format!("OVER is not supported for ordered-set aggregate {}", name.name))
}

/// What can be called over a window.
fn window_callee(name: &CallName<'_>, callee: Callee) -> Result<WindowCallee> {
    match callee {
        Callee::Window(window) => Ok(WindowCallee::Window(window)),
        Callee::Aggregate(aggregate) if aggregate.ordered_set => {
            Err(ordered_set(name).at(name.position))
        }
        Callee::Aggregate(aggregate) => Ok(WindowCallee::Aggregate(aggregate)),
        Callee::Scalar(_) | Callee::Set(_) | Callee::Cast(_) => {
            let message = format!(
                "OVER specified, but {} is not a window function nor an aggregate function",
                name.name
            );
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position))
        }
    }
}
