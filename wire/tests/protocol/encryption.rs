//! TLS, with libpq at the other end. The certificate is for tests only.

use std::path::Path;
use std::process::{Command, Output};

use rotabase::protocol::Tls;
use tokio::io::AsyncReadExt;

use super::client::*;
use super::fake::{Options, Running, start};

async fn start_encrypted() -> Running {
    let directory = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"))
        .join("tests/protocol/certificate");
    let tls = Tls::load(&directory.join("server.crt"), &directory.join("server.key"))
        .expect("a certificate");
    start(Options { tls: Some(tls), ..Options::default() }).await
}

async fn psql(running: &Running, options: &str, password: &str) -> Output {
    let conninfo = format!("host=127.0.0.1 port={} dbname=rotabase {options}", running.port());
    let mut command = Command::new("psql");
    command.args(["-X", "-At", "-c", "rows 2"]).arg(conninfo).env("PGPASSWORD", password);
    tokio::task::spawn_blocking(move || command.output().expect("psql is installed"))
        .await
        .expect("it ran")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libpq_encrypts_and_binds_the_channel() {
    let running = start_encrypted().await;
    for options in [
        "user=rotabase sslmode=require",
        "user=rotabase sslmode=disable",
        "user=anna sslmode=require channel_binding=require",
        "user=anna sslmode=require channel_binding=disable",
        "user=anna sslmode=disable",
    ] {
        let output = psql(&running, options, "secret").await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            text,
            "0|row 0\n1|row 1\n",
            "{options}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let output = psql(&running, "user=anna sslmode=require", "wrong").await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("password authentication failed for user \"anna\""), "{text}");
}

#[tokio::test]
async fn what_is_injected_behind_a_request_for_tls_is_refused() {
    let running = start_encrypted().await;
    let mut client = Client::raw(running.port()).await;
    let request = [8_i32.to_be_bytes(), 80_877_103_i32.to_be_bytes()].concat();
    client.send(&[request, b"injected".to_vec()].concat()).await;
    assert_eq!(client.until_ready().await, "E:08P01 closed");
}

#[tokio::test]
async fn a_broken_handshake_costs_one_connection() {
    let running = start_encrypted().await;
    for hello in [&b"\x16\x03\x01\x00\x05abcde"[..], b"\x16"] {
        let mut client = Client::raw(running.port()).await;
        client.send(hello).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.socket).await.unwrap();
        let mut heard = Vec::new();
        client.socket.read_to_end(&mut heard).await.unwrap();
    }
    assert_eq!(
        Client::connect(running.port()).await.say(&[query("rows 1")]).await,
        "T D C:SELECT_1 Z:I"
    );
}
