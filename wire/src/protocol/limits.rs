//! The bounds of the protocol layer, each with its name. What an operator may change is in the
//! configuration; what stands here follows from the protocol or protects one connection from itself.

/// The longest start-up packet, as in PostgreSQL.
pub(crate) const STARTUP_BYTES_MAX: usize = 10_000;

/// The longest message of a kind that has no reason to be long, and of any kind before authentication.
pub(crate) const SMALL_MESSAGE_BYTES_MAX: usize = 10_000;

/// The longest message that PostgreSQL's protocol allows; COPY data up to it is taken in pieces.
pub(crate) const MESSAGE_BYTES_MAX: usize = 0x3fff_ffff;

/// The output that is gathered before it is written although there is more input to answer.
pub(crate) const OUTPUT_BYTES: usize = 64 << 10;

/// The room made for each read from the socket.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// The input that is taken in while a statement runs; beyond it the client has to wait.
pub(crate) const READ_AHEAD_BYTES: usize = 256 << 10;

/// The runs of a statement that one session may have under way together.
pub(crate) const SERIES_MAX: usize = 256;

/// A buffer that has grown beyond this is given back once it is empty.
pub(crate) const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// The named portals that one session may hold.
pub(crate) const PORTALS_MAX: usize = 10_000;

/// The connections beyond the configured number that may be in start-up, so that an administrator gets in.
pub(crate) const CONNECTIONS_STARTING_MAX: usize = 64;

/// The bytes of a cancel key in protocol 3.2; in 3.0 the first four.
pub(crate) const CANCEL_KEY_BYTES: usize = 32;
