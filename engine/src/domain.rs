//! What a domain is: aggregates that decide and evolve. Everything else in this crate and in the raft crate
//! is generic over it.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;

use smallvec::SmallVec;

/// The events that one command emits; mostly one.
pub type Events<D> = SmallVec<[<D as Domain>::Event; 1]>;

/// The number and the schema version of an event type, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKind {
    /// Which event; never reused for another.
    pub event_type: u16,
    /// Which shape of its payload, from 1.
    pub schema_version: u16,
}

/// Stored bytes are not what this domain wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not decode {what}: {reason}")]
pub struct DecodeError {
    /// What was being decoded.
    pub what: &'static str,
    /// Why it failed.
    pub reason: String,
}

/// A domain: the aggregates of one write model, their commands and their events.
///
/// `decide` and `evolve` are pure: the same state and input give the same result on every machine, for ever.
/// All rules are in `decide`; `evolve` only moves data and cannot fail, because what is recorded has happened.
pub trait Domain: Debug + Send + Sync + Sized + 'static {
    /// What identifies an aggregate, its type included.
    type Id: Clone + Debug + Display + Eq + Ord + Hash + Send + Sync + 'static;
    /// The state of an aggregate, folded from its events.
    type State: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// What an aggregate is asked to do.
    type Command: Clone + Debug + Send + Sync + 'static;
    /// What has happened to an aggregate.
    type Event: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// Why a command was refused.
    type Refusal: Clone + Debug + PartialEq + Error + Send + Sync + 'static;

    /// The state of an aggregate that has no events yet.
    fn initial(id: &Self::Id) -> Self::State;

    /// Decides what `command` does to the aggregate; an empty list means there is nothing to do.
    fn decide(
        id: &Self::Id,
        state: &Self::State,
        command: &Self::Command,
    ) -> Result<Events<Self>, Self::Refusal>;

    /// Applies a recorded event.
    fn evolve(state: &mut Self::State, event: &Self::Event);

    /// Appends the stored form of an id, of at most [`AGGREGATE_ID_BYTES_MAX`] bytes; equal ids give equal bytes.
    fn encode_id(id: &Self::Id, out: &mut Vec<u8>);

    /// Reads what [`Domain::encode_id`] wrote.
    fn decode_id(bytes: &[u8]) -> Result<Self::Id, DecodeError>;

    /// Appends the payload of an event in its newest schema version.
    fn encode_event(event: &Self::Event, out: &mut Vec<u8>) -> EventKind;

    /// Reads a payload of any schema version there ever was, upcast to the newest.
    fn decode_event(kind: EventKind, payload: &[u8]) -> Result<Self::Event, DecodeError>;

    /// Appends a command, for the machine that decides it.
    fn encode_command(command: &Self::Command, out: &mut Vec<u8>);

    /// Reads what [`Domain::encode_command`] wrote.
    fn decode_command(bytes: &[u8]) -> Result<Self::Command, DecodeError>;

    /// Appends a refusal, for the machine that asked.
    fn encode_refusal(refusal: &Self::Refusal, out: &mut Vec<u8>);

    /// Reads what [`Domain::encode_refusal`] wrote.
    fn decode_refusal(bytes: &[u8]) -> Result<Self::Refusal, DecodeError>;

    /// Appends the state of an aggregate for a snapshot.
    fn encode_state(state: &Self::State, out: &mut Vec<u8>);

    /// Reads what [`Domain::encode_state`] wrote; an error makes the snapshot void and the log is read instead.
    fn decode_state(id: &Self::Id, bytes: &[u8]) -> Result<Self::State, DecodeError>;

    /// Roughly how many bytes of memory a state takes; constant time.
    fn state_bytes(state: &Self::State) -> usize;
}

/// The longest stored form of an aggregate's id.
pub const AGGREGATE_ID_BYTES_MAX: usize = 64;
