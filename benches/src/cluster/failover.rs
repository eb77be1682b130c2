//! Failover: nodes are killed with `kill -9` while clients of the others write, one after the other and started again.
//!
//! Each client inserts rotations one after the other, every third time a few in a block, so that within a few statements
//! it has needed every shard. The figure is the longest time that any of them waited from one acknowledgement to the
//! next. Beside it stands the same without a kill: what the machine's load makes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rotabase_tests::cluster::Cluster;
use rotabase_tests::load::Told;

use crate::Options;
use crate::report::Report;

/// The clients, spread over the nodes that stay.
const CLIENTS: usize = 6;

/// How long is looked at before and after a kill.
const LOOK: Duration = Duration::from_secs(3);

/// Kills each node in turn, as many times as there are rounds.
pub(super) fn run(options: &Options, report: &mut Report, nodes: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut cluster = Cluster::start(nodes);
    let told = Arc::new(Told::default());
    let (mut calm, mut gaps, mut serves) = (Vec::new(), Vec::new(), Vec::new());
    let all: Vec<usize> = (1..=nodes).collect();
    for victim in all.iter().cycle().take(nodes * options.rounds).copied() {
        let stay: Vec<usize> = all.iter().copied().filter(|node| *node != victim).collect();
        runtime.block_on(async {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| told.client(cluster.node(stay[client % stay.len()])))
                .collect();
            told.wait_for_more(CLIENTS * 10).await;
            let _ = told.longest_gap();
            tokio::time::sleep(LOOK).await;
            calm.push(told.longest_gap().as_secs_f64());
            cluster.kill(victim);
            tokio::time::sleep(LOOK).await;
            told.wait_for_more(CLIENTS * 10).await;
            told.stop(clients).await;
            gaps.push(told.longest_gap().as_secs_f64());
        });
        let start = Instant::now();
        cluster.restart(victim);
        // It has to get what it has missed.
        cluster.node(victim).psql("SELECT count(*) FROM rotations").expect_success();
        serves.push(start.elapsed().as_secs_f64());
        cluster.wait_for_voters(&all);
    }
    for node in all {
        told.check(cluster.node(node));
    }
    let (stored, unknown) = (told.acknowledged.len(), told.unknown.len());
    let place = format!("{nodes} nodes, {} kills", gaps.len());
    let what = format!(
        "{stored} acknowledged and there, {unknown} unknown, {} refused",
        told.refused.len()
    );
    report.note(&format!("{place}: writes"), &what);
    report.cost(&format!("{place}: longest gap of writes"), "s", gaps, None);
    report.cost("  the same without a kill", "s", calm, None);
    report.cost("  started again, to a strong SELECT", "s", serves, None);
}
