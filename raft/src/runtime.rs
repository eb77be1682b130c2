//! Where tasks run: tokio, and within a simulation tokio on one thread, with time that stands still while there is
//! something to do.
//!
//! openraft and this crate start all their tasks here. A simulation sets a [`Conductor`] for its thread: it then decides
//! when each task goes on, so that the order is a function of the seed, and a task of a machine that is paused or dead
//! does not go on. What blocks is done at once then, because another thread would not wait for its turn.
//!
//! Randomness comes from the environment: openraft draws its election timeouts from a seed that each replica is given
//! ([`with_seed`]), and that tasks hand on to those that they start.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use openraft::rt::deterministic_rng::DeterministicRng;
use openraft::{AsyncRuntime, OptionalSend, TokioRuntime};
use tokio::task::{JoinError, JoinHandle};

type Seeded = DeterministicRng<TokioRuntime>;

/// Says when tasks go on: a simulation.
pub trait Conductor: Debug {
    /// A task has been started by the one that goes on now.
    fn start(&self) -> Box<dyn Turn>;
}

/// A task's turns.
pub trait Turn: Send {
    /// Whether the task may go on now; if not, it is woken when it may.
    fn enter(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// The task has gone as far as it can.
    fn leave(&mut self);
}

thread_local! {
    static CONDUCTOR: RefCell<Option<Arc<dyn Conductor>>> = const { RefCell::new(None) };
}

tokio::task_local! {
    static SEED: Cell<u64>;
}

/// Has all tasks that this thread starts from now on go on when `conductor` says.
pub fn conduct(conductor: Option<Arc<dyn Conductor>>) {
    CONDUCTOR.with(|current| *current.borrow_mut() = conductor);
}

fn conductor() -> Option<Arc<dyn Conductor>> {
    CONDUCTOR.with(|current| current.borrow().clone())
}

/// Starts a task.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match conductor() {
        None => tokio::spawn(future),
        Some(conductor) => {
            tokio::spawn(Conducted { turn: conductor.start(), future: Box::pin(future) })
        }
    }
}

/// Does what may block elsewhere.
pub(crate) async fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if conductor().is_some() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}

/// Runs what draws random numbers by way of openraft, in it and in the tasks it starts.
pub(crate) fn with_seed<F: Future>(seed: u64, future: F) -> impl Future<Output = F::Output> {
    SEED.scope(Cell::new(seed), future)
}

struct Conducted<F> {
    turn: Box<dyn Turn>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Conducted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.turn.enter(context).is_pending() {
            return Poll::Pending;
        }
        let polled = self.future.as_mut().poll(context);
        self.turn.leave();
        polled
    }
}

/// The next random number of this task.
fn draw(seed: &Cell<u64>) -> u64 {
    // SplitMix64 (public domain).
    let next = seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    seed.set(next);
    let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What openraft runs on.
#[derive(Debug)]
pub struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = JoinError;
    type JoinHandle<T: OptionalSend + 'static> = JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <Seeded as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match SEED.try_with(draw) {
            Ok(seed) => spawn(with_seed(seed, future)),
            // What is started from outside of a replica draws nothing.
            Err(_) => spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        let seed = SEED.try_with(draw).expect("a replica is started with a seed");
        Seeded::scope(seed, async { Seeded::thread_rng() })
            .now_or_never()
            .expect("it waits for nothing")
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}
