//! The `reg*` types: OIDs whose text is the name of an object.

use super::{ReadContext, number, trim};
use crate::error::Result;
use crate::exec::Settings;
use crate::types::PgType;

/// Reads `-`, a number, or a name.
pub(super) fn read(ty: PgType, text: &str, context: &ReadContext<'_>) -> Result<u32> {
    if text == "-" {
        return Ok(0);
    }
    let word = trim(text);
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return number::read_oid(text, PgType::Oid);
    }
    context.settings.objects.oid(ty, text)
}

/// Writes the name, or the number if there is no such object.
pub(super) fn write(ty: PgType, oid: u32, settings: &Settings, out: &mut Vec<u8>) {
    if oid == 0 {
        return out.push(if matches!(ty, PgType::Regoper | PgType::Regoperator) {
            b'0'
        } else {
            b'-'
        });
    }
    match settings.objects.name(ty, oid) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => number::write_u64(u64::from(oid), out),
    }
}
