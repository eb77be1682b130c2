//! openraft's own tests of a log and a state machine, over ours. Left out are the cases that purge, that install
//! snapshots, or that apply what is not in the log: a shard does none of it.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use rotabase_engine::env::Clock;
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_engine::position::ShardId;

use crate::feed::NodeFeed;
use crate::hybrid_clock::HybridClock;
use crate::memory::MemoryLog;
use crate::replica_log::ReplicaLog;
use crate::replica_machine::ReplicaMachine;
use crate::shard_log::ShardLog;
use crate::store::DirectoryStore;
use crate::type_config::TypeConfig;

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now_microseconds(&self) -> i64 {
        0
    }
}

fn replica(log: Arc<dyn ShardLog>) -> (ReplicaLog, ReplicaMachine) {
    let feed = NodeFeed::open(Arc::clone(&log), 1 << 20).unwrap();
    let clock = Arc::new(HybridClock::new(Arc::new(Stopped)));
    let machine = ReplicaMachine::open(ShardId(0), Arc::clone(&log), feed, clock).unwrap();
    (ReplicaLog::open(ShardId(0), log).unwrap(), machine)
}

struct Memory;

impl StoreBuilder<TypeConfig, ReplicaLog, ReplicaMachine, ()> for Memory {
    async fn build(&self) -> Result<((), ReplicaLog, ReplicaMachine), StorageError<TypeConfig>> {
        let (log, machine) = replica(MemoryLog::new(1));
        Ok(((), log, machine))
    }
}

struct Directory;

type Guard = (tempfile::TempDir, Arc<dyn ShardLog>);

impl StoreBuilder<TypeConfig, ReplicaLog, ReplicaMachine, Guard> for Directory {
    async fn build(&self) -> Result<(Guard, ReplicaLog, ReplicaMachine), StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().unwrap();
        let create = Some(Identity { cluster: uuid::Uuid::nil(), shards: 1 });
        let options = LogOptions { create, ..LogOptions::default() };
        let log =
            DirectoryStore::open(directory.path(), &options, Box::new(|_| {})).unwrap().shard_log();
        let (replica_log, machine) = replica(Arc::clone(&log));
        Ok(((directory, log), replica_log, machine))
    }
}

macro_rules! cases {
    ($builder:ident, $guard:ty, $($case:ident),+ $(,)?) => {$(
        #[test]
        fn $case() {
            // The cases build what they need and hand it over, and some leave it to a runtime of their own.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let (_guard, log, machine) = $builder.build().await.unwrap();
                Suite::<TypeConfig, ReplicaLog, ReplicaMachine, $builder, $guard>::$case(log, machine).await.unwrap();
            });
        }
    )+};
}

macro_rules! suite {
    ($name:ident, $builder:ident, $guard:ty) => {
        mod $name {
            use super::*;

            cases!(
                $builder,
                $guard,
                last_membership_in_log_initial,
                get_membership_initial,
                get_initial_state_without_init,
                get_initial_state_with_state,
                get_initial_state_inverted_log_order,
                save_vote,
                get_log_entries,
                limited_get_log_entries,
                leader_bounded_stream,
                entries_stream,
                log_reader_reads_new_entries,
                initial_logs,
                delete_logs_after_11,
                delete_logs_after_5,
                delete_logs_after_0,
                delete_logs_after_none,
                apply_single,
                apply_multiple,
            );
        }
    };
}

// A directory's log begins at index 0 and takes these cases' logs for damaged.
mod logs_from_one {
    use super::*;

    cases!(
        Memory,
        (),
        last_membership_in_log,
        last_membership_in_log_multi_step,
        get_membership_from_log_and_empty_sm
    );
}

suite!(memory, Memory, ());
suite!(directory, Directory, Guard);
