//! A pattern in the syntax of the `regex` crate, which finds out fast whether and where a text can match.
//!
//! What the crate does not have is left out so that more matches, never less: back references become the group that
//! they refer to, look-around nothing.

use std::fmt::Write as _;

use super::parse::{Assertion, Ast};

/// A translation, and whether it says the same.
pub(super) struct Translation {
    pub(super) pattern: String,
    pub(super) exact: bool,
    /// The groups, as they stand in the translation.
    groups: Vec<String>,
}

/// The longest translation; a pattern that needs more is too complex.
const BYTES_MAX: usize = 1 << 20;

/// Translates a pattern with so many groups; none if it becomes too long.
pub(super) fn translate(ast: &Ast, groups: usize) -> Option<Translation> {
    let mut translation = Translation {
        pattern: String::new(),
        exact: true,
        groups: vec![String::new(); groups + 1],
    };
    translation.write(ast)?;
    Some(translation)
}

impl Translation {
    fn write(&mut self, ast: &Ast) -> Option<()> {
        if self.pattern.len() > BYTES_MAX {
            return None;
        }
        match ast {
            Ast::Set(set) => set.syntax(&mut self.pattern),
            Ast::Assert(assertion) => self.pattern.push_str(match assertion {
                Assertion::TextStart => r"\A",
                Assertion::TextEnd => r"\z",
                Assertion::LineStart => "(?m:^)",
                Assertion::LineEnd => "(?m:$)",
                // Words of the crate have letters that ours have not; what is left is found out later.
                _ => {
                    self.exact = false;
                    ""
                }
            }),
            Ast::Look { .. } => self.exact = false,
            Ast::Back(number) => {
                self.exact = false;
                let group = self.groups.get(*number).cloned().unwrap_or_default();
                let _ = write!(self.pattern, "(?:{group})");
            }
            Ast::Group(inner, number) => {
                let start = self.pattern.len();
                self.pattern.push_str("(?:");
                self.write(inner)?;
                self.pattern.push(')');
                if let Some(group) = number.and_then(|it| self.groups.get_mut(it)) {
                    self.pattern[start..].clone_into(group);
                }
            }
            Ast::Repeat(inner, quantifier) => {
                self.pattern.push_str("(?:");
                self.write(inner)?;
                let _ = write!(self.pattern, "){{{},", quantifier.min);
                if let Some(max) = quantifier.max {
                    let _ = write!(self.pattern, "{max}");
                }
                self.pattern.push('}');
            }
            Ast::Concat(parts) => {
                for part in parts {
                    self.write(part)?;
                }
            }
            Ast::Alternate(branches) => {
                for (place, branch) in branches.iter().enumerate() {
                    self.pattern.push_str(if place == 0 { "(?:" } else { "|" });
                    self.write(branch)?;
                }
                self.pattern.push(')');
            }
        }
        Some(())
    }
}
