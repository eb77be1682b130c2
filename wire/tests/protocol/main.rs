//! The protocol over a session that is not a database: message letters, errors, pipelines, COPY, cancelling,
//! and what a client that means no good can send.

mod client;
mod driver;
mod encryption;
mod fake;
mod fuzz;
mod messages;
mod start_up;
