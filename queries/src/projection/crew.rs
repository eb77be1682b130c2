//! Threads that share the work of one large step of a fold: as many as there are cores, for as long as it takes.
//!
//! What comes of it does not depend on how many there are: results stand in the order of the pieces, and rows come in
//! the order in which they are made. Where the system has no more threads, the one that asks does everything.

use std::num::NonZero;
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use parking_lot::Mutex;

use super::rows::Result;
use super::run::Run;

/// The threads that work at a step at a time.
const THREADS_MAX: usize = 4;

/// The bytes of rows that are handed from one thread to another at a time.
const HANDED_BYTES: usize = 256 << 10;

/// As many pieces of rows may wait for the one who takes them.
const HANDED_WAITING_MAX: usize = 4;

static THREADS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX));

/// What is smaller than so many events or keys is done by the thread that asks: it takes no longer than beginning others.
const SHARED_FROM: usize = if cfg!(test) { 4 } else { 1 << 15 };

/// The threads that share some work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crew {
    threads: usize,
}

impl Crew {
    /// Those for work on so many events or keys.
    pub(crate) fn of(size: usize) -> Self {
        Self { threads: if size < SHARED_FROM { 1 } else { *THREADS } }
    }

    /// How many threads they are.
    pub(crate) fn threads(self) -> usize {
        self.threads
    }

    /// Does each piece of work, in about the order in which they stand, and gives what comes of them in that order.
    pub(crate) fn each<T: Send, R: Send>(
        self,
        pieces: Vec<T>,
        work: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        let threads = self.threads.min(pieces.len());
        if threads <= 1 {
            return pieces.into_iter().map(work).collect();
        }
        let done: Vec<Mutex<Option<R>>> = pieces.iter().map(|_| Mutex::new(None)).collect();
        let waiting = Mutex::new(pieces.into_iter().enumerate());
        let take = || waiting.lock().next();
        let run = || {
            while let Some((number, piece)) = take() {
                *done[number].lock() = Some(work(piece));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // Without another thread this one does it all.
                let _ = begin(scope, run);
            }
            run();
        });
        let done = done.into_iter().map(Mutex::into_inner);
        done.map(|result| result.expect("each piece was taken and done")).collect()
    }
}

/// Cuts what is in order into pieces of about so many, of which none ends between two that belong together.
pub(crate) fn pieces<T>(
    all: &[T],
    size: usize,
    belong_together: impl Fn(&T, &T) -> bool,
) -> Vec<&[T]> {
    let mut pieces = Vec::new();
    let mut rest = all;
    while !rest.is_empty() {
        let least = size.clamp(1, rest.len());
        let more = rest[least - 1..].windows(2).take_while(|two| belong_together(&two[0], &two[1]));
        let (piece, after) = rest.split_at(least + more.count());
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Sorts by a key that tells all of them apart.
pub(crate) fn sort_shared<T: Send, K: Ord>(all: &mut [T], key: impl Fn(&T) -> K + Sync) {
    let crew = Crew::of(all.len());
    let part = all.len().div_ceil(crew.threads()).max(1);
    let parts: Vec<&mut [T]> = all.chunks_mut(part).collect();
    let several = parts.len() > 1;
    crew.each(parts, |part| part.sort_unstable_by_key(&key));
    if several {
        // It takes what is in order already as it is.
        all.sort_by_key(key);
    }
}

/// Something that a crew does.
pub(crate) type Work<'w, R> = Box<dyn FnOnce() -> R + Send + 'w>;

/// Has one thread make rows, in order, and this one take them: what is made is a piece of `make`'s rows at a time, which
/// are handed to `take`. Nothing has been made if the system has no thread for that.
pub(crate) fn hand_over(
    make: impl FnOnce(&mut Hands) -> Result<()> + Send,
    take: &mut dyn FnMut(&Run) -> Result<()>,
) -> Handed {
    if *THREADS <= 1 {
        return Handed::NoThread;
    }
    let (pieces, made) = sync_channel(HANDED_WAITING_MAX);
    std::thread::scope(|scope| {
        let making = begin(scope, move || {
            let mut hands = Hands { run: Run::default(), pieces };
            make(&mut hands).map(|()| hands.hand())
        });
        let Ok(making) = making else { return Handed::NoThread };
        let mut taken = Ok(());
        for piece in made {
            taken = taken.and_then(|()| take(&piece));
        }
        let made = making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Handed::All(made.and(taken))
    })
}

/// What came of handing rows over.
#[derive(Debug)]
pub(crate) enum Handed {
    /// All were made and taken, or there was an error.
    All(Result<()>),
    /// There was no thread to make them.
    NoThread,
}

/// Takes the rows that are made.
#[derive(Debug)]
pub(crate) struct Hands {
    run: Run,
    pieces: SyncSender<Run>,
}

impl Hands {
    /// The rows that are handed over next; another may be added.
    pub(crate) fn rows(&mut self) -> &mut Run {
        if self.run.bytes() >= HANDED_BYTES {
            self.hand();
        }
        &mut self.run
    }

    fn hand(&mut self) {
        // Whoever takes them takes all, also after an error.
        let _ = self.pieces.send(std::mem::take(&mut self.run));
    }
}

fn begin<'scope, 'env, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().name("projections".to_owned()).spawn_scoped(scope, work)
}

#[cfg(test)]
mod tests {
    use rotabase_engine::db::StoreError;

    use super::*;

    #[test]
    fn what_is_done_in_pieces_comes_in_order() {
        for size in [0, SHARED_FROM] {
            let crew = Crew::of(size);
            let done = crew.each((0..1000).collect(), |number: u64| {
                // Some take longer than others.
                (0..(number % 7) * 1000).fold(number, |sum, it| std::hint::black_box(sum ^ it ^ it))
            });
            assert_eq!(done, (0..1000).collect::<Vec<_>>());
            assert_eq!(crew.each(Vec::<u8>::new(), |it| it), Vec::<u8>::new());
        }
    }

    #[test]
    fn pieces_end_where_something_new_begins() {
        let all = [1, 1, 1, 2, 3, 3, 4];
        let same = |a: &i32, b: &i32| a == b;
        let cut = |size| pieces(&all, size, same).iter().map(|it| it.len()).collect::<Vec<_>>();
        assert_eq!(cut(1), [3, 1, 2, 1]);
        assert_eq!(cut(4), [4, 3]);
        assert_eq!(cut(5), [6, 1]);
        assert_eq!(cut(100), [7]);
        assert!(pieces(&[], 1, same).is_empty());
    }

    #[test]
    fn what_is_sorted_in_parts_is_in_order() {
        let mut all: Vec<u64> = (0..40_000).map(|it| it * 7919 % 65_537).collect();
        let mut expected = all.clone();
        expected.sort_unstable();
        sort_shared(&mut all, |it| *it);
        assert_eq!(all, expected);
    }

    fn handed(rows: u32, fails_at: Option<u32>) -> Result<Vec<u32>> {
        let mut taken = Vec::new();
        let all = hand_over(
            |hands| {
                (0..rows).try_for_each(|row| {
                    if fails_at == Some(row) {
                        return Err(StoreError::Io("made no more".to_owned()));
                    }
                    hands.rows().put(&row.to_be_bytes(), &[7; 100]);
                    Ok(())
                })
            },
            &mut |run| {
                taken.extend(run.iter().map(|(key, value)| {
                    assert_eq!(value, Some([7; 100].as_slice()));
                    u32::from_be_bytes(key.try_into().unwrap())
                }));
                Ok(())
            },
        );
        match all {
            Handed::All(all) => all.map(|()| taken),
            Handed::NoThread => Ok((0..rows).collect()),
        }
    }

    #[test]
    fn rows_are_taken_as_they_were_made() {
        for rows in [0, 1, 20_000] {
            assert_eq!(handed(rows, None).unwrap(), (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn whoever_takes_rows_hears_of_an_error() {
        if *THREADS > 1 {
            assert!(matches!(handed(20_000, Some(15_000)), Err(StoreError::Io(_))));
        }
    }

    #[test]
    fn rows_that_cannot_be_taken_do_not_stop_the_one_who_makes_them() {
        let make = |hands: &mut Hands| {
            (0..50_000_u32).for_each(|row| hands.rows().put(&row.to_be_bytes(), &[7; 100]));
            Ok(())
        };
        let handed = hand_over(make, &mut |_| Err(StoreError::Io("took none".to_owned())));
        assert!(matches!(handed, Handed::NoThread | Handed::All(Err(StoreError::Io(_)))));
    }
}
