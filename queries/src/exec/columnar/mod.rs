//! Work on many values of a column at a time, over relations that keep columns ([`crate::column`]).
//!
//! What reads a whole table may do so by columns: conditions that compare columns with values or with each other narrow
//! down a list of row numbers ([`filter`]), rows are made of what is left ([`rows`]), groups with plain aggregates are
//! gathered without making rows at all ([`aggregate`]), and windows that look at neighbours are sorted by keys of fixed
//! width ([`window`]), as are the first rows of an order ([`top`]). Each piece of a table is worked on by itself, by the threads that read large tables.
//!
//! Whatever is not done here is done by the operators that work on rows; both give the same answers.

pub(crate) mod aggregate;
pub(crate) mod filter;
mod groups;
mod keys;
pub(crate) mod rows;
mod states;
pub(crate) mod top;
pub(crate) mod window;
