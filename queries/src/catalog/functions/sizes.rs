//! Sizes of relations and of the database, as far as they are known.

use super::{objects, system};
use crate::catalog::SystemState;
use crate::catalog::objects::{Class, Found};
use crate::error::{Result, SqlError, SqlState};
use crate::exec::EvalContext;
use crate::types::PgType::*;
use crate::types::functions::define::f;
use crate::types::functions::registry::FunctionTable;
use crate::types::functions::{Arguments, ScalarFunction};
use crate::types::numeric::compare;
use crate::types::{Datum, Numeric as Number};

pub(crate) static TABLE: FunctionTable = FunctionTable::scalars(FUNCTIONS);

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    f(2325, "pg_relation_size", &[Regclass], Int8, relation).volatile(),
    f(2332, "pg_relation_size", &[Regclass, Text], Int8, |c, a| {
        if a.text(1)? == "main" { relation(c, a) } else { Ok(Datum::Int8(0)) }
    }).volatile(),
    f(2997, "pg_table_size", &[Regclass], Int8, relation).volatile(),
    f(2286, "pg_total_relation_size", &[Regclass], Int8, |c, a| known(c, a.oid(0)?, |(rows, indexes)| rows + indexes)).volatile(),
    f(2998, "pg_indexes_size", &[Regclass], Int8, |c, a| known(c, a.oid(0)?, |(_, indexes)| indexes)).volatile(),
    f(2168, "pg_database_size", &[Name], Int8, |c, a| {
        let name = a.text(0)?;
        if name == c.exec.settings.database {
            return Ok(Datum::Int8(system(c).state().database_bytes().unwrap_or(0)));
        }
        let message = format!("database \"{name}\" does not exist");
        Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message))
    }).volatile(),
    f(2324, "pg_database_size", &[Oid], Int8, |c, _| Ok(Datum::Int8(system(c).state().database_bytes().unwrap_or(0)))).volatile(),
    f(2322, "pg_tablespace_size", &[Oid], Int8, |c, _| Ok(Datum::Int8(system(c).state().database_bytes().unwrap_or(0)))).volatile(),
    f(2323, "pg_tablespace_size", &[Name], Int8, |c, _| Ok(Datum::Int8(system(c).state().database_bytes().unwrap_or(0)))).volatile(),
    f(3778, "pg_tablespace_location", &[Oid], Text, |_, _| Ok(Datum::text(""))).stable(),
    f(2288, "pg_size_pretty", &[Int8], Text, |_, a| Ok(Datum::text(pretty(a.int8(0)?)))),
    f(3166, "pg_size_pretty", &[Numeric], Text, |_, a| Ok(pretty_numeric(a.numeric(0)?).into())),
    f(3334, "pg_size_bytes", &[Text], Int8, |_, a| size_bytes(a.text(0)?).map(Datum::Int8)),
    f(1928, "pg_stat_get_numscans", &[Oid], Int8, |_, _| Ok(Datum::Int8(0))).stable(),
    f(2878, "pg_stat_get_live_tuples", &[Oid], Int8, |c, a| {
        let objects = objects(c);
        Ok(Datum::Int8(objects.class(a.oid(0)?).and_then(Class::row_estimate).unwrap_or(0)))
    }).stable(),
    f(2879, "pg_stat_get_dead_tuples", &[Oid], Int8, |_, _| Ok(Datum::Int8(0))).stable(),
];

fn relation(context: &EvalContext<'_>, a: &[Datum]) -> Result<Datum> {
    known(context, a.oid(0)?, |(rows, _)| rows)
}

/// A size, null for what is no relation.
#[expect(clippy::unnecessary_wraps, reason = "what functions of the tables give")]
fn known(context: &EvalContext<'_>, oid: u32, bytes: fn((i64, i64)) -> i64) -> Result<Datum> {
    let objects = objects(context);
    let Some(found) = objects.found(oid) else { return Ok(Datum::Null) };
    Ok(Datum::Int8(bytes(sizes(system(context).state(), &found))))
}

/// The bytes of a relation and of its indexes; all indexes of a relation count as equally large.
pub(crate) fn sizes(state: &dyn SystemState, found: &Found<'_>) -> (i64, i64) {
    let of_class = |class: &Class| {
        let relation = Some(class).filter(|class| !class.is_system() && class.view().is_none());
        relation.and_then(|class| state.relation_bytes(&class.name)).unwrap_or((0, 0))
    };
    match found {
        Found::Class(class) => of_class(class),
        Found::Index(class, index) if index.primary => (of_class(class).0, 0),
        Found::Index(class, _) => {
            let others = i64::try_from(class.indexes().len().saturating_sub(1)).unwrap_or(1);
            (of_class(class).1 / others.max(1), 0)
        }
    }
}

/// A number of bytes as people read it: units grow when ten thousand of one are passed, and halves are rounded away
/// from zero.
fn pretty(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let limit = 10 * 1024;
    if bytes.unsigned_abs() < limit {
        return format!("{bytes} bytes");
    }
    // One bit more than needed is kept until the end, for rounding.
    let (mut halves, mut unit) = (bytes / 512, 1);
    while halves.unsigned_abs() >= limit * 2 - 1 && unit + 1 < UNITS.len() {
        (halves, unit) = (halves / 1024, unit + 1);
    }
    // Half of an odd number is rounded away from zero.
    let rounded = halves / 2 + halves % 2;
    format!("{rounded} {}", UNITS[unit])
}

/// The same of a `numeric`, which keeps the decimal places of a number of bytes.
fn pretty_numeric(bytes: &Number) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let limit = |units: i64| Number::from(units);
    let below = |value: &Number, units: i64| compare(&value.abs(), &limit(units)).is_lt();
    if below(bytes, 10 * 1024) {
        return format!("{bytes} bytes");
    }
    let shift = |value: &Number, by: i64| value.div_trunc(&Number::from(by)).unwrap_or(Number::NaN);
    let mut halves = shift(bytes, 512);
    let mut unit = 0;
    while !below(&halves, 10 * 1024 * 2 - 1) && unit + 1 < UNITS.len() {
        (halves, unit) = (shift(&halves, 1024), unit + 1);
    }
    let away = Number::from(i64::from(halves.signum()));
    let rounded = halves.add(&away).map_or(Number::NaN, |it| shift(&it, 2));
    format!("{rounded} {}", UNITS[unit])
}

/// `pg_size_bytes`: a number with a unit, as bytes.
fn size_bytes(text: &str) -> Result<i64> {
    let invalid = || {
        let message = format!("invalid size: \"{text}\"");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    };
    let trimmed = text.trim_matches(|it: char| it.is_ascii_whitespace());
    let number = |it: char| it.is_ascii_digit() || matches!(it, '.' | '+' | '-');
    let mut end = trimmed.find(|it| !number(it)).unwrap_or(trimmed.len());
    // An exponent, unless it begins a unit.
    let rest = &trimmed[end..];
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let digits = exponent[sign..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    let value = crate::types::numeric::read(&trimmed[..end]).map_err(|_| invalid())?;
    let unit = trimmed[end..].trim_start();
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        "tb" => 40,
        "pb" => 50,
        _ => {
            return Err(invalid()
                .with_detail(format!("Invalid size unit: \"{unit}\"."))
                .with_hint(
                    "Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".",
                ));
        }
    };
    value.mul(&Number::from(1_i64 << power))?.to_integer(Int8)
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn sizes_are_written_as_postgresql_does() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (10239, "10239 bytes"),
            (10240, "10 kB"),
            (10_485_247, "10239 kB"),
            (10_485_248, "10 MB"),
            (-20_000_000, "-19 MB"),
            (i64::MAX, "8192 PB"),
        ] {
            assert_eq!(pretty(bytes), text);
        }
    }
}
