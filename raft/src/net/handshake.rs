//! What two machines say first: which protocol they speak, which cluster they are of, and who they are.

use std::io;
use std::time::Duration;

use rotabase_engine::domain::DecodeError;
use rotabase_engine::varint::Reader;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use super::Connection;
use super::frame;
use crate::remote::travel::{Travel, pack, unpack};
use crate::type_config::MachineId;

/// The version of all that machines say to each other. Machines of different versions do not talk.
pub const PROTOCOL_VERSION: u16 = 2;

/// How long a handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

const MAGIC: [u8; 8] = *b"rotabase";
const GREETING_BYTES_MAX: usize = 4 << 10;

/// What a connection is for: what must not wait does not stand behind what is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Heartbeats, votes, transfers.
    Control,
    /// Log entries and statements.
    Data,
    /// One question of somebody who is no member.
    Guest,
}

/// The first message of who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) cluster: Uuid,
    pub(super) shards: u16,
    pub(super) from: MachineId,
    pub(super) to: MachineId,
    pub(super) lane: Lane,
}

/// Why a connection is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Turned {
    /// Whether who connects was a member and is none any more.
    pub(super) removed: bool,
    pub(super) reason: String,
}

impl Turned {
    fn because(reason: String) -> Self {
        Self { removed: false, reason }
    }
}

impl Travel for Turned {
    fn put(&self, out: &mut Vec<u8>) {
        self.removed.put(out);
        self.reason.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { removed: Travel::get(from)?, reason: Travel::get(from)? })
    }
}

impl Travel for Lane {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Control => 1,
            Self::Data => 2,
            Self::Guest => 3,
        });
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.byte()? {
            1 => Self::Control,
            2 => Self::Data,
            3 => Self::Guest,
            lane => return Err(from.error(format!("{lane} is no lane"))),
        })
    }
}

impl Travel for Hello {
    fn put(&self, out: &mut Vec<u8>) {
        self.cluster.put(out);
        self.shards.put(out);
        self.from.put(out);
        self.to.put(out);
        self.lane.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster: Travel::get(from)?,
            shards: Travel::get(from)?,
            from: Travel::get(from)?,
            to: Travel::get(from)?,
            lane: Travel::get(from)?,
        })
    }
}

fn malformed(error: &DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

async fn in_time<T>(greeting: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(HANDSHAKE_TIMEOUT, greeting)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Introduces this machine to one that it has connected to.
pub(super) async fn greet(connection: &mut Connection, hello: &Hello) -> io::Result<()> {
    in_time(async {
        connection.write_all(&MAGIC).await?;
        connection.write_u16(PROTOCOL_VERSION).await?;
        connection.write_all(&frame::end([frame::begin(), pack(hello).to_vec()].concat())).await?;
        connection.flush().await?;
        let welcome = frame::read(connection, GREETING_BYTES_MAX).await?;
        match unpack::<Option<Turned>>(&welcome).map_err(|error| malformed(&error))? {
            None => Ok(()),
            Some(refusal) => Err(io::Error::other(refusal)),
        }
    })
    .await
}

/// Hears who has connected, and says whether it may; `examine` gives a reason if it may not.
pub(super) async fn welcome(
    connection: &mut Connection,
    examine: impl FnOnce(&Hello) -> Option<Turned>,
) -> io::Result<Hello> {
    in_time(async {
        let mut magic = [0; MAGIC.len()];
        connection.read_exact(&mut magic).await?;
        if magic != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no node of a cluster"));
        }
        let version = connection.read_u16().await?;
        let hello = frame::read(connection, GREETING_BYTES_MAX).await?;
        let (hello, refusal) = if version == PROTOCOL_VERSION {
            let hello = unpack::<Hello>(&hello).map_err(|error| malformed(&error))?;
            let refusal = examine(&hello);
            (Some(hello), refusal)
        } else {
            let here = PROTOCOL_VERSION;
            let reason = format!("this node speaks version {here} of the protocol, not {version}");
            (None, Some(Turned::because(reason)))
        };
        let answer = pack(&refusal).to_vec();
        connection.write_all(&frame::end([frame::begin(), answer].concat())).await?;
        connection.flush().await?;
        match (hello, refusal) {
            (Some(hello), None) => Ok(hello),
            (_, Some(refusal)) => Err(io::Error::other(refusal)),
            (None, None) => Err(io::ErrorKind::InvalidData.into()),
        }
    })
    .await
}
