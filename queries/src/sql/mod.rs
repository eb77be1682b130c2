//! The SQL layer: parsing, binding, commands.
