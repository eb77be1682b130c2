//! Another domain on the same machinery: a lending library in one process, without SQL or a server.
//!
//! `loans.rs` is all that is about libraries. This file opens a node on a directory, does commands, and reads what
//! happened from the feed. `cargo run -p rotabase-raft --example library` lends a book, opens the node again and
//! finds it lent.

#![expect(clippy::print_stdout, reason = "an example prints what it does")]

mod loans;

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rotabase_engine::domain::Domain;
use rotabase_engine::entry::Metadata;
use rotabase_engine::env::{Clock, Random};
use rotabase_engine::log::{Identity, LogOptions};
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_raft::router::Router;
use rotabase_raft::{DirectoryStore, Environment, Node, NodeConfig, Outcome, Request, WriteError};

use loans::{Command, Event, Library, Refusal, ShelfMark};

type Fallible<T> = Result<T, Box<dyn Error>>;

const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time is passed in")]
    fn now_microseconds(&self) -> i64 {
        const UNIX_TO_2000_SECONDS: u64 = 946_684_800;
        let y2000 = SystemTime::UNIX_EPOCH + Duration::from_secs(UNIX_TO_2000_SECONDS);
        let since = SystemTime::now().duration_since(y2000).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or_default()
    }
}

/// The standard library's only source of randomness, which is enough for ids.
#[derive(Debug)]
struct HasherRandom;

impl Random for HasherRandom {
    fn next_u64(&self) -> u64 {
        RandomState::new().hash_one(())
    }
}

async fn open(path: &Path) -> Fallible<Node<Library>> {
    let create = Some(Identity { cluster: uuid::Uuid::nil(), shards: 4 });
    let options = LogOptions { create, ..LogOptions::default() };
    let store = DirectoryStore::open(
        path,
        &options,
        Box::new(|error| println!("the log failed: {error}")),
    )?;
    let config = NodeConfig::default();
    let transport = Router::new().attach(config.machine.id);
    let environment = Environment {
        store,
        transport,
        clock: Arc::new(WallClock),
        random: Arc::new(HasherRandom),
    };
    Ok(Node::open(config, environment).await?)
}

async fn execute(
    node: &Node<Library>,
    book: &str,
    command: Command,
) -> Result<Outcome, WriteError<Library>> {
    let request = Request::new(ShelfMark(book.to_owned()), command);
    node.execute(
        vec![request],
        Metadata { user: "desk".to_owned(), ..Metadata::default() },
        DEADLINE,
    )
    .await
}

/// The events of all books, shard by shard.
fn history(node: &Node<Library>) -> Fallible<Vec<(ShelfMark, Event)>> {
    let feed = node.feed();
    let mut history = Vec::new();
    for shard in (0..feed.shards()).map(ShardId) {
        let (mut after, mut entries) = (LogIndex(0), Vec::new());
        while after < feed.committed(shard) {
            after = feed.read(shard, after, &mut entries)?;
        }
        for (_, event) in entries.iter().flat_map(rotabase_engine::entry::CommittedEntry::events) {
            let id = Library::decode_id(&event.aggregate)?;
            history.push((id, Library::decode_event(event.kind, &event.payload)?));
        }
    }
    Ok(history)
}

async fn run(path: &Path) -> Fallible<()> {
    let book = "QA 76.9";
    let lend = |reader: &str| Command::Lend { reader: reader.to_owned() };

    let node = open(path).await?;
    let refused = execute(&node, book, lend("Ada")).await;
    assert!(matches!(&refused, Err(WriteError::Refused { refusal: Refusal::Unknown(_), .. })));
    execute(&node, book, Command::Acquire).await?;
    let outcome = execute(&node, book, lend("Ada")).await?;
    println!("lent, version {}, position {}", outcome.versions[0], outcome.positions);
    let again = execute(&node, book, lend("Ada")).await?;
    assert_eq!(again.emitted, [0], "she has it already");
    node.shutdown().await;
    drop(node);

    let node = open(path).await?;
    let refused = execute(&node, book, lend("Bob")).await.expect_err("Ada has it");
    println!("refused: {refused}");
    execute(&node, book, Command::TakeBack).await?;
    for (book, event) in history(&node)? {
        println!("{book}: {event:?}");
    }
    let events: Vec<Event> = history(&node)?.into_iter().map(|(_, event)| event).collect();
    assert_eq!(
        events,
        [Event::Acquired, Event::Lent { reader: "Ada".to_owned() }, Event::TakenBack]
    );
    node.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    run(folder.path()).await
}

#[tokio::test]
async fn a_library_runs_on_a_node() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path()).await.expect("the example runs");
}
