//! `EXPLAIN`: a plan as text in PostgreSQL's style, or as JSON; with `ANALYZE` also what happened.

mod analysis;
mod expression;
mod node;

use std::sync::Arc;

use crate::error::Result;
use crate::exec::{Cursor, ExecContext};
use crate::plan::Plan;

pub(crate) use analysis::{Analysis, Counters};
use node::Described;

/// What `EXPLAIN` was asked for.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are the statement's options")]
pub struct ExplainOptions {
    /// `ANALYZE`: run the plan and say what happened.
    pub analyze: bool,
    /// `VERBOSE`: the output expressions too.
    pub verbose: bool,
    /// `COSTS`: estimated rows.
    pub costs: bool,
    /// `TIMING`: times of nodes, with `ANALYZE`.
    pub timing: bool,
    /// `SUMMARY`: the execution time, with `ANALYZE`.
    pub summary: bool,
    /// `FORMAT JSON`.
    pub json: bool,
}

impl ExplainOptions {
    /// PostgreSQL's defaults for `EXPLAIN` and `EXPLAIN ANALYZE`.
    pub fn new(analyze: bool) -> Self {
        Self { analyze, verbose: false, costs: true, timing: true, summary: analyze, json: false }
    }
}

/// The lines of `EXPLAIN` for an optimised plan; with [`ExplainOptions::analyze`] it is run first.
pub fn explain(
    plan: &Arc<Plan>,
    context: &ExecContext,
    options: &ExplainOptions,
) -> Result<Vec<String>> {
    let mut analysis = None;
    let mut milliseconds = None;
    if options.analyze {
        let mut counted = Analysis::default();
        let start = context.clock.now_microseconds();
        let mut cursor = Cursor::open_analyzed(Arc::clone(plan), context.clone(), &mut counted)?;
        while cursor.next()?.is_some() {}
        milliseconds =
            Some(analysis::milliseconds(context.clock.now_microseconds().saturating_sub(start)));
        analysis = Some(counted);
    }
    let described = Described::new(plan, Some(context), analysis.as_ref(), *options);
    if options.json {
        return Ok(vec![described.json(milliseconds.filter(|_| options.summary))]);
    }
    let mut lines = described.text();
    if let Some(milliseconds) = milliseconds
        && options.summary
    {
        lines.push(format!("Execution Time: {milliseconds:.3} ms"));
    }
    Ok(lines)
}

/// The lines of a plain `EXPLAIN` of a plan.
pub fn text(plan: &Plan, verbose: bool) -> Vec<String> {
    Described::new(plan, None, None, ExplainOptions { verbose, ..ExplainOptions::default() }).text()
}
