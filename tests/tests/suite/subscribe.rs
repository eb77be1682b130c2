//! `COPY (SUBSCRIBE TO events …) TO STDOUT`, as clients use it.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::process::Command;

use futures::TryStreamExt as _;
use rotabase_tests::schedule;
use rotabase_tests::server::{DEADLINE, Server};
use rotabase_tests::tool;
use tokio_postgres::{Client, CopyOutStream, Error, NoTls};

type Place = (i64, i64);

/// A row of a subscription in text format.
#[derive(Clone, Debug)]
enum Row {
    Event { place: Place, fields: Vec<String> },
    Heartbeat(String),
}

/// A subscription, read row by row.
struct Rows(Pin<Box<CopyOutStream>>);

impl Rows {
    /// Subscribes; `clauses` follow the relation.
    async fn of(client: &Client, clauses: &str) -> Self {
        let sql = format!("COPY (SUBSCRIBE TO events {clauses}) TO STDOUT");
        Self(Box::pin(client.copy_out(&sql).await.unwrap()))
    }

    /// The next row; an error if the subscription has ended.
    async fn next(&mut self) -> Result<Row, Error> {
        let row = tokio::time::timeout(DEADLINE, self.0.try_next()).await.expect("a heartbeat")?;
        let row = String::from_utf8(row.expect("it has no end").to_vec()).unwrap();
        let fields: Vec<String> = row.trim_end().split('\t').map(ToOwned::to_owned).collect();
        assert_eq!(fields.len(), 10, "{row}");
        if fields[0] == "-1" {
            assert_eq!(fields[5], "heartbeat", "{row}");
            let metadata: serde_json::Value = serde_json::from_str(&fields[8]).unwrap();
            return Ok(Row::Heartbeat(metadata["position"].as_str().unwrap().to_owned()));
        }
        let place = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        Ok(Row::Event { place, fields })
    }

    /// All events until a heartbeat, and its position.
    async fn until_heartbeat(&mut self) -> (Vec<(Place, Vec<String>)>, String) {
        let mut events = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Row::Event { place, fields } => events.push((place, fields)),
                Row::Heartbeat(position) => return (events, position),
            }
        }
    }

    /// Reads until so many events have come.
    async fn events(&mut self, count: usize) -> Vec<(Place, Vec<String>)> {
        let mut events = Vec::new();
        while events.len() < count {
            if let Row::Event { place, fields } = self.next().await.unwrap() {
                events.push((place, fields));
            }
        }
        events
    }
}

async fn stored(client: &Client) -> BTreeSet<Place> {
    client.batch_execute("SET rotabase.consistency = strong").await.unwrap();
    let rows = client.query("SELECT shard, position FROM events", &[]).await.unwrap();
    rows.iter().map(|row| (i64::from(row.get::<_, i32>(0)), row.get(1))).collect()
}

/// The token of the newest place of each shard.
fn token(places: impl IntoIterator<Item = Place>) -> String {
    let mut newest = BTreeMap::new();
    for (shard, position) in places {
        let it = newest.entry(shard).or_insert(position);
        *it = position.max(*it);
    }
    let parts: Vec<String> = newest.iter().map(|(shard, at)| format!("{shard}:{at}")).collect();
    if parts.is_empty() { "0".to_owned() } else { parts.join(",") }
}

fn code(error: &Error) -> &str {
    error.code().map_or("", |code| code.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_events_come_first_and_live_ones_after_in_order_within_each_shard() {
    let server = Server::start();
    server.psql(&schedule::insert_script(4, 6, 0)).expect_success();
    let (reader, writer) = (server.connect().await, server.connect().await);
    let mut rows = Rows::of(&reader, "").await;
    let (mut events, _) = rows.until_heartbeat().await;
    assert_eq!(events.iter().map(|it| it.0).collect::<BTreeSet<_>>(), stored(&writer).await);
    for number in 0..20 {
        let sql = format!("INSERT INTO rotations (name) VALUES ('live {number}')");
        writer.batch_execute(&sql).await.unwrap();
        let more = rows.events(1).await;
        assert!(more[0].1[7].contains(&format!("live {number}")), "{more:?}");
        events.extend(more);
    }
    assert_eq!(events.len(), stored(&writer).await.len());
    let mut newest = BTreeMap::new();
    for ((shard, position), _) in events {
        assert!(newest.insert(shard, position).is_none_or(|before| before < position));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_resumes_without_a_gap_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut seen: Vec<Place> = Vec::new();
    // Where the next subscription begins: after a heartbeat, or after the rows seen so far.
    let mut after = "0".to_owned();
    for round in 0..4_usize {
        let mut server = Server::start_on(&data, &[]);
        let (reader, writer) = (server.connect().await, server.connect().await);
        let mut rows = Rows::of(&reader, &format!("AFTER '{after}'")).await;
        let writing = tokio::spawn(async move {
            for number in 0.. {
                let sql = format!(
                    "INSERT INTO rotations (name) SELECT 'r{round}.{number}.' || i FROM generate_series(1, 7) i"
                );
                if writer.batch_execute(&sql).await.is_err() {
                    return;
                }
            }
        });
        let mut read = 0;
        while read < 150 + 13 * round {
            if let Row::Event { place, .. } = rows.next().await.unwrap() {
                seen.push(place);
                read += 1;
            }
        }
        server.kill();
        // Whatever else was on its way belongs to what was seen.
        while let Ok(row) = rows.next().await {
            if let Row::Event { place, .. } = row {
                seen.push(place);
            }
        }
        writing.await.unwrap();
        after = token(seen.iter().copied());
        if round % 2 == 1 {
            let server = Server::start_on(&data, &[]);
            let reader = server.connect().await;
            let mut rows = Rows::of(&reader, &format!("AFTER '{after}'")).await;
            let (events, position) = rows.until_heartbeat().await;
            seen.extend(events.into_iter().map(|(place, _)| place));
            after = position;
        }
    }
    let server = Server::start_on(&data, &[]);
    let client = server.connect().await;
    let distinct: BTreeSet<Place> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "nothing was given twice");
    assert_eq!(distinct, stored(&client).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_within_an_entry_goes_on_with_the_next_event() {
    let server = Server::start_on_one_shard();
    let client = server.connect().await;
    client
        .batch_execute("INSERT INTO rotations (name) SELECT 'r' || i FROM generate_series(1, 9) i")
        .await
        .unwrap();
    let reader = server.connect().await;
    let (all, _) = Rows::of(&reader, "").await.until_heartbeat().await;
    assert_eq!(all.len(), 9);
    for (at, ((shard, position), _)) in all.iter().enumerate() {
        let reader = server.connect().await;
        let (rest, _) =
            Rows::of(&reader, &format!("AFTER '{shard}:{position}'")).await.until_heartbeat().await;
        assert_eq!(rest.len(), all.len() - at - 1);
        assert!(rest.iter().zip(&all[at + 1..]).all(|(rest, all)| rest.0 == all.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_is_any_predicate_over_the_columns() {
    let server = Server::start();
    let (reader, writer) = (server.connect().await, server.connect().await);
    let condition = "WHERE event_type LIKE 'Airport%' AND payload->>'minimum_ground_time' IS DISTINCT FROM '00:00:00' \
        AND aggregate_id IN ('FRA', 'MUC') AND now() >= recorded_at - interval '1 hour'";
    let mut rows = Rows::of(&reader, condition).await;
    let sql = "INSERT INTO airports (code, minimum_ground_time) VALUES ('JFK', '1 hour'), ('FRA', '45 minutes'), ('MUC', '0'); \
        INSERT INTO rotations (name) VALUES ('R1'); UPDATE airports SET minimum_ground_time = '50 minutes' WHERE code = 'MUC'";
    writer.batch_execute(sql).await.unwrap();
    let mut found: Vec<(String, String)> =
        rows.events(2).await.into_iter().map(|(_, it)| (it[3].clone(), it[5].clone())).collect();
    found.sort();
    assert_eq!(found[0], ("FRA".to_owned(), "AirportRegistered".to_owned()));
    assert_eq!(found[1], ("MUC".to_owned(), "AirportMinimumGroundTimeChanged".to_owned()));
    let (more, position) = rows.until_heartbeat().await;
    assert!(more.is_empty() && position.contains(':'), "{more:?} {position}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_has_its_heading_first_and_binary_its_signature() {
    let server = Server::start();
    let client = server.connect().await;
    for (format, first) in [
        ("csv, header", &b"shard,position,aggregate_type,aggregate_id,version,event_type,"[..]),
        ("binary", &b"PGCOPY\n\xff\r\n\0"[..]),
    ] {
        let sql = format!("COPY (SUBSCRIBE TO events) TO STDOUT WITH (FORMAT {format})");
        let reader = server.connect().await;
        let mut rows = Box::pin(reader.copy_out(&sql).await.unwrap());
        // Nothing is stored in the first round, so the heading comes before there is anything.
        let heading = rows.try_next().await.unwrap().unwrap();
        assert!(heading.starts_with(first), "{heading:?}");
        client.batch_execute("INSERT INTO rotations (name) VALUES ('R1')").await.unwrap();
        let found = loop {
            let row = rows.try_next().await.unwrap().unwrap();
            let wanted: &[u8] = b"RotationCreated";
            if row.windows(wanted.len()).any(|part| part == wanted) {
                break row;
            }
        };
        // A row of ten columns, the first of four bytes.
        assert!(format != "binary" || found.starts_with(&[0, 10, 0, 0, 0, 4]), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_ends_with_a_cancel_a_timeout_and_the_server() {
    let mut server = Server::start();
    let client = server.connect().await;
    let mut rows = Rows::of(&client, "").await;
    rows.next().await.unwrap();
    client.cancel_token().cancel_query(NoTls).await.unwrap();
    let error = loop {
        if let Err(error) = rows.next().await {
            break error;
        }
    };
    assert_eq!(code(&error), "57014");
    drop(rows);

    client.batch_execute("SET statement_timeout = '200ms'").await.unwrap();
    let mut rows = Rows::of(&client, "").await;
    let error = loop {
        if let Err(error) = rows.next().await {
            break error;
        }
    };
    assert_eq!(code(&error), "57014");
    assert!(error.as_db_error().unwrap().message().contains("statement timeout"));
    drop(rows);

    client.batch_execute("SET statement_timeout = 0").await.unwrap();
    let mut rows = Rows::of(&client, "").await;
    rows.next().await.unwrap();
    let stopped = tokio::task::spawn_blocking(move || server.terminate());
    let error = loop {
        if let Err(error) = rows.next().await {
            break error;
        }
    };
    assert_eq!(code(&error), "57P01");
    assert!(stopped.await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_holds_up_nobody() {
    let server = Server::start();
    let (reader, writer) = (server.connect().await, server.connect().await);
    let mut rows = Rows::of(&reader, "").await;
    rows.next().await.unwrap();
    // Far more than sockets and buffers hold.
    for round in 0..20 {
        let sql = format!(
            "INSERT INTO rotations (name) SELECT repeat('x', 1000) || '{round}.' || i FROM generate_series(1, 1000) i"
        );
        writer.batch_execute(&sql).await.unwrap();
    }
    let events = rows.events(20_000).await;
    let places: BTreeSet<Place> = events.into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, stored(&writer).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_needs_to_be_allowed_to_read_events() {
    let server = Server::start();
    server.psql("CREATE ROLE reader LOGIN PASSWORD 'secret';").expect_success();
    let conninfo =
        format!("host=127.0.0.1 port={} user=reader password=secret dbname=rotabase", server.port);
    let (client, connection) = tokio_postgres::connect(&conninfo, NoTls).await.unwrap();
    tokio::spawn(connection);
    let refused = client.copy_out("COPY (SUBSCRIBE TO events) TO STDOUT").await.err().unwrap();
    assert_eq!(code(&refused), "42501");
    server.psql("GRANT SELECT ON events TO reader;").expect_success();
    Rows::of(&client, "").await.next().await.unwrap();
}

#[test]
fn psql_copies_until_it_is_interrupted() {
    let server = Server::start();
    server.psql("INSERT INTO airports (code) VALUES ('FRA');").expect_success();
    let script = "SET statement_timeout = '1500ms';\n\\copy (subscribe to events where event_type = 'AirportRegistered') to stdout csv header\n";
    let printed = server.psql_with(&[], script);
    assert!(printed.out.contains("shard,position,") && printed.out.contains("FRA"), "{printed:?}");
    assert!(printed.err.contains("canceling statement due to statement timeout"), "{printed:?}");
}

#[test]
fn psycopg_reads_row_by_row() {
    let server = Server::start();
    server.psql(&schedule::insert_script(1, 4, 0)).expect_success();
    let script = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("drivers/subscribe.py");
    let mut python = Command::new(tool::python());
    tool::run(python.arg(script).arg(server.conninfo()), "").expect_success();
}
