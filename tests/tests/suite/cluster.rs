//! Clusters of processes: statements at any node, nodes killed under load, nodes that come and go.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rotabase_tests::certificates;
use rotabase_tests::cluster::{Cluster, eventually};
use rotabase_tests::load::Told;
use rotabase_tests::schedule;
use rotabase_tests::server::{DEADLINE, Server, binary};
use rotabase_tests::tool;

/// Everything that SQL shows of a schedule.
fn shown(server: &Server) -> String {
    let script = "SELECT * FROM airports ORDER BY code; SELECT * FROM airplanes ORDER BY registration; \
        SELECT * FROM rotations ORDER BY id; SELECT * FROM legs ORDER BY id; \
        SELECT * FROM schedule_violations ORDER BY kind, leg_id, other_leg_id; \
        SELECT * FROM events ORDER BY shard, position;";
    server.psql(script).expect_success()
}

fn verify(cluster: &Cluster, node: usize) {
    let mut program = Command::new(binary());
    tool::run(program.arg("verify").arg("--data").arg(cluster.data(node)), "").expect_success();
}

#[test]
fn every_node_takes_every_statement_and_shows_the_same() {
    let mut cluster = Cluster::start(3);
    cluster.node(2).psql(&schedule::insert_script(6, 6, 2)).expect_success();
    for node in 1..=3 {
        let name = format!("through {node}");
        let block = format!(
            "BEGIN; UPDATE rotations SET name = '{name}' WHERE name = 'R{node}'; \
             DELETE FROM legs WHERE rotation_id = (SELECT id FROM rotations WHERE name = '{name}'); COMMIT;"
        );
        cluster.node(node).psql(&block).expect_success();
    }
    let copied = "COPY airports (code) FROM STDIN;\nAAA\nBBB\n\\.\n";
    cluster.node(3).psql(copied).expect_success();
    let first = shown(cluster.node(1));
    assert!(first.contains("through 3") && first.contains("AAA"), "{first}");
    for node in 2..=3 {
        assert_eq!(shown(cluster.node(node)), first);
    }
    let refused = cluster.node(2).psql("INSERT INTO airports (code) VALUES ('AAA');");
    assert!(refused.err.contains("already exists"), "{refused:?}");
    let nodes = "SELECT node, role, connected, this_node FROM rotabase.nodes ORDER BY node;";
    assert_eq!(
        cluster.node(2).psql(nodes).expect_success(),
        "1|voter|t|f\n2|voter|t|t\n3|voter|t|f\n"
    );
    for node in 1..=3 {
        cluster.stop(node);
        verify(&cluster, node);
    }
}

#[test]
fn roles_and_views_are_the_same_on_all_nodes() {
    let cluster = Cluster::start(3);
    cluster
        .node(2)
        .psql("CREATE ROLE planner LOGIN; GRANT SELECT ON legs TO planner;")
        .expect_success();
    cluster.node(3).psql("CREATE VIEW names AS SELECT name FROM rotations;").expect_success();
    for node in 1..=3 {
        eventually("the view and the role are there", || {
            let looked = cluster.node(node).psql(
                "SELECT has_table_privilege('planner', 'legs', 'SELECT'); SELECT count(*) FROM names;",
            );
            if looked.out == "t\n0\n" { Ok(()) } else { Err(format!("{looked:?}")) }
        });
    }
}

/// How long a node waits for another leader until it refuses.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_killed_under_load_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(3);
    let told = Arc::new(Told::default());
    for victim in 1..=3 {
        let survivors: Vec<usize> = (1..=3).filter(|node| *node != victim).collect();
        let clients: Vec<_> =
            (0..6).map(|client: usize| told.client(cluster.node(survivors[client % 2]))).collect();
        told.wait_for_more(100).await;
        let _ = told.longest_gap();
        cluster.kill(victim);
        told.wait_for_more(300).await;
        let gap = told.longest_gap();
        cluster.restart(victim);
        told.wait_for_more(100).await;
        told.stop(clients).await;
        let (unknown, refused) = (told.unknown.len(), told.refused.len());
        println!("node {victim} killed: {gap:?} at most, {unknown} unknown, {refused} refused");
        // About a second on a machine that is not busy elsewhere, and nobody is refused before the patience is over.
        let waited = gap >= PATIENCE;
        assert!(refused == 0 || waited, "refused after {gap:?}: {:?}", told.reasons());
        assert!(gap < DEADLINE / 2, "writes stood still for {gap:?}");
    }
    cluster.wait_for_voters(&[1, 2, 3]);
    for node in 1..=3 {
        told.check(cluster.node(node));
    }
    assert_eq!(shown(cluster.node(2)), shown(cluster.node(1)));
    for node in 1..=3 {
        cluster.stop(node);
        verify(&cluster, node);
    }
}

#[test]
fn a_node_without_a_majority_refuses_and_shows_what_it_has() {
    let mut cluster = Cluster::start(3);
    cluster.node(3).psql("INSERT INTO airports (code) VALUES ('FRA');").expect_success();
    let eventual = ["-At", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"];
    let count = "SET rotabase.consistency = eventual; SELECT count(*) FROM airports;";
    eventually("the row is there", || {
        let looked = cluster.node(3).psql_with(&eventual, count);
        if looked.out == "SET\n1\n" { Ok(()) } else { Err(format!("{looked:?}")) }
    });
    cluster.kill(1);
    cluster.kill(2);
    assert_eq!(cluster.node(3).psql_with(&eventual, count).expect_success(), "SET\n1\n");
    for sql in ["SELECT count(*) FROM airports;", "INSERT INTO airports (code) VALUES ('MUC');"] {
        let refused = cluster.node(3).psql_with(&eventual, sql);
        assert!(refused.err.contains("57P03"), "{sql}: {refused:?}");
    }
    // What never comes is not waited for without end.
    let ahead = "SET rotabase.consistency = session; SET rotabase.read_after = '0:9000000000000000'; \
        SELECT count(*) FROM airports;";
    let refused = cluster.node(3).psql_with(&eventual, ahead);
    assert!(refused.err.contains("57P03") && refused.err.contains("cut off"), "{refused:?}");
    cluster.restart(1);
    eventually("two of three take writes", || {
        let told = cluster.node(3).psql("INSERT INTO airports (code) VALUES ('HAM');");
        // A busy machine may take longer to elect than a statement waits.
        if told.success { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let all = "SELECT code FROM airports ORDER BY code;";
    assert_eq!(cluster.node(1).psql(all).expect_success(), "FRA\nHAM\n");
}

#[test]
fn a_database_alone_becomes_the_first_node_and_a_lost_node_is_replaced() {
    let mut alone = Cluster::alone();
    alone.node(1).psql(&schedule::insert_script(4, 5, 1)).expect_success();
    alone.node(1).psql("CREATE ROLE planner;").expect_success();
    alone.stop(1);
    let mut cluster = alone;
    cluster.restart(1);
    cluster.add();
    cluster.add();
    cluster.wait_for_voters(&[1, 2, 3]);
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname = 'planner';";
    assert_eq!(cluster.node(3).psql(roles).expect_success(), "1\n");
    assert_eq!(shown(cluster.node(3)), shown(cluster.node(1)));
    // Its disk is lost: it comes back as another one.
    cluster.kill(2);
    cluster.node(3).psql("INSERT INTO airports (code) VALUES ('ZZZ');").expect_success();
    cluster.command(3, &["remove", "2"]).expect_success();
    cluster.add();
    cluster.wait_for_voters(&[1, 3, 4]);
    assert_eq!(shown(cluster.node(4)), shown(cluster.node(1)));
    let moved = cluster.command(4, &["transfer-leader", "0", "4"]);
    moved.expect_success();
    eventually("node 4 leads shard 0", || {
        let shards = cluster.shards(1);
        if shards[0].0 == "4" { Ok(()) } else { Err(format!("{shards:?}")) }
    });
    cluster.command(1, &["voters", "1"]).expect_success();
    eventually("one votes", || {
        let shards = cluster.shards(3);
        let one = shards.iter().all(|(_, voters, _)| !voters.contains(','));
        if one { Ok(()) } else { Err(format!("{shards:?}")) }
    });
    let error = cluster.command(1, &["voters", "2"]);
    assert!(!error.success && error.err.contains("1, 3 or 5"), "{error:?}");
    cluster.node(4).psql("INSERT INTO airports (code) VALUES ('YYY');").expect_success();
    assert_eq!(shown(cluster.node(3)), shown(cluster.node(1)));
}

/// The commands of the walk-through in `docs/operating.md`, with ports that are free here.
#[test]
fn the_walk_through_works() {
    let path = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("../docs/operating.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let mut script = String::from("set -e\n");
    for line in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
        script.push_str(line);
        script.push('\n');
        if line.contains("rotabase start") {
            // Whoever types is slower than a node starts, and sees when it does not.
            let log = line.split("> ").nth(1).and_then(|it| it.split(' ').next()).expect("a log");
            script.extend(["until grep -q port= ", log, "; do kill -0 $!; sleep 0.1; done\n"]);
        }
    }
    // A port that is put in may hold another of the page's: all are marked first.
    let ports = [7432, 7433, 7480, 7442, 7443, 7490, 7452, 7453, 7500, 7462, 7463, 7510];
    for port in ports {
        script = script.replace(&port.to_string(), &format!("<{port}>"));
    }
    for port in ports {
        let free = rotabase_tests::cluster::free_port().to_string();
        script = script.replace(&format!("<{port}>"), &free);
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let binaries = binary().parent().expect("a directory").to_owned();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(binaries).chain(std::env::split_paths(&paths));
    let mut shell = Command::new("timeout");
    shell.args(["180", "sh"]).current_dir(directory.path());
    shell.env("PATH", std::env::join_paths(paths).expect("plain paths"));
    let printed = tool::run(&mut shell, &script);
    let read = |name: String| std::fs::read_to_string(directory.path().join(name));
    let mut logs = String::new();
    for node in 1..=4 {
        let pid = read(format!("node{node}.pid")).unwrap_or_default();
        let _ = Command::new("kill").args(["-9", pid.trim()]).output();
        logs.push_str(&read(format!("node{node}.log")).unwrap_or_default());
    }
    assert!(printed.success, "{printed:?}\n{logs}");
    assert!(printed.out.contains("connected") && printed.out.contains("FRA"), "{printed:?}");
}

#[test]
fn nodes_with_certificates_talk_to_nobody_without() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    certificates::make(directory.path(), "ours", "node");
    certificates::make(directory.path(), "others", "stranger");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let settings = [
        format!("peer_certificate={}", file("node.crt")),
        format!("peer_key={}", file("node.key")),
        format!("peer_ca={}", file("ours.crt")),
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|it| ["--set", it]).collect();
    let shown_by = |cluster: &Cluster, names: [&str; 3]| {
        let toml = format!(
            "peer_certificate = \"{}\"\npeer_key = \"{}\"\npeer_ca = \"{}\"\n",
            file(names[0]),
            file(names[1]),
            file(names[2])
        );
        std::fs::create_dir_all(cluster.data(1)).expect("a directory");
        std::fs::write(cluster.data(1).join("rotabase.toml"), toml).expect("written");
    };
    let mut cluster = Cluster::start_with(0, &arguments);
    cluster.add();
    shown_by(&cluster, ["node.crt", "node.key", "ours.crt"]);
    cluster.add();
    cluster.add();
    cluster.wait_for_voters(&[1, 2, 3]);
    cluster.node(2).psql("INSERT INTO airports (code) VALUES ('FRA');").expect_success();
    assert_eq!(cluster.node(3).psql("SELECT code FROM airports;").expect_success(), "FRA\n");
    shown_by(&cluster, ["stranger.crt", "stranger.key", "ours.crt"]);
    let refused = cluster.command(1, &["status"]);
    assert!(!refused.success, "a certificate of another authority: {refused:?}");
    std::fs::write(cluster.data(1).join("rotabase.toml"), "").expect("written");
    let refused = cluster.command(1, &["status"]);
    assert!(!refused.success, "no certificate: {refused:?}");
}
