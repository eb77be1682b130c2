//! Choosing among functions or operators that all accept the arguments.
//!
//! Source: `parse_func.c` (`func_match_argtypes`, `func_select_candidate`); the steps are numbered as in chapter
//! 10.3 of the manual.

use super::coerce::{CoercionContext, can_coerce};
use crate::types::PgType;

/// Something to choose, with the argument types it would get.
#[derive(Clone, Debug)]
pub(super) struct Candidate<T> {
    /// The argument types, as many as the call has arguments.
    pub(super) arguments: Vec<PgType>,
    /// What is chosen.
    pub(super) item: T,
}

/// What the choice came to.
pub(super) enum Choice<T> {
    One(Candidate<T>),
    None,
    Ambiguous,
}

/// Keeps the candidates that accept the arguments, then chooses.
pub(super) fn choose<T: Clone>(actual: &[PgType], candidates: Vec<Candidate<T>>) -> Choice<T> {
    let accepts = |it: &Candidate<T>| can_coerce(actual, &it.arguments, CoercionContext::Implicit);
    let mut candidates: Vec<_> = candidates.into_iter().filter(accepts).collect();
    if candidates.is_empty() {
        return Choice::None;
    }
    let steps = [most_exact, most_preferred, by_category, by_known_type];
    for step in steps {
        if candidates.len() == 1 {
            break;
        }
        candidates = step(actual, candidates);
    }
    match candidates.pop() {
        Some(one) if candidates.is_empty() => Choice::One(one),
        _ => Choice::Ambiguous,
    }
}

fn keep_best<T: Clone>(
    candidates: Vec<Candidate<T>>,
    score: impl Fn(&Candidate<T>) -> usize,
) -> Vec<Candidate<T>> {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.into_iter().filter(|it| score(it) == best).collect()
}

/// Step c: the most exact matches.
fn most_exact<T: Clone>(actual: &[PgType], candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    keep_best(candidates, |it| {
        let pairs = actual.iter().zip(&it.arguments);
        pairs.filter(|(actual, declared)| **actual != PgType::Unknown && actual == declared).count()
    })
}

/// Step d: the most exact matches or preferred types of the argument's own category.
fn most_preferred<T: Clone>(actual: &[PgType], candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    keep_best(candidates, |it| {
        let fits = |(actual, declared): &(&PgType, &PgType)| {
            **actual != PgType::Unknown
                && (actual == declared
                    || (declared.is_preferred() && declared.category() == actual.category()))
        };
        actual.iter().zip(&it.arguments).filter(fits).count()
    })
}

/// Step e: the category that the candidates accept at each unknown place; strings win.
fn by_category<T: Clone>(actual: &[PgType], candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    let mut wanted = Vec::new();
    for place in (0..actual.len()).filter(|place| actual[*place] == PgType::Unknown) {
        let types: Vec<PgType> = candidates.iter().map(|it| it.arguments[place]).collect();
        let category = match types.iter().find(|ty| ty.category() == b'S') {
            Some(_) => b'S',
            None if types.iter().all(|ty| ty.category() == types[0].category()) => {
                types[0].category()
            }
            None => return candidates,
        };
        let preferred = types.iter().any(|ty| ty.category() == category && ty.is_preferred());
        wanted.push((place, category, preferred));
    }
    let fits = |it: &&Candidate<T>| {
        wanted.iter().all(|(place, category, preferred)| {
            let ty = it.arguments[*place];
            ty.category() == *category && (!preferred || ty.is_preferred())
        })
    };
    let kept: Vec<_> = candidates.iter().filter(fits).cloned().collect();
    if wanted.is_empty() || kept.is_empty() { candidates } else { kept }
}

/// Step f: if the known arguments all have one type, the unknown ones are assumed to have it too.
fn by_known_type<T: Clone>(actual: &[PgType], candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    let mut known = actual.iter().filter(|ty| **ty != PgType::Unknown);
    let Some(first) = known.next() else { return candidates };
    if known.any(|ty| ty != first) || !actual.contains(&PgType::Unknown) {
        return candidates;
    }
    let assumed = vec![*first; actual.len()];
    let fits = |it: &&Candidate<T>| can_coerce(&assumed, &it.arguments, CoercionContext::Implicit);
    let kept: Vec<_> = candidates.iter().filter(fits).cloned().collect();
    if kept.len() == 1 { kept } else { candidates }
}
