//! Sessions of one node beside each other: advisory locks between them, and how one stops another.

use rotabase_tests::server::Server;
use tokio_postgres::{Client, NoTls};

async fn connect(server: &Server) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.conninfo(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn value<T: for<'a> tokio_postgres::types::FromSql<'a>>(client: &Client, sql: &str) -> T {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

fn state(error: &tokio_postgres::Error) -> &str {
    error.as_db_error().map_or("connection", |error| error.code().code())
}

/// Waits until a session waits for a lock.
async fn until_blocked(client: &Client) {
    while value::<i64>(client, "SELECT count(*) FROM pg_locks WHERE NOT granted").await == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advisory_lock_is_waited_for_until_its_session_ends() {
    let server = Server::start();
    let (first, second, third) =
        (connect(&server).await, connect(&server).await, connect(&server).await);
    first.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
    assert!(!value::<bool>(&second, "SELECT pg_try_advisory_lock(7)").await);
    let pid: i32 = value(&second, "SELECT pg_backend_pid()").await;
    let waiting = tokio::spawn(async move {
        second.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
        second
    });
    until_blocked(&third).await;
    let holder: i32 = value(&first, "SELECT pg_backend_pid()").await;
    let blocking: Vec<i32> = value(&third, &format!("SELECT pg_blocking_pids({pid})")).await;
    assert_eq!(blocking, [holder]);
    drop(first);
    let second = waiting.await.unwrap();
    assert!(value::<bool>(&second, "SELECT pg_advisory_unlock(7)").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_a_transaction_ends_with_it() {
    let server = Server::start();
    let (mut first, second) = (connect(&server).await, connect(&server).await);
    for commit in [true, false] {
        let block = first.transaction().await.unwrap();
        block.batch_execute("SELECT pg_advisory_xact_lock(1, 2)").await.unwrap();
        assert!(!value::<bool>(&second, "SELECT pg_try_advisory_xact_lock(1, 2)").await);
        if commit {
            block.commit().await.unwrap();
        } else {
            block.rollback().await.unwrap();
        }
        assert!(value::<bool>(&second, "SELECT pg_try_advisory_xact_lock(1, 2)").await);
        assert_eq!(value::<i64>(&second, "SELECT count(*) FROM pg_locks").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_lock_ends_with_a_timeout_a_cancel_and_a_deadlock() {
    let server = Server::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    first.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let error = second
        .batch_execute("SET lock_timeout = '1ms'; SELECT pg_advisory_lock(1)")
        .await
        .unwrap_err();
    assert_eq!(state(&error), "55P03");
    second.batch_execute("RESET lock_timeout; SELECT pg_advisory_lock(2)").await.unwrap();
    let pid: i32 = value(&second, "SELECT pg_backend_pid()").await;
    let waiting = tokio::spawn(async move {
        let error = second.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap_err();
        (state(&error).to_owned(), second)
    });
    until_blocked(&first).await;
    let error = first.batch_execute("SELECT pg_advisory_lock(2)").await.unwrap_err();
    assert_eq!(state(&error), "40P01");
    assert!(value::<bool>(&first, &format!("SELECT pg_cancel_backend({pid})")).await);
    assert_eq!(waiting.await.unwrap().0, "57014");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_ended_by_another() {
    let server = Server::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    let pid: i32 = value(&second, "SELECT pg_backend_pid()").await;
    assert!(value::<bool>(&first, &format!("SELECT pg_terminate_backend({pid})")).await);
    let error = loop {
        if let Err(error) = second.batch_execute("SELECT 1").await {
            break error;
        }
    };
    assert!(second.is_closed() || state(&error) == "57P01", "{error}");
    while value::<i64>(&first, "SELECT count(*) FROM pg_stat_activity").await > 1 {
        tokio::task::yield_now().await;
    }
}
