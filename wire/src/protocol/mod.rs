//! The PostgreSQL protocol, version 3: what stands between a socket and a session.
//!
//! # The way of a message
//!
//! 1. `server` accepts a connection, `startup` negotiates TLS and the protocol version, `auth` lets the
//!    client prove its role, and the [`Backend`](crate::session::Backend) opens its session.
//! 2. `link` reads into `input`, which cuts messages in place.
//! 3. `connection` takes them one by one: `simple` statements, `extended` ones with their `portal`s,
//!    and `copy`. The session runs the statements.
//! 4. Answers are written straight into `output`, rows by `values`, and sent once all input is dealt with
//!    or 64 KB have gathered. While the client does not read, nothing more is made.
//! 5. `registry` is how others reach a connection: to cancel what it does, or to end it.
//!
//! # What it keeps to
//!
//! - A future of the session is run to its end, whatever the client does; cancelling is asking.
//! - What a client sends can end its own connection, and nothing else.
//! - Every buffer is bounded: input by the longest message, output by `limits`, both by back-pressure.
//!
//! It must never know what a statement means.

mod auth;
mod connection;
mod copy;
mod extended;
mod failure;
mod input;
mod limits;
mod link;
mod metrics;
mod output;
mod portal;
mod registry;
mod series;
mod server;
mod simple;
mod startup;
mod stream;
mod timeouts;
mod tls;
mod values;

pub use auth::{AuthMethod, AuthPolicy};
pub use registry::Registry;
pub use server::{Server, ServerConfig};
pub(crate) use tls::NODE_PROTOCOL;
pub use tls::{Tls, TlsError};
