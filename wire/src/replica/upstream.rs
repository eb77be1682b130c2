//! The node that a replica follows, as a client of the PostgreSQL protocol sees it.
//!
//! What comes over `COPY (SUBSCRIBE TO rotabase.entries)` are rows of the logs, and between them messages, which have
//! shard -1 and a kind of their own ([`Kind`]).

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::ReadyChunks;
use futures::{Stream as _, StreamExt as _};
use rotabase_engine::log::{Leader, LogRow, RowKind};
use rotabase_engine::position::{LogIndex, Positions, ShardId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_postgres::binary_copy::{BinaryCopyOutRow, BinaryCopyOutStream};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::ReplicaOptions;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The port of a node that is named without one.
const PORT_DEFAULT: u16 = 7432;

/// The messages that are taken at a time; each is at most as long as a log entry.
const MESSAGES_AT_ONCE: usize = 64;

/// What a row of `rotabase.entries` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A row of a log.
    Row(RowKind),
    /// The first row: who is speaking ([`Hello`]).
    Hello,
    /// Roles and views.
    Catalog,
    /// What there was at a moment ([`Heartbeat`]).
    Heartbeat,
}

impl Kind {
    /// Its number.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Row(RowKind::Blank) => 0,
            Self::Row(RowKind::Events) => 1,
            Self::Row(RowKind::Membership) => 2,
            Self::Hello => 10,
            Self::Catalog => 11,
            Self::Heartbeat => 12,
        }
    }

    fn of(number: i32) -> Option<Self> {
        let rows = [RowKind::Blank, RowKind::Events, RowKind::Membership].map(Self::Row);
        let kinds = rows.into_iter().chain([Self::Hello, Self::Catalog, Self::Heartbeat]);
        kinds.into_iter().find(|kind| kind.number() == number)
    }
}

/// Who is speaking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The cluster, a UUID as text.
    pub(crate) cluster: String,
    /// The number of shards.
    pub(crate) shards: u16,
    /// The node that takes writes, if it is another one.
    pub(crate) writer: Option<String>,
    /// Whether it takes writes itself.
    pub(crate) writable: bool,
}

/// What the node that takes writes had at a moment of its clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    /// Microseconds since 2000-01-01 UTC.
    pub(crate) at: i64,
    /// The positions, as text.
    pub(crate) positions: String,
}

/// What comes from upstream.
#[derive(Debug)]
pub(super) enum Message {
    Row(ShardId, LogRow),
    Hello(Hello),
    Catalog(Bytes),
    Heartbeat(i64, Positions),
}

/// Why nothing comes from upstream any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("could not connect: {0}")]
    Connect(#[from] io::Error),
    #[error("could not agree on TLS: {0}")]
    Secure(io::Error),
    #[error("{}", told(.0))]
    Protocol(#[from] tokio_postgres::Error),
    #[error("it did not answer in time")]
    Late,
    #[error("it sent what is no {0}")]
    Malformed(&'static str),
    #[error("it has ended the subscription")]
    Ended,
}

/// The message of the server, or what went wrong on the way there.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// A connection to a node.
#[derive(Debug)]
pub(super) struct Upstream {
    client: Client,
    connection: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Upstream {
    /// Connects to a node.
    pub(super) async fn connect(
        node: &str,
        options: &ReplicaOptions,
    ) -> Result<Self, UpstreamError> {
        let (host, port) = address(node);
        let mut config = tokio_postgres::Config::new();
        config.user(&options.user).dbname(crate::database::DATABASE_NAME);
        config.application_name("rotabase replica");
        if let Some(password) = &options.password {
            config.password(password);
        }
        let connecting = async {
            let socket = TcpStream::connect((host, port)).await?;
            socket.set_nodelay(true)?;
            let secured = options.security.client(socket, node).await;
            let connection = secured.map_err(UpstreamError::Secure)?;
            // Whatever encrypts has been agreed on.
            Ok::<_, UpstreamError>(config.connect_raw(connection, NoTls).await?)
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let (client, connection) = connected.map_err(|_| UpstreamError::Late)??;
        let connection = tokio::spawn(async move {
            // What goes wrong is told to whoever waits for an answer.
            let _ = connection.await;
        });
        Ok(Self { client, connection })
    }

    /// Subscribes to the rows after `positions`.
    pub(super) async fn entries(&self, positions: &Positions) -> Result<Entries, UpstreamError> {
        let sql = format!(
            "COPY (SUBSCRIBE TO rotabase.entries AFTER '{positions}') TO STDOUT (FORMAT binary)"
        );
        let types = [Type::INT4, Type::INT8, Type::INT4, Type::INT8, Type::INT8, Type::BYTEA];
        let stream = BinaryCopyOutStream::new(self.client.copy_out(&sql).await?, &types);
        Ok(Entries(Box::pin(stream.ready_chunks(MESSAGES_AT_ONCE))))
    }

    /// The positions of a barrier, by its name.
    pub(super) async fn barrier(&self, name: &str) -> Result<Positions, UpstreamError> {
        let answer = self.client.simple_query(&format!("SHOW {name}")).await?;
        let text = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        text.and_then(|text| text.parse().ok()).ok_or(UpstreamError::Malformed("position"))
    }
}

/// What comes of a subscription.
pub(super) struct Entries(Pin<Box<ReadyChunks<BinaryCopyOutStream>>>);

impl Entries {
    /// The next messages; waits for the first of them at most `patience`.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Vec<Message>, UpstreamError> {
        debug_assert!(self.0.size_hint().1.is_none(), "a subscription has no end");
        let rows = tokio::time::timeout(patience, self.0.next()).await;
        let rows = rows.map_err(|_| UpstreamError::Late)?.ok_or(UpstreamError::Ended)?;
        rows.into_iter().map(|row| message(&row?)).collect()
    }
}

fn message(row: &BinaryCopyOutRow) -> Result<Message, UpstreamError> {
    let malformed = || UpstreamError::Malformed("row");
    let kind = Kind::of(row.try_get(2)?).ok_or_else(malformed)?;
    let payload: &[u8] = row.try_get(5)?;
    Ok(match kind {
        Kind::Row(kind) => {
            let shard = u16::try_from(row.try_get::<i32>(0)?).map_err(|_| malformed())?;
            let index = u64::try_from(row.try_get::<i64>(1)?).map_err(|_| malformed())?;
            let leader = Leader { term: bits(row.try_get(3)?), node: bits(row.try_get(4)?) };
            let payload = Bytes::copy_from_slice(payload);
            Message::Row(ShardId(shard), LogRow { index: LogIndex(index), leader, kind, payload })
        }
        Kind::Hello => Message::Hello(
            serde_json::from_slice(payload).map_err(|_| UpstreamError::Malformed("hello"))?,
        ),
        Kind::Catalog => Message::Catalog(Bytes::copy_from_slice(payload)),
        Kind::Heartbeat => {
            let malformed = || UpstreamError::Malformed("heartbeat");
            let heartbeat: Heartbeat = serde_json::from_slice(payload).map_err(|_| malformed())?;
            let positions = heartbeat.positions.parse().map_err(|_| malformed())?;
            Message::Heartbeat(heartbeat.at, positions)
        }
    })
}

/// The bits of a number that SQL shows with a sign.
fn bits(number: i64) -> u64 {
    u64::from_be_bytes(number.to_be_bytes())
}

/// Host and port of a node.
fn address(node: &str) -> (&str, u16) {
    let (host, port) = match node.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, port),
            Err(_) => (node, PORT_DEFAULT),
        },
        None => (node, PORT_DEFAULT),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_host_and_a_port() {
        assert_eq!(address("10.0.0.1:7000"), ("10.0.0.1", 7000));
        assert_eq!(address("primary"), ("primary", 7432));
        assert_eq!(address("[::1]:7000"), ("::1", 7000));
    }

    #[test]
    fn kinds_have_numbers_of_their_own() {
        for number in -1..20 {
            assert!(Kind::of(number).is_none_or(|kind| kind.number() == number));
        }
        assert_eq!(Kind::of(12), Some(Kind::Heartbeat));
    }
}
