//! The SQL layer: parsing, binding, commands.
pub mod command;
