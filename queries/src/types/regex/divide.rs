//! Finding the groups of a match: dividing its text among the parts of the pattern.

use rustc_hash::FxHashSet;

use super::class::same_letter;
use super::parse::invalid;
use super::program::Search;
use super::tree::{Kind, Node};
use crate::error::Result;

/// How many divisions may be tried for one match. Only back references can need many.
const ATTEMPTS_MAX: usize = 2_000_000;

/// Where the groups of a match are; the first is all of it.
pub(super) type Groups = Vec<Option<(usize, usize)>>;

/// A match that is being divided.
pub(super) struct Division<'s, 'a> {
    pub(super) search: &'s mut Search<'a>,
    pub(super) groups: Groups,
    pub(super) ignore_case: bool,
    /// Whether back references can refuse what the machines accept.
    pub(super) references: bool,
    pub(super) attempts: usize,
}

impl Division<'_, '_> {
    /// Divides the text between two places; whether that works out.
    pub(super) fn divide(&mut self, node: &Node, from: usize, to: usize) -> Result<bool> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        match &node.kind {
            Kind::Plain => Ok(true),
            Kind::Group(number, inner) => {
                let divided = self.divide(inner, from, to)?;
                if divided && let Some(group) = self.groups.get_mut(*number) {
                    *group = Some((from, to));
                }
                Ok(divided)
            }
            Kind::Concat(left, right) => self.concat(left, right, from, to),
            Kind::Alternate(branches) => {
                for branch in branches {
                    if branch.forward.matches(self.search, from, to)?
                        && self.divide(branch, from, to)?
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Kind::Iterate { min, max, inner } => self.iterate(inner, *min, *max, from, to),
            Kind::Back { number, min, max } => Ok(self.back(*number, *min, *max, from, to)),
        }
    }

    /// Where the first part may end, in the order in which it prefers to.
    fn middles(&mut self, left: &Node, right: &Node, from: usize, to: usize) -> Result<Vec<usize>> {
        let ends = left.forward.ends(self.search, from, to, false)?;
        if ends.is_empty() {
            return Ok(ends);
        }
        // Those come last first, so they are in ascending order from behind.
        let starts = right.backward.ends(self.search, to, from, false)?;
        let mut starts = starts.into_iter().rev().peekable();
        let mut both = Vec::new();
        for end in ends {
            while starts.next_if(|start| *start < end).is_some() {}
            if starts.peek() == Some(&end) {
                both.push(end);
            }
        }
        if !left.shorter {
            both.reverse();
        }
        Ok(both)
    }

    fn concat(&mut self, left: &Node, right: &Node, from: usize, to: usize) -> Result<bool> {
        let before = self.references.then(|| self.groups.clone());
        for middle in self.middles(left, right, from, to)? {
            if self.divide(left, from, middle)? && self.divide(right, middle, to)? {
                return Ok(true);
            }
            if let Some(before) = &before {
                self.groups.clone_from(before);
            }
        }
        Ok(false)
    }

    /// One part several times over: each round takes what it prefers as long as the rest can still be divided.
    fn iterate(
        &mut self,
        inner: &Node,
        min: usize,
        max: Option<usize>,
        from: usize,
        to: usize,
    ) -> Result<bool> {
        if min == 0 && from == to {
            // One empty round is better than none, unless the part prefers to be short.
            let before = self.groups.clone();
            if inner.shorter {
                return Ok(true);
            }
            if !inner.forward.matches(self.search, from, to)? || !self.divide(inner, from, to)? {
                self.groups = before;
            }
            return Ok(true);
        }
        let least = min.max(1);
        let most = max.unwrap_or(usize::MAX).min((to - from).max(least));
        let before = self.groups.clone();
        // For each round the ends that are left to try, the preferred one last.
        let mut rounds: Vec<Vec<usize>> = Vec::new();
        let mut ends = vec![from];
        let mut failed: FxHashSet<(usize, usize)> = FxHashSet::default();
        rounds.push(self.round_ends(inner, from, to)?);
        while let Some(candidates) = rounds.last_mut() {
            let round = ends.len();
            let start = ends[round - 1];
            let Some(end) = candidates.pop() else {
                rounds.pop();
                ends.pop();
                failed.insert((round, start));
                continue;
            };
            self.attempts += 1;
            if self.attempts > ATTEMPTS_MAX {
                return Err(invalid("regular expression is too complex"));
            }
            if end == to {
                if round >= least && self.verify(inner, &ends, end, &before)? {
                    return Ok(true);
                }
                continue;
            }
            let needless = end == start && (round >= least || least - round < to - end);
            if round >= most || needless || failed.contains(&(round + 1, end)) {
                continue;
            }
            let next = self.round_ends(inner, end, to)?;
            ends.push(end);
            rounds.push(next);
        }
        Ok(false)
    }

    /// The ends of a round, the preferred one last.
    fn round_ends(&mut self, inner: &Node, from: usize, to: usize) -> Result<Vec<usize>> {
        let mut ends = inner.forward.ends(self.search, from, to, false)?;
        if inner.shorter {
            ends.reverse();
        }
        Ok(ends)
    }

    fn verify(
        &mut self,
        inner: &Node,
        ends: &[usize],
        last: usize,
        before: &Groups,
    ) -> Result<bool> {
        self.groups.clone_from(before);
        let all: Vec<usize> = ends.iter().copied().chain([last]).collect();
        for pair in all.windows(2) {
            // What an earlier round has found does not count for a later one.
            self.groups.clone_from(before);
            if !self.divide(inner, pair[0], pair[1])? {
                self.groups.clone_from(before);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn back(&self, number: usize, min: usize, max: Option<usize>, from: usize, to: usize) -> bool {
        let Some((start, end)) = self.groups.get(number).copied().flatten() else {
            return false;
        };
        let (group, text) = (&self.search.text[start..end], &self.search.text[from..to]);
        if group.is_empty() {
            return text.is_empty();
        }
        if text.is_empty() {
            return min == 0;
        }
        let mut rest = text.chars();
        let mut rounds = 0;
        while !rest.as_str().is_empty() {
            for wanted in group.chars() {
                let same = rest
                    .next()
                    .is_some_and(|it| it == wanted || self.ignore_case && same_letter(it, wanted));
                if !same {
                    return false;
                }
            }
            rounds += 1;
        }
        rounds >= min && max.is_none_or(|max| rounds <= max)
    }
}
