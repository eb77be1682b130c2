//! Shards of a node, and nodes of a cluster, from the outside: on storage in memory that can lose what was not
//! synced, and on a directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod cluster;
mod deciding;
mod failing;
mod forwarding;
mod growing;
mod history;
mod restarting;
mod sockets;
mod transactions;
mod world;
