//! The cluster's state as this machine knows it: the fold of the system shard's events, as far as they are here.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::position::{Position, Positions, ShardId};
use tokio::sync::watch;

use super::control::{ClusterState, Control};
use crate::node::Node;
use crate::subscription::Subscription;

/// The state, and how far it has come.
#[derive(Debug)]
pub(super) struct View {
    state: RwLock<Arc<ClusterState>>,
    folded: watch::Sender<u64>,
}

impl View {
    /// Folds what is here, and goes on folding what comes until the node is closed.
    pub(super) async fn open(control: &Node<Control>) -> Result<Arc<Self>, StoreError> {
        let view = Arc::new(Self { state: RwLock::default(), folded: watch::Sender::new(0) });
        let mut subscription = control.subscribe(&Positions::start(1));
        loop {
            let entries = subscription.read().await?;
            if entries.is_empty() {
                break;
            }
            view.fold(&entries)?;
        }
        tokio::spawn(follow(Arc::downgrade(&view), subscription));
        Ok(view)
    }

    pub(super) fn state(&self) -> Arc<ClusterState> {
        Arc::clone(&self.state.read())
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.folded.subscribe()
    }

    /// Waits until what stands at these positions is folded, or the time is up.
    pub(super) async fn wait_for(&self, positions: &Positions, deadline: Duration) {
        let index = positions.get(ShardId(0)).index().0;
        let mut folded = self.folded.subscribe();
        // What is late is seen later.
        let _ = tokio::time::timeout(deadline, folded.wait_for(|folded| *folded >= index)).await;
    }

    fn fold(&self, entries: &[CommittedEntry]) -> Result<(), StoreError> {
        let mut state = ClusterState::clone(&self.state.read());
        let mut last = Position::START;
        for entry in entries {
            for (position, event) in entry.events() {
                Control::evolve(&mut state, &Control::decode_event(event.kind, &event.payload)?);
                last = position;
            }
        }
        *self.state.write() = Arc::new(state);
        self.folded.send_replace(last.index().0);
        Ok(())
    }
}

async fn follow(view: std::sync::Weak<View>, mut subscription: Subscription) {
    loop {
        let entries = subscription.next().await;
        let Some(view) = view.upgrade() else { return };
        match entries.and_then(|entries| view.fold(&entries)) {
            Ok(()) => {}
            Err(StoreError::Io(_)) => return,
            Err(error) => {
                tracing::error!(%error, "the cluster's state cannot be read");
                return;
            }
        }
    }
}
