//! SSIM files: what they mean, what is refused and how, and what is written.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod faults;
mod meaning;
mod round_trip;
mod samples;
