//! Roots, logarithms and powers.
