//! The simulation, seed by seed. A failure is replayed by `cargo run -p rotabase-tests --bin simulate -- --seed N`.

use std::sync::atomic::{AtomicUsize, Ordering};

use rotabase_tests::simulation::{Bug, Fault, Options, Report, run};

/// The seeds that are run each time.
const SEEDS: u64 = 200;

/// Does work for many on all processors.
fn for_all<I: Sync, O: Send>(items: &[I], work: impl Fn(&I) -> O + Sync) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, item)) =
            items.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
        {
            done.push((at, work(item)));
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut done: Vec<(usize, O)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it ends")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, output)| output).collect()
}

/// Runs many seeds.
fn run_all(seeds: std::ops::Range<u64>) -> Vec<(u64, Report)> {
    let seeds: Vec<u64> = seeds.collect();
    for_all(&seeds, |seed| (*seed, run(Options { seed: *seed, ..Options::default() })))
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
    (Bug::AckBeforeSync, 0),
    (Bug::VoteNotSynced, 7),
    (Bug::SyncErrorIgnored, 9),
    (Bug::ChecksumUnchecked, 134),
    (Bug::StaleLeaderRead, 4),
    (Bug::LostPrepare, 99),
    (Bug::DroppedOutcome, 0),
    (Bug::DecisionBeforePrepares, 0),
    (Bug::StatementRepeated, 2),
    (Bug::PositionAheadOfRows, 3),
    (Bug::ResumeOffByOne, 0),
    (Bug::HalfShown, 0),
    (Bug::LeaderRestored, 0),
    (Bug::SpeculationKept, 0),
    (Bug::ClockGoesBack, 1),
    (Bug::ReservationForgotten, 21),
    (Bug::SessionKept, 10),
    (Bug::ReadOlder, 0),
    (Bug::OrphansForgotten, 1),
    (Bug::ResolvedWithoutAsking, 1),
    (Bug::CatchUpSkips, 16),
    (Bug::FeedKept, 0),
    (Bug::NumberGivenTwice, 9),
];

#[test]
fn bugs_that_are_planted_are_found() {
    let found = for_all(PLANTED, |(bug, hint)| {
        let finds = |seed: &u64| {
            let options = Options { seed: *seed, planted: Some(*bug), ..Options::default() };
            !run(options).wrong.is_empty()
        };
        std::iter::once(*hint).chain(0..SEEDS).find(finds)
    });
    for ((bug, _), found) in PLANTED.iter().zip(&found) {
        assert!(found.is_some(), "no seed finds {bug:?}");
    }
    assert!(PLANTED.len() >= 20);
}
