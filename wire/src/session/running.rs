//! What stops a running statement: the client's cancel request and `statement_timeout`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rotabase_queries::error::{Result, SqlError, SqlState};
use rotabase_queries::exec::Cancel;
use tokio::sync::Notify;

/// The session's running statement, as whoever may cancel it sees it.
#[derive(Debug, Default)]
pub(crate) struct Running {
    current: Mutex<Option<Arc<Stop>>>,
    /// The flag of a statement that has ended without being stopped: the next one's.
    spare: Mutex<Option<Arc<Stop>>>,
}

/// The flag of one statement.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    cancel: Cancel,
    timed_out: AtomicBool,
    notify: Notify,
}

impl Running {
    /// Begins a statement; with a timeout, it is stopped when that has passed.
    pub(crate) fn begin(self: &Arc<Self>, timeout: Option<Duration>) -> Statement {
        let stop = self.spare.lock().take().unwrap_or_default();
        let before = self.current.lock().replace(Arc::clone(&stop));
        let timer = timeout.map(|timeout| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                tokio::time::sleep(timeout).await;
                stop.timed_out.store(true, Ordering::Relaxed);
                stop.stop();
            })
        });
        Statement { running: Arc::clone(self), stop, before, timer, timeout }
    }

    /// Stops whatever runs.
    pub(crate) fn cancel(&self) {
        if let Some(stop) = self.current.lock().as_ref() {
            stop.stop();
        }
    }
}

impl Stop {
    fn stop(&self) {
        self.cancel.cancel();
        self.notify.notify_waiters();
        self.notify.notify_one();
    }
}

/// A statement that runs; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Statement {
    running: Arc<Running>,
    stop: Arc<Stop>,
    /// What ran when it began, and may still give rows when it has ended.
    before: Option<Arc<Stop>>,
    timer: Option<tokio::task::JoinHandle<()>>,
    timeout: Option<Duration>,
}

impl Statement {
    /// The flag that the executor looks at.
    pub(crate) fn cancel(&self) -> Cancel {
        self.stop.cancel.clone()
    }

    /// `statement_timeout`, if there is one.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Waits for something that only reads; gives up when the statement is stopped.
    pub(crate) async fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            value = future => Ok(value),
            () = self.stop.notify.notified() => Err(self.stopped()),
        }
    }

    /// 57014 once the statement has been stopped.
    pub(crate) fn check(&self) -> Result<()> {
        self.cancel().check().map_err(|_| self.stopped())
    }

    /// Says what stopped the statement, where the executor only knows that it was stopped.
    pub(crate) fn explain(&self, error: SqlError) -> SqlError {
        if error.state == SqlState::QUERY_CANCELED && self.stop.timed_out.load(Ordering::Relaxed) {
            return self.stopped();
        }
        error
    }

    /// 57014, for the reason it was stopped.
    pub(crate) fn stopped(&self) -> SqlError {
        let reason = if self.stop.timed_out.load(Ordering::Relaxed) {
            "statement timeout"
        } else {
            "user request"
        };
        SqlError::new(SqlState::QUERY_CANCELED, format!("canceling statement due to {reason}"))
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
        let mut current = self.running.current.lock();
        if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, &self.stop)) {
            *current = self.before.take();
        }
        drop(current);
        if self.timer.is_none()
            && self.stop.cancel.is_unused()
            && Arc::strong_count(&self.stop) == 1
        {
            *self.running.spare.lock() = Some(Arc::clone(&self.stop));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timeout_says_that_it_was_one() {
        let running = Arc::new(Running::default());
        let statement = running.begin(Some(Duration::from_millis(1)));
        let error = statement.wait(std::future::pending::<()>()).await.expect_err("stopped");
        assert_eq!(error.message, "canceling statement due to statement timeout");
        assert!(statement.cancel().check().is_err());
    }

    #[tokio::test]
    async fn a_cancel_hits_what_still_gives_rows_when_what_came_after_has_ended() {
        let running = Arc::new(Running::default());
        let rows = running.begin(None);
        drop(running.begin(None));
        running.cancel();
        assert!(rows.cancel().check().is_err());
    }

    #[tokio::test]
    async fn a_cancel_hits_what_runs_and_nothing_else() {
        let running = Arc::new(Running::default());
        drop(running.begin(None));
        running.cancel();
        let statement = running.begin(None);
        assert!(statement.cancel().check().is_ok());
        running.cancel();
        let error = statement.wait(std::future::pending::<()>()).await.expect_err("stopped");
        assert_eq!(error.message, "canceling statement due to user request");
    }
}
