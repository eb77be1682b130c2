//! Freshness: how long after a write was acknowledged a read replica shows it to somebody who waits for nothing.
//!
//! While users plan, a rotation is inserted at a node; from its acknowledgement on each replica is asked for it, with
//! `rotabase.consistency = eventual`, until it is there. Before each time it is asked for its lag: as long as it does not
//! show the write, it must not say that it is newer than that. Heartbeats come ten times a second, so that the lag that
//! is said is mostly more than the one that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::{PLANNERS, Stage, eventual, percentiles};
use crate::Options;
use crate::load;
use crate::report::Report;
use crate::scenarios::{ROTABASE, plan};

/// How long a write may take to show.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// The pause after each write, so that it is not the writes that are measured.
const PAUSE: Duration = Duration::from_millis(20);

const INSERT: &str = "INSERT INTO rotations (id, name) VALUES ($1::text::uuid, 'fresh')";
const SHOWS: &str = "SELECT count(*) FROM rotations WHERE id = $1::text::uuid";
const LAG: &str = "SELECT extract(epoch FROM max(lag))::float8 FROM rotabase.projections";

/// What was seen of one write at one replica.
struct Seen {
    /// From the acknowledgement to the answer that had it.
    shown_after: Duration,
    /// The most that the replica said of its lag meanwhile.
    said: Duration,
    /// Whether it said once that it is newer than what it did not show.
    boasted: bool,
}

/// Measures it while others plan.
pub(super) fn measure(options: &Options, report: &mut Report, stage: &mut Stage, place: &str) {
    let (mut halves, mut tails, mut said) = (Vec::new(), Vec::new(), Vec::new());
    let (mut boasted, mut all) = (0, 0);
    for _ in 0..options.rounds {
        stage.plans += 1;
        let seen = observe(options, stage);
        assert!(!seen.is_empty(), "a write was seen");
        all += seen.len();
        boasted += seen.iter().filter(|it| it.boasted).count();
        let (half, tail) = percentiles(seen.iter().map(|it| it.shown_after));
        halves.push(half);
        tails.push(tail);
        said.push(percentiles(seen.iter().map(|it| it.said)).1);
    }
    report.cost(&format!("{place}: freshness, p50"), "ms", halves, None);
    report.cost("  p99", "ms", tails, None);
    report.cost("  p99 of the lag that replicas say", "ms", said, None);
    let what = format!("{place}: writes that a replica did not show and said to be newer");
    report.note(&what, &format!("{boasted} of {all}"));
}

/// Writes for a run's time, beside users who plan.
fn observe(options: &Options, stage: &Stage) -> Vec<Seen> {
    let (run, writable) = (stage.plans, stage.writable());
    let (node, replicas) = (stage.first().conninfo(), stage.readable());
    let ended = Arc::new(AtomicBool::new(false));
    let watching = Arc::clone(&ended);
    let observer = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(write_and_watch(run, &node, &replicas, &watching))
    });
    // A quarter of the users: what is measured is not how the machine is overloaded.
    load::run(&writable, (PLANNERS / 4, 1), options.seconds, |worker| plan(worker, ROTABASE, run));
    ended.store(true, Ordering::Release);
    observer.join().expect("it ends")
}

async fn write_and_watch(
    run: usize,
    node: &str,
    replicas: &[String],
    ended: &AtomicBool,
) -> Vec<Seen> {
    let writer = load::connect(node).await;
    let insert = writer.prepare(INSERT).await.expect("a statement");
    let mut watchers = Vec::new();
    for replica in replicas {
        watchers.push(Arc::new(load::connect(&eventual(replica)).await));
    }
    let mut all = Vec::new();
    let mut number = 0_u64;
    while !ended.load(Ordering::Acquire) {
        let id = format!("f0000000-{run:04x}-4000-8000-{number:012x}");
        number += 1;
        writer.execute(&insert, &[&id]).await.expect("a rotation");
        let acknowledged = Instant::now();
        let watching = watchers
            .iter()
            .map(|replica| tokio::spawn(watch(Arc::clone(replica), id.clone(), acknowledged)));
        let watching: Vec<_> = watching.collect();
        for seen in watching {
            all.push(seen.await.expect("it is shown"));
        }
        tokio::time::sleep(PAUSE).await;
    }
    all
}

/// Asks a replica for a rotation until it is there.
async fn watch(replica: Arc<Client>, id: String, acknowledged: Instant) -> Seen {
    let shows = replica.prepare(SHOWS).await.expect("a statement");
    let lag = replica.prepare(LAG).await.expect("a statement");
    let (mut most, mut boasted) = (Duration::ZERO, false);
    loop {
        let asked = acknowledged.elapsed();
        let said: f64 = replica.query_one(&lag, &[]).await.expect("a lag").get(0);
        let said = Duration::try_from_secs_f64(said).unwrap_or_default();
        most = most.max(said);
        let there: i64 = replica.query_one(&shows, &[&id]).await.expect("a count").get(0);
        let shown_after = acknowledged.elapsed();
        if there > 0 {
            return Seen { shown_after, said: most, boasted };
        }
        boasted |= said < asked;
        assert!(shown_after < SHOWN_WITHIN, "{id} is not shown");
    }
}
