//! A real driver.

use bytes::Bytes;
use futures::{SinkExt, TryStreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::fake::{Options, Running, start};

async fn connect() -> (Running, Client) {
    let running = start(Options::default()).await;
    let config = format!("host=127.0.0.1 port={} user=rotabase", running.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("it listens");
    tokio::spawn(connection);
    (running, client)
}

#[tokio::test]
async fn prepared_statements_give_typed_rows() {
    let (_running, client) = connect().await;
    let statement = client.prepare("rows $1").await.unwrap();
    for count in [0, 1, 250] {
        let rows = client.query(&statement, &[&count]).await.unwrap();
        assert_eq!(rows.len(), usize::try_from(count).unwrap());
        for (id, row) in (0_i32..).zip(&rows) {
            assert_eq!(
                (row.get::<_, i32>("id"), row.get::<_, String>("name")),
                (id, format!("row {id}"))
            );
        }
    }
}

#[tokio::test]
async fn a_pipeline_keeps_its_order() {
    let (_running, client) = connect().await;
    let statement = client.prepare("stream $1").await.unwrap();
    let queries = (0..64_i32).map(|count| {
        let (client, statement) = (&client, &statement);
        async move { client.query(statement, &[&count]).await.map(|rows| rows.len()) }
    });
    let counts = futures::future::try_join_all(queries).await.unwrap();
    assert_eq!(counts, (0..64).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_leaves_the_session_usable() {
    let (_running, client) = connect().await;
    let error = client.query("fail", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    assert_eq!(client.query("rows 1", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_transaction_reads_a_portal_in_pieces() {
    let (_running, mut client) = connect().await;
    let transaction = client.transaction().await.err();
    // START TRANSACTION is not among the fake's words; BEGIN is.
    assert!(transaction.is_none());
    let messages = client.simple_query("begin; rows 2").await.unwrap();
    assert_eq!(
        messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count(),
        2
    );
}

#[tokio::test]
async fn copy_goes_both_ways() {
    let (running, client) = connect().await;
    let sink = client.copy_in::<_, Bytes>("copy_in").await.unwrap();
    futures::pin_mut!(sink);
    sink.send(Bytes::from_static(b"1\ta\n2\tb\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    assert_eq!(running.observed.copied.load(std::sync::atomic::Ordering::Relaxed), 8);

    let sink = client.copy_in::<_, Bytes>("copy_in").await.unwrap();
    futures::pin_mut!(sink);
    sink.send(Bytes::from_static(b"!")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap_err().code(), Some(&SqlState::BAD_COPY_FILE_FORMAT));

    let rows: Vec<Bytes> = client.copy_out("copy_out").await.unwrap().try_collect().await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(client.query("rows 1", &[]).await.unwrap().len(), 1);

    // The driver itself loses step here (rust-postgres#789), with PostgreSQL too.
    let error = client.copy_in::<_, Bytes>("fail").await.err().unwrap();
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
}

#[tokio::test]
async fn a_driver_cancels() {
    let (running, client) = connect().await;
    let token = client.cancel_token();
    let waiting = tokio::spawn(async move { client.simple_query("wait").await.map(|_| ()) });
    running.observed.waiting.notified().await;
    token.cancel_query(NoTls).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
}
