//! Sets of characters: one character, `.`, `\w`, `[a-z[:alpha:]]`.

use std::fmt::Write as _;

/// A class with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Alpha,
    Digit,
    Alnum,
    Upper,
    Lower,
    Space,
    Punct,
    Blank,
    Cntrl,
    Xdigit,
    Graph,
    Print,
    Word,
    Ascii,
}

impl Class {
    /// The class with a name, as in `[:alpha:]`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alpha" => Self::Alpha,
            "digit" => Self::Digit,
            "alnum" => Self::Alnum,
            "upper" => Self::Upper,
            "lower" => Self::Lower,
            "space" => Self::Space,
            "punct" => Self::Punct,
            "blank" => Self::Blank,
            "cntrl" => Self::Cntrl,
            "xdigit" => Self::Xdigit,
            "graph" => Self::Graph,
            "print" => Self::Print,
            "word" => Self::Word,
            "ascii" => Self::Ascii,
            _ => return None,
        })
    }

    fn contains(self, it: char) -> bool {
        match self {
            Self::Alpha => it.is_alphabetic(),
            Self::Digit => it.is_ascii_digit(),
            Self::Alnum => it.is_alphanumeric(),
            Self::Upper => it.is_uppercase(),
            Self::Lower => it.is_lowercase(),
            Self::Space => it.is_whitespace(),
            Self::Punct => {
                it.is_ascii_punctuation()
                    || !it.is_ascii()
                        && !it.is_alphanumeric()
                        && !it.is_whitespace()
                        && !it.is_control()
            }
            Self::Blank => it == ' ' || it == '\t',
            Self::Cntrl => it.is_control(),
            Self::Xdigit => it.is_ascii_hexdigit(),
            Self::Graph => !it.is_whitespace() && !it.is_control(),
            Self::Print => it == ' ' || !it.is_whitespace() && !it.is_control(),
            Self::Word => is_word(it),
            Self::Ascii => it.is_ascii(),
        }
    }

    /// The same class in the syntax of the crate, inside of brackets.
    fn syntax(self) -> &'static str {
        match self {
            Self::Alpha => r"\p{Alphabetic}",
            Self::Digit => "0-9",
            Self::Alnum => r"\p{Alphabetic}\p{N}",
            Self::Upper => r"\p{Uppercase}",
            Self::Lower => r"\p{Lowercase}",
            Self::Space => r"\s",
            Self::Punct => r"[[:punct:]][^\x00-\x7f\p{Alphabetic}\p{N}\s\p{Cc}]",
            Self::Blank => r"\x20\t",
            Self::Cntrl => r"\p{Cc}",
            Self::Xdigit => "0-9a-fA-F",
            Self::Graph => r"[^\s\p{Cc}]",
            Self::Print => r"\x20[^\s\p{Cc}]",
            Self::Word => r"\p{Alphabetic}\p{N}_",
            Self::Ascii => r"\x00-\x7f",
        }
    }
}

/// Whether a character is part of a word.
pub(super) fn is_word(it: char) -> bool {
    it == '_' || it.is_alphanumeric()
}

/// The other case of a character, if it is one character.
fn cases(it: char) -> [char; 3] {
    let lower = crate::types::functions::lower(it).unwrap_or(it);
    let upper = crate::types::functions::upper(it).unwrap_or(it);
    [it, lower, upper]
}

/// Whether two characters are equal but for their case.
pub(super) fn same_letter(a: char, b: char) -> bool {
    let b = cases(b);
    cases(a).iter().any(|it| b.contains(it))
}

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// From one character to another, both included.
    pub(super) ranges: Vec<(char, char)>,
    /// Classes; `false` is the complement.
    pub(super) classes: Vec<(Class, bool)>,
    /// Everything that is not in it.
    pub(super) negated: bool,
    /// Letters alike in upper and lower case.
    pub(super) ignore_case: bool,
}

impl Set {
    /// One character.
    pub(super) fn one(it: char, ignore_case: bool) -> Self {
        Self { ranges: vec![(it, it)], ignore_case, ..Self::default() }
    }

    /// A class or its complement.
    pub(super) fn class(class: Class, holds: bool) -> Self {
        Self { classes: vec![(class, holds)], ..Self::default() }
    }

    /// Every character but a line feed.
    pub(super) fn not_newline() -> Self {
        Self { ranges: vec![('\n', '\n')], negated: true, ..Self::default() }
    }

    fn plainly_contains(&self, it: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&it))
            || self.classes.iter().any(|(class, holds)| class.contains(it) == *holds)
    }

    /// Whether a character is in the set.
    pub(super) fn contains(&self, it: char) -> bool {
        let found = if self.ignore_case {
            cases(it).iter().any(|it| self.plainly_contains(*it))
        } else {
            self.plainly_contains(it)
        };
        found != self.negated
    }

    /// The set in the syntax of the crate.
    pub(super) fn syntax(&self, out: &mut String) {
        out.push_str(if self.ignore_case { "(?i:[" } else { "[" });
        if self.negated {
            out.push('^');
        }
        for (low, high) in &self.ranges {
            // A code point is written as such: no character is special then.
            let _ = write!(out, "\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*low), u32::from(*high));
        }
        for (class, holds) in &self.classes {
            let (open, close) = if *holds { ("[", "]") } else { ("[^", "]") };
            let _ = write!(out, "{open}{}{close}", class.syntax());
        }
        if self.ranges.is_empty() && self.classes.is_empty() {
            // Nothing at all.
            out.push_str(r"\x00&&\x01");
        }
        out.push_str(if self.ignore_case { "])" } else { "]" });
    }
}
