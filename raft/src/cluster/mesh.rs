//! The network as a cluster uses it: who may talk to whom, and a way to others for each node of a machine.
//!
//! [`Network`] is the one between machines; a simulation has another.

use std::fmt::Debug;
use std::sync::Arc;

use openraft::base::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::net::{Guests, Members, Network, Traffic};
use crate::transport::Transport;
use crate::type_config::MachineId;

/// This machine's end of a network; see [`Network`].
pub trait Mesh: Debug + Send + Sync + 'static {
    /// The end of one node; each node of a machine has a number of its own.
    fn space(&self, number: u8) -> Arc<dyn Transport>;

    /// Says who belongs to the cluster: others are not talked to.
    fn set_members(&self, members: Members);

    /// Says which number a machine was given last: who has none higher and is no member was one. Until that is this
    /// machine's own, or a higher one, it listens to all machines of the cluster.
    fn admitted_up_to(&self, machine: MachineId);

    /// Tells when another member says that this machine is none any more.
    fn turned_away(&self) -> watch::Receiver<bool>;

    /// The cluster, and the shards of its database.
    fn identity(&self) -> (Uuid, u16);

    /// Whether a machine can be asked now.
    fn reaches(&self, machine: MachineId) -> bool;

    /// What was sent so far.
    fn traffic(&self) -> Arc<Traffic>;

    /// Says who answers those who are no members. Counts once.
    fn welcome_guests(&self, guests: Arc<dyn Guests>);

    /// Ends all connections.
    fn stop(&self) -> BoxFuture<'static, ()>;
}

impl Mesh for Network {
    fn space(&self, number: u8) -> Arc<dyn Transport> {
        Self::space(self, number)
    }

    fn set_members(&self, members: Members) {
        Self::set_members(self, members);
    }

    fn admitted_up_to(&self, machine: MachineId) {
        Self::admitted_up_to(self, machine);
    }

    fn turned_away(&self) -> watch::Receiver<bool> {
        Self::turned_away(self)
    }

    fn identity(&self) -> (Uuid, u16) {
        Self::identity(self)
    }

    fn reaches(&self, machine: MachineId) -> bool {
        Self::reaches(self, machine)
    }

    fn traffic(&self) -> Arc<Traffic> {
        Self::traffic(self)
    }

    fn welcome_guests(&self, guests: Arc<dyn Guests>) {
        Self::welcome_guests(self, guests);
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let network = self.clone();
        Box::pin(async move { Self::stop(&network).await })
    }
}
