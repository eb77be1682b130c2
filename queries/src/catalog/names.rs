//! Names as SQL writes them: quoting, and taking qualified names apart.

use std::collections::BTreeMap;
use std::sync::LazyLock;

static KEYWORDS_TEXT: &str = include_str!("data/keywords.txt");

/// A key word of PostgreSQL's grammar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyword {
    /// The word, in lower case.
    pub(crate) word: &'static str,
    /// `U` unreserved, `C` unreserved but no function or type, `T` reserved but for functions and types,
    /// `R` reserved.
    pub(crate) category: u8,
    /// Whether it can be a column's label without AS.
    pub(crate) bare_label: bool,
}

/// All key words, in order.
pub(crate) fn keywords() -> impl Iterator<Item = Keyword> {
    KEYWORDS_TEXT.lines().map(|line| {
        let mut fields = line.split(' ');
        let mut field = || fields.next().expect("word, category and label");
        Keyword { word: field(), category: field().as_bytes()[0], bare_label: field() == "b" }
    })
}

static CATEGORIES: LazyLock<BTreeMap<&'static str, u8>> =
    LazyLock::new(|| keywords().map(|it| (it.word, it.category)).collect());

/// An identifier, with quotes if it needs them (`quote_ident`).
pub fn quote(name: &str) -> String {
    let mut bytes = name.bytes();
    let plain = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if plain && CATEGORIES.get(name).is_none_or(|category| *category == b'U') {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A qualified identifier.
pub(crate) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// Identifiers joined by commas.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(quote).collect::<Vec<_>>().join(", ")
}

/// The parts of a qualified name, in lower case unless quoted; none if it is malformed.
pub(crate) fn parts(text: &str) -> Option<Vec<String>> {
    leading_parts(text).filter(|(_, rest)| rest.is_empty()).map(|(parts, _)| parts)
}

/// The parts of the qualified name that a text begins with, and what follows it.
pub(crate) fn leading_parts(text: &str) -> Option<(Vec<String>, &str)> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted)?,
            None => {
                let in_name = |it: char| it.is_alphanumeric() || matches!(it, '_' | '$');
                let end = rest.find(|it| !in_name(it)).unwrap_or(rest.len());
                (rest[..end].to_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        rest = after.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None => return Some((parts, rest)),
        }
    }
}

/// What stands before the closing quote, and what follows it.
fn quoted_part(mut text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    loop {
        let (before, after) = text.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                text = after;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_when_they_need_it() {
        for (name, quoted) in [
            ("legs", "legs"),
            ("Legs", "\"Legs\""),
            ("select", "\"select\""),
            ("a\"b", "\"a\"\"b\""),
            ("name", "name"),
        ] {
            assert_eq!(quote(name), quoted);
        }
    }

    #[test]
    fn qualified_names_come_apart() {
        let of = |text| parts(text).unwrap();
        assert_eq!(of("Legs"), ["legs"]);
        assert_eq!(of("public.\"A\"\"b\""), ["public", "A\"b"]);
        assert_eq!(parts("a b"), None);
        assert_eq!(parts("a."), None);
        let (found, rest) = leading_parts("a.b c").unwrap();
        assert_eq!((found.join("/"), rest), ("a/b".to_owned(), "c"));
    }
}
