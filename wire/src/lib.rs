//! Rotabase: a flight schedule database that speaks the PostgreSQL protocol.
