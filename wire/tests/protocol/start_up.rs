//! Start-up, authentication, cancelling, shutting down.

use std::sync::atomic::Ordering;

use rotabase::protocol::AuthMethod;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use super::client::*;
use super::fake::{Options, start};

const VERSION_3_0: i32 = 3 << 16;

#[tokio::test]
async fn a_session_starts_with_its_parameters_and_its_key() {
    let running = start(Options::default()).await;
    let mut client = Client::raw(running.port()).await;
    client.send(&startup(VERSION_3_0, &["user", "rotabase"])).await;
    assert_eq!(client.until_ready().await, "R S S K Z:I");
    let mut client = Client::raw(running.port()).await;
    client.send(&startup(VERSION_3_0 + 9999, &["user", "rotabase", "_pq_.new", "1"])).await;
    let negotiated = client.message().await.unwrap();
    assert_eq!(
        (negotiated.letter, &negotiated.body[..]),
        (b'v', &b"\0\x03\0\x02\0\0\0\x01_pq_.new\0"[..])
    );
    loop {
        let message = client.message().await.unwrap();
        if message.letter == b'K' {
            assert_eq!(message.body.len(), 4 + 32);
            break;
        }
    }
}

#[tokio::test]
async fn encryption_is_declined_without_a_certificate() {
    let running = start(Options::default()).await;
    let mut client = Client::raw(running.port()).await;
    for code in [80_877_103_i32, 80_877_104] {
        client.send(&[8_i32.to_be_bytes(), code.to_be_bytes()].concat()).await;
        assert_eq!(client.socket.read_u8().await.unwrap(), b'N');
    }
    client.send(&startup(VERSION_3_0, &["user", "rotabase"])).await;
    assert_eq!(client.until_ready().await, "R S S K Z:I");
}

#[tokio::test]
async fn a_bad_start_is_refused() {
    let running = start(Options::default()).await;
    for (bytes, expected) in [
        (startup(VERSION_3_0, &["user", "nobody"]), "E:28000 closed"),
        (startup(VERSION_3_0, &["user", "group"]), "E:28000 closed"),
        (startup(VERSION_3_0, &["user", "rotabase", "database", "nowhere"]), "R E:3D000 closed"),
        (startup(VERSION_3_0, &["user", "rotabase", "replication", "database"]), "E:0A000 closed"),
        (startup(VERSION_3_0, &["database", "x"]), "E:28000 closed"),
        (startup(2 << 16, &["user", "rotabase"]), "E:0A000 closed"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "E:08P01 closed"),
        (vec![0, 0, 0, 4, 0, 0, 0, 0], "E:08P01 closed"),
        (
            [&[0, 0, 0, 8], &80_877_103_i32.to_be_bytes()[..], b"injected"].concat(),
            "E:08P01 closed",
        ),
    ] {
        let mut client = Client::raw(running.port()).await;
        client.send(&bytes).await;
        let heard = client.until_ready().await;
        assert!(
            expected.ends_with(&heard) || heard == expected,
            "{heard} for {bytes:?}, not {expected}"
        );
    }
}

async fn connect(
    port: u16,
    user: &str,
    password: &str,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let config =
        format!("host=127.0.0.1 port={port} user={user} password={password} dbname=rotabase");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test]
async fn a_password_is_proven_with_scram() {
    let running = start(Options::default()).await;
    assert!(connect(running.port(), "anna", "secret").await.is_ok());
    let refused = connect(running.port(), "anna", "wrong").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
    let message = refused.as_db_error().unwrap().message().to_owned();
    assert_eq!(message, "password authentication failed for user \"anna\"");
}

#[tokio::test]
async fn with_scram_for_all_an_unknown_user_looks_like_a_wrong_password() {
    let running = start(Options { local: AuthMethod::Scram, ..Options::default() }).await;
    assert!(connect(running.port(), "anna", "secret").await.is_ok());
    for user in ["nobody", "rotabase", "group"] {
        let refused = connect(running.port(), user, "secret").await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD), "{user}");
    }
}

#[tokio::test]
async fn connections_are_capped_with_one_kept_for_administrators() {
    let running = start(Options { connections_max: 2, ..Options::default() }).await;
    let _first = connect(running.port(), "anna", "secret").await.unwrap();
    let refused = connect(running.port(), "anna", "secret").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
    let _second = connect(running.port(), "rotabase", "").await.unwrap();
    let refused = connect(running.port(), "rotabase", "").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
}

#[tokio::test]
async fn a_cancel_request_stops_the_statement_and_gets_no_answer() {
    let running = start(Options::default()).await;
    let mut client = Client::raw(running.port()).await;
    client.send(&startup(VERSION_3_0, &["user", "rotabase"])).await;
    let mut key = Vec::new();
    loop {
        let message = client.message().await.unwrap();
        match message.letter {
            b'K' => key = message.body,
            b'Z' => break,
            _ => {}
        }
    }
    for statement in ["wait", "subscribe"] {
        client.send(&query(statement)).await;
        if statement == "wait" {
            running.observed.waiting.notified().await;
        } else {
            assert_eq!(client.message().await.unwrap().letter, b'H');
            assert_eq!(client.message().await.unwrap().letter, b'd');
        }
        let mut canceller = Client::raw(running.port()).await;
        canceller
            .send(&[&16_i32.to_be_bytes(), &80_877_102_i32.to_be_bytes(), &key[..]].concat())
            .await;
        assert_eq!(canceller.message().await, None);
        assert_eq!(client.until_ready().await, "E:57014 Z:I");
    }
    assert_eq!(client.say(&[query("rows 1")]).await, "T D C:SELECT_1 Z:I");
    assert_eq!(running.observed.dropped.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_what_it_asked_for() {
    let running = start(Options::default()).await;
    let mut client = Client::connect(running.port()).await;
    client.send(&query("wait")).await;
    running.observed.waiting.notified().await;
    drop(client);
    // The session closes only after its future has come to its end.
    let observed = std::sync::Arc::clone(&running.observed);
    assert!(running.server.shutdown(PATIENCE).await);
    assert_eq!(observed.dropped.load(Ordering::Relaxed), 0);
    assert_eq!(observed.closed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn shutting_down_ends_idle_and_busy_sessions() {
    let running = start(Options::default()).await;
    let mut idle = Client::connect(running.port()).await;
    let mut busy = Client::connect(running.port()).await;
    let mut starting = Client::raw(running.port()).await;
    starting.socket.write_all(&[0]).await.unwrap();
    busy.send(&query("wait")).await;
    running.observed.waiting.notified().await;
    let observed = std::sync::Arc::clone(&running.observed);
    assert!(running.server.shutdown(PATIENCE).await);
    assert_eq!(idle.until_ready().await, "E:57P01 closed");
    assert_eq!(busy.until_ready().await, "E:57P01 closed");
    assert_eq!(observed.closed.load(Ordering::Relaxed), 2);
    assert_eq!(observed.dropped.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_session_can_be_ended_by_its_process_id() {
    let running = start(Options::default()).await;
    let mut client = Client::raw(running.port()).await;
    client.send(&startup(VERSION_3_0, &["user", "rotabase"])).await;
    let mut pid = 0;
    loop {
        let message = client.message().await.unwrap();
        match message.letter {
            b'K' => pid = i32::from_be_bytes(message.body[..4].try_into().unwrap()),
            b'Z' => break,
            _ => {}
        }
    }
    assert!(running.server.registry().terminate_session(pid));
    assert!(!running.server.registry().terminate_session(pid + 1));
    assert_eq!(client.until_ready().await, "E:57P01 closed");
}

#[tokio::test]
async fn an_idle_session_can_time_out() {
    let running = start(Options::default()).await;
    let mut client = Client::raw(running.port()).await;
    client.send(&startup(VERSION_3_0, &["user", "rotabase", "idle_session_timeout", "50"])).await;
    client.until_ready().await;
    assert_eq!(client.until_ready().await, "E:57P05 closed");
}
