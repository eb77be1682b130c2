//! Black-box and whole-system tests.
