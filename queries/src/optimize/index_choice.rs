//! Which index finds the rows that a scan's conditions ask for.

use crate::exec::expression::comparison::{Comparison, comparison};
use crate::optimize::walk;
use crate::plan::{Expr, ScanAccess};
use crate::relation::{Index, RelationSchema};
use crate::types::{Datum, PgType};

/// An access path and what it leaves to be checked.
pub(super) struct Choice {
    /// How to find the rows.
    pub(super) access: ScanAccess,
    /// The conditions that it does not decide.
    pub(super) rest: Vec<Expr>,
}

/// What a condition says of one column of the relation.
enum Said {
    Compared(Comparison, Expr),
    Among(Expr),
}

/// The best access path for some conditions over the columns read, if any index helps.
pub(super) fn choose(
    schema: &RelationSchema,
    read: &[usize],
    conditions: &[Expr],
) -> Option<Choice> {
    let said: Vec<Option<(usize, Said)>> =
        conditions.iter().map(|condition| of_column(condition, schema, read)).collect();
    let candidates = schema
        .indexes
        .iter()
        .enumerate()
        .filter_map(|(place, index)| candidate(place, index, schema, &said));
    let (_, access, used) = candidates.max_by_key(|(score, ..)| *score)?;
    let rest = conditions.iter().enumerate().filter(|(place, _)| !used.contains(place));
    Some(Choice { access, rest: rest.map(|(_, condition)| condition.clone()).collect() })
}

/// The part of one index that some conditions leave, if they say anything of its first column: a range of it.
pub(super) fn range(
    schema: &RelationSchema,
    read: &[usize],
    conditions: &[Expr],
    index: usize,
) -> Option<Choice> {
    let said: Vec<Option<(usize, Said)>> =
        conditions.iter().map(|condition| of_column(condition, schema, read)).collect();
    let (_, access, used) = candidate(index, schema.indexes.get(index)?, schema, &said)?;
    if !is_range(&access) {
        return None;
    }
    let rest = conditions.iter().enumerate().filter(|(place, _)| !used.contains(place));
    Some(Choice { access, rest: rest.map(|(_, condition)| condition.clone()).collect() })
}

/// Whether an access reads a range of an index, which may be most of it.
pub(super) fn is_range(access: &ScanAccess) -> bool {
    matches!(access, ScanAccess::Index { prefix, .. } if prefix.is_empty())
}

/// How good an index is: its class, how much it decides, and the first of equals.
type Score = (u8, usize, std::cmp::Reverse<usize>);

/// An access path with its score and the conditions that it decides.
type Candidate = (Score, ScanAccess, Vec<usize>);

/// What one index makes of the conditions.
fn candidate(
    place: usize,
    index: &Index,
    schema: &RelationSchema,
    said: &[Option<(usize, Said)>],
) -> Option<Candidate> {
    let mut used = Vec::new();
    let mut prefix = Vec::new();
    for column in &index.columns {
        let equal = said.iter().enumerate().find_map(|(number, said)| match said {
            Some((of, Said::Compared(Comparison::Equal, value))) if of == column => {
                Some((number, value))
            }
            _ => None,
        });
        let Some((number, value)) = equal else { break };
        used.push(number);
        prefix.push(value.clone());
    }
    let order = std::cmp::Reverse(place);
    let next = index.columns.get(prefix.len());
    let (mut lower, mut upper) = (None, None);
    for (number, said) in said.iter().enumerate() {
        let Some((of, Said::Compared(comparison, value))) = said else { continue };
        if Some(of) != next {
            continue;
        }
        let bound = match comparison {
            Comparison::Greater | Comparison::GreaterOrEqual => &mut lower,
            Comparison::Less | Comparison::LessOrEqual => &mut upper,
            Comparison::Equal | Comparison::NotEqual => continue,
        };
        if bound.is_none() {
            *bound = Some((
                value.clone(),
                matches!(comparison, Comparison::GreaterOrEqual | Comparison::LessOrEqual),
            ));
            used.push(number);
        }
    }
    if prefix.is_empty() {
        let among = said.iter().enumerate().find_map(|(number, said)| match said {
            Some((of, Said::Among(keys))) if Some(of) == next => Some((number, keys)),
            _ => None,
        });
        if let Some((number, keys)) = among
            && holds_all_rows(index, schema, 1)
        {
            return Some((
                (2, 0, order),
                ScanAccess::IndexAny { index: place, keys: keys.clone() },
                vec![number],
            ));
        }
    }
    let decided = prefix.len() + usize::from(lower.is_some() || upper.is_some());
    if used.is_empty() || !holds_all_rows(index, schema, decided) {
        return None;
    }
    let whole = index.unique && prefix.len() == index.columns.len();
    let class = if whole {
        4
    } else if prefix.is_empty() {
        1
    } else {
        3
    };
    let score = (
        class,
        prefix.len() * 2 + usize::from(lower.is_some()) + usize::from(upper.is_some()),
        order,
    );
    Some((score, ScanAccess::Index { index: place, prefix, lower, upper, backward: false }, used))
}

/// Whether an index holds all rows that have no null in its first columns: those with a null in another one may
/// be missing from it.
pub(super) fn holds_all_rows(index: &Index, schema: &RelationSchema, first: usize) -> bool {
    let never_null =
        |column: &usize| schema.columns.get(*column).is_some_and(|column| column.not_null);
    index.columns.iter().skip(first).all(never_null)
}

/// What a condition says of a column, when the other side does not depend on the row.
fn of_column(condition: &Expr, schema: &RelationSchema, read: &[usize]) -> Option<(usize, Said)> {
    let column = |expr: &Expr| match expr {
        Expr::Column(column, _) => read.get(*column).copied(),
        _ => None,
    };
    let ty = |column: usize| schema.columns.get(column).map(|column| column.ty);
    match condition {
        Expr::Call(call) => {
            let comparison = comparison(call.function)?;
            let [left, right] = &*call.arguments else { return None };
            let (column, comparison, value) = match (column(left), column(right)) {
                (Some(column), _) => (column, comparison, right),
                (None, Some(column)) => (column, comparison.commuted(), left),
                (None, None) => return None,
            };
            Some((column, Said::Compared(comparison, key(value, ty(column)?)?)))
        }
        Expr::Quantified { left, operator, array, all: false }
            if comparison(operator) == Some(Comparison::Equal) =>
        {
            let column = column(left)?;
            let same = array.ty().element() == ty(column);
            (same && is_fixed(array)).then(|| (column, Said::Among((**array).clone())))
        }
        Expr::InList { input, items, negated: false } => {
            let column = column(input)?;
            let ty = ty(column)?;
            let elements = items.iter().map(|item| key(item, ty)).collect::<Option<Vec<_>>>()?;
            Some((column, Said::Among(Expr::Array { elements, ty: ty.array()? })))
        }
        _ => None,
    }
}

/// A value as a key of a column's type; none if it depends on the row or is of another type.
fn key(value: &Expr, ty: PgType) -> Option<Expr> {
    if !is_fixed(value) {
        return None;
    }
    if value.ty() == ty || (is_text(value.ty()) && is_text(ty)) {
        return Some(value.clone());
    }
    // Integer literals are int4 whatever the column is.
    let Expr::Literal(literal, _) = value else { return None };
    let number = match literal {
        Datum::Int2(number) => i64::from(*number),
        Datum::Int4(number) => i64::from(*number),
        Datum::Int8(number) => *number,
        _ => return None,
    };
    let literal = match ty {
        PgType::Int2 => Datum::Int2(i16::try_from(number).ok()?),
        PgType::Int4 => Datum::Int4(i32::try_from(number).ok()?),
        PgType::Int8 => Datum::Int8(number),
        _ => return None,
    };
    Some(Expr::Literal(literal, ty))
}

fn is_text(ty: PgType) -> bool {
    matches!(ty, PgType::Text | PgType::Varchar | PgType::Name)
}

/// Whether an expression has one value for the whole scan.
fn is_fixed(expr: &Expr) -> bool {
    walk::columns(expr).is_empty() && walk::is_repeatable(expr)
}
