//! The simulation, seed by seed. A failure is replayed by `cargo run -p rotabase-tests --bin simulate -- --seed N`.

use std::sync::atomic::{AtomicU64, Ordering};

use rotabase_tests::simulation::{Bug, Fault, Options, Report, run};

/// The seeds that are run each time.
const SEEDS: u64 = 200;

/// Runs many seeds on all processors.
fn run_all(seeds: std::ops::Range<u64>) -> Vec<(u64, Report)> {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return reports;
            }
            reports.push((seed, run(Options { seed, ..Options::default() })));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it ends")).collect()
    })
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_and_everybody_agrees() {
    let reports = run_all(0..SEEDS);
    let wrong: Vec<String> = reports
        .iter()
        .filter(|(_, report)| !report.wrong.is_empty())
        .map(|(seed, report)| format!("seed {seed}: {report}"))
        .collect();
    assert!(wrong.is_empty(), "{} seeds of {SEEDS}:\n{}", wrong.len(), wrong.join("\n"));
    for fault in Fault::ALL {
        let times: u32 = reports.iter().filter_map(|(_, report)| report.faults.get(&fault)).sum();
        assert!(times > 0, "{fault:?} never came");
    }
    let stored: usize = reports.iter().map(|(_, report)| report.statements[0]).sum();
    assert!(stored > 5000, "clients are served: {stored}");
}

#[test]
fn a_seed_is_the_same_history_each_time() {
    for seed in [1, 4, 11] {
        let options = Options { seed, ..Options::default() };
        assert_eq!(run(options), run(options), "seed {seed}");
    }
    let other = run(Options { seed: 2, ..Options::default() });
    assert_ne!(run(Options { seed: 1, ..Options::default() }).trace, other.trace);
}

/// Bugs that are planted, and for each the seed that is tried first: others follow, since every change of the tree makes
/// another history of a seed.
const PLANTED: &[(Bug, u64)] = &[
    (Bug::StatementRepeated, 17),
    (Bug::HalfShown, 16),
    (Bug::RowsResumeGap, 16),
    (Bug::LeaderRestored, 16),
    (Bug::SpeculationKept, 16),
    (Bug::ResolvedWithoutAsking, 16),
    (Bug::AckBeforeSync, 0),
    (Bug::StaleLeaderRead, 0),
    (Bug::ReadOlder, 0),
    (Bug::ClockGoesBack, 21),
];

#[test]
fn bugs_that_are_planted_are_found() {
    for (bug, hint) in PLANTED {
        let finds = |seed: &u64| {
            let options = Options { seed: *seed, planted: Some(*bug), ..Options::default() };
            !run(options).wrong.is_empty()
        };
        let found = std::iter::once(*hint).chain(0..SEEDS).find(finds);
        assert!(found.is_some(), "no seed finds {bug:?}");
    }
}
