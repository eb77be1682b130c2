//! `EXPLAIN`: a plan as PostgreSQL shows it, as text or as JSON; with `ANALYZE` also what happened.
//!
//! [`tree`] goes through the plan, with the words of [`node`], the expressions of [`expression`] and the guesses of
//! [`cost`], and makes what [`format`] writes. With `ANALYZE` the operators of the running plan count into
//! [`analysis`].
//!
//! It must never know what a statement does with the rows: of a command only its name is shown.

mod analysis;
mod cost;
mod expression;
mod format;
mod node;
mod tree;

use std::sync::Arc;

use crate::error::Result;
use crate::exec::{Cursor, ExecContext};
use crate::plan::Plan;

pub(crate) use analysis::{Analysis, Counters};
use tree::Described;

/// What `EXPLAIN` was asked for.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are the statement's options")]
pub struct ExplainOptions {
    /// `ANALYZE`: run the plan and say what happened.
    pub analyze: bool,
    /// `VERBOSE`: the output expressions too.
    pub verbose: bool,
    /// `COSTS`: estimated costs, rows and widths.
    pub costs: bool,
    /// `TIMING`: times of nodes, with `ANALYZE`.
    pub timing: bool,
    /// `SUMMARY`: how long planning took and, with `ANALYZE`, running.
    pub summary: bool,
    /// `FORMAT JSON`.
    pub json: bool,
    /// How many microseconds the plan took to make.
    pub planning_microseconds: i64,
    /// `Insert`, `Update` or `Delete`, and the table, if the rows of the plan are changed.
    pub command: Option<(&'static str, String)>,
}

impl ExplainOptions {
    /// PostgreSQL's defaults for `EXPLAIN` and `EXPLAIN ANALYZE`.
    pub fn new(analyze: bool) -> Self {
        Self { analyze, costs: true, timing: true, summary: analyze, ..Self::default() }
    }
}

/// How long a statement took, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Summary {
    planning: i64,
    execution: Option<i64>,
}

/// The lines of `EXPLAIN` for an optimised plan; with [`ExplainOptions::analyze`] it is run first.
pub fn explain(
    plan: &Arc<Plan>,
    context: &ExecContext,
    options: &ExplainOptions,
) -> Result<Vec<String>> {
    let mut analysis = None;
    let mut execution = None;
    if options.analyze {
        let mut counted = Analysis::default();
        let start = context.clock.now_microseconds();
        let mut cursor = Cursor::open_analyzed(Arc::clone(plan), context.clone(), &mut counted)?;
        while cursor.next()?.is_some() {}
        execution = Some(context.clock.now_microseconds().saturating_sub(start));
        analysis = Some(counted);
    }
    let described = Described::new(plan, Some(context), analysis.as_ref(), options);
    let planning = options.planning_microseconds;
    let summary = options.summary.then_some(Summary { planning, execution });
    Ok(if options.json {
        vec![format::json(&described, options, summary)]
    } else {
        format::text(&described, options, summary)
    })
}

/// The lines of an `EXPLAIN (COSTS off)` of a plan.
pub fn text(plan: &Plan, verbose: bool) -> Vec<String> {
    let options = ExplainOptions { verbose, ..ExplainOptions::default() };
    format::text(&Described::new(plan, None, None, &options), &options, None)
}
