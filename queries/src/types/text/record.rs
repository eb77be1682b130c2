//! Records: `(1,two,"three, four",)`.

use super::{is_space, write as write_value};
use crate::exec::Settings;
use crate::types::{Datum, PgType};

/// Writes a record; a null field is empty.
pub(super) fn write(fields: &[(PgType, Datum)], settings: &Settings, out: &mut Vec<u8>) {
    out.push(b'(');
    for (place, (ty, value)) in fields.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if value.is_null() {
            continue;
        }
        let start = out.len();
        write_value(value, *ty, settings, out);
        quote_field(out, start);
    }
    out.push(b')');
}

/// Puts what stands in `out` from `start` between double quotes, if a record's field has to be quoted.
pub fn quote_field(out: &mut Vec<u8>, start: usize) {
    let text = &out[start..];
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',') || is_space(*byte);
    if !text.is_empty() && !text.iter().any(special) {
        return;
    }
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
}
