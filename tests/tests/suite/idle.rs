//! What a cluster costs that nobody asks anything.

use std::time::{Duration, Instant};

use rotabase_tests::cluster::Cluster;
use rotabase_tests::server::Server;

/// How long it is looked at.
const WINDOW: Duration = Duration::from_secs(5);

/// What one heartbeat for each shard would cost: 64 shards to 2 followers each, with answers, 7 times a second.
const STORM_FRAMES: f64 = 64.0 * 2.0 * 2.0 * 7.0;

/// Messages, frames and bytes sent so far, and CPU seconds used.
fn spent(server: &Server) -> [f64; 4] {
    let (_, metrics) = server.http("/metrics");
    let number = |name: &str| -> f64 {
        let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
        lines.next().and_then(|it| it.trim().parse().ok()).unwrap_or_else(|| panic!("no {name}"))
    };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("it runs");
    // After the name, which may hold anything: state, then 10 more, then user and system time in ticks.
    let after = stat.rsplit(')').next().expect("a name");
    let ticks: f64 = after.split_whitespace().skip(11).take(2).flat_map(str::parse::<f64>).sum();
    [
        number("rotabase_peer_messages_sent_total"),
        number("rotabase_peer_frames_sent_total"),
        number("rotabase_peer_sent_bytes_total"),
        ticks / 100.0,
    ]
}

#[test]
fn idle_shards_share_their_heartbeats() {
    let cluster = Cluster::start_of_shards(3, 64);
    let all = || {
        let mut sum = [0.0; 4];
        for node in 1..=3 {
            for (sum, more) in sum.iter_mut().zip(spent(cluster.node(node))) {
                *sum += more;
            }
        }
        sum
    };
    let (before, since) = (all(), Instant::now());
    std::thread::sleep(WINDOW);
    let (after, seconds) = (all(), since.elapsed().as_secs_f64());
    let mut rates = [0.0; 4];
    for (rate, (after, before)) in rates.iter_mut().zip(after.iter().zip(before)) {
        *rate = (after - before) / seconds;
    }
    let [messages, frames, bytes, cpu] = rates;
    println!(
        "3 idle nodes with 64 shards: {messages:.0} messages/s in {frames:.0} frames/s, {:.0} kB/s, {:.1} % of a core in all",
        bytes / 1000.0,
        cpu * 100.0
    );
    // However slow the machine is, messages travel together.
    assert!(frames < STORM_FRAMES / 2.0, "{frames} frames/s");
    assert!(frames < messages / 2.0, "{frames} frames/s for {messages} messages/s");
}
