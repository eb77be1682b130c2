//! Many clients at once in random transactions, and a checker: what committed is serializable by the aggregates that it
//! read and wrote, no write is lost or dirty, and everybody sees his own.
//!
//! Each transaction notes the version at which it first read an aggregate, and the last that it gave it. From that
//! follow the edges of the serialization graph: who read a version comes after who wrote it and before who wrote the
//! next. A cycle is a history that no order of the transactions explains.

use std::collections::{BTreeMap, BTreeSet};

use rotabase_tests::server::Server;

use super::transactions::{Talk, leg};

const CLIENTS: u64 = 6;
const ROUNDS: u64 = 40;
const AIRPORTS: [&str; 3] = ["AAA", "BBB", "CCC"];
const ROTATIONS: u64 = 3;
const LEGS: u64 = 6;

/// A generator of numbers that is the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What a transaction knows of an aggregate.
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    /// The version that it read before it wrote.
    read: Option<i64>,
    /// The last version that it gave it.
    written: Option<i64>,
}

/// An aggregate by its name.
type Touches = BTreeMap<String, Touched>;

fn rotation(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A transaction under way.
struct Transaction<'a> {
    talk: &'a Talk,
    touches: Touches,
    /// Two reads of one aggregate gave different versions: it must not commit a write.
    torn: bool,
}

/// The rows of a query, or the SQLSTATE.
async fn rows(talk: &Talk, sql: &str) -> Result<Vec<Vec<String>>, String> {
    match talk.0.simple_query(sql).await {
        Ok(messages) => Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).unwrap_or("").to_owned()).collect())
                }
                _ => None,
            })
            .collect()),
        Err(error) => {
            let state = error.code().map(|it| it.code().to_owned());
            Err(state.unwrap_or_else(|| panic!("{sql}: {error:?}")))
        }
    }
}

impl Transaction<'_> {
    fn saw(&mut self, name: &str, version: i64) {
        let touched = self.touches.entry(name.to_owned()).or_default();
        match touched.written {
            Some(written) => {
                assert_eq!(version, written, "{name}: a transaction sees its own writes");
            }
            None => {
                self.torn |= touched.read.is_some_and(|read| read != version);
                touched.read.get_or_insert(version);
            }
        }
    }

    fn wrote(&mut self, name: &str, version: i64) {
        self.touches.entry(name.to_owned()).or_default().written = Some(version);
    }

    async fn version(&mut self, sql: &str) -> Result<i64, String> {
        Ok(rows(self.talk, sql).await?[0][0].parse().unwrap())
    }

    async fn read_airport(&mut self, code: &str) -> Result<(), String> {
        let sql = format!("SELECT version FROM airports WHERE code = '{code}'");
        let version = self.version(&sql).await?;
        self.saw(code, version);
        Ok(())
    }

    async fn write_airport(&mut self, code: &str, minutes: u64) -> Result<(), String> {
        self.read_airport(code).await?;
        let sql = format!(
            "UPDATE airports SET minimum_ground_time = interval '{minutes} minutes' WHERE code = '{code}' RETURNING version"
        );
        let version = self.version(&sql).await?;
        self.wrote(code, version);
        let seen = format!(
            "SELECT extract(epoch FROM minimum_ground_time)::int8 FROM airports WHERE code = '{code}'"
        );
        assert_eq!(
            self.version(&seen).await?,
            i64::try_from(minutes * 60).unwrap(),
            "its own write"
        );
        Ok(())
    }

    async fn read_rotation(&mut self, id: &str) -> Result<(), String> {
        let sql = format!("SELECT version FROM rotations WHERE id = '{id}'");
        let version = self.version(&sql).await?;
        self.saw(id, version);
        Ok(())
    }

    /// Moves a leg to another rotation, if it is seen in one.
    async fn move_leg(&mut self, number: u64, to: &str) -> Result<(), String> {
        let sql = format!("SELECT rotation_id FROM legs WHERE flight_number = {number}");
        let found = rows(self.talk, &sql).await?;
        let Some(from) = found.first().map(|row| row[0].clone()) else { return Ok(()) };
        if from == to || from.is_empty() {
            return Ok(());
        }
        self.read_rotation(&from).await?;
        self.read_rotation(to).await?;
        let sql = format!(
            "UPDATE legs SET rotation_id = '{to}' WHERE flight_number = {number} AND rotation_id = '{from}' RETURNING id"
        );
        if rows(self.talk, &sql).await?.is_empty() {
            return Ok(());
        }
        for id in [from.as_str(), to] {
            let sql = format!("SELECT version FROM rotations WHERE id = '{id}'");
            let version = self.version(&sql).await?;
            self.wrote(id, version);
        }
        Ok(())
    }

    async fn step(&mut self, random: &mut Random, unique: u64) -> Result<(), String> {
        let airport = AIRPORTS[usize::try_from(random.below(3)).unwrap()];
        match random.below(4) {
            0 => self.read_airport(airport).await,
            1 => self.write_airport(airport, unique).await,
            2 => self.read_rotation(&rotation(random.below(ROTATIONS))).await,
            _ => self.move_leg(1 + random.below(LEGS), &rotation(random.below(ROTATIONS))).await,
        }
    }

    /// Some steps, and sometimes some more that are rolled back to a savepoint.
    async fn steps(&mut self, random: &mut Random, unique: u64) -> Result<(), String> {
        for _ in 0..=random.below(3) {
            self.step(random, unique).await?;
        }
        if random.below(3) == 0 {
            rows(self.talk, "SAVEPOINT s").await?;
            let before = self.touches.clone();
            self.step(random, unique + 1).await?;
            rows(self.talk, "ROLLBACK TO s").await?;
            // What was read before it was written to stays read.
            let reads = std::mem::replace(&mut self.touches, before);
            for (name, touched) in reads {
                if let Some(read) = touched.read {
                    self.touches.entry(name).or_default().read.get_or_insert(read);
                }
            }
            self.step(random, unique + 2).await?;
        }
        Ok(())
    }
}

/// One client's transactions; what those that committed a write have touched.
async fn client(talk: Talk, own: u64) -> Vec<Touches> {
    let mut random = Random(own * 7919 + 17);
    let mut committed = Vec::new();
    for round in 0..ROUNDS {
        let level = if random.below(2) == 0 { "READ COMMITTED" } else { "SERIALIZABLE" };
        talk.run(&format!("BEGIN ISOLATION LEVEL {level}")).await;
        let mut transaction = Transaction { talk: &talk, touches: Touches::new(), torn: false };
        let unique = (own * ROUNDS + round) * 3 + 1;
        let mut ended = transaction.steps(&mut random, unique).await;
        if ended.is_ok() && random.below(8) > 0 {
            ended = rows(&talk, "COMMIT").await.map(|_| ());
            let Transaction { touches, torn, .. } = transaction;
            let writes = touches.values().any(|it| it.written.is_some());
            if ended.is_ok() && writes {
                assert!(!torn, "two versions of one aggregate were read: {touches:?}");
                for (name, touched) in &touches {
                    let Some(written) = touched.written.filter(|_| name.len() == 3) else {
                        continue;
                    };
                    let now = talk
                        .one(&format!("SELECT version FROM airports WHERE code = '{name}'"))
                        .await;
                    assert!(now.parse::<i64>().unwrap() >= written, "a session sees what it wrote");
                }
                committed.push(touches);
            }
            if let Err(state) = &ended {
                assert_eq!(state, "40001");
            }
            continue;
        }
        if let Err(state) = &ended {
            assert_eq!(state, "40001", "only clashes refuse these statements");
        }
        talk.run("ROLLBACK").await;
    }
    committed
}

/// Whether the graph has a cycle, found by taking away what nothing leads to.
fn cyclic(count: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut left: BTreeSet<usize> = (0..count).collect();
    loop {
        let reached: BTreeSet<usize> = edges
            .iter()
            .filter(|(from, to)| left.contains(from) && left.contains(to))
            .map(|(_, to)| *to)
            .collect();
        let before = left.len();
        left.retain(|it| reached.contains(it));
        if left.len() == before {
            return left.into_iter().collect();
        }
    }
}

/// Holds what committed against the versions that there are.
fn check(committed: &[Touches], first: &BTreeMap<String, i64>, last: &BTreeMap<String, i64>) {
    let mut writers: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for (number, touches) in committed.iter().enumerate() {
        for (name, touched) in touches {
            let Some(written) = touched.written else { continue };
            let read = touched.read.expect("read before it was written");
            assert!(written > read, "{name}: {touched:?}");
            for version in read + 1..=written {
                let other = writers.insert((name, version), number);
                assert_eq!(other, None, "{name} got version {version} twice: a write was lost");
            }
        }
    }
    for (name, last) in last {
        for version in first[name] + 1..=*last {
            assert!(
                writers.contains_key(&(name.as_str(), version)),
                "nobody wrote {name} {version}"
            );
        }
        let beyond = writers.keys().filter(|(of, version)| of == name && version > last).count();
        assert_eq!(beyond, 0, "a write to {name} is not there");
    }
    let mut edges = BTreeSet::new();
    for (number, touches) in committed.iter().enumerate() {
        for (name, touched) in touches {
            let Some(read) = touched.read else { continue };
            for (version, before) in [(read, true), (read + 1, false)] {
                if let Some(writer) = writers.get(&(name.as_str(), version))
                    && *writer != number
                {
                    edges.insert(if before { (*writer, number) } else { (number, *writer) });
                }
            }
        }
    }
    let cycle = cyclic(committed.len(), &edges);
    let shown: Vec<_> = cycle.iter().map(|number| (number, &committed[*number])).collect();
    assert!(cycle.is_empty(), "no order explains these: {shown:#?}");
}

async fn versions(talk: &Talk) -> BTreeMap<String, i64> {
    let sql =
        "SELECT code, version FROM airports UNION ALL SELECT id::text, version FROM rotations";
    let rows = rows(talk, sql).await.unwrap();
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commits_is_serializable() {
    let server = Server::start();
    let talk = Talk::to(&server).await;
    talk.run("SET rotabase.consistency = 'strong'").await;
    for code in AIRPORTS {
        talk.run(&format!("INSERT INTO airports (code) VALUES ('{code}')")).await;
    }
    for number in 0..ROTATIONS {
        talk.run(&format!("INSERT INTO rotations (id) VALUES ('{}')", rotation(number))).await;
    }
    for number in 1..=LEGS {
        let hour = usize::try_from(number).unwrap();
        talk.run(&leg(Some(&rotation(number % ROTATIONS)), hour, 2 * hour, "FRA", "MUC")).await;
    }
    let first = versions(&talk).await;
    let mut clients = Vec::new();
    for own in 0..CLIENTS {
        clients.push(tokio::spawn(client(Talk::to(&server).await, own)));
    }
    let mut committed = Vec::new();
    for client in clients {
        committed.extend(client.await.unwrap());
    }
    let last = versions(&talk).await;
    check(&committed, &first, &last);
    assert!(committed.len() > 20, "{} transactions committed", committed.len());
    assert_eq!(
        talk.one("SELECT count(*), count(rotation_id) FROM legs").await,
        format!("{LEGS}|{LEGS}")
    );
    assert_eq!(talk.one("SELECT sum(legs) FROM rotations").await, LEGS.to_string());
}

#[test]
fn the_checker_finds_write_skew_and_lost_writes() {
    let touched = |read, written| Touched { read: Some(read), written };
    let state = |version| BTreeMap::from([("x".to_owned(), version), ("y".to_owned(), version)]);
    let skew = [
        Touches::from([("x".to_owned(), touched(1, None)), ("y".to_owned(), touched(1, Some(2)))]),
        Touches::from([("y".to_owned(), touched(1, None)), ("x".to_owned(), touched(1, Some(2)))]),
    ];
    assert!(std::panic::catch_unwind(|| check(&skew, &state(1), &state(2))).is_err());
    let lost = [
        Touches::from([("x".to_owned(), touched(1, Some(2)))]),
        Touches::from([("x".to_owned(), touched(1, Some(2)))]),
    ];
    assert!(std::panic::catch_unwind(|| check(&lost, &state(1), &state(2))).is_err());
    let fine = [
        Touches::from([
            ("x".to_owned(), touched(1, Some(2))),
            ("y".to_owned(), touched(1, Some(2))),
        ]),
        Touches::from([("x".to_owned(), touched(2, None)), ("y".to_owned(), touched(2, Some(3)))]),
    ];
    let last = BTreeMap::from([("x".to_owned(), 2), ("y".to_owned(), 3)]);
    check(&fine, &state(1), &last);
}
