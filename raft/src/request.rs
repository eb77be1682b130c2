//! What a node is asked and what it answers.

use rotabase_engine::domain::Domain;
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{Positions, Version};
use uuid::Uuid;

/// A command for an aggregate, or only a look at its version.
#[derive(Debug)]
pub struct Request<D: Domain> {
    /// The aggregate.
    pub id: D::Id,
    /// The version that the aggregate must have before the statement, for the command to be decided at all.
    pub expected_version: Option<Version>,
    /// What it is asked to do; nothing, where only its version is to be what a transaction has read.
    pub command: Option<D::Command>,
}

impl<D: Domain> Clone for Request<D> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            expected_version: self.expected_version,
            command: self.command.clone(),
        }
    }
}

impl<D: Domain> Request<D> {
    /// A command that does not care for the aggregate's version.
    pub fn new(id: D::Id, command: D::Command) -> Self {
        Self { id, expected_version: None, command: Some(command) }
    }

    /// Changes nothing, but needs the aggregate to have this version until the statement is stored.
    pub fn check(id: D::Id, version: Version) -> Self {
        Self { id, expected_version: Some(version), command: None }
    }

    /// The same, if the aggregate has this version.
    #[must_use]
    pub fn expecting(self, version: Option<Version>) -> Self {
        Self { expected_version: version, ..self }
    }
}

/// What the requests of a statement did, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The version of each request's aggregate after it.
    pub versions: Vec<Version>,
    /// How many events each emitted; 0 for one that changed nothing.
    pub emitted: Vec<u32>,
}

/// A statement that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The version of each request's aggregate after it. Empty for a [`crate::Write`], which told them already.
    pub versions: Vec<Version>,
    /// How many events each request emitted. Empty for a [`crate::Write`].
    pub emitted: Vec<u32>,
    /// What a reader must have reached to see the statement.
    pub positions: Positions,
    /// The time that its events carry.
    pub timestamp: Timestamp,
    /// The transaction that they belong to.
    pub transaction: Uuid,
}
