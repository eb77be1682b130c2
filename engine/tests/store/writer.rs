//! Group commit: who is told what, when, and in which order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use parking_lot::Mutex;
use rotabase_engine::db::StoreError;
use rotabase_engine::position::{LogIndex, ShardId};
use rotabase_engine::writer::{
    BATCH_BYTES_MAX, Done, LogWriter, QUEUE_BYTES_MAX, SubmitError, WriteTask,
};

use crate::support::{SHARD, append, open, row, stepped};

type Calls = Arc<Mutex<Vec<(u32, bool)>>>;

fn noting(calls: &Calls, number: u32) -> Done {
    let calls = Arc::clone(calls);
    Box::new(move |result| calls.lock().push((number, result.is_ok())))
}

fn append_noting(writer: &LogWriter, shard: ShardId, index: u64, calls: &Calls, number: u32) {
    let rows = vec![row(index, 1, "x")];
    writer.submit(WriteTask::Append { shard, rows, done: noting(calls, number) }).unwrap();
}

#[test]
fn callbacks_come_after_the_sync_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writer = stepped(&store);
    let calls = Calls::default();
    append_noting(&writer, ShardId(0), 0, &calls, 1);
    append_noting(&writer, ShardId(2), 0, &calls, 2);
    let (name, value) = ("vote", vec![1].into());
    writer
        .submit(WriteTask::Meta { shard: ShardId(0), name, value, done: noting(&calls, 3) })
        .unwrap();
    assert!(writer.step_write());
    assert_eq!(store.marks(ShardId(2)).written, Some(LogIndex(0)));
    assert_eq!(store.marks(ShardId(2)).durable, None);
    append_noting(&writer, ShardId(0), 1, &calls, 4);
    assert!(writer.step_write());
    append_noting(&writer, ShardId(0), 2, &calls, 5);
    assert_eq!(*calls.lock(), []);
    assert!(writer.step_sync());
    assert_eq!(*calls.lock(), [(1, true), (2, true), (3, true), (4, true)]);
    assert_eq!(store.marks(ShardId(0)).durable, Some(LogIndex(1)));
    assert_eq!(store.marks(ShardId(0)).last, Some(LogIndex(2)));
    assert!(!writer.step_sync());
    writer.submit(WriteTask::Sync(noting(&calls, 6))).unwrap();
    assert!(writer.step_write() && writer.step_sync());
    assert_eq!(calls.lock()[4..], [(5, true), (6, true)]);
    assert_eq!(writer.queued_bytes(), 0);
}

#[test]
fn after_a_failure_nothing_is_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let fatal = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&fatal);
    let on_fatal = Box::new(move |_: &StoreError| {
        told.fetch_add(1, Ordering::Relaxed);
    });
    let writer = LogWriter::stepped(Arc::clone(&store), on_fatal);
    let calls = Calls::default();
    append_noting(&writer, SHARD, 0, &calls, 1);
    writer.step_write();
    append_noting(&writer, SHARD, 1, &calls, 2);
    writer.poison(&StoreError::Io("the disk is gone".to_owned()));
    writer.poison(&StoreError::Io("the disk is still gone".to_owned()));
    assert_eq!(fatal.load(Ordering::Relaxed), 1);
    assert!(matches!(writer.failure(), Some(StoreError::Io(text)) if text == "the disk is gone"));
    assert!(writer.submit(WriteTask::Sync(noting(&calls, 3))).is_err());
    assert!(matches!(
        writer.try_submit(WriteTask::Sync(noting(&calls, 3))),
        Err(SubmitError::Failed(_))
    ));
    crate::support::step(&writer);
    assert_eq!(*calls.lock(), [(1, false), (2, false)]);
    assert_eq!(store.marks(SHARD).durable, None);
    assert_eq!(store.marks(SHARD).written, Some(LogIndex(0)));
}

#[test]
fn a_full_queue_takes_no_more_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writer = stepped(&store);
    let payload = bytes::Bytes::from(vec![7; BATCH_BYTES_MAX]);
    let tasks = u64::try_from(QUEUE_BYTES_MAX / BATCH_BYTES_MAX).unwrap();
    (0..tasks).for_each(|index| append(&writer, SHARD, vec![row(index, 1, payload.clone())]));
    let calls = Calls::default();
    let refused = writer.try_submit(WriteTask::Sync(noting(&calls, 1)));
    assert!(matches!(refused, Err(SubmitError::Full(task)) if matches!(*task, WriteTask::Sync(_))));
    let (room, told) = mpsc::channel();
    writer.when_room(Box::new(move || room.send(()).unwrap()));
    writer.step_write();
    assert!(told.try_recv().is_err(), "written is not durable");
    writer.step_sync();
    assert!(told.try_recv().is_ok());
    writer.try_submit(WriteTask::Sync(noting(&calls, 1))).unwrap();
    crate::support::step(&writer);
    assert_eq!(*calls.lock(), [(1, true)]);
}

#[test]
fn threads_make_everything_durable_that_they_acknowledge() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writer = LogWriter::start(Arc::clone(&store), Box::new(|error| panic!("{error}"))).unwrap();
    std::thread::scope(|scope| {
        for shard in store.shards() {
            let writer = &writer;
            scope.spawn(move || {
                for round in 0..20 {
                    let (done, durable) = mpsc::channel();
                    for index in round * 10..round * 10 + 10 {
                        let done = done.clone();
                        let done = Box::new(move |result: Result<(), StoreError>| {
                            done.send(result.map(|()| index)).unwrap();
                        });
                        writer
                            .submit(WriteTask::Append {
                                shard,
                                rows: vec![row(index, 1, vec![1; 50])],
                                done,
                            })
                            .unwrap();
                    }
                    let order: Vec<u64> =
                        durable.iter().take(10).map(|result| result.unwrap()).collect();
                    assert_eq!(order, (round * 10..round * 10 + 10).collect::<Vec<_>>());
                    assert!(writer.store().marks(shard).durable >= Some(LogIndex(round * 10 + 9)));
                }
            });
        }
    });
    writer.shutdown();
    assert!(writer.submit(WriteTask::Sync(Box::new(|_| ()))).is_err());
    drop((writer, store));
    let store = open(directory.path());
    for shard in store.shards() {
        assert_eq!(store.read(shard, LogIndex(0)..LogIndex(1000), usize::MAX).unwrap().len(), 200);
    }
}
