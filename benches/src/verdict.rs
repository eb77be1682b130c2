//! Is the schedule good, and is this rotation: asked while others plan.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::Server;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::Options;
use crate::load::{self, Worker};
use crate::report::{Report, some};
use crate::scenarios::ROTABASE;

/// The three checks over all of the schedule.
const VERDICT: &str = "SELECT (SELECT count(*) FROM continuity_violations), \
    (SELECT count(*) FROM ground_time_violations), (SELECT count(*) FROM designator_violations)";

/// Two of them over one rotation; designators are not a rotation's.
const OF_ROTATION: &str = "SELECT (SELECT count(*) FROM continuity_violations WHERE rotation_id = $1), \
    (SELECT count(*) FROM ground_time_violations WHERE rotation_id = $1)";

/// The users who plan meanwhile.
const PLANNERS: u32 = 16;

/// The commands that each of them gives in a second: 2,000 altogether.
const COMMANDS: u32 = 125;

/// The rotations that are asked about in turn.
const ROTATIONS: i64 = 1000;

/// How often PostgreSQL is asked: each time takes it seconds.
const POSTGRES_QUERIES: usize = 3;

/// Measures both sides, PostgreSQL without planners.
pub(crate) fn run(
    options: &Options,
    report: &mut Report,
    server: &Server,
    postgres: Option<&Postgres>,
) {
    report.define(
        "verdict",
        "one client asks for the counts of the three checks over the whole schedule, another for the violations of \
         one rotation of 1,000 in turn, while 16 users add 2,000 legs in a second; PostgreSQL is asked the same of \
         its views, and nobody writes meanwhile",
    );
    if let Some(postgres) = postgres {
        // Of designators Rotabase has each leg, the view only each designator.
        let pairs = "SELECT (SELECT count(*) FROM continuity_violations), (SELECT count(*) FROM ground_time_violations)";
        let counts = (server.psql(pairs), postgres.psql(pairs));
        assert_eq!(counts.0.expect_success(), counts.1.expect_success(), "both find the same");
    }
    let mut rates = Vec::new();
    for (what, query, of_rotation) in [
        ("whole-schedule verdict", VERDICT, false),
        ("violations of a rotation", OF_ROTATION, true),
    ] {
        let (mut halves, mut tails) = (Vec::new(), Vec::new());
        for run in 0..options.rounds {
            let servers = [server.conninfo()];
            let number = u32::try_from(run).expect("few") * 2 + u32::from(of_rotation);
            let (planned, asked) = std::thread::scope(|scope| {
                let plan =
                    || load::run(&servers, (PLANNERS, 1), options.seconds, |it| plan(it, number));
                let planned = scope.spawn(plan);
                let asked = load::run(&servers, (1, 1), options.seconds, |worker| {
                    ask(worker, query, of_rotation)
                });
                (planned.join().expect("planning ends"), asked)
            });
            rates.push(planned.rate());
            halves.push(asked.percentile(50));
            tails.push(asked.percentile(99));
        }
        let theirs: Vec<f64> = postgres.map_or(Vec::new(), |it| asked_of(it, query, of_rotation));
        report.cost(what, "ms", halves, some(theirs.clone()));
        report.cost("  p99", "ms", tails, some(theirs));
    }
    report.rate("  planned meanwhile", "commands/s", rates, None);
}

/// Adds legs to a rotation of its own, as many in a second as [`COMMANDS`] says.
async fn plan(mut worker: Worker, run: u32) -> Worker {
    let client = Arc::clone(&worker.client);
    let rotation = format!("91000000-{run:04x}-4000-8000-{:012x}", worker.number);
    client.execute(ROTABASE.create_rotation, &[&rotation]).await.expect("a rotation");
    let add = client.prepare(ROTABASE.add_leg).await.expect("a statement");
    let mut clock = tokio::time::interval(Duration::from_secs(1) / COMMANDS);
    for minute in 0_i64.. {
        clock.tick().await;
        if !worker.goes_on() {
            break;
        }
        worker.step(client.execute(&add, &[&rotation, &minute])).await.expect("a leg");
    }
    worker
}

/// Asks one time after the other.
async fn ask(mut worker: Worker, query: &str, of_rotation: bool) -> Worker {
    let client = Arc::clone(&worker.client);
    let rotations = rotations(&client).await;
    let statement = client.prepare(query).await.expect("a statement");
    for rotation in rotations.iter().cycle() {
        if !worker.goes_on() {
            break;
        }
        let all: [&(dyn ToSql + Sync); 1] = [rotation];
        let parameters = if of_rotation { &all[..] } else { &[] };
        worker.step(client.query_one(&statement, parameters)).await.expect("counts");
    }
    worker
}

/// The milliseconds that PostgreSQL takes.
fn asked_of(postgres: &Postgres, query: &str, of_rotation: bool) -> Vec<f64> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = load::connect(&postgres.conninfo()).await;
        let rotations = rotations(&client).await;
        let statement = client.prepare(query).await.expect("a statement");
        let mut times = Vec::new();
        for rotation in rotations.iter().take(POSTGRES_QUERIES) {
            let all: [&(dyn ToSql + Sync); 1] = [rotation];
            let parameters = if of_rotation { &all[..] } else { &[] };
            let start = Instant::now();
            client.query_one(&statement, parameters).await.expect("counts");
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        times
    })
}

async fn rotations(client: &tokio_postgres::Client) -> Vec<Uuid> {
    let rotations = "SELECT id FROM rotations LIMIT $1";
    let rows = client.query(rotations, &[&ROTATIONS]).await.expect("rotations");
    rows.iter().map(|row| row.get(0)).collect()
}
