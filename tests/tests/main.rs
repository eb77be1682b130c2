//! One binary for all black-box tests, so that it is linked once.

mod suite;
