//! The virtual tables of `pg_catalog`, `information_schema` and `rotabase`.
