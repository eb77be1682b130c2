//! The cluster's state as this machine knows it: the fold of the system shard's events, as far as they are here.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rotabase_engine::db::StoreError;
use rotabase_engine::domain::Domain as _;
use rotabase_engine::entry::CommittedEntry;
use rotabase_engine::position::{Positions, ShardId};
use tokio::sync::watch;

use super::control::{ClusterState, Control};
use crate::node::Node;
use crate::subscription::Subscription;

/// The pause after events could not be read.
const READ_RETRY: Duration = Duration::from_millis(500);

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
        while view.fold_next(&mut subscription).await? {}
        crate::runtime::spawn(follow(Arc::downgrade(&view), subscription));
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

    /// Folds what comes next, if anything is there; whether anything was.
    async fn fold_next(&self, subscription: &mut Subscription) -> Result<bool, StoreError> {
        let entries = subscription.read().await?;
        self.fold(&entries)?;
        // Entries without events count: who waits for one of them need not wait for the next event.
        let index = subscription.positions().get(ShardId(0)).index().0;
        self.folded.send_if_modified(|folded| std::mem::replace(folded, index) != index);
        Ok(!entries.is_empty())
    }

    fn fold(&self, entries: &[CommittedEntry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut state = ClusterState::clone(&self.state.read());
        for (_, event) in entries.iter().flat_map(CommittedEntry::events) {
            Control::evolve(&mut state, &Control::decode_event(event.kind, &event.payload)?);
        }
        *self.state.write() = Arc::new(state);
        Ok(())
    }
}

async fn follow(view: std::sync::Weak<View>, mut subscription: Subscription) {
    loop {
        let Some(folding) = view.upgrade() else { return };
        let folded = folding.fold_next(&mut subscription).await;
        drop(folding);
        match folded {
            Ok(true) => {}
            Ok(false) => {
                if subscription.changed().await.is_err() {
                    return;
                }
            }
            Err(StoreError::Io(error)) => {
                tracing::warn!(%error, "the cluster's events could not be read");
                tokio::time::sleep(READ_RETRY).await;
            }
            Err(error) => {
                tracing::error!(%error, "the cluster's state cannot be read");
                return;
            }
        }
    }
}
