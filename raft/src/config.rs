//! How openraft is configured: the one place that builds its `Config`.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};
use rotabase_engine::planted::{self, Bug};

/// How patient the replicas of a node are with each other and with their disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// For disks whose syncs take well under 100 ms: a lost leader is replaced within a second.
    #[default]
    Fast,
    /// For disks that stall for up to a second: a lost leader is replaced within about three.
    Patient,
}

struct Milliseconds {
    heartbeat: u64,
    heartbeat_min: u64,
    election_min: u64,
    election_max: u64,
    quorum_loss_probe: u64,
}

/// Builds openraft's configuration.
///
/// Leader restore must be off: a leader that is restarted in its own term can hand out a log id twice, and
/// then an acknowledged write is silently lost (`docs/decisions/0006-a-leader-is-elected-anew.md`).
pub fn raft_config(timing: Timing) -> Arc<Config> {
    let timing = match timing {
        Timing::Fast => Milliseconds {
            heartbeat: 100,
            heartbeat_min: 150,
            election_min: 300,
            election_max: 450,
            quorum_loss_probe: 1000,
        },
        Timing::Patient => Milliseconds {
            heartbeat: 250,
            heartbeat_min: 400,
            election_min: 1000,
            election_max: 1500,
            quorum_loss_probe: 3000,
        },
    };
    let restores_leaders = planted::has(Bug::LeaderRestored);
    let config = Config {
        cluster_name: "rotabase".to_owned(),
        heartbeat_interval: timing.heartbeat,
        heartbeat_min_interval: Some(timing.heartbeat_min),
        election_timeout_min: timing.election_min,
        election_timeout_max: timing.election_max,
        quorum_loss_probe_interval: Some(timing.quorum_loss_probe),
        enable_pre_vote: Some(true),
        enable_leader_restore: Some(restores_leaders),
        allow_log_reversion: None,
        // The log is the data: it is never compacted into a snapshot and never purged.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        // An entry is already a batch of commands, and its bytes are bounded where entries are read.
        max_payload_entries: 64,
        max_append_entries: Some(64),
        replication_lag_threshold: 100,
        api_channel_size: Some(1024),
        backoff: "50ms,100ms,200ms..1s".to_owned(),
        ..Config::default()
    };
    let config = config.validate().expect("a configuration of constants");
    assert_eq!(
        config.enable_leader_restore,
        Some(restores_leaders),
        "leader restore loses acknowledged writes"
    );
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timing_is_valid_and_never_restores_a_leader() {
        for timing in [Timing::Fast, Timing::Patient] {
            let config = raft_config(timing);
            assert_eq!(config.enable_leader_restore, Some(false));
            assert_eq!(config.enable_pre_vote, Some(true));
            assert_eq!(config.snapshot_policy, SnapshotPolicy::Never);
        }
    }
}
