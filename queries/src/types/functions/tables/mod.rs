//! The rows of `pg_operator` and `pg_cast`, as PostgreSQL 15 has them, for the types that we have.

pub mod casts;
pub mod operators;
