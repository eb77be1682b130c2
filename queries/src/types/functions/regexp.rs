//! Functions and operators over regular expressions.

use std::rc::Rc;

use regex::{Captures, Regex};

use super::arrays::flat;
use super::define::{Rows, f, rows};
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction, SetFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::types::Datum;
use crate::types::PgType::*;
use crate::types::regex::{Options, compile};

pub(super) static TABLE: FunctionTable = FunctionTable {
    schema: "pg_catalog",
    scalars: FUNCTIONS,
    aggregates: &[],
    sets: SETS,
    windows: &[],
};

fn test(a: &[Datum], ignore_case: bool, wanted: bool) -> Result<Datum> {
    Ok(Datum::Bool(
        compile(a.text(1)?, Options::with_case(ignore_case))?.is_match(a.text(0)?) == wanted,
    ))
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

/// The groups of a match, or all of it if there are no groups.
fn groups(regex: &Regex, found: &Captures<'_>) -> Datum {
    let part = |place: usize| found.get(place).map_or(Datum::Null, |it| Datum::text(it.as_str()));
    let parts = if regex.captures_len() == 1 {
        vec![part(0)]
    } else {
        (1..regex.captures_len()).map(part).collect()
    };
    flat(Text, parts)
}

fn first_match(a: &[Datum]) -> Result<Datum> {
    let regex = compile(a.text(1)?, no_global(options(a, 2)?, "regexp_match")?)?;
    Ok(regex.captures(a.text(0)?).map_or(Datum::Null, |found| groups(&regex, &found)))
}

fn all_matches(a: &[Datum]) -> Result<Rows> {
    let options = options(a, 2)?;
    let regex = compile(a.text(1)?, options)?;
    let limit = if options.global { usize::MAX } else { 1 };
    let found: Vec<Datum> =
        regex.captures_iter(a.text(0)?).take(limit).map(|found| groups(&regex, &found)).collect();
    Ok(Box::new(found.into_iter().map(|row| Ok(vec![row]))))
}

/// `substring(text from pattern)`: the first group, or all of the match.
fn substring(text: &str, pattern: &str) -> Result<Datum> {
    let regex = compile(pattern, Options::default())?;
    let found = regex.captures(text).and_then(|found| {
        let place = usize::from(regex.captures_len() > 1);
        found.get(place).map(|it| Datum::text(it.as_str()))
    });
    Ok(found.unwrap_or_default())
}

/// Writes a replacement: `\1` is a group, `\&` the match, `\\` a backslash.
fn expand(replacement: &str, found: &Captures<'_>, out: &mut String) {
    let mut rest = replacement.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match rest.peek().copied() {
            Some(digit @ '1'..='9') => {
                rest.next();
                let place = digit.to_digit(10).and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
                out.push_str(found.get(place).map_or("", |it| it.as_str()));
            }
            Some('&') => {
                rest.next();
                out.push_str(found.get(0).map_or("", |it| it.as_str()));
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
    text: &str,
    regex: &Regex,
    replacement: &str,
    start: usize,
    number: Option<usize>,
) -> Datum {
    let from = text.char_indices().nth(start).map_or(text.len(), |(place, _)| place);
    let mut out = String::from(&text[..from]);
    let mut end = from;
    for (place, found) in regex.captures_iter(&text[from..]).enumerate() {
        let Some(whole) = found.get(0) else { continue };
        if number.is_some_and(|number| place + 1 != number) {
            continue;
        }
        out.push_str(&text[end..from + whole.start()]);
        expand(replacement, &found, &mut out);
        end = from + whole.end();
    }
    out.push_str(&text[end..]);
    out.into()
}

fn positive(a: &[Datum], place: usize, name: &str, least: i32) -> Result<usize> {
    let value = a.int4(place)?;
    if value < least {
        let message = format!("invalid value for parameter \"{name}\": {value}");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(usize::try_from(value).unwrap_or(0))
}

fn replace_simple(a: &[Datum]) -> Result<Datum> {
    let options = options(a, 3)?;
    if a.len() > 3 && a.text(3)?.starts_with(|it: char| it.is_ascii_digit()) {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!(
            "invalid regular expression option: \"{}\"",
            a.text(3)?.chars().next().unwrap_or(' ')
        )).with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
    }
    let regex = compile(a.text(1)?, options)?;
    let number = if options.global { None } else { Some(1) };
    Ok(replace(a.text(0)?, &regex, a.text(2)?, 0, number))
}

/// `regexp_replace(text, pattern, replacement, start, n, flags)`.
fn replace_at(a: &[Datum]) -> Result<Datum> {
    let start = positive(a, 3, "start", 1)? - 1;
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
    Ok(replace(a.text(0)?, &*compile(a.text(1)?, options)?, a.text(2)?, start, number))
}

/// The parts of a text between matches; an empty match splits between characters, but not at the ends.
fn split(a: &[Datum], function: &str) -> Result<Vec<Datum>> {
    let regex = compile(a.text(1)?, no_global(options(a, 2)?, function)?)?;
    let text = a.text(0)?;
    let (mut parts, mut start) = (Vec::new(), 0);
    for found in regex.find_iter(text) {
        if found.is_empty()
            && (found.start() == start && (start == 0 || found.start() == text.len())
                || found.start() == text.len())
        {
            continue;
        }
        parts.push(Datum::text(&text[start..found.start()]));
        start = found.end();
    }
    parts.push(Datum::text(&text[start..]));
    Ok(parts)
}

/// The text from a character on, and the byte it starts at.
fn tail(a: &[Datum], place: usize) -> Result<(&str, usize)> {
    let text = a.text(0)?;
    if a.len() <= place {
        return Ok((text, 0));
    }
    let start = positive(a, place, "start", 1)? - 1;
    let from = text.char_indices().nth(start).map_or(text.len(), |(place, _)| place);
    Ok((&text[from..], from))
}

fn count(a: &[Datum]) -> Result<Datum> {
    let regex = compile(a.text(1)?, no_global(options(a, 3)?, "regexp_count")?)?;
    let (text, _) = tail(a, 2)?;
    Ok(super::strings::count(regex.find_iter(text).count()))
}

fn like(a: &[Datum]) -> Result<Datum> {
    let regex = compile(a.text(1)?, no_global(options(a, 2)?, "regexp_like")?)?;
    Ok(Datum::Bool(regex.is_match(a.text(0)?)))
}

/// The match with a number and the group asked for, as bytes of the tail.
fn numbered(regex: &Rc<Regex>, text: &str, number: usize, group: usize) -> Option<(usize, usize)> {
    let found = regex.captures_iter(text).nth(number - 1)?;
    let part = found.get(group)?;
    Some((part.start(), part.end()))
}

/// `regexp_instr(text, pattern, start, n, endoption, flags, subexpr)`.
fn place(a: &[Datum]) -> Result<Datum> {
    let number = if a.len() > 3 { positive(a, 3, "n", 1)? } else { 1 };
    let at_end = a.len() > 4 && {
        let option = a.int4(4)?;
        if option != 0 && option != 1 {
            let message = format!("invalid value for parameter \"endoption\": {option}");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        option == 1
    };
    let regex = compile(a.text(1)?, no_global(options(a, 5)?, "regexp_instr")?)?;
    let group = if a.len() > 6 { positive(a, 6, "subexpr", 0)? } else { 0 };
    let (text, from) = tail(a, 2)?;
    let Some((start, end)) = numbered(&regex, text, number, group) else {
        return Ok(Datum::Int4(0));
    };
    let byte = from + if at_end { end } else { start };
    Ok(super::strings::count(a.text(0)?[..byte].chars().count() + 1))
}

/// `regexp_substr(text, pattern, start, n, flags, subexpr)`.
fn part(a: &[Datum]) -> Result<Datum> {
    let number = if a.len() > 3 { positive(a, 3, "n", 1)? } else { 1 };
    let regex = compile(a.text(1)?, no_global(options(a, 4)?, "regexp_substr")?)?;
    let group = if a.len() > 5 { positive(a, 5, "subexpr", 0)? } else { 0 };
    let (text, _) = tail(a, 2)?;
    Ok(numbered(&regex, text, number, group)
        .map_or(Datum::Null, |(start, end)| Datum::text(&text[start..end])))
}

/// `substring(text from pattern for escape)`: what matches between the two escaped quotes.
fn substring_similar(a: &[Datum]) -> Result<Datum> {
    match super::like::similar(a.text(1)?, Some(a.text(2)?))? {
        Datum::Text(pattern) => substring(a.text(0)?, &pattern),
        other => Ok(other),
    }
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(1254, "textregexeq", &[Text, Text], Bool, |_, a| test(a, false, true)),
    f(1256, "textregexne", &[Text, Text], Bool, |_, a| test(a, false, false)),
    f(1238, "texticregexeq", &[Text, Text], Bool, |_, a| test(a, true, true)),
    f(1239, "texticregexne", &[Text, Text], Bool, |_, a| test(a, true, false)),
    f(79, "nameregexeq", &[Name, Text], Bool, |_, a| test(a, false, true)),
    f(1252, "nameregexne", &[Name, Text], Bool, |_, a| test(a, false, false)),
    f(1240, "nameicregexeq", &[Name, Text], Bool, |_, a| test(a, true, true)),
    f(1241, "nameicregexne", &[Name, Text], Bool, |_, a| test(a, true, false)),
    f(1658, "bpcharregexeq", &[Bpchar, Text], Bool, |_, a| test(a, false, true)),
    f(1659, "bpcharregexne", &[Bpchar, Text], Bool, |_, a| test(a, false, false)),
    f(1656, "bpcharicregexeq", &[Bpchar, Text], Bool, |_, a| test(a, true, true)),
    f(1657, "bpcharicregexne", &[Bpchar, Text], Bool, |_, a| test(a, true, false)),
    f(3396, "regexp_match", &[Text, Text], TextArray, |_, a| first_match(a)),
    f(3397, "regexp_match", &[Text, Text, Text], TextArray, |_, a| first_match(a)),
    f(2284, "regexp_replace", &[Text, Text, Text], Text, |_, a| replace_simple(a)),
    f(2285, "regexp_replace", &[Text, Text, Text, Text], Text, |_, a| replace_simple(a)),
    f(6253, "regexp_replace", &[Text, Text, Text, Int4], Text, |_, a| replace_at(a)),
    f(6252, "regexp_replace", &[Text, Text, Text, Int4, Int4], Text, |_, a| replace_at(a)),
    f(6251, "regexp_replace", &[Text, Text, Text, Int4, Int4, Text], Text, |_, a| replace_at(a)),
    f(2767, "regexp_split_to_array", &[Text, Text], TextArray, |_, a| Ok(flat(Text, split(a, "regexp_split_to_array")?))),
    f(2768, "regexp_split_to_array", &[Text, Text, Text], TextArray, |_, a| Ok(flat(Text, split(a, "regexp_split_to_array")?))),
    f(6254, "regexp_count", &[Text, Text], Int4, |_, a| count(a)),
    f(6255, "regexp_count", &[Text, Text, Int4], Int4, |_, a| count(a)),
    f(6256, "regexp_count", &[Text, Text, Int4, Text], Int4, |_, a| count(a)),
    f(6263, "regexp_like", &[Text, Text], Bool, |_, a| like(a)),
    f(6264, "regexp_like", &[Text, Text, Text], Bool, |_, a| like(a)),
    f(6257, "regexp_instr", &[Text, Text], Int4, |_, a| place(a)),
    f(6258, "regexp_instr", &[Text, Text, Int4], Int4, |_, a| place(a)),
    f(6259, "regexp_instr", &[Text, Text, Int4, Int4], Int4, |_, a| place(a)),
    f(6260, "regexp_instr", &[Text, Text, Int4, Int4, Int4], Int4, |_, a| place(a)),
    f(6261, "regexp_instr", &[Text, Text, Int4, Int4, Int4, Text], Int4, |_, a| place(a)),
    f(6262, "regexp_instr", &[Text, Text, Int4, Int4, Int4, Text, Int4], Int4, |_, a| place(a)),
    f(6265, "regexp_substr", &[Text, Text], Text, |_, a| part(a)),
    f(6266, "regexp_substr", &[Text, Text, Int4], Text, |_, a| part(a)),
    f(6267, "regexp_substr", &[Text, Text, Int4, Int4], Text, |_, a| part(a)),
    f(6268, "regexp_substr", &[Text, Text, Int4, Int4, Text], Text, |_, a| part(a)),
    f(6269, "regexp_substr", &[Text, Text, Int4, Int4, Text, Int4], Text, |_, a| part(a)),
    f(2073, "substring", &[Text, Text], Text, |_, a| substring(a.text(0)?, a.text(1)?)),
    f(2074, "substring", &[Text, Text, Text], Text, |_, a| substring_similar(a)),
];

fn split_rows(a: &[Datum]) -> Result<Rows> {
    Ok(Box::new(split(a, "regexp_split_to_table")?.into_iter().map(|part| Ok(vec![part]))))
}

#[rustfmt::skip]
static SETS: &[SetFunction] = &[
    rows(2763, "regexp_matches", &[Text, Text], &[("", TextArray)], |_, a| all_matches(a)),
    rows(2764, "regexp_matches", &[Text, Text, Text], &[("", TextArray)], |_, a| all_matches(a)),
    rows(2765, "regexp_split_to_table", &[Text, Text], &[("", Text)], |_, a| split_rows(a)),
    rows(2766, "regexp_split_to_table", &[Text, Text, Text], &[("", Text)], |_, a| split_rows(a)),
];
