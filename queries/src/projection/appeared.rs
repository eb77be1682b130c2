//! Violations that appear: what a batch of the fold brings that was not there before it, for whoever listens.
//!
//! A violation that a batch keeps is not new, though its row may be another: what it is about counts, not where
//! its row stands. One that comes and goes within a batch was never to be seen.

use std::collections::BTreeSet;
use std::fmt;

use super::key::{Key, table};
use super::overlay::Pending;
use super::relations::Finding;
use super::rows::{Range, ReadRows, Result};
use super::snapshot::Snapshot;

/// The violations of one batch that listeners are told of; the others are counted.
pub const APPEARED_MAX: usize = 10_000;

/// Who is told of violations that appear.
pub trait ViolationListener: fmt::Debug + Send + Sync {
    /// Whether it wants to know. Asked once for each batch.
    fn is_listening(&self) -> bool;

    /// New violations, each as the JSON of its row in `schedule_violations`, once a snapshot shows them;
    /// `left_out` more were too many. It should do no more than pass the news on.
    fn appeared(&self, violations: Vec<String>, left_out: usize);
}

/// The violations that changes bring which `base` does not have.
pub(super) fn appeared<B: ReadRows>(base: &B, changes: &Pending) -> Result<Vec<Finding>> {
    let range = Range {
        from: Key::table(table::CONTINUITY),
        to: Key::table(table::DESIGNATOR).successor(),
    };
    let (mut before, mut after) = (BTreeSet::new(), Vec::new());
    for (key, value) in changes.range(&range) {
        if let Some(was) = base.get(key, |value| Finding::decode(key, value))? {
            before.insert(was.subject());
        }
        if let Some(value) = value {
            after.push(Finding::decode(key, value)?);
        }
    }
    after.retain(|finding| !before.contains(&finding.subject()));
    Ok(after)
}

/// Tells a listener of violations that `snapshot` shows.
pub(super) fn tell(listener: &dyn ViolationListener, found: &[Finding], snapshot: &Snapshot) {
    let shown = &found[..found.len().min(APPEARED_MAX)];
    // While one shard is ahead of another, a violation may name a leg that is not there yet: it cannot be told.
    let told: Vec<String> = shown.iter().filter_map(|it| it.json(snapshot).ok()).collect();
    let left_out = found.len() - told.len();
    if !found.is_empty() {
        listener.appeared(told, left_out);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;
    use rotabase_engine::db::DbOptions;
    use rotabase_engine::feed::Feed as _;

    use super::super::follower::Follower;
    use super::super::relations::Subject;
    use super::super::rows::Direction;
    use super::super::store::Store;
    use super::super::testing::{MemoryFeed, Model, actions};
    use super::*;

    fn subjects(rows: &impl ReadRows) -> BTreeSet<Subject> {
        let (from, to) = (Key::table(table::CONTINUITY), Key::table(table::DESIGNATOR).successor());
        let mut subjects = BTreeSet::new();
        rows.visit(&Range { from, to }, Direction::Forward, &mut |key, value| {
            subjects.insert(Finding::decode(key, value)?.subject());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        subjects
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn what_appears_is_what_was_not_there_before(actions in actions(20..90), batch in 1usize..6) {
            let directory = tempfile::tempdir().unwrap();
            let feed = MemoryFeed::new(3, 100);
            let store = Store::open(directory.path(), feed.shards(), &DbOptions::default()).unwrap();
            let mut follower = Follower::open(store, feed.as_feed(), super::super::history::Retention::default()).unwrap();
            follower.watch(true);
            for happened in Model::of(&actions).happened.chunks(batch) {
                let before = subjects(follower.store());
                feed.append(happened);
                follower.step().unwrap();
                let after = subjects(follower.store());
                let appeared = follower.take_appeared();
                let told: BTreeSet<Subject> = appeared.iter().map(Finding::subject).collect();
                prop_assert_eq!(told.len(), appeared.len());
                prop_assert_eq!(told, after.difference(&before).copied().collect());
            }
        }
    }
}
