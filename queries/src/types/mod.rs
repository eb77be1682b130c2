//! PostgreSQL's types: their names and OIDs, their values, and the text and binary forms of these.
//!
//! [`PgType`] says which type; [`Datum`] is a value, and knows its type only as far as its representation does.
//! [`text`] and [`binary`] read and write values; [`compare`](mod@compare) orders and hashes them; [`functions`] computes with
//! them and says which function a call means. [`numeric`], [`datetime`] and [`json`] hold what is particular to
//! these families. Nothing in here knows expressions, plans, relations or clients.

pub mod binary;
pub mod compare;
pub mod datetime;
mod datum;
pub mod functions;
pub mod json;
pub(crate) mod jsonpath;
pub mod numeric;
mod objects;
mod pg_type;
pub(crate) mod regex;
pub mod text;
pub mod type_table;
pub mod typmod;

pub use compare::{HashFn, compare, hash, is_comparable, is_ordered};
pub use datum::{ArrayValue, Datum, Interval, Jsonb, Numeric};
pub use objects::{BuiltInNames, ObjectNames, undefined as undefined_object};
pub use pg_type::{Category, PgType};
