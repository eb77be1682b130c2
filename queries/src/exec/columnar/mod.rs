//! Work on many values of a column at a time, over relations that keep columns ([`crate::column`]).
//!
//! What reads a whole table may do so by columns. A part of a plan becomes a [`flow`]: scans ([`scan`]), conditions that
//! narrow down a list of row numbers ([`filter`]), joins with what is small ([`join`]), windows that look at neighbours
//! ([`window`]), expressions computed beside columns ([`computed`]), and groups with plain aggregates ([`aggregate`]) hand columns to each other, each chunk worked on by the
//! thread that reads it. Rows are made of what comes out at the end ([`rows`]). The first rows of an order are found
//! before they are made ([`top`]).
//!
//! Whatever is not done here is done by the operators that work on rows; both give the same answers.

mod aggregate;
mod computed;
mod filter;
mod flow;
mod groups;
mod join;
mod keys;
mod partitions;
pub(crate) mod rows;
mod scan;
mod states;
pub(crate) mod top;
mod window;
