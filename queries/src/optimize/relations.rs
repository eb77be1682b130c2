//! Which relations a plan reads: what a session has to be allowed to see.

use std::sync::Arc;

use super::walk;
use crate::plan::{Expr, Plan, PlanNode};
use crate::relation::{Relation, RelationSchema};

/// The schemas of all relations that a plan reads, those of subqueries included, each once.
pub fn relations(plan: &Plan) -> Vec<Arc<RelationSchema>> {
    let mut found: Vec<Arc<RelationSchema>> = Vec::new();
    relations_read(plan, &mut |relation| {
        let schema = relation.schema();
        if !found.iter().any(|it| it.oid == schema.oid) {
            found.push(Arc::clone(schema));
        }
    });
    found
}

/// Calls `f` for every scan of a plan, those of subqueries included.
pub(crate) fn relations_read(plan: &Plan, f: &mut dyn FnMut(&Arc<dyn Relation>)) {
    if let PlanNode::Scan { relation, .. } = &plan.node {
        f(relation);
    }
    walk::inputs(&plan.node, &mut |input, _| relations_read(input, f));
    walk::expressions(&plan.node, &mut |expr| visit_expression(expr, f));
}

fn visit_expression(expr: &Expr, f: &mut dyn FnMut(&Arc<dyn Relation>)) {
    if let Expr::Subquery(subquery) = expr {
        relations_read(&subquery.plan, f);
    }
    walk::parts(expr, &mut |part| visit_expression(part, f));
}
