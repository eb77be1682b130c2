//! Measures Rotabase beside PostgreSQL.
