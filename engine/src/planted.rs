//! Bugs that are planted on purpose, to prove that the simulation finds them. Nothing but a test plants one, on its own
//! thread; everywhere else each of these questions is answered "no".

use std::cell::Cell;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Rows are called durable when they are written, before they are synced.
    AckBeforeSync,
    /// A vote is given before it is durable.
    VoteNotSynced,
    /// A sync that fails is taken for one that did not.
    SyncErrorIgnored,
    /// Rows that were cut off stay on the disk.
    TruncationForgotten,
    /// Checksums are not compared.
    ChecksumUnchecked,
    /// Half of a write counts.
    TornWriteAccepted,
    /// A strong read asks nobody whether this machine still leads.
    StaleLeaderRead,
    /// A machine that starts forgets what it has prepared.
    LostPrepare,
    /// A shard is not told how a transaction has ended.
    DroppedOutcome,
    /// A transaction is decided though some of it is not prepared.
    DecisionBeforePrepares,
    /// Where nobody knows, a client is told that nothing was stored.
    UnknownSaidRefused,
    /// A statement of which nobody knows is put again.
    StatementRepeated,
    /// Projections are said to be further than their rows are.
    PositionAheadOfRows,
    /// A subscriber who comes back in the middle of an entry misses the rest of it.
    ResumeOffByOne,
    /// A replica that comes back is not sent the next row.
    RowsResumeGap,
    /// Readers see a transaction shard by shard.
    HalfShown,
    /// A machine that is started again takes itself for the leader that it was.
    LeaderRestored,
    /// What was assumed under a leadership that is lost is assumed on.
    SpeculationKept,
    /// Timestamps follow the wall clock, wherever it jumps.
    ClockGoesBack,
    /// A new leader does not hold what was prepared under another.
    ReservationForgotten,
    /// What is held for a machine that is gone is held on.
    SessionKept,
    /// A reader is not waited for until what it asks for is there.
    ReadOlder,
    /// Nobody ends what nobody ends.
    OrphansForgotten,
    /// What nobody ends is taken for aborted without asking.
    ResolvedWithoutAsking,
    /// A replica that starts does not index the first row that it has not indexed.
    CatchUpSkips,
    /// The feed keeps in memory all that it was ever given.
    FeedKept,
    /// The number of a member that was let go is given to another machine.
    NumberGivenTwice,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::AckBeforeSync,
        Self::VoteNotSynced,
        Self::SyncErrorIgnored,
        Self::TruncationForgotten,
        Self::ChecksumUnchecked,
        Self::TornWriteAccepted,
        Self::StaleLeaderRead,
        Self::LostPrepare,
        Self::DroppedOutcome,
        Self::DecisionBeforePrepares,
        Self::UnknownSaidRefused,
        Self::StatementRepeated,
        Self::PositionAheadOfRows,
        Self::ResumeOffByOne,
        Self::RowsResumeGap,
        Self::HalfShown,
        Self::LeaderRestored,
        Self::SpeculationKept,
        Self::ClockGoesBack,
        Self::ReservationForgotten,
        Self::SessionKept,
        Self::ReadOlder,
        Self::OrphansForgotten,
        Self::ResolvedWithoutAsking,
        Self::CatchUpSkips,
        Self::FeedKept,
        Self::NumberGivenTwice,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug on this thread, or none.
#[doc(hidden)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted.
#[inline]
pub fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
