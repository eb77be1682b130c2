//! PostgreSQL's regular expressions ("advanced", `re_syntax`).
//!
//! A pattern is parsed once ([`parse`]) and kept in a small cache of the thread. Whether and from where on a text can
//! match is found out by the `regex` crate, to whose syntax it is translated ([`translate`]). Which text is the match
//! and what its groups hold follows PostgreSQL's rules, which are not those of the crate: [`tree`] takes the pattern
//! apart, [`program`] runs its parts over the text, [`divide`] finds the groups. A pattern with back references or
//! look-around is translated to one that matches more, and decided by our own machines.

mod class;
mod divide;
mod parse;
mod program;
mod translate;
mod tree;

use std::cell::RefCell;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use divide::{Division, Groups};
use parse::{Ast, invalid};
use program::{Search, Size};
use tree::{Kind, Node, Planner, note_groups};

/// The compiled patterns that a thread keeps.
const CACHE_SIZE: usize = 64;

/// The bytes that a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 10 << 20;

thread_local! {
    static CACHE: RefCell<Vec<(String, Options, Rc<Pattern>)>> = const { RefCell::new(Vec::new()) };
}

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of its own")]
pub(crate) struct Options {
    /// `i`.
    ignore_case: bool,
    /// `g`: every match, not only the first.
    pub(crate) global: bool,
    /// `n`, `p`: `.` does not match a line feed.
    stop_at_newline: bool,
    /// `n`, `w`: `^` and `$` match at lines.
    lines: bool,
    /// `x`.
    expanded: bool,
    /// `q`.
    literal: bool,
}

impl Options {
    /// Letters alike in upper and lower case, or not.
    pub(crate) fn with_case(ignore_case: bool) -> Self {
        Self { ignore_case, ..Self::default() }
    }

    /// The options of `like_regex` in a jsonpath, by its flags: a line feed is like any other character only if that is
    /// asked for.
    pub(crate) fn of_xquery(flags: &str) -> Self {
        let literal = flags.contains('q');
        Self {
            ignore_case: flags.contains('i'),
            stop_at_newline: !flags.contains('s') && !literal,
            lines: flags.contains('m') && !literal,
            literal,
            ..Self::default()
        }
    }

    /// Reads option letters.
    pub(crate) fn parse(letters: &str) -> Result<Self> {
        let mut options = Self::default();
        for letter in letters.chars() {
            match letter {
                'g' => options.global = true,
                other => options.letter(other)?,
            }
        }
        Ok(options)
    }

    fn letter(&mut self, letter: char) -> Result<()> {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.stop_at_newline, self.lines) = (true, true),
            'p' => (self.stop_at_newline, self.lines) = (true, false),
            'w' => (self.stop_at_newline, self.lines) = (false, true),
            's' => (self.stop_at_newline, self.lines) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' => return Err(SqlError::unsupported("basic regular expressions are not offered")),
            'e' => {
                return Err(SqlError::unsupported("extended regular expressions are not offered"));
            }
            _ => {
                let message = format!("invalid regular expression option: \"{letter}\"");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        }
        Ok(())
    }
}

/// A pattern, ready to be searched for.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// Finds where a match may begin.
    finder: Regex,
    /// Whether it finds nothing else.
    exact: bool,
    root: Node,
    groups: usize,
    references: bool,
    ignore_case: bool,
}

/// A match and its groups.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    groups: Groups,
}

impl Match {
    /// Where all of it begins, in bytes.
    pub(crate) fn start(&self) -> usize {
        self.groups.first().copied().flatten().map_or(0, |it| it.0)
    }

    /// Where all of it ends.
    pub(crate) fn end(&self) -> usize {
        self.groups.first().copied().flatten().map_or(0, |it| it.1)
    }

    /// Where a group begins and ends; group 0 is all of it.
    pub(crate) fn group(&self, number: usize) -> Option<(usize, usize)> {
        self.groups.get(number).copied().flatten()
    }
}

/// A compiled pattern.
pub(crate) fn compile(pattern: &str, options: Options) -> Result<Rc<Pattern>> {
    let found = CACHE.with_borrow(|cache| {
        let mut entries = cache.iter().rev();
        entries
            .find(|(text, with, _)| text == pattern && *with == options)
            .map(|(.., compiled)| Rc::clone(compiled))
    });
    if let Some(found) = found {
        return Ok(found);
    }
    let compiled = Rc::new(build(pattern, options)?);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() == CACHE_SIZE {
            cache.remove(0);
        }
        cache.push((pattern.to_owned(), options, Rc::clone(&compiled)));
    });
    Ok(compiled)
}

fn build(pattern: &str, options: Options) -> Result<Pattern> {
    let parsed = parse::parse(pattern, options)?;
    let too_complex = || invalid("regular expression is too complex");
    let translation = translate::translate(&parsed.ast, parsed.groups).ok_or_else(too_complex)?;
    let finder = RegexBuilder::new(&translation.pattern)
        .dot_matches_new_line(true)
        .size_limit(COMPILED_BYTES_MAX)
        .nest_limit(1000)
        .build()
        .map_err(|_| too_complex())?;
    let mut groups = vec![None; parsed.groups + 1];
    note_groups(&parsed.ast, &mut groups);
    let mut size = Size::default();
    let root = Planner { groups, size: &mut size }.plan(&parsed.ast)?;
    Ok(Pattern {
        finder,
        exact: translation.exact,
        root,
        groups: parsed.groups,
        references: has_references(&parsed.ast),
        ignore_case: parsed.options.ignore_case,
    })
}

fn has_references(ast: &Ast) -> bool {
    match ast {
        Ast::Back(_) => true,
        Ast::Group(inner, _) | Ast::Repeat(inner, _) => has_references(inner),
        Ast::Concat(parts) | Ast::Alternate(parts) => parts.iter().any(has_references),
        Ast::Set(_) | Ast::Assert(_) | Ast::Look { .. } => false,
    }
}

impl Pattern {
    /// How many groups it has.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// Whether it matches anywhere in a text.
    pub(crate) fn is_match(&self, context: &EvalContext<'_>, text: &str) -> Result<bool> {
        if !self.finder.is_match(text) {
            return Ok(false);
        }
        if self.exact {
            return Ok(true);
        }
        Ok(self.find(context, text, 0)?.is_some())
    }

    /// The first match that begins at a place or after it.
    pub(crate) fn find(
        &self,
        context: &EvalContext<'_>,
        text: &str,
        from: usize,
    ) -> Result<Option<Match>> {
        let mut search = Search::new(text, context);
        let mut from = from;
        while let Some(found) = (from <= text.len()).then(|| self.finder.find_at(text, from)) {
            let Some(found) = found else { return Ok(None) };
            let start = found.start();
            if let Some(groups) = self.match_at(&mut search, start)? {
                return Ok(Some(Match { groups }));
            }
            from = start + text[start..].chars().next().map_or(1, char::len_utf8);
        }
        Ok(None)
    }

    /// The match that begins at a place.
    fn match_at(&self, search: &mut Search<'_>, start: usize) -> Result<Option<Groups>> {
        let shortest = self.root.shorter;
        let end = search.text.len();
        let first_only = shortest && !self.references;
        let mut ends = self.root.forward.ends(search, start, end, first_only)?;
        if !shortest {
            ends.reverse();
        }
        for end in ends {
            let mut groups = vec![None; self.groups + 1];
            groups[0] = Some((start, end));
            if matches!(self.root.kind, Kind::Plain) {
                return Ok(Some(groups));
            }
            let mut division = Division {
                search,
                groups,
                ignore_case: self.ignore_case,
                references: self.references,
                attempts: 0,
            };
            if division.divide(&self.root, start, end)? {
                return Ok(Some(division.groups));
            }
        }
        Ok(None)
    }

    /// All matches from a place on, one after the other; `visit` says whether to go on. After an empty match the
    /// search goes on one character further.
    pub(crate) fn each(
        &self,
        context: &EvalContext<'_>,
        text: &str,
        from: usize,
        mut visit: impl FnMut(&Match) -> Result<bool>,
    ) -> Result<()> {
        let mut from = from;
        while from <= text.len() {
            let Some(found) = self.find(context, text, from)? else { return Ok(()) };
            if !visit(&found)? {
                return Ok(());
            }
            from = found.end();
            if found.start() == found.end() {
                from += text[from..].chars().next().map_or(1, char::len_utf8);
            }
        }
        Ok(())
    }
}
