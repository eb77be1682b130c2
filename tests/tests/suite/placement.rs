//! Where a cluster's shards are: nodes that come, are drained and are removed, and single shards, under load.

use std::sync::Arc;

use rotabase_tests::cluster::{Cluster, eventually};
use rotabase_tests::load::Told;

/// How many shards each node votes in, by `rotabase.replicas`, asked at a node.
fn votes(cluster: &Cluster, asked: usize) -> String {
    let sql = "SELECT string_agg(node || ':' || n, ' ' ORDER BY node) FROM \
        (SELECT node, count(*) AS n FROM rotabase.replicas WHERE role <> 'learner' GROUP BY node) AS votes;";
    cluster.node(asked).psql(sql).expect_success().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_move_to_a_new_node_and_off_a_drained_one_under_load() {
    let mut cluster = Cluster::start(3);
    assert_eq!(votes(&cluster, 1), "1:16 2:16 3:16");
    let refused = cluster.command(2, &["drain", "3"]);
    assert!(!refused.success && refused.err.contains("too few nodes"), "{refused:?}");
    let told = Arc::new(Told::default());
    let clients = (1..=3).flat_map(|node| [node, node]).map(|node| told.client(cluster.node(node)));
    let clients: Vec<_> = clients.collect();
    told.wait_for_more(100).await;
    cluster.add();
    eventually("shards have moved to the new node", || {
        let votes = votes(&cluster, 1);
        if votes == "1:12 2:12 3:12 4:12" { Ok(()) } else { Err(votes) }
    });
    cluster.command(4, &["drain", "1"]).expect_success();
    assert_eq!(votes(&cluster, 4), "2:16 3:16 4:16");
    let drained =
        "SELECT node, role, shards_led, shards_voted, draining FROM rotabase.nodes WHERE node = 1;";
    assert_eq!(cluster.node(4).psql(drained).expect_success(), "1|learner|0|0|t\n");
    told.wait_for_more(100).await;
    // The drained node still takes statements, until it is gone.
    cluster.command(2, &["remove", "1"]).expect_success();
    let hint = "-v VERBOSITY=verbose".split(' ').chain(["-v", "ON_ERROR_STOP=1", "-At"]);
    let arguments: Vec<&str> = hint.collect();
    for sql in ["SELECT count(*) FROM rotations;", "INSERT INTO airports (code) VALUES ('XXX');"] {
        eventually("it says that it was removed", || {
            let refused = cluster.node(1).psql_with(&arguments, sql);
            let told = refused.err.contains("57P03") && refused.err.contains("was removed");
            if told { Ok(()) } else { Err(format!("{refused:?}")) }
        });
    }
    let (status, body) = cluster.node(1).http("/readyz");
    assert!(status.contains("503") && body.contains("removed"), "{status} {body}");
    let old = "SET rotabase.consistency = eventual; SELECT count(*) >= 200 FROM rotations;";
    assert_eq!(cluster.node(1).psql(old).expect_success(), "SET\nt\n");
    told.stop(clients).await;
    println!("{} unknown, {} refused", told.unknown.len(), told.refused.len());
    for node in 2..=4 {
        told.check(cluster.node(node));
    }
}

#[test]
fn a_single_shard_is_moved_and_a_drained_node_is_given_shards_again() {
    let mut cluster = Cluster::start(3);
    cluster.add();
    eventually("shards have moved to the new node", || {
        let votes = votes(&cluster, 1);
        if votes == "1:12 2:12 3:12 4:12" { Ok(()) } else { Err(votes) }
    });
    let copies =
        "SELECT node FROM rotabase.replicas WHERE shard = 5 AND role <> 'learner' ORDER BY node;";
    let before: Vec<String> =
        cluster.node(1).psql(copies).expect_success().lines().map(str::to_owned).collect();
    let from = before[0].clone();
    let to = (1..=4).map(|it| it.to_string()).find(|it| !before.contains(it)).expect("one learns");
    let moved = cluster.command(3, &["move-shard", "5", &from, &to]);
    moved.expect_success();
    let after = cluster.node(3).psql(copies).expect_success();
    assert!(after.lines().any(|it| it == to) && !after.lines().any(|it| it == from), "{after}");
    for (arguments, error) in [
        (["move-shard", "5", &from, &to], "votes in shard 5 already"),
        (["move-shard", "99", "1", "2"], "no shard 99"),
        (["move-shard", "5", &to, "9"], "no member"),
    ] {
        let refused = cluster.command(1, &arguments);
        assert!(!refused.success && refused.err.contains(error), "{refused:?}");
    }
    cluster.command(1, &["drain", "4"]).expect_success();
    assert_eq!(votes(&cluster, 4), "1:16 2:16 3:16");
    cluster.command(1, &["undrain", "4"]).expect_success();
    assert_eq!(votes(&cluster, 4), "1:12 2:12 3:12 4:12");
    let placed = "SELECT bool_and(placed = (role <> 'learner')), count(*) FROM rotabase.replicas;";
    assert_eq!(cluster.node(2).psql(placed).expect_success(), "t|64\n");
    // One voter for each shard, and its node leaves: the others get it.
    cluster.command(2, &["voters", "1"]).expect_success();
    cluster.command(2, &["drain", "2"]).expect_success();
    eventually("three nodes have the votes", || {
        let votes = votes(&cluster, 1);
        let mut counts: Vec<&str> =
            votes.split(' ').filter_map(|it| it.split(':').nth(1)).collect();
        counts.sort_unstable();
        if counts == ["5", "5", "6"] && !votes.contains("2:") { Ok(()) } else { Err(votes) }
    });
    let needed = cluster.command(1, &["remove", "1"]);
    assert!(!needed.success && needed.err.contains("drain it first"), "{needed:?}");
    cluster.node(2).psql("INSERT INTO airports (code) VALUES ('FRA');").expect_success();
    assert_eq!(cluster.node(1).psql("SELECT code FROM airports;").expect_success(), "FRA\n");
}
