//! What an entry does for its events: most let them happen, those of a transaction over several entries prepare,
//! decide, or end it.
//!
//! ```text
//! participant   … prepare ………………………… outcome …      events happen at the outcome, if it commits
//! deciding      …………………… decision …                   its own events happen at the decision
//! ```
//!
//! A transaction is committed if and only if the log of its deciding shard holds a decision that says so. A prepare
//! keeps the bytes of its events; its outcome, in the same log, only points at it. So each event is written once,
//! and its position is where it happened: that of the outcome, or of the decision.
//!
//! ```text
//! length u32, then:
//! attempt          16 bytes
//! prepare          deciding shard
//! decision         1 if it commits, parts
//! outcome          1 if it commits, index of the prepare, parts
//! parts            a count, and for each: shard, entries; numbers are varints
//! ```

use std::fmt;

use uuid::Uuid;

use crate::domain::DecodeError;
use crate::env::Timestamp;
use crate::position::{LogIndex, SHARDS_MAX, ShardId};
use crate::varint::{Reader, write_unsigned};

/// The longest encoded step.
pub const STEP_BYTES_MAX: usize = 16 << 10;

const PART_BYTES_MAX: usize = 3 + 5;
const FIXED_BYTES_MAX: usize = 4 + 16 + 1 + 10 + 3;

/// A `usize` of [`SHARDS_MAX`], for the assertion below.
const PARTS_MAX: usize = 1024;

const _: () = assert!(SHARDS_MAX == 1024, "PARTS_MAX is SHARDS_MAX");
const _: () = assert!(
    FIXED_BYTES_MAX + PARTS_MAX * PART_BYTES_MAX <= STEP_BYTES_MAX,
    "every step can be encoded"
);

pub(super) const KIND_EVENTS: u8 = 0;
const KIND_PREPARE: u8 = 1;
const KIND_DECISION: u8 = 2;
const KIND_OUTCOME: u8 = 3;

/// One attempt to commit a transaction over several entries. Never used for another attempt, whatever became of it: it
/// is made of a time that its machine gave nothing else, and all that is logged of it carries a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub Uuid);

impl Attempt {
    /// The attempt that a machine begins at a time which it gives nothing else.
    pub fn new(timestamp: Timestamp, machine: u64) -> Self {
        Self(Uuid::from_u64_pair(timestamp.0, machine))
    }

    /// When it began.
    pub fn timestamp(self) -> Timestamp {
        Timestamp(self.0.as_u64_pair().0)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// In how many entries of which shards the events of a transaction happen. Whoever has applied all of them has
/// seen all of the transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub Vec<(ShardId, u32)>);

impl Parts {
    /// The entries in `shard`.
    pub fn of(&self, shard: ShardId) -> u32 {
        self.0.iter().find(|(of, _)| *of == shard).map_or(0, |(_, entries)| *entries)
    }

    /// The entries in all shards.
    pub fn entries(&self) -> u64 {
        self.0.iter().map(|(_, entries)| u64::from(*entries)).sum()
    }
}

/// What an entry does for its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// They happen as soon as the entry is committed: all that one shard decided at a time.
    #[default]
    Events,
    /// They are decided and their aggregates held, until an outcome says what becomes of them.
    Prepare {
        /// The attempt.
        attempt: Attempt,
        /// The shard whose log says whether it commits.
        deciding: ShardId,
    },
    /// The transaction commits, and the events of this very entry happen; or it never will.
    Decision {
        /// The attempt.
        attempt: Attempt,
        /// Whether it commits.
        commit: bool,
        /// Where its events happen; empty if it does not commit.
        parts: Parts,
    },
    /// What was prepared happens, or never will.
    Outcome {
        /// The attempt.
        attempt: Attempt,
        /// Whether it committed.
        commit: bool,
        /// The prepare, in the same log.
        prepared: LogIndex,
        /// Where the events of the transaction happen; empty if it did not commit.
        parts: Parts,
    },
}

impl Step {
    /// The attempt; none for an entry that is no part of one.
    pub fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::Events => None,
            Self::Prepare { attempt, .. }
            | Self::Decision { attempt, .. }
            | Self::Outcome { attempt, .. } => Some(*attempt),
        }
    }

    /// Whether the events that the entry holds, or points at, happen with it.
    pub fn lets_happen(&self) -> bool {
        match self {
            Self::Events => true,
            Self::Prepare { .. } => false,
            Self::Decision { commit, .. } | Self::Outcome { commit, .. } => *commit,
        }
    }

    /// The transaction that commits with this entry, and where else its events happen.
    pub fn committed(&self) -> Option<(Attempt, &Parts)> {
        match self {
            Self::Decision { attempt, commit: true, parts }
            | Self::Outcome { attempt, commit: true, parts, .. } => Some((*attempt, parts)),
            _ => None,
        }
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Events => KIND_EVENTS,
            Self::Prepare { .. } => KIND_PREPARE,
            Self::Decision { .. } => KIND_DECISION,
            Self::Outcome { .. } => KIND_OUTCOME,
        }
    }

    /// Appends what its kind does not say; nothing for [`Step::Events`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let Some(attempt) = self.attempt() else { return };
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(attempt.0.as_bytes());
        match self {
            Self::Events => {}
            Self::Prepare { deciding, .. } => write_unsigned(u64::from(deciding.0), out),
            Self::Decision { commit, parts, .. } => {
                out.push(u8::from(*commit));
                encode_parts(parts, out);
            }
            Self::Outcome { commit, prepared, parts, .. } => {
                out.push(u8::from(*commit));
                write_unsigned(prepared.0, out);
                encode_parts(parts, out);
            }
        }
        let length = u32::try_from(out.len() - start - 4).expect("at most STEP_BYTES_MAX");
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Reads what [`Step::encode`] wrote for the kind; says how many bytes that were.
    pub(super) fn decode(kind: u8, bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        if kind == KIND_EVENTS {
            return Ok((Self::Events, 0));
        }
        if kind > KIND_OUTCOME {
            return Err(Reader::new("a log entry", bytes).error(format!("unknown kind {kind}")));
        }
        let mut outer = Reader::new("a step of a transaction", bytes);
        let length = usize::try_from(u32::from_be_bytes(outer.array()?)).expect("fits memory");
        let mut reader = Reader::new("a step of a transaction", outer.take(length)?);
        let attempt = Attempt(Uuid::from_bytes(reader.array()?));
        let step = match kind {
            KIND_PREPARE => Self::Prepare { attempt, deciding: ShardId(reader.unsigned_as()?) },
            KIND_DECISION => Self::Decision {
                attempt,
                commit: read_flag(&mut reader)?,
                parts: read_parts(&mut reader)?,
            },
            _ => Self::Outcome {
                attempt,
                commit: read_flag(&mut reader)?,
                prepared: LogIndex(reader.unsigned()?),
                parts: read_parts(&mut reader)?,
            },
        };
        reader.finish()?;
        Ok((step, 4 + length))
    }
}

fn encode_parts(parts: &Parts, out: &mut Vec<u8>) {
    write_unsigned(u64::try_from(parts.0.len()).expect("at most SHARDS_MAX"), out);
    for (shard, entries) in &parts.0 {
        write_unsigned(u64::from(shard.0), out);
        write_unsigned(u64::from(*entries), out);
    }
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(reader.error(format!("{other} is neither yes nor no"))),
    }
}

fn read_parts(reader: &mut Reader<'_>) -> Result<Parts, DecodeError> {
    let count: u16 = reader.unsigned_as()?;
    if count > SHARDS_MAX {
        return Err(reader.error(format!("{count} parts are too many")));
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push((ShardId(reader.unsigned_as()?), reader.unsigned_as()?));
    }
    Ok(Parts(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steps() -> impl Strategy<Value = Step> {
        let attempt = any::<u128>().prop_map(|id| Attempt(Uuid::from_u128(id)));
        let part = (0..SHARDS_MAX, any::<u32>()).prop_map(|(shard, n)| (ShardId(shard), n));
        let parts = proptest::collection::vec(part, 0..40).prop_map(Parts);
        prop_oneof![
            (attempt.clone(), 0..SHARDS_MAX)
                .prop_map(|(attempt, of)| Step::Prepare { attempt, deciding: ShardId(of) }),
            (attempt.clone(), any::<bool>(), parts.clone())
                .prop_map(|(attempt, commit, parts)| Step::Decision { attempt, commit, parts }),
            (attempt, any::<bool>(), any::<u64>(), parts).prop_map(
                |(attempt, commit, prepared, parts)| Step::Outcome {
                    attempt,
                    commit,
                    prepared: LogIndex(prepared),
                    parts
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_step_reads_back(step in steps()) {
            let mut bytes = Vec::new();
            step.encode(&mut bytes);
            bytes.push(7);
            prop_assert_eq!(Step::decode(step.kind(), &bytes), Ok((step, bytes.len() - 1)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(kind: u8, bytes: Vec<u8>) {
            let _ = Step::decode(kind, &bytes);
        }
    }
}
