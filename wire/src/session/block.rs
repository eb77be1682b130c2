//! A transaction block: what it wants to write, until it commits.
//!
//! A statement of a block is decided at once, so that its errors appear with it, on top of what the block has
//! decided before; then the decision is dropped, and only the commands are kept. At COMMIT all are decided
//! again, each aggregate at the version it had when the block first looked: if another session was faster, the
//! block fails with 40001. An idle block holds nothing that another session could wait for.
//!
//! Blocks write to one aggregate: more need transactions over several logs, which are not offered yet.

use rotabase_engine::position::Version;
use rotabase_engine::schedule::{AggregateId, Command, Schedule};
use rotabase_queries::error::{Result, SqlError};
use rotabase_raft::{Decided, Request};

use super::overlay::Pending;

/// The commands that a block may hold.
pub(crate) const BLOCK_COMMANDS_MAX: usize = 100_000;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Outside a block: each statement commits by itself.
    Idle,
    /// In a block.
    Open,
    /// In a block that has failed: only its end is accepted.
    Failed,
}

/// What a block wants to write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    requests: Vec<Request<Schedule>>,
    /// What they have decided, for the block's own queries.
    events: Vec<Pending>,
    /// Names, and how many requests and events there were.
    savepoints: Vec<(String, usize, usize)>,
    /// Whether it may write at all.
    pub(crate) read_only: bool,
    /// The time that `now()` gives in it.
    pub(crate) started: i64,
}

impl Block {
    /// A block that has just begun.
    pub(crate) fn new(started: i64, read_only: bool) -> Self {
        Self { read_only, started, ..Self::default() }
    }

    /// What it has decided to write so far.
    pub(crate) fn requests(&self) -> &[Request<Schedule>] {
        &self.requests
    }

    /// What it has decided and not stored.
    pub(crate) fn events(&self) -> &[Pending] {
        &self.events
    }

    /// Refuses what a block cannot do yet: writing to a second aggregate.
    pub(crate) fn check(&self, more: &[Request<Schedule>]) -> Result<()> {
        // To require that a rotation exists is not to write to it.
        let writes =
            |it: &&Request<Schedule>| !matches!(it.command, Some(Command::RequireRotation));
        let mut ids = self.requests.iter().chain(more).filter(writes).map(|request| request.id);
        let Some(first) = ids.next() else { return Ok(()) };
        if let Some(second) = ids.find(|id| *id != first) {
            return Err(several(&first, &second));
        }
        if self.requests.len() + more.len() > BLOCK_COMMANDS_MAX {
            return Err(SqlError::unsupported(format!(
                "a transaction block holds at most {BLOCK_COMMANDS_MAX} commands"
            )));
        }
        Ok(())
    }

    /// Keeps commands that have just been decided on top of the block's own.
    pub(crate) fn keep(
        &mut self,
        mut more: Vec<Request<Schedule>>,
        decided: &Decided,
        events: Vec<Pending>,
    ) {
        let first = self.requests.len();
        if first == 0
            && let (Some(request), Some(version), Some(emitted)) =
                (more.first_mut(), decided.versions.first(), decided.emitted.first())
        {
            // At COMMIT the aggregate has to be what it was now.
            request.expected_version = Some(Version(version.0 - u64::from(*emitted)));
        }
        self.requests.extend(more);
        self.events.extend(events);
    }

    /// Sets a savepoint.
    pub(crate) fn savepoint(&mut self, name: String) {
        self.savepoints.push((name, self.requests.len(), self.events.len()));
    }

    /// Forgets a savepoint and those after it; whether it was there.
    pub(crate) fn release(&mut self, name: &str) -> bool {
        let found = self.savepoints.iter().rposition(|(it, ..)| it == name);
        found.map(|at| self.savepoints.truncate(at)).is_some()
    }

    /// Forgets what was written since a savepoint; whether it was there.
    pub(crate) fn roll_back_to(&mut self, name: &str) -> bool {
        let Some(at) = self.savepoints.iter().rposition(|(it, ..)| it == name) else {
            return false;
        };
        self.requests.truncate(self.savepoints[at].1);
        self.events.truncate(self.savepoints[at].2);
        self.savepoints.truncate(at + 1);
        true
    }

    /// Takes what is to be written.
    pub(crate) fn into_requests(self) -> Vec<Request<Schedule>> {
        self.requests
    }
}

fn several(first: &AggregateId, second: &AggregateId) -> SqlError {
    SqlError::unsupported(
        "a transaction block can write to one airport, airplane, rotation or flight only",
    )
    .with_detail(format!(
        "The block writes to {} {first} and to {} {second}.",
        first.type_name().to_lowercase(),
        second.type_name().to_lowercase()
    ))
    .with_hint("Outside a block a statement may write to any number of them, and is atomic.")
}

#[cfg(test)]
mod tests {
    use rotabase_engine::schedule::AirportCode;

    use super::*;

    fn request(code: &str) -> Request<Schedule> {
        let code: AirportCode = code.parse().expect("a code");
        Request::new(AggregateId::Airport(code), Command::RemoveAirport)
    }

    fn decided(version: u64) -> Decided {
        Decided { versions: vec![Version(version)], emitted: vec![1] }
    }

    #[test]
    fn a_block_writes_to_one_aggregate() {
        let mut block = Block::new(0, false);
        block.check(&[request("FRA")]).expect("the first");
        block.keep(vec![request("FRA")], &decided(4), Vec::new());
        assert!(block.check(&[request("FRA")]).is_ok());
        assert!(block.check(&[request("MUC")]).is_err());
        assert_eq!(block.requests()[0].expected_version, Some(Version(3)));
    }

    #[test]
    fn rolling_back_to_a_savepoint_forgets_what_came_after() {
        let mut block = Block::new(0, false);
        block.keep(vec![request("FRA")], &decided(1), Vec::new());
        block.savepoint("s".to_owned());
        block.keep(vec![request("FRA")], &decided(2), Vec::new());
        assert!(block.roll_back_to("s"));
        assert_eq!(block.requests().len(), 1);
        assert!(block.release("s"));
        assert!(!block.roll_back_to("s"));
    }
}
