//! Input that no good client sends: the right error, nothing stored, and the session or the server goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use futures::SinkExt as _;
use rotabase_tests::server::{self, Server};
use rotabase_tests::tool;
use tokio_postgres::Client;

fn start_up() -> Vec<u8> {
    let mut body = 196_608_i32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0rotabase\0database\0rotabase\0\0");
    let mut message = i32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    message.extend(body);
    message
}

/// Sends bytes after a start-up, or instead of it, and reads until the server closes.
fn exchange(server: &Server, started: bool, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    if started {
        stream.write_all(&start_up()).unwrap();
    }
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn goes_on(server: &Server) {
    assert_eq!(server.psql("SELECT 1;").expect_success(), "1\n");
}

#[test]
fn malformed_bytes_end_the_connection_and_not_the_server() {
    let server = Server::start();
    let mut noise = Vec::new();
    let mut state = 0x5EED_u32;
    for _ in 0..4096 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push(state.to_be_bytes()[0]);
    }
    let cases: [(&str, bool, &[u8]); 10] = [
        ("nothing", false, b""),
        ("noise for a start-up", false, &noise),
        ("http", false, b"GET / HTTP/1.1\r\n\r\n"),
        ("a length below its own", false, &[0, 0, 0, 1, 0, 3, 0, 0]),
        ("a huge start-up", false, &[0x7F, 0xFF, 0xFF, 0xFF, 0, 3, 0, 0]),
        ("noise for messages", true, &noise),
        ("a negative length", true, &[b'Q', 0xFF, 0xFF, 0xFF, 0xFF, 0]),
        ("a query without its end", true, b"Q\0\0\0\x0cSELECT 1"),
        ("an unknown message", true, b"!\0\0\0\x04"),
        ("a Parse cut short", true, b"P\0\0\0\x09\0SELE"),
    ];
    for (name, started, bytes) in cases {
        let answer = exchange(&server, started, bytes);
        if started {
            assert!(answer.starts_with(b"R"), "{name}: {:?}", String::from_utf8_lossy(&answer));
            assert!(
                answer.windows(5).any(|it| it == b"08P01"),
                "{name}: {:?}",
                String::from_utf8_lossy(&answer)
            );
        }
        goes_on(&server);
    }
}

#[test]
fn a_client_that_goes_away_in_the_middle_leaves_the_server_well() {
    let server = Server::start();
    for cut in 1..start_up().len() {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.write_all(&start_up()[..cut]).unwrap();
    }
    goes_on(&server);
}

/// What a COPY of text gives: how many rows, or the SQLSTATE, the context and the detail.
async fn copy(client: &Client, sql: &str, input: &[u8]) -> Result<u64, (String, String, String)> {
    let all = async {
        let sink = client.copy_in(sql).await?;
        futures::pin_mut!(sink);
        sink.send(bytes::Bytes::copy_from_slice(input)).await?;
        sink.finish().await
    };
    all.await.map_err(|error: tokio_postgres::Error| {
        let error = error.as_db_error().expect("an error of the server").clone();
        let part = |it: Option<&str>| it.unwrap_or_default().to_owned();
        (error.code().code().to_owned(), part(error.where_()), part(error.detail()))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_copy_input_names_its_place_and_stores_nothing() {
    let server = Server::start();
    let client = server.connect().await;
    let airports = "COPY airports (code, minimum_ground_time) FROM STDIN";
    let cases: [(&str, &[u8], &str, &str); 8] = [
        (airports, b"FRA\t1 hour\nMUC\n", "22P04", "line 2"),
        (airports, b"FRA\t1 hour\nMUC\t1 hour\tx\n", "22P04", "line 2"),
        (airports, b"FRA\t1 hour\nMUC\tsoon\n", "22007", "line 2"),
        (airports, b"FRA\t1 hour\nFR\xFF\t1 hour\n", "22021", "line 2"),
        (airports, b"FRA\t1 hour\nMUC\t-1 hour\n", "23514", "line 2"),
        (airports, b"FRA\t1 hour\nFRA\t1 hour\n", "23505", "line 2"),
        (airports, b"FRA\t1 hour\n\\N\t1 hour\n", "23502", "line 2"),
        (
            "COPY airports (code, minimum_ground_time) FROM STDIN (FORMAT csv)",
            b"FRA,1 hour\n\"MUC,1 hour\n",
            "22P04",
            "line",
        ),
    ];
    for (sql, input, state, place) in cases {
        let (found, context, _) = copy(&client, sql, input).await.unwrap_err();
        assert_eq!(found, state, "{} {context}", String::from_utf8_lossy(input));
        assert!(context.contains(place), "{context}");
    }
    // The first twenty bad records are named.
    let mut input = b"FRA\t1 hour\n".to_vec();
    input.extend(b"MUC\tsoon\n".repeat(30));
    let (_, _, detail) = copy(&client, airports, &input).await.unwrap_err();
    assert!(detail.contains("line 2") && detail.contains("line 21"), "{detail}");
    assert!(!detail.contains("line 22"), "{detail}");

    assert!(copy(&client, "COPY ssim FROM STDIN", b"no schedule\n").await.is_err());
    let file = include_str!("../../data/ssim/example_local.ssim")
        .replace("02NOV2608NOV26", "02NOV2608NOX26");
    let (state, _, _) = copy(&client, "COPY ssim FROM STDIN", file.as_bytes()).await.unwrap_err();
    assert_eq!(state, "22P04");
    // SSIM's errors name the record and the byte in their message.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.ssim");
    std::fs::write(&path, file).unwrap();
    let refused = server.psql(&format!("\\copy ssim from '{}'\n", path.display()));
    assert!(refused.err.contains("record 11, byte 22"), "{}", refused.err);

    let rows = client.query_one("SELECT count(*) FROM airports", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 0);
    let rows = client.query_one("SELECT count(*) FROM legs", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 0);
    assert_eq!(copy(&client, airports, b"FRA\t1 hour\n").await, Ok(1));
}

const FOR_EVER: &str =
    "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_ends_at_its_timeout_and_the_session_goes_on() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("SET statement_timeout = 100").await.unwrap();
    let error = client.batch_execute(FOR_EVER).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "57014");
    client.batch_execute("SELECT 1").await.unwrap();
}

#[test]
fn a_second_process_on_a_directory_is_refused() {
    let mut server = Server::start();
    let refused = Server::try_start_on(server.data(), &[]);
    assert!(refused.is_err());
    goes_on(&server);
    for command in ["verify", "rebuild"] {
        let mut program = Command::new(server::binary());
        let printed = tool::run(program.arg(command).arg("--data").arg(server.data()), "");
        assert!(!printed.success, "{command}: {}", printed.out);
    }
    goes_on(&server);
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_stops_with_status_zero_while_a_client_is_connected() {
    let mut server = Server::start();
    let client = server.connect().await;
    client.batch_execute("INSERT INTO airports (code) VALUES ('FRA')").await.unwrap();
    let status = tokio::task::spawn_blocking(move || server.terminate()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn unknown_settings_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path()).unwrap();
    std::fs::write(directory.path().join("rotabase.toml"), "nothing = 1\n").unwrap();
    let refused = Server::try_start_on(directory.path(), &[]).unwrap_err();
    assert!(refused.contains("nothing"), "{refused}");
}
