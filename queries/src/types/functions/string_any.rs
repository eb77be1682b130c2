//! Functions that write values of any type into strings: `concat`, `format`, `quote_literal` and `||`.

use super::arguments::{Typed, typed};
use super::define::f;
use super::registry::FunctionTable;
use super::{Arguments, ScalarFunction};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::*;
use crate::types::text::to_string;
use crate::types::{Datum, PgType};

pub(super) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

/// The text of a value.
fn show(context: &EvalContext<'_>, ty: PgType, value: &Datum) -> String {
    to_string(value, ty, &context.exec.settings)
}

fn join(context: &EvalContext<'_>, values: &[(PgType, Datum)], separator: &str) -> Datum {
    let shown = values
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(ty, value)| show(context, *ty, value));
    shown.collect::<Vec<_>>().join(separator).into()
}

fn concat(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    Ok(typed(arguments)?.spread(0).map_or(Datum::Null, |values| join(context, &values, "")))
}

fn concat_ws(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    if arguments.null(0) {
        return Ok(Datum::Null);
    }
    let separator = arguments.text(0)?;
    Ok(typed(arguments)?.spread(1).map_or(Datum::Null, |values| join(context, &values, separator)))
}

/// `anynonarray || text` and its mirror image.
fn append(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    let Typed { values, types, .. } = typed(arguments)?;
    let shown = types.iter().zip(values).map(|(ty, value)| show(context, *ty, value));
    Ok(shown.collect::<String>().into())
}

/// A name, quoted if it has to be.
pub fn quote_ident(name: &str) -> String {
    let safe = name.starts_with(|it: char| it.is_ascii_lowercase() || it == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if safe && KEYWORDS.binary_search(&name).is_err() {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a string literal.
pub fn quote_literal(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if escaped.contains('\\') {
        format!("E'{}'", escaped.replace('\\', "\\\\"))
    } else {
        format!("'{escaped}'")
    }
}

fn quote_any(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    let Typed { values, types, .. } = typed(arguments)?;
    match (types.first(), values.first()) {
        (Some(ty), Some(value)) if !value.is_null() => {
            Ok(quote_literal(&show(context, *ty, value)).into())
        }
        _ => Ok(Datum::text("NULL")),
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A specifier of `format`: `%[position$][flags][width]type`.
#[derive(Default)]
struct Specifier {
    argument: Option<usize>,
    at_left: bool,
    width: Option<i64>,
    /// The argument that gives the width: the next one, or one by its place.
    width_argument: Option<WidthArgument>,
    kind: char,
}

/// Which argument gives a width.
enum WidthArgument {
    Next,
    Place(usize),
}

struct Formatter<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Formatter<'_> {
    fn number(&mut self) -> Result<Option<usize>> {
        let mut value: Option<i32> = None;
        while let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(10)) {
            self.rest.next();
            let digit = i32::try_from(digit).unwrap_or(0);
            let next = value.unwrap_or(0).checked_mul(10).and_then(|it| it.checked_add(digit));
            value = Some(next.ok_or_else(|| {
                SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range")
            })?);
        }
        Ok(value.and_then(|it| usize::try_from(it).ok()))
    }

    fn position(number: usize) -> Result<usize> {
        number.checked_sub(1).ok_or_else(|| {
            invalid("format specifies argument 0, but arguments are numbered from 1")
        })
    }

    fn specifier(&mut self) -> Result<Specifier> {
        let unterminated = || {
            invalid("unterminated format() type specifier")
                .with_hint("For a single \"%\" use \"%%\".")
        };
        let mut found = Specifier::default();
        let mut width = self.number()?;
        if let (Some(number), Some('$')) = (width, self.rest.peek()) {
            self.rest.next();
            found.argument = Some(Self::position(number)?);
            width = None;
        }
        if width.is_none() {
            while self.rest.peek() == Some(&'-') {
                self.rest.next();
                found.at_left = true;
            }
            if self.rest.peek() == Some(&'*') {
                self.rest.next();
                let number = self.number()?;
                if number.is_some() && self.rest.next() != Some('$') {
                    return Err(invalid("width argument position must be ended by \"$\""));
                }
                found.width_argument = Some(match number {
                    None => WidthArgument::Next,
                    Some(number) => WidthArgument::Place(Self::position(number)?),
                });
            } else {
                width = self.number()?;
            }
        }
        found.width = width.and_then(|it| i64::try_from(it).ok());
        found.kind = self.rest.next().ok_or_else(unterminated)?;
        Ok(found)
    }
}

fn format(context: &EvalContext<'_>, arguments: &[Datum]) -> Result<Datum> {
    if arguments.null(0) {
        return Ok(Datum::Null);
    }
    let values = typed(arguments)?.spread(1).unwrap_or_default();
    let mut formatter = Formatter { rest: arguments.text(0)?.chars().peekable() };
    let mut out = String::new();
    let mut next = 0;
    while let Some(character) = formatter.rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        if formatter.rest.peek() == Some(&'%') {
            formatter.rest.next();
            out.push('%');
            continue;
        }
        let specifier = formatter.specifier()?;
        if !matches!(specifier.kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{}\"", specifier.kind);
            return Err(invalid(message).with_hint("For a single \"%\" use \"%%\"."));
        }
        let mut argument = |place: Option<usize>| {
            let place = place.unwrap_or(next);
            next = place + 1;
            values.get(place).ok_or_else(|| invalid("too few arguments for format()"))
        };
        let (mut at_left, mut width) = (specifier.at_left, specifier.width.unwrap_or(0));
        if let Some(wanted) = specifier.width_argument {
            let place = match wanted {
                WidthArgument::Next => None,
                WidthArgument::Place(place) => Some(place),
            };
            width = width_of(&argument(place)?.1)?;
            at_left |= width < 0;
        }
        let (ty, value) = argument(specifier.argument)?;
        let text = converted(context, specifier.kind, *ty, value)?;
        pad(&text, at_left, width.unsigned_abs(), &mut out)?;
    }
    Ok(out.into())
}

fn width_of(value: &Datum) -> Result<i64> {
    match value {
        Datum::Null => Ok(0),
        Datum::Int2(it) => Ok(i64::from(*it)),
        Datum::Int4(it) => Ok(i64::from(*it)),
        Datum::Int8(it) => Ok(*it),
        Datum::Text(it) => {
            crate::types::text::number::read_int(it, Int4).map(|it: i32| i64::from(it))
        }
        _ => Err(invalid("width must be a number")),
    }
}

fn converted(context: &EvalContext<'_>, kind: char, ty: PgType, value: &Datum) -> Result<String> {
    if value.is_null() {
        return match kind {
            'I' => Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null values cannot be formatted as an SQL identifier",
            )),
            'L' => Ok("NULL".to_owned()),
            _ => Ok(String::new()),
        };
    }
    let text = show(context, ty, value);
    Ok(match kind {
        'I' => quote_ident(&text),
        'L' => quote_literal(&text),
        _ => text,
    })
}

fn pad(text: &str, at_left: bool, width: u64, out: &mut String) -> Result<()> {
    let missing = usize::try_from(width).unwrap_or(usize::MAX).saturating_sub(text.chars().count());
    if missing > super::strings::VALUE_BYTES_MAX {
        return Err(super::strings::too_long());
    }
    let filling = " ".repeat(missing);
    if at_left {
        out.push_str(text);
        out.push_str(&filling);
    } else {
        out.push_str(&filling);
        out.push_str(text);
    }
    Ok(())
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(3058, "concat", &[Any], Text, concat).typed().lax().stable().variadic(),
    f(3059, "concat_ws", &[Text, Any], Text, concat_ws).typed().lax().stable().variadic(),
    f(2004, "anytextcat", &[AnyNonArray, Text], Text, append).typed().stable(),
    f(2003, "textanycat", &[Text, AnyNonArray], Text, append).typed().stable(),
    f(1282, "quote_ident", &[Text], Text, |_, a| Ok(quote_ident(a.text(0)?).into())),
    f(1283, "quote_literal", &[Text], Text, |_, a| Ok(quote_literal(a.text(0)?).into())),
    f(1289, "quote_nullable", &[Text], Text, |_, a| Ok(if a.null(0) { Datum::text("NULL") } else { quote_literal(a.text(0)?).into() })).lax(),
    f(1285, "quote_literal", &[AnyElement], Text, quote_any).typed().stable(),
    f(1290, "quote_nullable", &[AnyElement], Text, quote_any).typed().lax().stable(),
    f(3539, "format", &[Text, Any], Text, format).typed().lax().stable().variadic(),
    f(3540, "format", &[Text], Text, |c, a| { let mut all = a.to_vec(); all.push(no_types()); format(c, &all) }).lax().stable(),
];

/// The types of a call without further arguments.
fn no_types() -> Datum {
    use crate::types::ArrayValue;
    let text = Datum::Oid(Text.oid());
    Datum::Array(std::sync::Arc::new(ArrayValue {
        element: Oid,
        dimensions: vec![(1, 1)],
        elements: vec![text],
    }))
}

/// The key words that have to be quoted as names, sorted.
#[rustfmt::skip]
static KEYWORDS: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between",
    "bigint", "binary", "bit", "boolean", "both", "case", "cast", "char", "character", "check", "coalesce",
    "collate", "collation", "column", "concurrently", "constraint", "create", "cross", "current_catalog",
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user",
    "dec", "decimal", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists",
    "extract", "false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant", "greatest",
    "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout", "int", "integer", "intersect",
    "interval", "into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit",
    "localtime", "localtimestamp", "national", "natural", "nchar", "none", "normalize", "not", "notnull",
    "null", "nullif", "numeric", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay",
    "placing", "position", "precision", "primary", "real", "references", "returning", "right", "row", "select",
    "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "table", "tablesample",
    "then", "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using",
    "values", "varchar", "variadic", "verbose", "when", "where", "window", "with", "xmlattributes",
    "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot",
    "xmlserialize", "xmltable",
];
