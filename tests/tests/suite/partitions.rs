//! Three nodes and two replicas as processes, on a network that is cut while clients write and read. Needs root, for
//! network namespaces; without, the test says that it was skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rotabase_tests::cluster::eventually;
use rotabase_tests::load::connect;
use rotabase_tests::net::{Net, psql_at_home};
use rotabase_tests::register::{History, INITIAL, Span, Value, check_session};
use rotabase_tests::server::{DEADLINE, Server, binary};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const PORT: u16 = 7432;
const PASSWORD: &str = "namespaces";
const REGISTERS: usize = 4;

/// Nodes 1, 2, … and replicas 11, 12, …, each on a host of its own.
struct Lab {
    // In this order: processes end before their hosts do.
    servers: BTreeMap<u8, Server>,
    net: Net,
    directory: TempDir,
}

impl Lab {
    fn start() -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut lab = Self { servers: BTreeMap::new(), net: Net::new()?, directory };
        for host in [1, 2, 3, 11, 12] {
            lab.net.add(host);
        }
        for node in 1..=3 {
            lab.launch(node);
            if node == 1 {
                // Who comes from elsewhere has to show who it is.
                let script = format!("ALTER ROLE rotabase PASSWORD '{PASSWORD}';");
                psql_at_home(&lab.net, 1, PORT, &script);
            }
        }
        lab.wait_for_voters();
        for replica in [11, 12] {
            lab.launch(replica);
        }
        Ok(lab)
    }

    /// Starts a host's process, the first time or again.
    fn launch(&mut self, host: u8) {
        let peer = |host: u8, port: u16| format!("{}:{port}", self.net.peer_address(host));
        let (own, nodes) = (peer(host, 7433), [1, 2, 3].map(|node| peer(node, PORT)).join(","));
        let (seed, replica) = (peer(1, 7433), peer(11, PORT));
        let arguments = match host {
            1 => vec!["--peer", &own],
            2 | 3 => vec!["--peer", &own, "--join", &seed],
            11 => vec!["--replica-of", &nodes],
            // One replica follows the other.
            _ => vec!["--replica-of", &replica],
        };
        let mut program = self.net.program(host, &binary());
        program.env("ROTABASE_REPLICA_PASSWORD", PASSWORD);
        let data = self.directory.path().join(format!("host{host}"));
        let server = Server::try_launch(program, "0.0.0.0", PORT, &data, &arguments);
        let server = server.unwrap_or_else(|printed| panic!("host {host}: {printed}"));
        let password = format!(" password={PASSWORD} connect_timeout=5");
        self.servers.insert(host, server.reached_at(&self.net.client_address(host), &password));
    }

    fn server(&self, host: u8) -> &Server {
        &self.servers[&host]
    }

    fn kill(&mut self, host: u8) {
        self.servers.remove(&host).expect("it runs").kill();
    }

    fn wait_for_voters(&self) {
        let voters = "SELECT count(*) FROM rotabase.replicas WHERE role <> 'learner';";
        eventually("three vote in each shard", || {
            let asked = self.server(1).psql(voters);
            if asked.out.trim() == "48" { Ok(()) } else { Err(format!("{asked:?}")) }
        });
    }
}

fn register_id(register: usize) -> String {
    format!("00000000-0000-4000-8000-{register:012}")
}

/// What clients did and saw.
#[derive(Default)]
struct Record {
    histories: [Mutex<History>; REGISTERS],
    /// What each session saw, in order.
    sessions: Mutex<Vec<Vec<(usize, Value)>>>,
    next_value: AtomicU64,
    writes: AtomicU64,
    reads: AtomicU64,
    stop: AtomicBool,
}

struct Clock(Instant);

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).expect("not for centuries")
    }
}

/// What a client does again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Writes, and reads with its session's consistency.
    Writer,
    /// Reads what was acknowledged to anybody.
    Strong,
    /// Reads with its session's consistency.
    Reader,
}

impl Record {
    fn client(self: &Arc<Self>, server: &Server, clock: &Arc<Clock>, role: Role) -> JoinHandle<()> {
        let strong = " options='-c rotabase.consistency=strong'";
        let more = if role == Role::Strong { strong } else { "" };
        let conninfo = format!("{}{more}", server.conninfo());
        tokio::spawn(Arc::clone(self).run(conninfo, Arc::clone(clock), role))
    }

    async fn run(self: Arc<Self>, conninfo: String, clock: Arc<Clock>, role: Role) {
        let mut connection = None;
        let mut seen = Vec::new();
        for turn in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let Some(client) = connect(&mut connection, &conninfo).await else { continue };
            let register = turn % REGISTERS;
            let goes_on = if role == Role::Writer && !turn.is_multiple_of(3) {
                self.write(client, &clock, register, &mut seen).await
            } else {
                self.read(client, &clock, register, role, &mut seen).await
            };
            if !goes_on {
                // Another connection is another session.
                connection = None;
                self.keep(std::mem::take(&mut seen));
            }
        }
        self.keep(seen);
    }

    fn keep(&self, seen: Vec<(usize, Value)>) {
        self.sessions.lock().expect("nobody panics").push(seen);
    }

    fn history(&self, register: usize) -> std::sync::MutexGuard<'_, History> {
        self.histories[register].lock().expect("nobody panics")
    }

    /// Writes a value that is like no other; whether the connection still works.
    async fn write(
        &self,
        client: &Client,
        clock: &Clock,
        register: usize,
        seen: &mut Vec<(usize, Value)>,
    ) -> bool {
        let value = 1 + self.next_value.fetch_add(1, Ordering::Relaxed);
        let id = register_id(register);
        let sql = format!("UPDATE rotations SET name = '{value}' WHERE id = '{id}'");
        let asked = clock.now();
        let told = client.batch_execute(&sql).await;
        let answered = Some(clock.now());
        let mut history = self.history(register);
        match told {
            Ok(()) => {
                history.writes.insert(value, Span { asked, answered });
                seen.push((register, value));
                self.writes.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => match error.code() {
                Some(code) if *code != SqlState::TRANSACTION_RESOLUTION_UNKNOWN => {
                    history.refused.insert(value);
                }
                told => {
                    history.writes.insert(value, Span { asked, answered: None });
                    return told.is_some();
                }
            },
        }
        true
    }

    async fn read(
        &self,
        client: &Client,
        clock: &Clock,
        register: usize,
        role: Role,
        seen: &mut Vec<(usize, Value)>,
    ) -> bool {
        let id = register_id(register);
        let sql = format!("SELECT name FROM rotations WHERE id = '{id}'");
        let asked = clock.now();
        let rows = match client.query(&sql, &[]).await {
            Ok(rows) => rows,
            Err(error) => return error.code().is_some(),
        };
        let span = Span { asked, answered: Some(clock.now()) };
        let value: Value = rows[0].get::<_, &str>(0).parse().expect("a number");
        seen.push((register, value));
        if role == Role::Strong {
            self.history(register).reads.push((value, span));
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Waits until clients have written and read so many times more.
    async fn wait_for_more(&self, more: u64) {
        let until = Instant::now() + DEADLINE;
        for counter in [&self.writes, &self.reads] {
            let so_far = counter.load(Ordering::Relaxed);
            while counter.load(Ordering::Relaxed) < so_far + more {
                assert!(Instant::now() < until, "no progress after {so_far}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// The versions of the values of all registers, as a server's log has them.
fn versions(server: &Server) -> BTreeMap<(usize, Value), u64> {
    let sql = "SELECT aggregate_id, version, payload->>'name' FROM events WHERE aggregate_type = 'Rotation';";
    let mut versions = BTreeMap::new();
    for line in server.psql(sql).expect_success().lines() {
        let words: Vec<&str> = line.split('|').collect();
        let register = words[0][24..].parse().expect("a register");
        let (version, value) =
            (words[1].parse().expect("a number"), words[2].parse().expect("one"));
        let before = versions.insert((register, value), version);
        assert!(before.is_none(), "{line} is there twice");
    }
    versions
}

/// On a node that is cut off, strong reads and writes are refused and eventual reads are served.
fn check_cut_off(server: &Server) {
    let verbose = ["-At", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"];
    for sql in [
        "SELECT count(*) FROM rotations;",
        "INSERT INTO rotations (id, name) VALUES (gen_random_uuid(), 'nowhere');",
    ] {
        let refused = server.psql_with(&verbose, sql);
        assert!(refused.err.contains("57P03"), "{sql}: {refused:?}");
    }
    let eventual = "SET rotabase.consistency = eventual; SELECT count(*) FROM rotations;";
    assert_eq!(server.psql(eventual).expect_success(), format!("SET\n{REGISTERS}\n"));
}

/// Cuts off, heals, kills and starts again, while clients go on.
async fn disturb(lab: &mut Lab, record: &Record) {
    record.wait_for_more(100).await;
    for (alone, others) in [(1, [2, 3, 11, 12]), (3, [1, 2, 11, 12])] {
        lab.net.partition(&[&others, &[alone]]);
        check_cut_off(lab.server(alone));
        record.wait_for_more(100).await;
        lab.net.heal();
        record.wait_for_more(100).await;
        let victim = if alone == 1 { 2 } else { 1 };
        lab.kill(victim);
        record.wait_for_more(100).await;
        lab.launch(victim);
        record.wait_for_more(100).await;
    }
    // Replicas without anybody to follow serve what they have, and follow again.
    lab.net.partition(&[&[1, 2, 3]]);
    record.wait_for_more(50).await;
    lab.kill(11);
    lab.net.heal();
    lab.launch(11);
    record.wait_for_more(100).await;
}

/// What was acknowledged is everywhere, what was refused nowhere, and all that was seen agrees.
fn check(lab: &Lab, record: &Record) {
    let known = versions(lab.server(1));
    for host in [2, 3, 11, 12] {
        assert!(versions(lab.server(host)) == known, "host {host} has other events");
    }
    for register in 0..REGISTERS {
        let history = record.history(register);
        let there: BTreeSet<Value> =
            known.keys().filter(|it| it.0 == register).map(|it| it.1).collect();
        for (value, span) in &history.writes {
            assert!(span.answered.is_none() || there.contains(value), "{value} is lost: {span:?}");
        }
        let traces: Vec<_> = history.refused.intersection(&there).collect();
        assert!(traces.is_empty(), "refused and there: {traces:?}");
        history.check().unwrap_or_else(|error| panic!("register {register}: {error}"));
    }
    for seen in &*record.sessions.lock().expect("nobody panics") {
        check_session(seen, &known).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_all_reads_agree_whatever_is_cut_and_killed() {
    let mut lab = match Lab::start() {
        Ok(lab) => lab,
        Err(error) => {
            println!("skipped: it needs root and network namespaces ({error})");
            return;
        }
    };
    for register in 0..REGISTERS {
        let id = register_id(register);
        let sql = format!("INSERT INTO rotations (id, name) VALUES ('{id}', '{INITIAL}');");
        lab.server(1).psql(&sql).expect_success();
    }
    for replica in [11, 12] {
        // Whoever reads there from now on finds them.
        lab.server(replica).psql("SELECT count(*) FROM rotations;").expect_success();
    }
    let (record, clock) = (Arc::new(Record::default()), Arc::new(Clock(Instant::now())));
    let mut clients = Vec::new();
    for node in 1..=3 {
        for role in [Role::Writer, Role::Writer, Role::Strong] {
            clients.push(record.client(lab.server(node), &clock, role));
        }
    }
    for replica in [11, 12] {
        clients.push(record.client(lab.server(replica), &clock, Role::Reader));
    }
    disturb(&mut lab, &record).await;
    record.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("clients do not panic");
    }
    let unknown: usize = (0..REGISTERS)
        .map(|it| record.history(it).writes.values().filter(|span| span.answered.is_none()).count())
        .sum();
    let refused: usize = (0..REGISTERS).map(|it| record.history(it).refused.len()).sum();
    let (writes, reads) = (&record.writes, &record.reads);
    println!("{writes:?} writes, {unknown} unknown, {refused} refused, {reads:?} reads");
    check(&lab, &record);
    for host in [1, 2, 3, 11, 12] {
        let mut server = lab.servers.remove(&host).expect("it runs");
        let data = server.data().to_owned();
        assert!(server.terminate().success(), "host {host} did not stop");
        verify(&data);
    }
}

fn verify(data: &Path) {
    let mut program = std::process::Command::new(binary());
    let program = program.arg("verify").arg("--data").arg(data);
    rotabase_tests::tool::run(program, "").expect_success();
}
