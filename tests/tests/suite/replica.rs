//! Read replicas, as processes: following, refusing writes, being killed, being found by clients.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rotabase_tests::certificates;
use rotabase_tests::schedule;
use rotabase_tests::server::{self, DEADLINE, Server};
use rotabase_tests::tool;
use tempfile::TempDir;
use tokio_postgres::Client;

/// Servers with directories of their own.
struct World {
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn primary(&self) -> Server {
        Server::start_on(&self.data("primary"), &[])
    }

    fn replica(&self, name: &str, of: &[&Server]) -> Server {
        let nodes: Vec<String> = of.iter().map(|server| server.address()).collect();
        Server::start_on(&self.data(name), &["--replica-of", &nodes.join(",")])
    }
}

/// Everything that SQL shows of a schedule.
fn shown(server: &Server) -> String {
    let script = "SELECT * FROM airports ORDER BY code; SELECT * FROM airplanes ORDER BY registration; \
        SELECT * FROM rotations ORDER BY id; SELECT * FROM legs ORDER BY id; \
        SELECT * FROM schedule_violations ORDER BY kind, leg_id, other_leg_id; \
        SELECT * FROM events ORDER BY shard, position;";
    server.psql(script).expect_success()
}

fn verify(data: &Path) {
    let mut program = Command::new(server::binary());
    tool::run(program.arg("verify").arg("--data").arg(data), "").expect_success();
}

/// Waits until a condition holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "{what} did not come about");
        std::thread::yield_now();
    }
}

async fn refused(client: &Client, sql: &str) -> (String, String, String) {
    let error = client.batch_execute(sql).await.expect_err(sql);
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: the connection broke"));
    let hint = error.hint().unwrap_or_default().to_owned();
    (error.code().code().to_owned(), error.message().to_owned(), hint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_shows_what_the_primary_has_and_takes_no_writes() {
    let world = World::new();
    let primary = world.primary();
    primary.psql(&schedule::insert_script(6, 6, 2)).expect_success();
    primary
        .psql("CREATE ROLE planner LOGIN PASSWORD 'secret'; CREATE VIEW long AS SELECT id FROM rotations WHERE legs > 3;")
        .expect_success();
    // What is there when it starts is there when it serves.
    let replica = world.replica("replica", &[&primary]);
    let eventual = "SET rotabase.consistency = eventual; SELECT count(*) FROM legs; SELECT count(*) FROM long;";
    assert_eq!(replica.psql(eventual).expect_success(), "SET\n36\n6\n");
    assert_eq!(shown(&replica), shown(&primary));
    primary.psql("UPDATE rotations SET name = 'renamed' WHERE name = 'R1';").expect_success();
    assert_eq!(shown(&replica), shown(&primary));
    // A transaction over many shards.
    let many = "BEGIN; UPDATE rotations SET name = name || '.'; UPDATE airports SET minimum_ground_time = '1 hour'; \
        UPDATE legs SET rotation_id = NULL WHERE flight_number < 9; COMMIT;";
    primary.psql(many).expect_success();
    assert_eq!(shown(&replica), shown(&primary));

    let client = replica.connect().await;
    let shown = client
        .query_one("SELECT current_setting('in_hot_standby'), current_setting('transaction_read_only'), pg_is_in_recovery()", &[])
        .await
        .unwrap();
    assert_eq!((shown.get(0), shown.get(1), shown.get(2)), ("on", "on", true));
    for (sql, tag) in [
        ("INSERT INTO airports (code) VALUES ('LHR')", "INSERT"),
        ("UPDATE rotations SET name = 'x'", "UPDATE"),
        ("DELETE FROM legs", "DELETE"),
        ("CREATE ROLE other", "CREATE ROLE"),
        ("DROP VIEW long", "DROP VIEW"),
        ("COPY airports FROM STDIN", "COPY"),
        ("BEGIN; INSERT INTO airports (code) VALUES ('LHR')", "INSERT"),
    ] {
        let (code, message, hint) = refused(&client, sql).await;
        assert_eq!(code, "25006", "{sql}: {message}");
        assert!(message.contains(&format!("cannot execute {tag}")), "{message}");
        assert!(hint.contains(&primary.address()), "{hint}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    for sql in ["BEGIN READ WRITE", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
        assert_eq!(refused(&client, sql).await.0, "0A000");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    let reading = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM legs; COMMIT";
    client.batch_execute(reading).await.unwrap();
    assert_eq!(refused(&client, "SET transaction_read_only = off").await.0, "0A000");

    // Roles and views follow.
    primary.psql("ALTER ROLE planner PASSWORD 'other'; DROP VIEW long;").expect_success();
    eventually("the dropped view's end", || !replica.psql("SELECT * FROM long;").success);
    let conninfo =
        format!("host=127.0.0.1 port={} user=planner password=other dbname=rotabase", replica.port);
    let connected = tokio_postgres::connect(&conninfo, tokio_postgres::NoTls).await;
    drop(connected.expect("the new password"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_strong_reads_show_on_a_replica_what_was_written() {
    let world = World::new();
    let primary = world.primary();
    let replica = world.replica("replica", &[&primary]);
    let (writer, by_token, strong) =
        (primary.connect().await, replica.connect().await, replica.connect().await);
    strong.batch_execute("SET rotabase.consistency = strong").await.unwrap();
    for number in 0..30_i64 {
        writer
            .batch_execute(&format!("INSERT INTO rotations (name) VALUES ('R{number}')"))
            .await
            .unwrap();
        let token: String = writer.query_one("SHOW rotabase.position", &[]).await.unwrap().get(0);
        let count = "SELECT count(*) FROM rotations";
        if number % 2 == 0 {
            by_token.batch_execute(&format!("SET rotabase.read_after = '{token}'")).await.unwrap();
            assert_eq!(by_token.query_one(count, &[]).await.unwrap().get::<_, i64>(0), number + 1);
        } else {
            assert_eq!(strong.query_one(count, &[]).await.unwrap().get::<_, i64>(0), number + 1);
        }
    }
}

#[test]
fn clients_find_the_node_they_want() {
    let world = World::new();
    let primary = world.primary();
    let replica = world.replica("replica", &[&primary]);
    for (wanted, standby) in [
        ("read-write", "off"),
        ("primary", "off"),
        ("read-only", "on"),
        ("standby", "on"),
        ("prefer-standby", "on"),
    ] {
        for ports in [[primary.port, replica.port], [replica.port, primary.port]] {
            let conninfo = format!(
                "host=127.0.0.1,127.0.0.1 port={},{} user=rotabase dbname=rotabase target_session_attrs={wanted}",
                ports[0], ports[1]
            );
            let mut psql = Command::new("psql");
            let printed =
                tool::run(psql.args(["-X", "-At"]).arg(conninfo), "SHOW in_hot_standby;\n");
            assert_eq!(printed.expect_success(), format!("{standby}\n"), "{wanted}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_outlives_kills_of_both_sides() {
    let world = World::new();
    let mut primary = world.primary();
    let port = primary.port;
    primary.psql(&schedule::insert_script(3, 4, 0)).expect_success();
    let mut replica = world.replica("replica", &[&primary]);
    for round in 0..3 {
        let writer = primary.connect().await;
        let writing = tokio::spawn(async move {
            for number in 0.. {
                let sql = format!(
                    "INSERT INTO rotations (name) VALUES ('{round}.{number}'), ('{round}.{number}b')"
                );
                if writer.batch_execute(&sql).await.is_err() {
                    return;
                }
            }
        });
        let some = format!("SELECT count(*) > 40 FROM rotations WHERE name LIKE '{round}.%';");
        eventually("following", || replica.psql(&some).out == "t\n");
        replica.kill();
        verify(&world.data("replica"));
        replica = world.replica("replica", &[&primary]);
        primary.kill();
        writing.await.unwrap();

        // Alone, it serves what it has; nobody can say what is newest.
        let client = replica.connect().await;
        client.query("SELECT * FROM rotations", &[]).await.unwrap();
        client.batch_execute("SET rotabase.consistency = strong").await.unwrap();
        let error = client.query("SELECT * FROM rotations", &[]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "57P03");
        eventually("lag", || replica.http("/readyz?max_lag=500ms").0.contains("503"));
        assert!(replica.http("/readyz").0.contains("200"));

        primary = Server::try_start_at(port, &world.data("primary"), &[]).unwrap();
        eventually("freshness", || replica.http("/readyz?max_lag=500ms").0.contains("200"));
        assert_eq!(shown(&replica), shown(&primary));
    }
    assert!(replica.terminate().success());
    verify(&world.data("replica"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_can_be_followed_and_tells_its_lag() {
    let world = World::new();
    let primary = world.primary();
    primary.psql(&schedule::insert_script(2, 4, 0)).expect_success();
    let first = world.replica("first", &[&primary]);
    let second = world.replica("second", &[&first]);
    assert_eq!(shown(&second), shown(&primary));
    let client = second.connect().await;
    // Notified on the replica of a replica.
    primary.psql("UPDATE legs SET departure_time = departure_time + interval '1 minute' WHERE flight_number = 1;").expect_success();
    assert_eq!(shown(&second), shown(&primary));
    let (_, _, hint) = refused(&client, "DELETE FROM legs").await;
    assert!(hint.contains(&primary.address()), "{hint}");
    let lag = "SELECT bool_and(lag_events = 0 AND lag < '10 seconds') FROM rotabase.projections";
    eventually("no lag", || second.psql(&format!("{lag};")).out == "t\n");
    let metrics = second.http("/metrics").1;
    assert!(metrics.contains("rotabase_replica_connected 1"), "{metrics}");
    // A subscription goes on where one of the primary's ended.
    let rows = client.query("SELECT shard, position FROM events ORDER BY 1, 2", &[]).await.unwrap();
    let known = primary.connect().await;
    let known = known.query("SELECT shard, position FROM events ORDER BY 1, 2", &[]).await.unwrap();
    let place = |row: &tokio_postgres::Row| (row.get::<_, i32>(0), row.get::<_, i64>(1));
    assert_eq!(
        rows.iter().map(place).collect::<Vec<_>>(),
        known.iter().map(place).collect::<Vec<_>>()
    );
    // With its upstream gone, the next one that it was told of is followed.
    let third = world.replica("third", &[&second, &primary]);
    drop(client);
    drop(second);
    primary.psql("INSERT INTO rotations (name) VALUES ('late');").expect_success();
    eventually("following the other", || {
        third.psql_with(&["-At"], "SET rotabase.consistency = eventual; SELECT count(*) FROM rotations WHERE name = 'late';").out.ends_with("1\n")
    });
}

#[test]
fn a_directory_is_a_replicas_or_not() {
    let world = World::new();
    let mut primary = world.primary();
    let mut replica = world.replica("replica", &[&primary]);
    let address = primary.address();
    assert!(replica.terminate().success());
    let printed = Server::try_start_on(&world.data("replica"), &[]).unwrap_err();
    assert!(
        printed.contains("that of a read replica") && printed.contains("--replica-of"),
        "{printed}"
    );
    assert!(primary.terminate().success());
    let printed =
        Server::try_start_on(&world.data("primary"), &["--replica-of", &address]).unwrap_err();
    assert!(printed.contains("not of a read replica"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_superuser_may_follow_the_logs() {
    let server = Server::start();
    server
        .psql("CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT SELECT ON events TO reader;")
        .expect_success();
    let conninfo =
        format!("host=127.0.0.1 port={} user=reader password=secret dbname=rotabase", server.port);
    let (client, connection) =
        tokio_postgres::connect(&conninfo, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "COPY (SUBSCRIBE TO rotabase.entries) TO STDOUT (FORMAT binary)";
    let error = client.copy_out(sql).await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "42501");
}

/// What a replica that cannot follow says of it; it is not waited for any longer.
fn complaint(data: &Path, arguments: &[String]) -> String {
    let mut program = Command::new("timeout");
    program.arg(DEADLINE.as_secs().to_string()).arg(server::binary());
    program.args(["start", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]).arg(data);
    program.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = program.spawn().expect("the binary is built");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    while !said.contains("could not follow") && lines.read_line(&mut said).unwrap() > 0 {}
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
    child.wait().expect("it was started");
    said
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_and_its_upstream_show_each_other_certificates() {
    let (world, files) = (World::new(), tempfile::tempdir().unwrap());
    certificates::make(files.path(), "ours", "node");
    certificates::make(files.path(), "others", "stranger");
    let with = |certificate: &str, authority: &str, more: &[&str]| {
        let given = certificates::arguments(files.path(), certificate, authority);
        more.iter().map(|it| (*it).to_owned()).chain(given).collect::<Vec<_>>()
    };
    let ours = with("node", "ours", &[]);
    let primary = Server::start_on(&world.data("primary"), &borrowed(&ours));
    primary.psql(&schedule::insert_script(3, 4, 1)).expect_success();
    let address = primary.address();
    let follow = ["--replica-of", &address];

    let ours = with("node", "ours", &follow);
    let first = Server::start_on(&world.data("first"), &borrowed(&ours));
    let of_first = first.address();
    let ours = with("node", "ours", &["--replica-of", &of_first]);
    let second = Server::start_on(&world.data("second"), &borrowed(&ours));
    primary.psql("UPDATE rotations SET name = name || '!';").expect_success();
    assert_eq!(shown(&first), shown(&primary));
    assert_eq!(shown(&second), shown(&primary));

    let told = |name: &str, arguments: &[String]| complaint(&world.data(name), arguments);
    let stranger = told("stranger", &with("stranger", "ours", &follow));
    assert!(stranger.contains("UnknownCA"), "the upstream refuses it: {stranger}");
    let wary = told("wary", &with("node", "others", &follow));
    assert!(wary.contains("UnknownIssuer"), "it refuses the upstream: {wary}");
    let bare = told("bare", &follow.map(str::to_owned));
    assert!(bare.contains("28000") && bare.contains("show a certificate"), "{bare}");
    let plain = Server::start_on(&world.data("plain"), &[]);
    let of_plain = plain.address();
    let alone = told("alone", &with("node", "ours", &["--replica-of", &of_plain]));
    assert!(alone.contains("TLS"), "the upstream has no certificate: {alone}");
}

#[test]
fn an_upstream_that_was_restored_from_a_backup_is_noticed() {
    let world = World::new();
    let mut primary = world.primary();
    let port = primary.port;
    primary.psql("INSERT INTO airports (code) VALUES ('FRA');").expect_success();
    assert!(primary.terminate().success());
    let copy = |from: &str, to: &str| {
        let mut program = Command::new("cp");
        let (from, to) = (world.data(from), world.data(to));
        tool::run(program.arg("-r").arg(from).arg(to), "").expect_success();
    };
    copy("primary", "backup");
    primary = Server::try_start_at(port, &world.data("primary"), &[]).unwrap();
    let replica = world.replica("replica", &[&primary]);
    let many = |prefix: &str| {
        format!(
            "INSERT INTO rotations (name) SELECT '{prefix}' || g FROM generate_series(1, 50) g;"
        )
    };
    primary.psql(&many("lost ")).expect_success();
    assert_eq!(shown(&replica), shown(&primary));
    let ready = |says: &str| {
        let (status, body) = replica.http("/readyz");
        status.contains("503") && body.contains("restored from a backup") && body.contains(says)
    };
    primary.kill();
    copy("backup", "restored");
    primary = Server::try_start_at(port, &world.data("restored"), &[]).unwrap();
    eventually("that it has less", || ready("it has less"));
    // As much as before, and something else.
    for round in 0..3 {
        primary.psql(&many(&format!("new {round}."))).expect_success();
    }
    eventually("that it has something else", || ready("another row"));
    let count = "SET rotabase.consistency = eventual; SELECT count(*) FROM rotations WHERE name LIKE 'new%';";
    assert_eq!(replica.psql_with(&["-At"], count).expect_success(), "SET\n0\n");
    let anew = world.replica("anew", &[&primary]);
    assert_eq!(shown(&anew), shown(&primary));
}
