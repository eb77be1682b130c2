//! The store from outside: the log against a model, crashes and damage, group commit, aggregates, rebuild.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregates;
mod damage;
mod db;
mod derived;
mod identity;
mod log;
mod support;
mod writer;
