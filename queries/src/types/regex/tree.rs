//! How a pattern divides the text that it matches among its parts.
//!
//! PostgreSQL takes the leftmost match, and of those the longest or the shortest, as the first quantifier of the
//! pattern prefers. Within it each part is as long or as short as it prefers itself, earlier ones before later ones.
//! Parts of one preference without groups or back references are one part: nobody sees how they share their text.

use super::parse::{Ast, Quantifier};
use super::program::{Program, Size};
use crate::error::Result;

/// A part of a pattern.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Whether it prefers to be short.
    pub(super) shorter: bool,
    /// What it matches, back references aside.
    pub(super) forward: Program,
    /// The same, from behind.
    pub(super) backward: Program,
}

/// What a part is made of.
#[derive(Debug)]
pub(super) enum Kind {
    /// No one asks how it matches.
    Plain,
    Group(usize, Box<Node>),
    Concat(Box<Node>, Box<Node>),
    Alternate(Vec<Node>),
    Iterate {
        min: usize,
        max: Option<usize>,
        inner: Box<Node>,
    },
    Back {
        number: usize,
        min: usize,
        max: Option<usize>,
    },
}

/// What is known of an expression before it is taken apart.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts")]
struct Traits {
    /// Which it prefers; none if it has no choice.
    shorter: Option<bool>,
    /// Whether parts of it prefer otherwise.
    mixed: bool,
    groups: bool,
    references: bool,
    /// Something in it prefers to be long, or short.
    longs: bool,
    shorts: bool,
}

impl Traits {
    fn preferring(shorter: Option<bool>) -> Self {
        Self {
            shorter,
            longs: shorter == Some(false),
            shorts: shorter == Some(true),
            ..Self::default()
        }
    }

    /// Both together; the preference is that of the first that has one.
    fn with(self, other: Self) -> Self {
        let longs = self.longs || other.longs;
        let shorts = self.shorts || other.shorts;
        Self {
            shorter: self.shorter.or(other.shorter),
            mixed: self.mixed || other.mixed || longs && shorts,
            groups: self.groups || other.groups,
            references: self.references || other.references,
            longs,
            shorts,
        }
    }

    /// Whether it matters how it matches.
    fn is_messy(self) -> bool {
        self.mixed || self.groups || self.references
    }

    /// What is seen of it from outside: its own preference, not those of its parts.
    fn outside(self) -> Self {
        Self { longs: self.shorter == Some(false), shorts: self.shorter == Some(true), ..self }
    }
}

fn traits(ast: &Ast) -> Traits {
    match ast {
        Ast::Set(_) | Ast::Assert(_) | Ast::Look { .. } => Traits::default(),
        Ast::Back(_) => Traits { references: true, ..Traits::default() },
        Ast::Group(inner, number) => {
            let inner = traits(inner);
            Traits { groups: inner.groups || number.is_some(), ..inner }.outside()
        }
        Ast::Repeat(_, Quantifier { max: Some(0), .. }) => Traits::default(),
        Ast::Repeat(inner, quantifier) => {
            Traits::preferring(quantifier.shorter).with(traits(inner)).outside()
        }
        Ast::Concat(parts) => {
            parts.iter().fold(Traits::default(), |all, part| all.with(traits(part)))
        }
        Ast::Alternate(branches) => branches
            .iter()
            .fold(Traits::preferring(Some(false)), |all, branch| all.with(traits(branch).outside()))
            .outside(),
    }
}

/// Makes the parts of a pattern.
pub(super) struct Planner<'a> {
    /// What the groups hold.
    pub(super) groups: Vec<Option<Ast>>,
    pub(super) size: &'a mut Size,
}

/// Notes what the groups of an expression hold.
pub(super) fn note_groups(ast: &Ast, groups: &mut [Option<Ast>]) {
    match ast {
        Ast::Group(inner, number) => {
            note_groups(inner, groups);
            if let Some(group) = number.and_then(|it| groups.get_mut(it)) {
                *group = Some((**inner).clone());
            }
        }
        Ast::Repeat(inner, _) => note_groups(inner, groups),
        Ast::Concat(parts) | Ast::Alternate(parts) => {
            for part in parts {
                note_groups(part, groups);
            }
        }
        Ast::Set(_) | Ast::Assert(_) | Ast::Look { .. } | Ast::Back(_) => {}
    }
}

impl Planner<'_> {
    fn node(&mut self, ast: &Ast, kind: Kind, shorter: Option<bool>) -> Result<Node> {
        let forward = Program::new(ast, false, &self.groups, self.size)?;
        let backward = Program::new(ast, true, &self.groups, self.size)?;
        Ok(Node { kind, shorter: shorter.unwrap_or(false), forward, backward })
    }

    /// The parts of an expression.
    pub(super) fn plan(&mut self, ast: &Ast) -> Result<Node> {
        let all = traits(ast);
        if !all.is_messy() {
            return self.node(ast, Kind::Plain, all.shorter);
        }
        match ast {
            Ast::Group(inner, Some(number)) => {
                let inner = self.plan(inner)?;
                self.node(ast, Kind::Group(*number, Box::new(inner)), all.shorter)
            }
            Ast::Group(inner, None) => self.plan(inner),
            Ast::Back(number) => {
                let kind = Kind::Back { number: *number, min: 1, max: Some(1) };
                self.node(ast, kind, all.shorter)
            }
            Ast::Repeat(inner, quantifier) => self.plan_repeat(ast, inner, *quantifier),
            Ast::Alternate(branches) => {
                let nodes =
                    branches.iter().map(|branch| self.plan(branch)).collect::<Result<_>>()?;
                self.node(ast, Kind::Alternate(nodes), Some(false))
            }
            Ast::Concat(parts) => self.plan_concat(parts),
            Ast::Set(_) | Ast::Assert(_) | Ast::Look { .. } => {
                self.node(ast, Kind::Plain, all.shorter)
            }
        }
    }

    fn plan_repeat(&mut self, whole: &Ast, inner: &Ast, quantifier: Quantifier) -> Result<Node> {
        let (of_inner, all) = (traits(inner), traits(whole));
        let Quantifier { min, max, shorter } = quantifier;
        if max == Some(0) {
            return self.node(&Ast::Concat(vec![]), Kind::Plain, None);
        }
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let vacuous =
            shorter.is_none() || of_inner.shorter.is_none() || shorter == of_inner.shorter;
        if min == 1 && max == Some(1) && vacuous {
            return self.plan(inner);
        }
        if let Ast::Back(number) = inner {
            let kind = Kind::Back { number: *number, min: count(min), max: max.map(count) };
            return self.node(whole, kind, all.shorter);
        }
        if min > 0 && !of_inner.references && (min, max) != (1, Some(1)) {
            // Only the last round shows in the groups, so all before it need not be taken apart.
            let fewer = Quantifier { min: min - 1, max: max.map(|max| max - 1), shorter };
            let before = Ast::Repeat(Box::new(inner.clone()), fewer);
            let left = self.node(&before, Kind::Plain, all.shorter)?;
            let right = self.plan(inner)?;
            return self.node(whole, Kind::Concat(Box::new(left), Box::new(right)), all.shorter);
        }
        let inner = Box::new(self.plan(inner)?);
        self.node(whole, Kind::Iterate { min: count(min), max: max.map(count), inner }, all.shorter)
    }

    /// Parts one after the other: as many as are alike, then one to be taken apart, then the rest.
    fn plan_concat(&mut self, parts: &[Ast]) -> Result<Node> {
        let mut prefix = Traits::default();
        let messy = parts.iter().position(|part| {
            let with = prefix.with(traits(part));
            if !with.is_messy() {
                prefix = with;
            }
            with.is_messy()
        });
        let whole = Ast::Concat(parts.to_vec());
        let all = traits(&whole);
        let Some(messy) = messy else {
            return self.node(&whole, Kind::Plain, all.shorter);
        };
        let mut node = self.plan(&parts[messy])?;
        let rest = &parts[messy + 1..];
        if !rest.is_empty() {
            let tail = Ast::Concat(parts[messy..].to_vec());
            let of_tail = traits(&tail);
            let right = self.plan(&Ast::Concat(rest.to_vec()))?;
            let kind = Kind::Concat(Box::new(node), Box::new(right));
            node = self.node(&tail, kind, of_tail.shorter)?;
        }
        if messy == 0 {
            return Ok(node);
        }
        let before = Ast::Concat(parts[..messy].to_vec());
        let left = self.node(&before, Kind::Plain, prefix.shorter)?;
        self.node(&whole, Kind::Concat(Box::new(left), Box::new(node)), all.shorter)
    }
}
