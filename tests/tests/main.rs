//! One binary for all black-box tests, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test that cannot go on fails, and a story is told in one piece"
)]

mod suite;
