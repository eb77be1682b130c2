//! Aggregates that keep all values: `string_agg`, `array_agg` and those that build JSON.

use std::sync::Arc;

use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::{self, *};
use crate::types::functions::define::aggregate;
use crate::types::functions::{Accumulator, AggregateFunction, Arguments};
use crate::types::json::{self, build};
use crate::types::{self, ArrayValue, Datum};

/// Texts with separators between them.
#[derive(Debug, Default)]
struct Strings {
    text: Option<String>,
}

impl Accumulator for Strings {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        if arguments.null(0) {
            return Ok(());
        }
        match &mut self.text {
            None => self.text = Some(arguments.text(0)?.to_owned()),
            Some(text) => {
                if !arguments.null(1) {
                    text.push_str(arguments.text(1)?);
                }
                text.push_str(arguments.text(0)?);
            }
        }
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(self.text.as_ref().map_or(Datum::Null, Datum::text))
    }

    fn bytes(&self) -> usize {
        self.text.as_ref().map_or(0, String::len)
    }
}

/// Bytes with separators between them.
#[derive(Debug, Default)]
struct Bytes {
    joined: Option<Vec<u8>>,
}

impl Accumulator for Bytes {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        if arguments.null(0) {
            return Ok(());
        }
        match &mut self.joined {
            None => self.joined = Some(arguments.bytea(0)?.to_vec()),
            Some(bytes) => {
                if !arguments.null(1) {
                    bytes.extend_from_slice(arguments.bytea(1)?);
                }
                bytes.extend_from_slice(arguments.bytea(0)?);
            }
        }
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(self.joined.as_ref().map_or(Datum::Null, |bytes| Datum::Bytea(bytes.as_slice().into())))
    }

    fn bytes(&self) -> usize {
        self.joined.as_ref().map_or(0, Vec::len)
    }
}

/// Values, nulls too.
#[derive(Debug)]
struct Elements {
    element: PgType,
    values: Vec<Datum>,
    bytes: usize,
}

impl Accumulator for Elements {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let value = arguments.first().cloned().unwrap_or_default();
        self.bytes += size_of::<Datum>() + value.bytes();
        self.values.push(value);
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        let dimensions = vec![(self.values.len(), 1)];
        let elements = self.values.clone();
        Ok(Datum::Array(Arc::new(ArrayValue { element: self.element, dimensions, elements })))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Arrays of one shape, which become an array of one dimension more.
#[derive(Debug)]
struct Arrays {
    element: PgType,
    inner: Option<Vec<(usize, i32)>>,
    count: usize,
    elements: Vec<Datum>,
    bytes: usize,
}

impl Accumulator for Arrays {
    fn add(&mut self, _: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        if arguments.null(0) {
            return Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "cannot accumulate null arrays",
            ));
        }
        let array = arguments.array(0)?;
        let invalid = |message: &str| SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message);
        if array.dimensions.is_empty() {
            return Err(invalid("cannot accumulate empty arrays"));
        }
        match &self.inner {
            None if array.dimensions.len() == types::text::DIMENSIONS_MAX => {
                return Err(types::text::too_many_dimensions(array.dimensions.len() + 1));
            }
            None => self.inner = Some(array.dimensions.clone()),
            Some(inner) if *inner != array.dimensions => {
                return Err(invalid("cannot accumulate arrays of different dimensionality"));
            }
            Some(_) => {}
        }
        self.bytes +=
            array.elements.iter().map(|it| size_of::<Datum>() + it.bytes()).sum::<usize>();
        self.elements.extend(array.elements.iter().cloned());
        self.count += 1;
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        let Some(inner) = &self.inner else { return Ok(Datum::Null) };
        let mut dimensions = vec![(self.count, 1)];
        dimensions.extend_from_slice(inner);
        let elements = self.elements.clone();
        Ok(Datum::Array(Arc::new(ArrayValue { element: self.element, dimensions, elements })))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Datum {
    /// Roughly the bytes that a value holds beyond its own size.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(it) if it.is_heap_allocated() => it.len(),
            Self::Bytea(it) => it.len(),
            Self::Json(it) => it.len(),
            Self::Numeric(_) => 48,
            Self::Jsonb(_) => 128,
            Self::Array(it) => it.elements.iter().map(|it| size_of::<Self>() + it.bytes()).sum(),
            Self::Record(it) => it.iter().map(|(_, it)| size_of::<Self>() + it.bytes()).sum(),
            _ => 0,
        }
    }
}

/// `json_agg`: the text is built as rows come.
#[derive(Debug)]
struct JsonArray {
    ty: PgType,
    text: Vec<u8>,
}

impl Accumulator for JsonArray {
    fn add(&mut self, context: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        if self.text.is_empty() {
            self.text.push(b'[');
        } else {
            self.text.extend_from_slice(b", ");
            if self.ty.is_array() || self.ty == Record {
                self.text.extend_from_slice(b"\n ");
            }
        }
        let value = arguments.first().unwrap_or(&Datum::Null);
        build::write_json(value, self.ty, &context.exec.settings, &mut self.text)
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.text.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::Json(format!("{}]", String::from_utf8_lossy(&self.text)).into()))
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// `jsonb_agg`.
#[derive(Debug)]
struct JsonbArray {
    ty: PgType,
    items: Option<Vec<types::Jsonb>>,
}

impl Accumulator for JsonbArray {
    fn add(&mut self, context: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        let value = arguments.first().unwrap_or(&Datum::Null);
        let item = build::to_jsonb(value, self.ty, &context.exec.settings)?;
        self.items.get_or_insert_default().push(item);
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(self
            .items
            .as_ref()
            .map_or(Datum::Null, |items| Datum::Jsonb(types::Jsonb::Array(items.clone()).into())))
    }

    fn bytes(&self) -> usize {
        self.items.as_ref().map_or(0, |items| items.len() * 128)
    }
}

/// `json_object_agg`: the text is built as rows come; keys may repeat.
#[derive(Debug)]
struct JsonObject {
    types: [PgType; 2],
    text: Vec<u8>,
}

impl Accumulator for JsonObject {
    fn add(&mut self, context: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        self.text.extend_from_slice(if self.text.is_empty() { b"{ " } else { b", " });
        if arguments.null(0) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "field name must not be null",
            ));
        }
        let settings = &context.exec.settings;
        let key = build::key(&arguments[0], self.types[0], settings)?;
        json::write_string(&key, &mut self.text);
        self.text.extend_from_slice(b" : ");
        build::write_json(
            arguments.get(1).unwrap_or(&Datum::Null),
            self.types[1],
            settings,
            &mut self.text,
        )
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        if self.text.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::Json(format!("{} }}", String::from_utf8_lossy(&self.text)).into()))
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// `jsonb_object_agg`.
#[derive(Debug)]
struct JsonbObject {
    types: [PgType; 2],
    fields: Option<Vec<(String, types::Jsonb)>>,
}

impl Accumulator for JsonbObject {
    fn add(&mut self, context: &EvalContext<'_>, arguments: &[Datum]) -> Result<()> {
        if arguments.null(0) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "field name must not be null",
            ));
        }
        let settings = &context.exec.settings;
        let key = build::key(&arguments[0], self.types[0], settings)?;
        let value =
            build::to_jsonb(arguments.get(1).unwrap_or(&Datum::Null), self.types[1], settings)?;
        self.fields.get_or_insert_default().push((key, value));
        Ok(())
    }

    fn value(&self, _: &EvalContext<'_>) -> Result<Datum> {
        Ok(self
            .fields
            .as_ref()
            .map_or(Datum::Null, |fields| Datum::Jsonb(json::object(fields.clone()).into())))
    }

    fn bytes(&self) -> usize {
        self.fields.as_ref().map_or(0, |fields| fields.len() * 160)
    }
}

fn ty(types: &[PgType], place: usize) -> PgType {
    types.get(place).copied().unwrap_or(Text)
}

fn pair(types: &[PgType]) -> [PgType; 2] {
    [ty(types, 0), ty(types, 1)]
}

fn arrays(types: &[PgType]) -> Box<dyn Accumulator> {
    let element = ty(types, 0).element().unwrap_or(Text);
    Box::new(Arrays { element, inner: None, count: 0, elements: vec![], bytes: 0 })
}

/// `json_agg` over rows of tables: the binder has made JSON of them, and each begins a line as a row does.
pub static JSON_AGG_OF_ROWS: AggregateFunction = aggregate(3175, "json_agg", &[Json], Json, |_| {
    Box::new(JsonArray { ty: Record, text: vec![] })
})
.lax();

#[rustfmt::skip]
pub(super) static FUNCTIONS: &[AggregateFunction] = &[
    aggregate(3538, "string_agg", &[Text, Text], Text, |_| Box::new(Strings::default())).lax(),
    aggregate(3545, "string_agg", &[Bytea, Bytea], Bytea, |_| Box::new(Bytes::default())).lax(),
    aggregate(2335, "array_agg", &[AnyNonArray], AnyArray, |types| Box::new(Elements { element: ty(types, 0), values: vec![], bytes: 0 })).lax(),
    aggregate(4053, "array_agg", &[AnyArray], AnyArray, arrays).lax(),
    aggregate(3175, "json_agg", &[AnyElement], Json, |types| Box::new(JsonArray { ty: ty(types, 0), text: vec![] })).lax(),
    aggregate(3267, "jsonb_agg", &[AnyElement], Jsonb, |types| Box::new(JsonbArray { ty: ty(types, 0), items: None })).lax(),
    aggregate(3197, "json_object_agg", &[Any, Any], Json, |types| Box::new(JsonObject { types: pair(types), text: vec![] })).lax(),
    aggregate(3270, "jsonb_object_agg", &[Any, Any], Jsonb, |types| Box::new(JsonbObject { types: pair(types), fields: None })).lax(),
];
