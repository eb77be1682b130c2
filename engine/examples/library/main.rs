//! Another domain on the same engine: a lending library in one process, without replicas, SQL or a server.
//!
//! `loans.rs` is all that is about libraries. This file embeds the log: it decides a command against the book's
//! state, appends the events, waits until they are durable, and applies them. `cargo run --example library` lends a
//! book, reopens the log and finds it lent.

#![expect(clippy::print_stdout, reason = "an example prints what it does")]

mod loans;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use rotabase_engine::aggregates::{AGGREGATE_CACHE_BYTES_DEFAULT, Aggregates};
use rotabase_engine::domain::Domain;
use rotabase_engine::entry::{CommittedEntry, Entry, EntryBuilder, Metadata};
use rotabase_engine::env::Timestamp;
use rotabase_engine::index::{Effect, Indexer};
use rotabase_engine::log::{Committed, Identity, Leader, LogOptions, LogRow, LogStore, RowKind};
use rotabase_engine::position::{LogIndex, ShardId, Version};
use rotabase_engine::writer::{LogWriter, WriteTask};

use loans::{Book, Command, Library, ShelfMark};

type Fallible<T> = Result<T, Box<dyn Error>>;

const SHARD: ShardId = ShardId(0);
const LEADER: Leader = Leader { term: 1, node: 1 };

/// The bytes of rows that are read at a time when the log is opened.
const REPLAY_BYTES: usize = 1 << 20;

/// The library's log and its books.
struct Desk {
    store: Arc<LogStore>,
    writer: Arc<LogWriter>,
    books: Aggregates<Library>,
    indexer: Indexer,
}

impl Desk {
    fn open(path: &Path) -> Fallible<Self> {
        let create = Some(Identity { cluster: uuid::Uuid::nil(), shards: 1 });
        let store = LogStore::open(path, &LogOptions { create, ..LogOptions::default() })?;
        let writer = LogWriter::start(
            Arc::clone(&store),
            Box::new(|error| println!("the log failed: {error}")),
        )?;
        let books = Aggregates::new(SHARD, Arc::clone(&writer), AGGREGATE_CACHE_BYTES_DEFAULT);
        let indexer = store.index().indexer(SHARD);
        let mut desk = Self { store, writer, books, indexer };
        desk.replay()?;
        Ok(desk)
    }

    /// Applies what the index had not seen when the process ended.
    fn replay(&mut self) -> Fallible<()> {
        let Some((last, _)) = self.store.last(SHARD) else { return Ok(()) };
        loop {
            let next = self.indexer.applied().map_or(0, |applied| applied.index.0 + 1);
            let rows =
                self.store.read(SHARD, LogIndex(next)..LogIndex(last.0 + 1), REPLAY_BYTES)?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                self.apply(&row)?;
            }
        }
    }

    fn book(&mut self, mark: &ShelfMark) -> Fallible<(Book, Version)> {
        let loaded = self.books.load(mark)?;
        Ok((loaded.state.clone(), loaded.version))
    }

    /// Does a command: decides, stores, applies. A refusal leaves no trace.
    fn execute(&mut self, mark: &ShelfMark, command: &Command) -> Fallible<Version> {
        let (book, mut version) = self.book(mark)?;
        let events = Library::decide(mark, &book, command)?;
        if events.is_empty() {
            return Ok(version);
        }
        let mut id = Vec::new();
        Library::encode_id(mark, &mut id);
        let mut entry = EntryBuilder::new();
        let metadata =
            entry.metadata(&Metadata { user: "desk".to_owned(), ..Metadata::default() })?;
        for event in &events {
            version = version.next();
            entry.push_event::<Library>(&id, version, event, metadata)?;
        }
        let applied = self.indexer.applied();
        // A real shard takes the time of its clock; here, one tick for each entry.
        let timestamp = applied.map_or(Timestamp(0), |it| it.timestamp).tick(Timestamp(0));
        let payload = entry.finish(timestamp, applied.map_or(0, |it| it.entries));
        let index = LogIndex(self.store.last(SHARD).map_or(0, |(last, _)| last.0 + 1));
        let row = LogRow { index, leader: LEADER, kind: RowKind::Events, payload };
        self.append(row.clone())?;
        self.apply(&row)?;
        Ok(version)
    }

    /// Appends a row and waits until it survives a power cut.
    fn append(&self, row: LogRow) -> Fallible<()> {
        let (durable, is_durable) = mpsc::sync_channel(1);
        let done = Box::new(move |result| durable.send(result).expect("the desk waits"));
        let committed = Committed { index: row.index, leader: row.leader };
        self.writer.submit(WriteTask::Append { shard: SHARD, rows: vec![row], done })?;
        is_durable.recv()??;
        self.writer.submit(WriteTask::Committed(SHARD, committed))?;
        Ok(())
    }

    fn apply(&mut self, row: &LogRow) -> Fallible<()> {
        let entry = Entry::decode(row.payload.clone())?;
        let effect = self.indexer.apply(row, Some(&entry));
        let update = self.indexer.take().expect("a row was applied");
        self.writer.submit(WriteTask::Index(update))?;
        if effect == Effect::Events {
            self.books.apply(&CommittedEntry {
                shard: SHARD,
                index: row.index,
                entry: Arc::new(entry),
            })?;
        }
        Ok(())
    }

    fn close(self) {
        self.writer.shutdown();
    }
}

fn run(path: &Path) -> Fallible<()> {
    let mark = ShelfMark("QA 76.9".to_owned());
    let lend = |reader: &str| Command::Lend { reader: reader.to_owned() };

    let mut desk = Desk::open(path)?;
    let refused = desk.execute(&mark, &lend("Ada")).expect_err("there is no such book yet");
    println!("refused: {refused}");
    desk.execute(&mark, &Command::Acquire)?;
    let version = desk.execute(&mark, &lend("Ada"))?;
    println!("lent, version {version}");
    let refused = desk.execute(&mark, &lend("Bob")).expect_err("Ada has it");
    println!("refused: {refused}");
    desk.close();

    let mut desk = Desk::open(path)?;
    let (book, version) = desk.book(&mark)?;
    println!("after reopening: {book:?}, version {version}");
    assert_eq!((book, version), (Book::LentTo("Ada".to_owned()), Version(2)));
    let version = desk.execute(&mark, &Command::TakeBack)?;
    assert_eq!((desk.book(&mark)?.0, version), (Book::OnShelf, Version(3)));
    desk.close();
    Ok(())
}

fn main() -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    run(folder.path())
}

#[test]
fn a_library_runs_on_the_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path()).expect("the example runs");
}
