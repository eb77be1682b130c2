//! Arrays: `{1,2,NULL}`, nested for more dimensions, with bounds in front if they do not start at 1; and the vectors
//! `1 2 3`.

use std::sync::Arc;

use super::{ReadContext, is_space, number, read as read_value, write as write_value};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::Settings;
use crate::types::{ArrayValue, Datum, PgType};

/// The dimensions of an array at most (`MAXDIM`).
pub(crate) const DIMENSIONS_MAX: usize = 6;

/// The elements of an array at most (`MaxArraySize`).
pub(crate) const ELEMENTS_MAX: usize = 134_217_727;

/// Reads an array.
pub(super) fn read(ty: PgType, text: &str, context: &ReadContext<'_>) -> Result<Datum> {
    let element =
        ty.element().ok_or_else(|| SqlError::internal(format!("{ty} is no array type")))?;
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, element, context };
    let bounds = reader.bounds()?;
    let mut shape = Shape::default();
    reader.skip_spaces();
    if reader.peek() != Some(b'{') {
        let detail = if bounds.is_some() {
            "Missing \"=\" after array dimensions."
        } else {
            "Array value must start with \"{\" or dimension information."
        };
        return Err(malformed(text, detail));
    }
    reader.level(0, &mut shape)?;
    reader.skip_spaces();
    if reader.at < text.len() {
        return Err(malformed(text, "Junk after closing right brace."));
    }
    reader.finish(shape, bounds)
}

fn malformed(text: &str, detail: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed array literal: \"{text}\""),
    )
    .with_detail(detail)
}

#[derive(Default)]
struct Shape {
    /// The length of each level, once its first part has been closed.
    lengths: Vec<Option<usize>>,
    /// The level that elements stand at.
    depth: Option<usize>,
    elements: Vec<Datum>,
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    element: PgType,
    context: &'a ReadContext<'a>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn integer(&mut self) -> Option<i32> {
        let start = self.at;
        if matches!(self.peek(), Some(b'-' | b'+')) {
            self.at += 1;
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.text[start..self.at].parse().ok()
    }

    /// `[1:2][0:3]=` in front.
    fn bounds(&mut self) -> Result<Option<Vec<(i32, i32)>>> {
        let mut found = Vec::new();
        loop {
            self.skip_spaces();
            if self.peek() != Some(b'[') {
                break;
            }
            self.at += 1;
            if found.len() == DIMENSIONS_MAX {
                return Err(too_many_dimensions(found.len() + 1));
            }
            let missing = "\"[\" must introduce explicitly-specified array dimensions.";
            let first = self.integer().ok_or_else(|| malformed(self.text, missing))?;
            let (lower, upper) = if self.peek() == Some(b':') {
                self.at += 1;
                (
                    first,
                    self.integer()
                        .ok_or_else(|| malformed(self.text, "Missing array dimension value."))?,
                )
            } else {
                (1, first)
            };
            if self.peek() != Some(b']') {
                return Err(malformed(self.text, "Missing \"]\" after array dimensions."));
            }
            self.at += 1;
            if upper < lower {
                let message = "upper bound cannot be less than lower bound";
                return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
            }
            found.push((lower, upper));
        }
        if found.is_empty() {
            return Ok(None);
        }
        if self.peek() != Some(b'=') {
            return Err(malformed(self.text, "Missing \"=\" after array dimensions."));
        }
        self.at += 1;
        Ok(Some(found))
    }

    /// What stands between `{` and `}`.
    fn level(&mut self, level: usize, shape: &mut Shape) -> Result<()> {
        if level == DIMENSIONS_MAX {
            return Err(too_many_dimensions(level + 1));
        }
        self.at += 1;
        if shape.lengths.len() == level {
            shape.lengths.push(None);
        }
        let mut count = 0;
        self.skip_spaces();
        if self.peek() == Some(b'}') && (level == 0 || shape.depth.is_none()) {
            self.at += 1;
            return self.close(level, 0, shape);
        }
        loop {
            self.skip_spaces();
            match self.peek() {
                None => return Err(malformed(self.text, "Unexpected end of input.")),
                Some(b'{') => {
                    if shape.depth.is_some_and(|depth| depth <= level) {
                        return Err(self.unmatched());
                    }
                    self.level(level + 1, shape)?;
                }
                Some(byte @ (b',' | b'}')) => return Err(self.unexpected(byte)),
                Some(_) => {
                    if *shape.depth.get_or_insert(level) != level {
                        return Err(self.unmatched());
                    }
                    let value = self.element()?;
                    if shape.elements.len() == ELEMENTS_MAX {
                        return Err(too_large());
                    }
                    shape.elements.push(value);
                }
            }
            count += 1;
            self.skip_spaces();
            match self.peek() {
                None => return Err(malformed(self.text, "Unexpected end of input.")),
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return self.close(level, count, shape);
                }
                Some(byte) => return Err(self.unexpected(byte)),
            }
        }
    }

    fn unmatched(&self) -> SqlError {
        malformed(
            self.text,
            "Multidimensional arrays must have sub-arrays with matching dimensions.",
        )
    }

    fn unexpected(&self, byte: u8) -> SqlError {
        let detail = match byte {
            b'{' | b'}' | b',' => format!("Unexpected \"{}\" character.", char::from(byte)),
            _ => "Unexpected array element.".to_owned(),
        };
        malformed(self.text, &detail)
    }

    fn close(&self, level: usize, count: usize, shape: &mut Shape) -> Result<()> {
        match shape.lengths[level] {
            Some(length) if length != count => Err(self.unmatched()),
            _ => {
                shape.lengths[level] = Some(count);
                Ok(())
            }
        }
    }

    fn element(&mut self) -> Result<Datum> {
        if self.peek() == Some(b'"') {
            self.at += 1;
            let text = self.quoted()?;
            return read_value(self.element, &text, self.context);
        }
        let mut text = Vec::new();
        let mut kept = 0;
        let mut escaped = false;
        loop {
            match self.peek() {
                None => return Err(malformed(self.text, "Unexpected end of input.")),
                Some(b',' | b'}') => break,
                Some(byte @ (b'"' | b'{')) => {
                    return Err(self.unexpected(if byte == b'"' { b'x' } else { byte }));
                }
                Some(b'\\') => {
                    self.at += 1;
                    let byte = self
                        .peek()
                        .ok_or_else(|| malformed(self.text, "Unexpected end of input."))?;
                    text.push(byte);
                    kept = text.len();
                    escaped = true;
                }
                Some(byte) => {
                    text.push(byte);
                    if !is_space(byte) {
                        kept = text.len();
                    }
                }
            }
            self.at += 1;
        }
        text.truncate(kept);
        if !escaped && text.eq_ignore_ascii_case(b"null") {
            return Ok(Datum::Null);
        }
        let text =
            String::from_utf8(text).map_err(|_| malformed(self.text, "Invalid character."))?;
        read_value(self.element, &text, self.context)
    }

    fn quoted(&mut self) -> Result<String> {
        let mut text = Vec::new();
        loop {
            let byte =
                self.peek().ok_or_else(|| malformed(self.text, "Unexpected end of input."))?;
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    text.push(
                        self.peek()
                            .ok_or_else(|| malformed(self.text, "Unexpected end of input."))?,
                    );
                    self.at += 1;
                }
                byte => text.push(byte),
            }
        }
        String::from_utf8(text).map_err(|_| malformed(self.text, "Invalid character."))
    }

    fn finish(&self, shape: Shape, bounds: Option<Vec<(i32, i32)>>) -> Result<Datum> {
        let lengths: Vec<usize> = shape.lengths.iter().map(|it| it.unwrap_or(0)).collect();
        let dimensions = if shape.elements.is_empty() {
            vec![]
        } else if let Some(bounds) = bounds {
            let declared =
                bounds.iter().map(|(lower, upper)| i64::from(*upper) - i64::from(*lower) + 1);
            if !declared.eq(lengths.iter().map(|it| i64::try_from(*it).unwrap_or(i64::MAX))) {
                return Err(malformed(
                    self.text,
                    "Specified array dimensions do not match array contents.",
                ));
            }
            lengths.iter().copied().zip(bounds.iter().map(|(lower, _)| *lower)).collect()
        } else {
            lengths.iter().map(|length| (*length, 1)).collect()
        };
        let array = ArrayValue { element: self.element, dimensions, elements: shape.elements };
        Ok(Datum::Array(Arc::new(array)))
    }
}

/// The error for an array of too many dimensions.
pub(crate) fn too_many_dimensions(count: usize) -> SqlError {
    let message = format!(
        "number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})"
    );
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

/// The error for an array of too many elements.
pub(crate) fn too_large() -> SqlError {
    let message = format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})");
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

/// Writes an array.
pub(super) fn write(array: &ArrayValue, settings: &Settings, out: &mut Vec<u8>) {
    if array.elements.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    if array.dimensions.iter().any(|(_, lower)| *lower != 1) {
        for (length, lower) in &array.dimensions {
            let upper = i64::from(*lower) + i64::try_from(*length).unwrap_or(0) - 1;
            out.extend_from_slice(format!("[{lower}:{upper}]").as_bytes());
        }
        out.push(b'=');
    }
    let mut elements = array.elements.iter();
    write_level(array, &array.dimensions, &mut elements, settings, out);
}

fn write_level<'a>(
    array: &ArrayValue,
    dimensions: &[(usize, i32)],
    elements: &mut impl Iterator<Item = &'a Datum>,
    settings: &Settings,
    out: &mut Vec<u8>,
) {
    let [(length, _), inner @ ..] = dimensions else { return };
    out.push(b'{');
    for place in 0..*length {
        if place > 0 {
            out.push(array.element.row().delimiter);
        }
        if inner.is_empty() {
            match elements.next() {
                None | Some(Datum::Null) => out.extend_from_slice(b"NULL"),
                Some(element) => {
                    let start = out.len();
                    write_value(element, array.element, settings, out);
                    quote_element(out, start);
                }
            }
        } else {
            write_level(array, inner, elements, settings, out);
        }
    }
    out.push(b'}');
}

/// Puts what stands in `out` from `start` between double quotes, if an array element has to be quoted.
pub fn quote_element(out: &mut Vec<u8>, start: usize) {
    let text = &out[start..];
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(*byte);
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(special) {
        return;
    }
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Reads an `int2vector` or `oidvector`.
pub(super) fn read_vector(ty: PgType, text: &str) -> Result<Datum> {
    let element = if ty == PgType::Int2Vector { PgType::Int2 } else { PgType::Oid };
    let one = |word: &str| {
        Ok(match element {
            PgType::Int2 => Datum::Int2(number::read_int(word, PgType::Int2)?),
            _ => Datum::Oid(number::read_oid(word, PgType::Oid)?),
        })
    };
    let elements: Vec<Datum> = text.split_ascii_whitespace().map(one).collect::<Result<_>>()?;
    Ok(Datum::Array(Arc::new(ArrayValue {
        element,
        dimensions: vec![(elements.len(), 0)],
        elements,
    })))
}

/// Writes an `int2vector` or `oidvector`.
pub(super) fn write_vector(array: &ArrayValue, out: &mut Vec<u8>) {
    for (place, element) in array.elements.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        match element {
            Datum::Int2(it) => number::write_int(i64::from(*it), out),
            Datum::Oid(it) => number::write_u64(u64::from(*it), out),
            _ => {}
        }
    }
}
