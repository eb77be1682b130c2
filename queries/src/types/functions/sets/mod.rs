//! Set-returning functions: series, subscripts, and the elements of arrays.

pub(super) mod elements;
pub(super) mod series;
