//! Functions and operators over regular expressions.

use super::arrays::flat;
use super::define::{Rows, f, rows};
use super::registry::FunctionTable;
use super::strings::{VALUE_BYTES_MAX, too_long};
use super::{Arguments, ScalarFunction, SetFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::regex::{Match, Options, Pattern, compile};

pub(super) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: FUNCTIONS,
    aggregates: &[],
    sets: SETS,
    windows: &[],
};

fn test(c: &EvalContext<'_>, a: &[Datum], ignore_case: bool, wanted: bool) -> Result<Datum> {
    let pattern = compile(a.text(1)?, Options::with_case(ignore_case))?;
    Ok(Datum::Bool(pattern.is_match(c, a.text(0)?)? == wanted))
}

/// The options in an argument, if there is one.
fn options(a: &[Datum], place: usize) -> Result<Options> {
    if a.len() > place { Options::parse(a.text(place)?) } else { Ok(Options::default()) }
}

fn no_global(options: Options, function: &str) -> Result<Options> {
    if !options.global {
        return Ok(options);
    }
    let message = format!("{function}() does not support the \"global\" option");
    let error = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    Err(if function == "regexp_match" {
        error.with_hint("Use the regexp_matches function instead.")
    } else {
        error
    })
}

/// The text of a group; null if it is no part of the match.
fn group(text: &str, found: &Match, number: usize) -> Datum {
    found.group(number).map_or(Datum::Null, |(start, end)| Datum::text(&text[start..end]))
}

/// The groups of a match, or all of it if there are no groups.
fn groups(text: &str, pattern: &Pattern, found: &Match) -> Datum {
    let parts = if pattern.groups() == 0 {
        vec![group(text, found, 0)]
    } else {
        (1..=pattern.groups()).map(|number| group(text, found, number)).collect()
    };
    flat(Text, parts)
}

fn first_match(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let pattern = compile(a.text(1)?, no_global(options(a, 2)?, "regexp_match")?)?;
    let text = a.text(0)?;
    let found = pattern.find(c, text, 0)?;
    Ok(found.map_or(Datum::Null, |found| groups(text, &pattern, &found)))
}

fn all_matches(c: &EvalContext<'_>, a: &[Datum]) -> Result<Rows> {
    let options = options(a, 2)?;
    let pattern = compile(a.text(1)?, options)?;
    let text = a.text(0)?;
    let mut rows = Vec::new();
    pattern.each(c, text, 0, |found| {
        rows.push(groups(text, &pattern, found));
        Ok(options.global)
    })?;
    Ok(Box::new(rows.into_iter().map(|row| Ok(vec![row]))))
}

/// `substring(text from pattern)`: the first group, or all of the match.
fn substring(c: &EvalContext<'_>, text: &str, pattern: &str) -> Result<Datum> {
    let pattern = compile(pattern, Options::default())?;
    let number = usize::from(pattern.groups() > 0);
    let found = pattern.find(c, text, 0)?;
    Ok(found.map_or(Datum::Null, |found| group(text, &found, number)))
}

/// Writes a replacement: `\1` is a group, `\&` the match, `\\` a backslash.
fn expand(replacement: &str, text: &str, found: &Match, out: &mut String) {
    let part = |out: &mut String, number: usize| {
        if let Some((start, end)) = found.group(number) {
            out.push_str(&text[start..end]);
        }
    };
    let mut rest = replacement.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match rest.peek().copied() {
            Some(digit @ '1'..='9') => {
                rest.next();
                let number = digit.to_digit(10).and_then(|it| usize::try_from(it).ok());
                part(out, number.unwrap_or(0));
            }
            Some('&') => {
                rest.next();
                part(out, 0);
            }
            Some('\\') => {
                rest.next();
                out.push('\\');
            }
            _ => out.push('\\'),
        }
    }
}

/// Replaces the matches from a place on: all of them, or the one with a number (from 1).
fn replace(
    c: &EvalContext<'_>,
    text: &str,
    pattern: &Pattern,
    replacement: &str,
    from: usize,
    number: Option<usize>,
) -> Result<Datum> {
    let mut out = String::new();
    let (mut end, mut count) = (0, 0);
    pattern.each(c, text, from, |found| {
        count += 1;
        if number.is_some_and(|number| count != number) {
            return Ok(true);
        }
        out.push_str(&text[end..found.start()]);
        expand(replacement, text, found, &mut out);
        end = found.end();
        if out.len() > VALUE_BYTES_MAX {
            return Err(too_long());
        }
        Ok(number.is_none())
    })?;
    out.push_str(&text[end..]);
    Ok(out.into())
}

fn positive(a: &[Datum], place: usize, name: &str, least: i32) -> Result<usize> {
    let value = a.int4(place)?;
    if value < least {
        let message = format!("invalid value for parameter \"{name}\": {value}");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(usize::try_from(value).unwrap_or(0))
}

fn replace_simple(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    if a.len() > 3 && a.text(3)?.starts_with(|it: char| it.is_ascii_digit()) {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!(
            "invalid regular expression option: \"{}\"",
            a.text(3)?.chars().next().unwrap_or(' ')
        )).with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
    }
    let options = options(a, 3)?;
    let number = if options.global { None } else { Some(1) };
    replace(c, a.text(0)?, &*compile(a.text(1)?, options)?, a.text(2)?, 0, number)
}

/// `regexp_replace(text, pattern, replacement, start, n, flags)`.
fn replace_at(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let from = start(a, 3)?;
    let mut options = options(a, 5)?;
    let number = if a.len() > 4 {
        match positive(a, 4, "n", 0)? {
            0 => None,
            number => Some(number),
        }
    } else if options.global {
        None
    } else {
        Some(1)
    };
    options.global = false;
    let text = a.text(0)?;
    let Some(from) = from else { return Ok(a[0].clone()) };
    replace(c, text, &*compile(a.text(1)?, options)?, a.text(2)?, from, number)
}

/// The parts of a text between matches; an empty match splits between characters, but not at the ends.
fn split(c: &EvalContext<'_>, a: &[Datum], function: &str) -> Result<Vec<Datum>> {
    let pattern = compile(a.text(1)?, no_global(options(a, 2)?, function)?)?;
    let text = a.text(0)?;
    let (mut parts, mut start, mut end) = (Vec::new(), 0, 0);
    pattern.each(c, text, 0, |found| {
        if found.start() < text.len() && found.end() > end {
            parts.push(Datum::text(&text[start..found.start()]));
            start = found.end();
        }
        end = found.end();
        Ok(true)
    })?;
    parts.push(Datum::text(&text[start..]));
    Ok(parts)
}

/// The byte that a search begins at; none if it is beyond the end.
fn start(a: &[Datum], place: usize) -> Result<Option<usize>> {
    let text = a.text(0)?;
    if a.len() <= place {
        return Ok(Some(0));
    }
    let start = positive(a, place, "start", 1)? - 1;
    let mut places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
    Ok(places.nth(start))
}

fn count(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let from = start(a, 2)?;
    let pattern = compile(a.text(1)?, no_global(options(a, 3)?, "regexp_count")?)?;
    let mut count = 0;
    if let Some(from) = from {
        pattern.each(c, a.text(0)?, from, |_| {
            count += 1;
            Ok(true)
        })?;
    }
    Ok(super::strings::count(count))
}

fn like(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let pattern = compile(a.text(1)?, no_global(options(a, 2)?, "regexp_like")?)?;
    Ok(Datum::Bool(pattern.is_match(c, a.text(0)?)?))
}

/// The match with a number, and the group asked for.
fn numbered(
    c: &EvalContext<'_>,
    pattern: &Pattern,
    text: &str,
    from: Option<usize>,
    number: usize,
    group: usize,
) -> Result<Option<(usize, usize)>> {
    let Some(from) = from else { return Ok(None) };
    let (mut count, mut part) = (0, None);
    pattern.each(c, text, from, |found| {
        count += 1;
        if count == number {
            part = found.group(group);
        }
        Ok(count < number)
    })?;
    Ok(part)
}

/// `regexp_instr(text, pattern, start, n, endoption, flags, subexpr)`.
fn place(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let from = start(a, 2)?;
    let number = if a.len() > 3 { positive(a, 3, "n", 1)? } else { 1 };
    let at_end = a.len() > 4 && {
        let option = a.int4(4)?;
        if option != 0 && option != 1 {
            let message = format!("invalid value for parameter \"endoption\": {option}");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        option == 1
    };
    let group = if a.len() > 6 { positive(a, 6, "subexpr", 0)? } else { 0 };
    let pattern = compile(a.text(1)?, no_global(options(a, 5)?, "regexp_instr")?)?;
    let text = a.text(0)?;
    let Some((start, end)) = numbered(c, &pattern, text, from, number, group)? else {
        return Ok(Datum::Int4(0));
    };
    let byte = if at_end { end } else { start };
    Ok(super::strings::count(text[..byte].chars().count() + 1))
}

/// `regexp_substr(text, pattern, start, n, flags, subexpr)`.
fn part(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    let from = start(a, 2)?;
    let number = if a.len() > 3 { positive(a, 3, "n", 1)? } else { 1 };
    let group = if a.len() > 5 { positive(a, 5, "subexpr", 0)? } else { 0 };
    let pattern = compile(a.text(1)?, no_global(options(a, 4)?, "regexp_substr")?)?;
    let text = a.text(0)?;
    Ok(numbered(c, &pattern, text, from, number, group)?
        .map_or(Datum::Null, |(start, end)| Datum::text(&text[start..end])))
}

/// `substring(text from pattern for escape)`: what matches between the two escaped quotes.
fn substring_similar(c: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    match super::like::similar(a.text(1)?, Some(a.text(2)?))? {
        Datum::Text(pattern) => substring(c, a.text(0)?, &pattern),
        other => Ok(other),
    }
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1254, "textregexeq", &[Text, Text], Bool, |c, a| test(c, a, false, true)),
    f(1256, "textregexne", &[Text, Text], Bool, |c, a| test(c, a, false, false)),
    f(1238, "texticregexeq", &[Text, Text], Bool, |c, a| test(c, a, true, true)),
    f(1239, "texticregexne", &[Text, Text], Bool, |c, a| test(c, a, true, false)),
    f(79, "nameregexeq", &[Name, Text], Bool, |c, a| test(c, a, false, true)),
    f(1252, "nameregexne", &[Name, Text], Bool, |c, a| test(c, a, false, false)),
    f(1240, "nameicregexeq", &[Name, Text], Bool, |c, a| test(c, a, true, true)),
    f(1241, "nameicregexne", &[Name, Text], Bool, |c, a| test(c, a, true, false)),
    f(1658, "bpcharregexeq", &[Bpchar, Text], Bool, |c, a| test(c, a, false, true)),
    f(1659, "bpcharregexne", &[Bpchar, Text], Bool, |c, a| test(c, a, false, false)),
    f(1656, "bpcharicregexeq", &[Bpchar, Text], Bool, |c, a| test(c, a, true, true)),
    f(1657, "bpcharicregexne", &[Bpchar, Text], Bool, |c, a| test(c, a, true, false)),
    f(3396, "regexp_match", &[Text, Text], TextArray, first_match),
    f(3397, "regexp_match", &[Text, Text, Text], TextArray, first_match),
    f(2284, "regexp_replace", &[Text, Text, Text], Text, replace_simple),
    f(2285, "regexp_replace", &[Text, Text, Text, Text], Text, replace_simple),
    f(6253, "regexp_replace", &[Text, Text, Text, Int4], Text, replace_at),
    f(6252, "regexp_replace", &[Text, Text, Text, Int4, Int4], Text, replace_at),
    f(6251, "regexp_replace", &[Text, Text, Text, Int4, Int4, Text], Text, replace_at),
    f(2767, "regexp_split_to_array", &[Text, Text], TextArray, |c, a| Ok(flat(Text, split(c, a, "regexp_split_to_array")?))),
    f(2768, "regexp_split_to_array", &[Text, Text, Text], TextArray, |c, a| Ok(flat(Text, split(c, a, "regexp_split_to_array")?))),
    f(6254, "regexp_count", &[Text, Text], Int4, count),
    f(6255, "regexp_count", &[Text, Text, Int4], Int4, count),
    f(6256, "regexp_count", &[Text, Text, Int4, Text], Int4, count),
    f(6263, "regexp_like", &[Text, Text], Bool, like),
    f(6264, "regexp_like", &[Text, Text, Text], Bool, like),
    f(6257, "regexp_instr", &[Text, Text], Int4, place),
    f(6258, "regexp_instr", &[Text, Text, Int4], Int4, place),
    f(6259, "regexp_instr", &[Text, Text, Int4, Int4], Int4, place),
    f(6260, "regexp_instr", &[Text, Text, Int4, Int4, Int4], Int4, place),
    f(6261, "regexp_instr", &[Text, Text, Int4, Int4, Int4, Text], Int4, place),
    f(6262, "regexp_instr", &[Text, Text, Int4, Int4, Int4, Text, Int4], Int4, place),
    f(6265, "regexp_substr", &[Text, Text], Text, part),
    f(6266, "regexp_substr", &[Text, Text, Int4], Text, part),
    f(6267, "regexp_substr", &[Text, Text, Int4, Int4], Text, part),
    f(6268, "regexp_substr", &[Text, Text, Int4, Int4, Text], Text, part),
    f(6269, "regexp_substr", &[Text, Text, Int4, Int4, Text, Int4], Text, part),
    f(2073, "substring", &[Text, Text], Text, |c, a| substring(c, a.text(0)?, a.text(1)?)),
    f(2074, "substring", &[Text, Text, Text], Text, substring_similar),
];

fn split_rows(c: &EvalContext<'_>, a: &[Datum]) -> Result<Rows> {
    Ok(Box::new(split(c, a, "regexp_split_to_table")?.into_iter().map(|part| Ok(vec![part]))))
}

#[rustfmt::skip]
static SETS: &[SetFunction] = &[
    rows(2763, "regexp_matches", &[Text, Text], &[("", TextArray)], all_matches),
    rows(2764, "regexp_matches", &[Text, Text, Text], &[("", TextArray)], all_matches),
    rows(2765, "regexp_split_to_table", &[Text, Text], &[("", Text)], split_rows),
    rows(2766, "regexp_split_to_table", &[Text, Text, Text], &[("", Text)], split_rows),
];
