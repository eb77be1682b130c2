//! `GROUPING(..)`: which group expressions a row's grouping set leaves out.

use std::sync::Arc;

use crate::optimize::walk;
use crate::plan::{Expr, Plan, PlanNode};
use crate::types::{ArrayValue, Datum, PgType};

/// The grouping sets behind a row, and the column that says which of them it is of.
struct Sets<'a> {
    sets: &'a [Vec<usize>],
    column: Option<usize>,
}

/// Replaces every `GROUPING(..)` of a plan.
pub(super) fn lower(plan: &mut Plan) {
    walk::inputs_mut(&mut plan.node, &mut |input, _| lower(input));
    let sets = source(&plan.node).map(|sets| (sets.sets.to_vec(), sets.column));
    walk::expressions_mut(&mut plan.node, &mut |expr| {
        let sets = sets.as_ref().map(|(sets, column)| Sets { sets, column: *column });
        lower_expression(expr, sets.as_ref());
    });
}

fn lower_expression(expr: &mut Expr, sets: Option<&Sets<'_>>) {
    walk::parts_mut(expr, &mut |part| lower_expression(part, sets));
    match expr {
        Expr::Subquery(subquery) => lower(&mut subquery.plan),
        Expr::Grouping(places) => *expr = mask(places, sets),
        _ => {}
    }
}

/// The grouping sets that the input rows of a node are of.
fn source(node: &PlanNode) -> Option<Sets<'_>> {
    let (PlanNode::Filter { input, .. }
    | PlanNode::Project { input, .. }
    | PlanNode::ProjectSet { input, .. }
    | PlanNode::Window { input, .. }
    | PlanNode::Sort { input, .. }
    | PlanNode::Limit { input, .. }
    | PlanNode::Distinct { input, .. }) = node
    else {
        return None;
    };
    let mut input = input;
    loop {
        input = match &input.node {
            PlanNode::Aggregate { group, grouping_sets, aggregates, .. } => {
                let column = (grouping_sets.len() > 1).then(|| group.len() + aggregates.len());
                return Some(Sets { sets: grouping_sets, column });
            }
            PlanNode::Filter { input, .. }
            | PlanNode::Window { input, .. }
            | PlanNode::Sort { input, .. }
            | PlanNode::Limit { input, .. }
            | PlanNode::Distinct { input, .. } => input,
            _ => return None,
        };
    }
}

/// The mask of one set is a constant; that of several is looked up in an array of all masks, from bound 0.
fn mask(places: &[usize], sets: Option<&Sets<'_>>) -> Expr {
    let Some(sets) = sets else { return Expr::Literal(Datum::Int4(0), PgType::Int4) };
    let masks = sets.sets.iter().map(|set| {
        let bits =
            places.iter().fold(0, |mask: i32, place| mask << 1 | i32::from(!set.contains(place)));
        Datum::Int4(bits)
    });
    let elements: Vec<Datum> = masks.collect();
    let Some(column) = sets.column else {
        return Expr::Literal(elements.into_iter().next().unwrap_or(Datum::Int4(0)), PgType::Int4);
    };
    let array =
        ArrayValue { element: PgType::Int4, dimensions: vec![(elements.len(), 0)], elements };
    Expr::Subscript {
        array: Box::new(Expr::Literal(Datum::Array(Arc::new(array)), PgType::Int4Array)),
        indexes: vec![Expr::Column(column, PgType::Int4)],
        ty: PgType::Int4,
    }
}
