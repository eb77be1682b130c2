//! What happened, as the feed of a node tells it, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};

use rotabase_engine::domain::Domain;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::env::Timestamp;
use rotabase_engine::position::{LogIndex, Position, ShardId, Version};
use rotabase_raft::{Node, Outcome};

use crate::accounts::Accounts;
use crate::world::DEADLINE;

/// An event, where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Happened {
    pub(crate) shard: ShardId,
    pub(crate) position: Position,
    pub(crate) account: u32,
    pub(crate) version: Version,
    pub(crate) tag: u64,
    pub(crate) amount: i64,
}

/// All entries of the feed of a node that leads, as of now.
pub(crate) async fn current_entries(node: &Node<Accounts>) -> Vec<CommittedEntry> {
    let barrier = node.read_barrier(DEADLINE).await.unwrap();
    while !node.applied().covers(&barrier) {
        tokio::task::yield_now().await;
    }
    entries(node)
}

/// All entries of a node's feed, shard after shard.
pub(crate) fn entries(node: &Node<Accounts>) -> Vec<CommittedEntry> {
    let feed = node.feed();
    let mut entries = Vec::new();
    for shard in (0..feed.shards()).map(ShardId) {
        let mut after = LogIndex(0);
        while after < feed.committed(shard) {
            after = feed.read(shard, after, &mut entries).unwrap();
        }
    }
    entries
}

pub(crate) fn happened(entries: &[CommittedEntry]) -> Vec<Happened> {
    let mut all = Vec::new();
    for entry in entries {
        for (position, event) in entry.events() {
            let account = Accounts::decode_id(&event.aggregate).unwrap();
            let decoded = Accounts::decode_event(event.kind, &event.payload).unwrap();
            let (tag, amount) = (decoded.tag, decoded.amount);
            all.push(Happened {
                shard: entry.shard,
                position,
                account,
                version: event.version,
                tag,
                amount,
            });
        }
    }
    all
}

/// Each account's versions are 1, 2, 3 … in the order of the log, no account is ever overdrawn, entries follow each
/// other, and the times of an account's events never go back.
pub(crate) fn check(entries: &[CommittedEntry]) {
    let mut accounts: BTreeMap<u32, (Version, i64)> = BTreeMap::new();
    let mut times: BTreeMap<bytes::Bytes, Timestamp> = BTreeMap::new();
    for entry in entries {
        for (_, event) in entry.events() {
            let last = times.entry(event.aggregate.clone()).or_default();
            assert!(*last <= entry.entry.timestamp, "times never go back");
            *last = entry.entry.timestamp;
        }
    }
    for it in happened(entries) {
        let (version, balance) = accounts.entry(it.account).or_default();
        assert_eq!(it.version, version.next(), "account {} at {}", it.account, it.position);
        *version = it.version;
        *balance += it.amount;
        assert!(*balance >= 0, "account {} is overdrawn at {}", it.account, it.position);
    }
    for pair in entries.windows(2).filter(|pair| pair[0].shard == pair[1].shard) {
        assert!(pair[0].index < pair[1].index, "entries come in the order of the log");
        // Between them may stand what prepared or decided only.
        assert!(pair[0].entry.sequence < pair[1].entry.sequence, "entries build on each other");
    }
}

/// What was acknowledged stands where the answer said; what was refused is nowhere.
pub(crate) fn check_answers(
    entries: &[CommittedEntry],
    acknowledged: &[(u32, u64, Outcome)],
    refused: &BTreeSet<u64>,
) {
    let happened = happened(entries);
    let by_tag: BTreeMap<u64, &Happened> = happened.iter().map(|it| (it.tag, it)).collect();
    for (account, tag, outcome) in acknowledged {
        let it = by_tag
            .get(tag)
            .unwrap_or_else(|| panic!("the acknowledged event {tag} of account {account} is lost"));
        assert_eq!((it.account, it.version), (*account, outcome.versions[0]));
        assert_eq!(it.position, outcome.positions.get(it.shard), "the position that was answered");
    }
    for tag in refused {
        assert!(!by_tag.contains_key(tag), "what was refused left a trace: {tag}");
    }
}
