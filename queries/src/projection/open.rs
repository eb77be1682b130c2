//! The transactions that are folded in part: what a reader must not see yet.
//!
//! A transaction over several entries that is too large to be folded as a whole is *open* from the first of its
//! entries that is folded until all of them are. The set of open transactions is stored in the batch that holds their
//! rows, so that a crash in the middle of one is known for what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use rotabase_engine::entry::{Attempt, Parts};
use rotabase_engine::position::ShardId;
use uuid::Uuid;

use super::key::{Key, table};
use super::row::{Fields, corrupted};
use super::rows::{Direction, Range, ReadRows, Result, Rows};

/// The open transactions, and which shards hold their missing entries. There are never more than the shards had
/// in flight at a time: each waits for the outcome of one.
#[derive(Debug, Default)]
pub(crate) struct OpenTransactions {
    // By attempt: the entries that are still to come, by shard; none is zero.
    missing: BTreeMap<Attempt, BTreeMap<ShardId, u32>>,
    // The number of transactions that miss entries of a shard; none is zero.
    awaiting: BTreeMap<ShardId, u32>,
    // Those that the store knows as open.
    stored: BTreeSet<Attempt>,
}

impl OpenTransactions {
    /// Those that are stored.
    pub(crate) fn read(rows: &impl ReadRows) -> Result<Self> {
        let mut open = Self::default();
        let range = Range::prefix(Key::table(table::OPEN));
        rows.visit(&range, Direction::Forward, &mut |key, value| {
            let attempt = Attempt(Fields(&key[1..]).uuid()?);
            let mut fields = Fields(value);
            let mut missing = BTreeMap::new();
            while !fields.0.is_empty() {
                let shard = ShardId(u16::from_be_bytes(fields.array()?));
                let entries = u32::from_be_bytes(fields.array()?);
                if entries == 0 || missing.insert(shard, entries).is_some() {
                    return Err(corrupted("not an open transaction"));
                }
                *open.awaiting.entry(shard).or_default() += 1;
            }
            open.stored.insert(attempt);
            open.missing.insert(attempt, missing);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(open)
    }

    /// Notes that an entry of `shard` was folded with which events of a transaction happen, in `parts` altogether.
    pub(crate) fn fold(&mut self, shard: ShardId, attempt: Attempt, parts: &Parts) -> Result<()> {
        let awaiting = &mut self.awaiting;
        let missing = self.missing.entry(attempt).or_insert_with(|| {
            let missing: BTreeMap<_, _> =
                parts.0.iter().copied().filter(|(_, entries)| *entries > 0).collect();
            for shard in missing.keys() {
                *awaiting.entry(*shard).or_default() += 1;
            }
            missing
        });
        let Some(entries) = missing.get_mut(&shard) else {
            let Attempt(id) = attempt;
            return Err(corrupted(&format!("transaction {id} has an entry too many")));
        };
        *entries -= 1;
        if *entries == 0 {
            missing.remove(&shard);
            if let Some(transactions) = awaiting.get_mut(&shard) {
                *transactions -= 1;
                if *transactions == 0 {
                    awaiting.remove(&shard);
                }
            }
        }
        if missing.is_empty() {
            self.missing.remove(&attempt);
        }
        Ok(())
    }

    /// Whether a transaction is folded in part.
    pub(crate) fn contains(&self, attempt: Attempt) -> bool {
        self.missing.contains_key(&attempt)
    }

    /// Whether every transaction is folded as a whole or not at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Their number.
    pub(crate) fn len(&self) -> usize {
        self.missing.len()
    }

    /// The shards that entries are missing of, each with the number of transactions that wait for it.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = (ShardId, u32)> + '_ {
        self.awaiting.iter().map(|(shard, transactions)| (*shard, *transactions))
    }

    /// Writes what has changed since it was stored.
    pub(crate) fn store(&mut self, rows: &mut impl Rows) {
        let closed: Vec<Attempt> =
            self.stored.iter().filter(|it| !self.missing.contains_key(it)).copied().collect();
        for attempt in closed {
            rows.delete(key(attempt));
            self.stored.remove(&attempt);
        }
        for (attempt, missing) in &self.missing {
            let mut value = Key::default();
            for (shard, entries) in missing {
                value = value.bytes(&shard.0.to_be_bytes()).bytes(&entries.to_be_bytes());
            }
            rows.put(key(*attempt), &value);
            self.stored.insert(*attempt);
        }
    }
}

fn key(Attempt(id): Attempt) -> Key {
    let id: Uuid = id;
    Key::table(table::OPEN).uuid(id)
}

#[cfg(test)]
mod tests {
    use super::super::rows::MemoryRows;
    use super::*;

    #[test]
    fn what_is_missing_is_stored_until_it_has_come() {
        let (one, two) = (Attempt(Uuid::from_u128(1)), Attempt(Uuid::from_u128(2)));
        let parts = Parts(vec![(ShardId(0), 2), (ShardId(3), 1)]);
        let mut rows = MemoryRows::new();
        let mut open = OpenTransactions::default();
        open.fold(ShardId(0), one, &parts).unwrap();
        open.fold(ShardId(3), two, &parts).unwrap();
        open.store(&mut rows);

        let mut read = OpenTransactions::read(&rows).unwrap();
        assert_eq!(read.awaited().collect::<Vec<_>>(), [(ShardId(0), 2), (ShardId(3), 1)]);
        read.fold(ShardId(3), one, &parts).unwrap();
        assert!(read.fold(ShardId(3), one, &parts).is_err(), "all of shard 3 has been seen");
        read.fold(ShardId(0), one, &parts).unwrap();
        assert_eq!((read.len(), read.contains(one), read.contains(two)), (1, false, true));
        read.store(&mut rows);
        assert_eq!(rows.len(), 1);
        read.fold(ShardId(0), two, &parts).unwrap();
        read.fold(ShardId(0), two, &parts).unwrap();
        read.store(&mut rows);
        assert!(read.is_empty() && rows.is_empty());
    }

    #[test]
    fn a_transaction_of_one_entry_is_never_open() {
        let mut open = OpenTransactions::default();
        let parts = Parts(vec![(ShardId(1), 1)]);
        open.fold(ShardId(1), Attempt(Uuid::from_u128(1)), &parts).unwrap();
        assert!(open.is_empty());
    }
}
