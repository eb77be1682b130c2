//! Durable one-leg commands and look-ups by key, at several numbers of clients.

use rotabase_tests::postgres::Postgres;
use rotabase_tests::server::Server;

use crate::process::own_file;
use crate::report::Report;
use crate::{Options, pgbench};

/// The numbers of clients whose commands are measured.
const COMMANDS: [u32; 3] = [1, 16, 64];

/// The numbers of clients whose look-ups are measured.
const LOOK_UPS: [u32; 4] = [1, 8, 16, 32];

/// The rotations of each client.
const ROTATIONS: u64 = 1000;

/// Measures both.
pub(crate) fn run(options: &Options, report: &mut Report) {
    if !pgbench::is_installed() {
        report.note("commands and look-ups", "left out: no pgbench");
        return;
    }
    let (server, postgres) = (Server::start(), Postgres::find());
    prepare(&server, postgres.as_ref());
    if options.wants("commands") {
        report.define(
            "durable one-leg commands",
            "pgbench -M prepared, each client adds legs one by one to 1,000 rotations of its own, in the order of \
             time (pgbench/add_leg.sql); PostgreSQL stores the event, refuses overlaps and keeps the current state \
             in one transaction (postgres/schema.sql)",
        );
        // A clock per client that never goes back, over all runs.
        let mut slot = 0;
        for clients in COMMANDS {
            commands(options, report, &server, postgres.as_ref(), clients, &mut slot);
        }
    }
    if options.wants("lookup") {
        report.define(
            "look-ups by key",
            "pgbench -M prepared, a rotation by its id, one of 64,000 at random (pgbench/look_up.sql)",
        );
        for clients in LOOK_UPS {
            look_ups(options, report, &server, postgres.as_ref(), clients);
        }
    }
}

fn prepare(server: &Server, postgres: Option<&Postgres>) {
    let script =
        std::fs::read_to_string(own_file("pgbench/prepare_add_leg.sql")).expect("a script");
    server.psql_with(&["-v", "ON_ERROR_STOP=1", "-v", "clients=64"], &script).expect_success();
    let Some(postgres) = postgres else { return };
    let schema = std::fs::read_to_string(own_file("postgres/schema.sql")).expect("a script");
    postgres.psql(&schema).expect_success();
    let script =
        std::fs::read_to_string(own_file("postgres/prepare_add_leg.sql")).expect("a script");
    postgres.psql(&format!("\\set clients 64\n{script}")).expect_success();
}

fn commands(
    options: &Options,
    report: &mut Report,
    server: &Server,
    postgres: Option<&Postgres>,
    clients: u32,
    slot: &mut u64,
) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let before = legs(&server.psql("SELECT count(*) FROM legs").expect_success());
        let run = pgbench::run(
            &server.conninfo(),
            &own_file("pgbench/add_leg.sql"),
            clients,
            options.seconds,
            &[("slot", *slot)],
        );
        let after = legs(&server.psql("SELECT count(*) FROM legs").expect_success());
        assert_eq!(
            after - before,
            run.transactions,
            "every acknowledged leg is there, and no other"
        );
        *slot += run.transactions + 1;
        ours.push(run.tps);
        let Some(postgres) = postgres else { continue };
        let before = legs(&postgres.psql("SELECT count(*) FROM legs").expect_success());
        let run = pgbench::run(
            &postgres.conninfo(),
            &own_file("postgres/add_leg.pgbench"),
            clients,
            options.seconds,
            &[],
        );
        let after = legs(&postgres.psql("SELECT count(*) FROM legs").expect_success());
        assert_eq!(after - before, run.transactions, "the same for PostgreSQL");
        theirs.push(run.tps);
    }
    report.rate(
        &format!("durable one-leg commands, {clients} clients"),
        "commands/s",
        ours,
        postgres.map(|_| theirs),
    );
}

fn look_ups(
    options: &Options,
    report: &mut Report,
    server: &Server,
    postgres: Option<&Postgres>,
    clients: u32,
) {
    let variables = [("rotations", ROTATIONS * 64)];
    let run = |conninfo: &str, script: &str| {
        pgbench::run(conninfo, &own_file(script), clients, options.seconds, &variables).tps
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        ours.push(run(&server.conninfo(), "pgbench/look_up.sql"));
        theirs.extend(postgres.map(|it| run(&it.conninfo(), "postgres/look_up.sql")));
    }
    report.rate(
        &format!("look-ups by key, prepared, {clients} clients"),
        "queries/s",
        ours,
        postgres.map(|_| theirs),
    );
}

fn legs(out: &str) -> u64 {
    out.trim().parse().expect("a count")
}
