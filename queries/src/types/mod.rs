//! PostgreSQL's types: their names and OIDs, their values, and the text and binary forms of these.

mod datum;
pub mod functions;
mod pg_type;

pub use datum::{ArrayValue, Datum, Interval, Jsonb, Numeric};
pub use pg_type::PgType;
