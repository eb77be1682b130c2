//! The place where the answer to a command is put: a channel for one value that knows whether the command has been
//! taken up. A client whose deadline passes can say "nothing was stored" only if it has not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

#[derive(Debug)]
struct Slot<T> {
    stage: Stage,
    answer: Option<T>,
    waker: Option<Waker>,
    /// Nobody will answer any more.
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Queued,
    Claimed,
    Withdrawn,
}

/// The client's end: a future of the answer; none if whoever should have answered is gone.
#[derive(Debug)]
pub(crate) struct Ticket<T>(Arc<Mutex<Slot<T>>>);

/// The shard's end.
#[derive(Debug)]
pub(crate) struct Counterfoil<T>(Arc<Mutex<Slot<T>>>);

/// Makes both ends.
pub(crate) fn ticket<T>() -> (Ticket<T>, Counterfoil<T>) {
    let slot = Arc::new(Mutex::new(Slot {
        stage: Stage::Queued,
        answer: None,
        waker: None,
        closed: false,
    }));
    (Ticket(Arc::clone(&slot)), Counterfoil(slot))
}

/// What a withdrawal found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Withdrawal<T> {
    /// The command was still waiting; it will not be taken up.
    InTime,
    /// It had been taken up: its outcome is open.
    TooLate,
    /// It had been answered.
    Answered(T),
}

impl<T> Ticket<T> {
    /// Whether the command still waits to be taken up.
    pub(crate) fn is_queued(&self) -> bool {
        self.0.lock().stage == Stage::Queued
    }

    /// Takes the command back, if it is not too late.
    pub(crate) fn withdraw(self) -> Withdrawal<T> {
        let mut slot = self.0.lock();
        if let Some(answer) = slot.answer.take() {
            return Withdrawal::Answered(answer);
        }
        if slot.stage == Stage::Claimed {
            return Withdrawal::TooLate;
        }
        slot.stage = Stage::Withdrawn;
        Withdrawal::InTime
    }
}

impl<T> Future for Ticket<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock();
        if let Some(answer) = slot.answer.take() {
            return Poll::Ready(Some(answer));
        }
        if slot.closed {
            return Poll::Ready(None);
        }
        match &slot.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => slot.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T> Counterfoil<T> {
    /// Takes the command up; false if it was withdrawn. Claiming twice is allowed.
    pub(crate) fn claim(&self) -> bool {
        let mut slot = self.0.lock();
        if slot.stage == Stage::Withdrawn {
            return false;
        }
        slot.stage = Stage::Claimed;
        true
    }

    /// Whether nobody waits for the command to be taken up any more.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.0.lock().stage == Stage::Withdrawn
    }

    /// Answers.
    pub(crate) fn answer(self, answer: T) {
        let waker = {
            let mut slot = self.0.lock();
            slot.answer = Some(answer);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Counterfoil<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = self.0.lock();
            slot.closed = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_command_is_withdrawn_only_before_it_is_claimed() {
        let (waiting, foil) = ticket::<u8>();
        assert_eq!(waiting.withdraw(), Withdrawal::InTime);
        assert!(!foil.claim() && foil.is_withdrawn());

        let (waiting, foil) = ticket::<u8>();
        assert!(foil.claim());
        assert_eq!(waiting.withdraw(), Withdrawal::TooLate);

        let (waiting, foil) = ticket::<u8>();
        assert!(foil.claim());
        foil.answer(7);
        assert_eq!(waiting.withdraw(), Withdrawal::Answered(7));
    }

    #[test]
    fn an_answer_arrives_and_a_dropped_counterfoil_is_noticed() {
        let (waiting, foil) = ticket::<u8>();
        foil.answer(3);
        assert_eq!(waiting.now_or_never(), Some(Some(3)));

        let (waiting, foil) = ticket::<u8>();
        drop(foil);
        assert_eq!(waiting.now_or_never(), Some(None));
    }
}
