//! Makes a bound plan cheap to run, without changing its rows.
//!
//! 1. [`grouping`]: `GROUPING(..)` becomes a look-up by the number of the grouping set.
//! 2. [`unnest`]: `EXISTS` and `IN` conditions become semi and anti joins.
//! 3. [`pushdown`]: conditions go down as far as they can, through projections, joins and set operations into
//!    scans; outer joins become inner ones where a condition says so; [`join_order`] orders inner joins.
//! 4. [`prune`]: columns that nobody asks for are not read.
//! 5. [`access`]: scans get their index, joins look right rows up where that is cheaper than reading them all,
//!    sorts go away where an index gives the order, counts are taken from where they are maintained.
//!
//! Plans are cached, so parameters are not known here: everything chosen holds for all their values. What a
//! literal decides is decided here, what a parameter decides when the plan is opened.
//!
//! # What this module must never know
//!
//! Names, snapshots, statistics beyond [`crate::relation::Relation::estimate`].

mod access;
pub(crate) mod estimate;
mod grouping;
mod index_choice;
mod join_order;
mod nulls;
mod prune;
mod pushdown;
mod relations;
mod unnest;
pub(crate) mod walk;

pub use relations::relations;
pub(crate) use relations::relations_read;

use crate::plan::{Expr, Plan, PlanNode};

/// Rewrites a bound plan into one that gives the same rows faster. Every plan goes through here before it is run.
#[must_use]
pub fn optimize(mut plan: Plan) -> Plan {
    grouping::lower(&mut plan);
    let mut plan = rewrite(plan);
    access::choose(&mut plan);
    plan
}

/// All but the choice of access paths, which looks at the whole plan at once.
fn rewrite(mut plan: Plan) -> Plan {
    plan = unnest::unnest(plan);
    rewrite_subqueries(&mut plan);
    let plan = pushdown::push(plan, Vec::new());
    prune::prune_root(plan)
}

/// Rewrites the plans of subqueries and common table expressions, each by itself.
fn rewrite_subqueries(plan: &mut Plan) {
    fn of_expression(expr: &mut Expr) {
        walk::parts_mut(expr, &mut of_expression);
        if let Expr::Subquery(subquery) = expr {
            rewrite_in_place(&mut subquery.plan);
        }
    }
    walk::expressions_mut(&mut plan.node, &mut of_expression);
    if let PlanNode::With { ctes, .. } = &mut plan.node {
        for (_, cte) in ctes {
            rewrite_in_place(std::sync::Arc::make_mut(cte));
        }
        if let PlanNode::With { body, .. } = &mut plan.node {
            rewrite_subqueries(body);
        }
        return;
    }
    walk::inputs_mut(&mut plan.node, &mut |input, _| rewrite_subqueries(input));
}

fn rewrite_in_place(plan: &mut Plan) {
    let owned = std::mem::replace(plan, nothing());
    *plan = rewrite(owned);
}

/// A plan to stand where another one is taken from.
fn nothing() -> Plan {
    Plan::new(PlanNode::Values(Vec::new()), Vec::new())
}

/// Takes a plan out of its place.
fn take(plan: &mut Plan) -> Plan {
    std::mem::replace(plan, nothing())
}
