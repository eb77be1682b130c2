//! Where things stand in a statement's text: from a parser's line and column to the bytes and characters that
//! PostgreSQL counts.

use std::sync::Arc;

use sqlparser::tokenizer::{Location, Span};

/// The lines of a text.
#[derive(Debug)]
pub(super) struct Positions {
    text: Arc<str>,
    /// Byte and character at which each line starts.
    lines: Vec<(usize, usize)>,
    ascii: bool,
}

impl Positions {
    pub(super) fn new(text: &Arc<str>) -> Self {
        let ascii = text.is_ascii();
        let mut lines = vec![(0, 0)];
        let (mut characters, mut start) = (0, 0);
        for end in memchr::memchr_iter(b'\n', text.as_bytes()) {
            let line = &text[start..=end];
            characters += if ascii { line.len() } else { line.chars().count() };
            start = end + 1;
            lines.push((start, characters));
        }
        Self { text: Arc::clone(text), lines, ascii }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place in characters from 1; none for a place that is not known.
    pub(super) fn character(&self, location: Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column).ok()?;
        let (_, characters) = self.lines.get(line)?;
        Some(characters + column)
    }

    /// The place as a byte; the end of the text for a place behind it.
    pub(super) fn byte(&self, location: Location) -> usize {
        let line = usize::try_from(location.line).ok().and_then(|line| line.checked_sub(1));
        let Some((start, _)) = line.and_then(|line| self.lines.get(line)) else {
            return self.text.len();
        };
        let column = usize::try_from(location.column).unwrap_or(1).saturating_sub(1);
        if self.ascii {
            return (start + column).min(self.text.len());
        }
        let rest = &self.text[*start..];
        rest.char_indices().nth(column).map_or(self.text.len(), |(byte, _)| start + byte)
    }

    /// The text of a token.
    pub(super) fn slice(&self, span: Span) -> &str {
        let start = self.byte(span.start);
        &self.text[start..self.byte(span.end).max(start)]
    }

    /// The character behind the last one, from 1.
    pub(super) fn end(&self) -> usize {
        self.character_of_byte(self.text.len())
    }

    /// The character at a byte, from 1.
    pub(super) fn character_of_byte(&self, byte: usize) -> usize {
        1 + if self.ascii { byte } else { self.text[..byte].chars().count() }
    }
}
