//! What black-box tests need: a Rotabase process, a PostgreSQL process to compare with, and their clients.
//!
//! Tests see Rotabase as a user does: a process, a port, a driver. Nothing here links the crates under test, but for
//! [`simulation`], which is all of them in one process.
//! A tool that a test needs and does not find is a failed test, with the name of what to install.

pub mod certificates;
pub mod cluster;
pub mod load;
pub mod net;
pub mod postgres;
pub mod random_select;
pub mod register;
pub mod schedule;
pub mod server;
pub mod simulation;
pub mod tool;
