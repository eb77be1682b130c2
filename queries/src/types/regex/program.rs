//! Patterns without back references as state machines, run over a text in either direction.
//!
//! All states that the text so far can lead to are followed side by side, so the time is bounded by the product of
//! both lengths, and nothing recurses on either.

use super::class::{Set, is_word};
use super::parse::{Assertion, Ast, invalid};
use crate::error::Result;
use crate::exec::EvalContext;

/// The states that the machines of one pattern may have together.
const STATES_MAX: usize = 100_000;

/// How many states are visited between two looks at the cancel flag.
const STEPS_UNCHECKED: usize = 1 << 16;

/// What a state asks for.
#[derive(Clone, Debug)]
enum State {
    /// A character of a set.
    Set(Set, usize),
    /// Nothing; both may follow.
    Both(usize, usize),
    /// Nothing.
    Jump(usize),
    /// That a condition holds here.
    Assert(Assertion, usize),
    /// That another machine matches from here on, or up to here.
    Look { machine: usize, ahead: bool, negated: bool, next: usize },
    /// Nothing more.
    Accept,
}

/// A state machine.
#[derive(Debug)]
pub(super) struct Program {
    states: Vec<State>,
    start: usize,
    /// Whether it reads the text from behind.
    reverse: bool,
    /// The machines that its look-around uses.
    looks: Vec<Program>,
}

/// Counts the states of all machines of a pattern.
#[derive(Debug, Default)]
pub(super) struct Size(usize);

impl Size {
    fn add(&mut self) -> Result<()> {
        self.0 += 1;
        if self.0 > STATES_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        Ok(())
    }
}

/// Builds a machine from its end.
struct Builder<'a> {
    states: Vec<State>,
    looks: Vec<Program>,
    reverse: bool,
    size: &'a mut Size,
    /// What the groups hold, for back references, which are approximated by them.
    groups: &'a [Option<Ast>],
}

impl Program {
    /// The machine of an expression.
    pub(super) fn new(
        ast: &Ast,
        reverse: bool,
        groups: &[Option<Ast>],
        size: &mut Size,
    ) -> Result<Self> {
        let mut builder = Builder { states: vec![], looks: vec![], reverse, size, groups };
        let accept = builder.push(State::Accept)?;
        let start = builder.build(ast, accept)?;
        Ok(Self { states: builder.states, start, reverse, looks: builder.looks })
    }
}

impl Builder<'_> {
    fn push(&mut self, state: State) -> Result<usize> {
        self.size.add()?;
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    /// The state in which an expression begins that is followed by `next`.
    fn build(&mut self, ast: &Ast, next: usize) -> Result<usize> {
        match ast {
            Ast::Set(set) => self.push(State::Set(set.clone(), next)),
            Ast::Assert(assertion) => self.push(State::Assert(*assertion, next)),
            Ast::Look { ahead, negated, inner } => {
                let machine = Program::new(inner, !ahead, self.groups, self.size)?;
                self.looks.push(machine);
                let machine = self.looks.len() - 1;
                self.push(State::Look { machine, ahead: *ahead, negated: *negated, next })
            }
            Ast::Back(number) => match self.groups.get(*number).and_then(Option::as_ref) {
                Some(group) => self.build(&group.clone(), next),
                None => Ok(next),
            },
            Ast::Group(inner, _) => self.build(inner, next),
            Ast::Concat(parts) if self.reverse => {
                parts.iter().try_fold(next, |next, part| self.build(part, next))
            }
            Ast::Concat(parts) => {
                parts.iter().rev().try_fold(next, |next, part| self.build(part, next))
            }
            Ast::Alternate(branches) => {
                let mut start = None;
                for branch in branches {
                    let branch = self.build(branch, next)?;
                    start = Some(match start {
                        Some(other) => self.push(State::Both(other, branch))?,
                        None => branch,
                    });
                }
                Ok(start.unwrap_or(next))
            }
            Ast::Repeat(inner, quantifier) => {
                self.repeat(inner, quantifier.min, quantifier.max, next)
            }
        }
    }

    fn repeat(&mut self, inner: &Ast, min: u32, max: Option<u32>, next: usize) -> Result<usize> {
        let mut start = next;
        match max {
            Some(max) => {
                for _ in min..max {
                    let once = self.build(inner, start)?;
                    start = self.push(State::Both(once, next))?;
                }
            }
            None => {
                let again = self.push(State::Jump(next))?;
                let once = self.build(inner, again)?;
                self.states[again] = State::Both(once, next);
                start = again;
            }
        }
        for _ in 0..min {
            start = self.build(inner, start)?;
        }
        Ok(start)
    }
}

/// A text that is searched, and what the search may take.
pub(super) struct Search<'a> {
    pub(super) text: &'a str,
    pub(super) context: &'a EvalContext<'a>,
    steps: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(text: &'a str, context: &'a EvalContext<'a>) -> Self {
        Self { text, context, steps: 0 }
    }

    /// Counts work, and stops once the statement is cancelled.
    pub(super) fn step(&mut self, count: usize) -> Result<()> {
        self.steps += count;
        if self.steps >= STEPS_UNCHECKED {
            self.steps = 0;
            self.context.exec.cancel.check()?;
        }
        Ok(())
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    fn after(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    fn holds(&self, assertion: Assertion, at: usize) -> bool {
        let word = |it: Option<char>| it.is_some_and(is_word);
        let starts = || word(self.after(at)) && !word(self.before(at));
        let ends = || word(self.before(at)) && !word(self.after(at));
        match assertion {
            Assertion::TextStart => at == 0,
            Assertion::TextEnd => at == self.text.len(),
            Assertion::LineStart => at == 0 || self.before(at) == Some('\n'),
            Assertion::LineEnd => at == self.text.len() || self.after(at) == Some('\n'),
            Assertion::WordStart => starts(),
            Assertion::WordEnd => ends(),
            Assertion::WordBoundary => starts() || ends(),
            Assertion::NotWordBoundary => !starts() && !ends(),
        }
    }
}

/// States that are followed, each once.
struct Active {
    list: Vec<usize>,
    /// The round in which a state was put in last.
    seen: Vec<usize>,
    round: usize,
}

impl Program {
    /// Where a match that begins at `from` can end, up to `limit`: in the order in which the text is read. Stops at
    /// the first if it is the only one of interest.
    pub(super) fn ends(
        &self,
        search: &mut Search<'_>,
        from: usize,
        limit: usize,
        first_only: bool,
    ) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        let mut active = Active { list: vec![], seen: vec![0; self.states.len()], round: 1 };
        let mut at = from;
        let mut sets = Vec::new();
        active.list.push(self.start);
        loop {
            let accepted = self.close(search, &mut active, at, &mut sets)?;
            if accepted {
                found.push(at);
                if first_only {
                    return Ok(found);
                }
            }
            if at == limit || sets.is_empty() {
                return Ok(found);
            }
            let next = if self.reverse { search.before(at) } else { search.after(at) };
            let Some(character) = next else { return Ok(found) };
            active.round += 1;
            active.list.clear();
            for state in sets.drain(..) {
                if let State::Set(set, next) = &self.states[state]
                    && set.contains(character)
                {
                    active.list.push(*next);
                }
            }
            let width = character.len_utf8();
            at = if self.reverse { at - width } else { at + width };
        }
    }

    /// Follows everything that takes no character; gathers the states that wait for one.
    fn close(
        &self,
        search: &mut Search<'_>,
        active: &mut Active,
        at: usize,
        sets: &mut Vec<usize>,
    ) -> Result<bool> {
        let mut accepted = false;
        while let Some(state) = active.list.pop() {
            if std::mem::replace(&mut active.seen[state], active.round) == active.round {
                continue;
            }
            search.step(1)?;
            match &self.states[state] {
                State::Set(..) => sets.push(state),
                State::Both(one, other) => active.list.extend([*one, *other]),
                State::Jump(next) => active.list.push(*next),
                State::Assert(assertion, next) => {
                    if search.holds(*assertion, at) {
                        active.list.push(*next);
                    }
                }
                State::Look { machine, ahead, negated, next } => {
                    let limit = if *ahead { search.text.len() } else { 0 };
                    let found = self.looks[*machine].ends(search, at, limit, true)?;
                    if found.is_empty() == *negated {
                        active.list.push(*next);
                    }
                }
                State::Accept => accepted = true,
            }
        }
        Ok(accepted)
    }

    /// Whether the text between two places matches as a whole.
    pub(super) fn matches(&self, search: &mut Search<'_>, from: usize, to: usize) -> Result<bool> {
        let (from, to) = if self.reverse { (to, from) } else { (from, to) };
        Ok(self.ends(search, from, to, false)?.last() == Some(&to))
    }
}
