//! A domain as small as it gets: accounts that are never overdrawn. Each event carries a tag, by which a test
//! finds it again.

use rotabase_engine::domain::{DecodeError, Domain, EventKind, Events};

#[derive(Debug)]
pub(crate) struct Accounts;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Moves the balance by an amount, which may be negative; an amount of 0 changes nothing.
    Move { amount: i64, tag: u64 },
    /// Emits several events.
    Repeat { times: usize, tag: u64 },
    /// Emits one event with that many bytes of payload.
    Note { bytes: usize, tag: u64 },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) amount: i64,
    pub(crate) tag: u64,
    pub(crate) note: usize,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the account would be overdrawn: {balance} {amount:+}")]
pub(crate) struct Overdrawn {
    pub(crate) balance: i64,
    pub(crate) amount: i64,
}

impl Domain for Accounts {
    type Id = u32;
    type State = i64;
    type Command = Command;
    type Event = Event;
    type Refusal = Overdrawn;

    fn initial(_id: &u32) -> i64 {
        0
    }

    fn decide(_id: &u32, balance: &i64, command: &Command) -> Result<Events<Self>, Overdrawn> {
        match *command {
            Command::Move { amount, .. } if balance + amount < 0 => {
                Err(Overdrawn { balance: *balance, amount })
            }
            Command::Move { amount: 0, .. } => Ok(Events::<Self>::new()),
            Command::Move { amount, tag } => {
                Ok([Event { amount, tag, note: 0 }].into_iter().collect())
            }
            Command::Repeat { times, tag } => {
                Ok((0..times).map(|_| Event { amount: 1, tag, note: 0 }).collect())
            }
            Command::Note { bytes, tag } => {
                Ok([Event { amount: 0, tag, note: bytes }].into_iter().collect())
            }
        }
    }

    fn evolve(balance: &mut i64, event: &Event) {
        *balance += event.amount;
    }

    fn encode_id(id: &u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&id.to_be_bytes());
    }

    fn decode_id(bytes: &[u8]) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(bytes.try_into().map_err(|_| too_short())?))
    }

    fn encode_command(command: &Command, out: &mut Vec<u8>) {
        let (kind, number, tag) = match *command {
            Command::Move { amount, tag } => (0, amount.cast_unsigned(), tag),
            Command::Repeat { times, tag } => (1, u64::try_from(times).unwrap(), tag),
            Command::Note { bytes, tag } => (2, u64::try_from(bytes).unwrap(), tag),
        };
        out.push(kind);
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&tag.to_be_bytes());
    }

    fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
        let (kind, rest) = bytes.split_first().ok_or_else(too_short)?;
        let (number, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
        let number = u64::from_be_bytes(*number);
        let tag = u64::from_be_bytes(rest.try_into().map_err(|_| too_short())?);
        Ok(match kind {
            0 => Command::Move { amount: number.cast_signed(), tag },
            1 => Command::Repeat { times: usize::try_from(number).unwrap(), tag },
            _ => Command::Note { bytes: usize::try_from(number).unwrap(), tag },
        })
    }

    fn encode_refusal(refusal: &Overdrawn, out: &mut Vec<u8>) {
        out.extend_from_slice(&refusal.balance.to_be_bytes());
        out.extend_from_slice(&refusal.amount.to_be_bytes());
    }

    fn decode_refusal(bytes: &[u8]) -> Result<Overdrawn, DecodeError> {
        let (balance, amount) = bytes.split_first_chunk().ok_or_else(too_short)?;
        let amount = i64::from_be_bytes(amount.try_into().map_err(|_| too_short())?);
        Ok(Overdrawn { balance: i64::from_be_bytes(*balance), amount })
    }

    fn encode_event(event: &Event, out: &mut Vec<u8>) -> EventKind {
        out.extend_from_slice(&event.amount.to_be_bytes());
        out.extend_from_slice(&event.tag.to_be_bytes());
        out.resize(out.len() + event.note, 0);
        EventKind { event_type: 1, schema_version: 1 }
    }

    fn decode_event(_kind: EventKind, payload: &[u8]) -> Result<Event, DecodeError> {
        let (amount, rest) = payload.split_first_chunk().ok_or_else(too_short)?;
        let (tag, note) = rest.split_first_chunk().ok_or_else(too_short)?;
        Ok(Event {
            amount: i64::from_be_bytes(*amount),
            tag: u64::from_be_bytes(*tag),
            note: note.len(),
        })
    }

    fn encode_state(balance: &i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&balance.to_be_bytes());
    }

    fn decode_state(_id: &u32, bytes: &[u8]) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(bytes.try_into().map_err(|_| too_short())?))
    }

    fn state_bytes(_balance: &i64) -> usize {
        8
    }
}

fn too_short() -> DecodeError {
    DecodeError { what: "an account", reason: "too short".to_owned() }
}
