//! `LISTEN` and `NOTIFY`: who listens on which channel, and what waits to be told.
//!
//! As in PostgreSQL, what a transaction notifies is sent when it has committed, and what a session is sent it gets
//! between transactions. One channel has a sender of its own: the database tells it each violation that appears.
//!
//! A session that does not take its notifications is not waited for: beyond [`WAITING_MAX`] they are lost, and the
//! session is told how many.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rotabase_queries::error::Result;
use rotabase_queries::exec::Notifications;
use rotabase_queries::exec::notifications::{REQUESTED_NOTIFICATIONS_MAX, too_many};
use rotabase_queries::projection::ViolationListener;
use tokio::sync::Notify;

use super::api::Notification;

/// The channel on which the database tells each new violation.
pub(crate) const VIOLATIONS_CHANNEL: &str = "schedule_violations";

/// The notifications that may wait for one session.
pub(crate) const WAITING_MAX: usize = 10_000;

/// The bytes of payload that may wait for one session.
pub(crate) const WAITING_BYTES_MAX: usize = 16 << 20;

/// The channels of a node.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    listeners: Mutex<BTreeMap<String, BTreeMap<u64, Arc<Mailbox>>>>,
    /// The sessions that listen for violations.
    for_violations: AtomicUsize,
    next: AtomicU64,
}

/// What waits for one session.
#[derive(Debug)]
struct Mailbox {
    number: u64,
    pid: i32,
    waiting: Mutex<Waiting>,
    wakeup: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Waiting {
    notifications: VecDeque<Notification>,
    bytes: usize,
    lost: usize,
}

impl Channels {
    /// Sends a notification to whoever listens now.
    fn send(&self, pid: i32, channel: &str, payload: &str) {
        if let Some(listeners) = self.listeners.lock().get(channel) {
            for listener in listeners.values() {
                listener.put(pid, channel, payload);
            }
        }
    }

    fn listen(&self, channel: &str, mailbox: &Arc<Mailbox>) {
        let mut listeners = self.listeners.lock();
        let of_channel = listeners.entry(channel.to_owned()).or_default();
        let new = of_channel.insert(mailbox.number, Arc::clone(mailbox)).is_none();
        if new && channel == VIOLATIONS_CHANNEL {
            self.for_violations.fetch_add(1, Ordering::Release);
        }
    }

    fn unlisten(&self, channel: &str, mailbox: &Mailbox) {
        let mut listeners = self.listeners.lock();
        let Some(of_channel) = listeners.get_mut(channel) else { return };
        if of_channel.remove(&mailbox.number).is_some() && channel == VIOLATIONS_CHANNEL {
            self.for_violations.fetch_sub(1, Ordering::Release);
        }
        if of_channel.is_empty() {
            listeners.remove(channel);
        }
    }
}

impl ViolationListener for Channels {
    fn is_listening(&self) -> bool {
        self.for_violations.load(Ordering::Acquire) > 0
    }

    fn appeared(&self, violations: Vec<String>, left_out: usize) {
        let listeners = self.listeners.lock();
        let Some(listeners) = listeners.get(VIOLATIONS_CHANNEL) else { return };
        for mailbox in listeners.values() {
            for violation in &violations {
                mailbox.put(mailbox.pid, VIOLATIONS_CHANNEL, violation);
            }
            mailbox.lose(left_out);
        }
    }
}

impl Mailbox {
    fn put(&self, pid: i32, channel: &str, payload: &str) {
        let mut waiting = self.waiting.lock();
        if waiting.notifications.len() >= WAITING_MAX
            || waiting.bytes + payload.len() > WAITING_BYTES_MAX
        {
            waiting.lost += 1;
            return;
        }
        waiting.bytes += payload.len();
        let (channel, payload) = (channel.to_owned(), payload.to_owned());
        waiting.notifications.push_back(Notification { pid, channel, payload });
        self.wakeup.notify_one();
    }

    fn lose(&self, count: usize) {
        if count > 0 {
            self.waiting.lock().lost += count;
            self.wakeup.notify_one();
        }
    }
}

/// A change that waits for its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Listen(String),
    Unlisten(String),
    UnlistenAll,
    Notify(String, String),
}

/// One session's part: where it listens, and what its transaction wants to change. It listens no more when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    channels: Arc<Channels>,
    mailbox: Arc<Mailbox>,
    listening: BTreeSet<String>,
    changes: Vec<Change>,
    /// What the transaction has notified already: the same is sent once.
    notified: BTreeSet<(String, String)>,
    /// Names of savepoints, and how many changes there were.
    savepoints: Vec<(String, usize)>,
    /// What the session's statements see of it.
    shown: Arc<Notifications>,
}

impl Listening {
    /// A session that listens on nothing.
    pub(crate) fn new(
        channels: &Arc<Channels>,
        pid: i32,
        wakeup: &Arc<Notify>,
        shown: &Arc<Notifications>,
    ) -> Self {
        let number = channels.next.fetch_add(1, Ordering::Relaxed);
        let mailbox =
            Mailbox { number, pid, waiting: Mutex::default(), wakeup: Arc::clone(wakeup) };
        Self {
            channels: Arc::clone(channels),
            mailbox: Arc::new(mailbox),
            listening: BTreeSet::new(),
            changes: Vec::new(),
            notified: BTreeSet::new(),
            savepoints: Vec::new(),
            shown: Arc::clone(shown),
        }
    }

    /// LISTEN, once the transaction commits.
    pub(crate) fn listen(&mut self, channel: &str) -> Result<()> {
        self.change(Change::Listen(channel.to_owned()))
    }

    /// UNLISTEN of a channel or of all, once the transaction commits.
    pub(crate) fn unlisten(&mut self, channel: Option<&str>) -> Result<()> {
        let all = || Change::UnlistenAll;
        self.change(channel.map_or_else(all, |channel| Change::Unlisten(channel.to_owned())))
    }

    /// Takes over what statements have notified, to be sent once the transaction commits.
    pub(crate) fn take_requested(&mut self) -> Result<()> {
        for (channel, payload) in self.shown.take() {
            if self.notified.insert((channel.clone(), payload.clone())) {
                self.change(Change::Notify(channel, payload))?;
            }
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<()> {
        if self.changes.len() >= REQUESTED_NOTIFICATIONS_MAX {
            return Err(too_many());
        }
        self.changes.push(change);
        Ok(())
    }

    /// Sets a savepoint.
    pub(crate) fn savepoint(&mut self, name: String) {
        self.savepoints.push((name, self.changes.len()));
    }

    /// Forgets what was asked for since a savepoint.
    pub(crate) fn roll_back_to(&mut self, name: &str) {
        let Some(at) = self.savepoints.iter().rposition(|(it, _)| it == name) else { return };
        self.changes.truncate(self.savepoints[at].1);
        self.savepoints.truncate(at + 1);
        let kept = self.changes.iter().filter_map(|change| match change {
            Change::Notify(channel, payload) => Some((channel.clone(), payload.clone())),
            Change::Listen(_) | Change::Unlisten(_) | Change::UnlistenAll => None,
        });
        self.notified = kept.collect();
    }

    /// The transaction has committed: what it asked for happens.
    pub(crate) fn commit(&mut self) {
        if self.changes.is_empty() {
            return self.roll_back();
        }
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Listen(channel) => {
                    self.channels.listen(&channel, &self.mailbox);
                    self.listening.insert(channel);
                }
                Change::Unlisten(channel) => {
                    self.channels.unlisten(&channel, &self.mailbox);
                    self.listening.remove(&channel);
                }
                Change::UnlistenAll => self.end(),
                Change::Notify(channel, payload) => {
                    self.channels.send(self.mailbox.pid, &channel, &payload);
                }
            }
        }
        self.shown.set_listening(self.listening.iter().cloned().collect());
        self.roll_back();
    }

    /// The transaction has ended otherwise: nothing of it happens.
    pub(crate) fn roll_back(&mut self) {
        self.changes.clear();
        if !self.notified.is_empty() {
            self.notified.clear();
        }
        self.savepoints.clear();
        self.shown.take();
    }

    /// A statement has failed: what it notified does not count.
    pub(crate) fn shown_is_void(&self) {
        self.shown.take();
    }

    /// What waits for the session, and how many were lost since it last asked.
    pub(crate) fn take(&self) -> (Vec<Notification>, usize) {
        let waiting = std::mem::take(&mut *self.mailbox.waiting.lock());
        (waiting.notifications.into(), waiting.lost)
    }

    fn end(&mut self) {
        for channel in std::mem::take(&mut self.listening) {
            self.channels.unlisten(&channel, &self.mailbox);
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(channels: &Arc<Channels>, pid: i32) -> Listening {
        Listening::new(channels, pid, &Arc::default(), &Arc::default())
    }

    fn notify(session: &mut Listening, channel: &str, payload: &str) {
        session.shown.request(channel, payload).expect("a notification");
        session.take_requested().expect("room");
    }

    fn payloads(session: &Listening) -> Vec<String> {
        session.take().0.into_iter().map(|it| it.payload).collect()
    }

    #[test]
    fn what_a_transaction_notifies_is_sent_once_and_only_when_it_commits() {
        let channels = Arc::<Channels>::default();
        let (mut listener, mut sender) = (session(&channels, 1), session(&channels, 2));
        listener.listen("c").expect("room");
        notify(&mut sender, "c", "too early");
        sender.commit();
        listener.commit();
        notify(&mut sender, "c", "1");
        notify(&mut sender, "c", "2");
        sender.savepoint("s".to_owned());
        notify(&mut sender, "c", "3");
        sender.roll_back_to("s");
        notify(&mut sender, "c", "1");
        notify(&mut sender, "d", "4");
        assert!(payloads(&listener).is_empty());
        sender.commit();
        assert_eq!(payloads(&listener), ["1", "2"]);
        notify(&mut sender, "c", "5");
        sender.roll_back();
        sender.commit();
        assert!(payloads(&listener).is_empty());
    }

    #[test]
    fn a_session_that_takes_nothing_loses_what_is_too_much_and_hears_of_it() {
        let channels = Arc::<Channels>::default();
        let mut listener = session(&channels, 1);
        listener.listen(VIOLATIONS_CHANNEL).expect("room");
        assert!(!channels.is_listening());
        listener.commit();
        assert!(channels.is_listening());
        channels.appeared(vec![String::new(); WAITING_MAX + 3], 4);
        let (taken, lost) = listener.take();
        assert_eq!((taken.len(), lost), (WAITING_MAX, 7));
        assert_eq!(taken[0].pid, 1);
        drop(listener);
        assert!(!channels.is_listening());
        assert!(channels.listeners.lock().is_empty());
    }
}
