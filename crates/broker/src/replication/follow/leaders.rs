//! The brokers that this one follows.

use std::collections::HashSet;
use std::sync::Arc;

use dashmap::DashMap;
use levada_replication::{Ack, Attach};
use levada_service::net::Network;
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerId, TopicIdPartition};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::link::keep_link;
use super::outbox::Outbox;
use super::room::Rooms;
use crate::Broker;
use crate::partition::Partition;

/// What is told to each leader, and the bounds on what they send.
pub(crate) struct Leaders {
    outboxes: DashMap<BrokerId, Arc<Outbox>>,
    news: Notify,
    /// Bytes of records that a leader may send of one replica before it has acknowledged any.
    pub(crate) credit: u32,
    /// What tail streams may bring.
    pub(super) tail: Rooms,
    /// What catch-up streams may bring.
    pub(super) catch_up: Rooms,
}

impl Leaders {
    /// None yet. `credit` is `replica.fetch.max.bytes`.
    pub(crate) fn new(credit: u32) -> Self {
        let (tail, catch_up) = (Rooms::default(), Rooms::default());
        Self { outboxes: DashMap::new(), news: Notify::new(), credit, tail, catch_up }
    }

    /// Asks `leader` for what follows the log end of a replica, with this credit to begin with, if the throttle lets it.
    pub(crate) fn attach(&self, leader: BrokerId, partition: &Partition, attach: Attach, credit: u32) {
        let is_throttled = || partition.is_throttled_as_follower();
        if let Some(outbox) = self.outboxes.get(&leader) {
            outbox.attach(partition.id(), attach, credit, is_throttled);
            return;
        }
        self.outboxes.entry(leader).or_default().attach(partition.id(), attach, credit, is_throttled);
        self.news.notify_one();
    }

    /// Tells `leader` how far a replica has come, and grants `credit` more bytes.
    pub(crate) fn ack(&self, leader: BrokerId, partition: TopicIdPartition, ack: Ack, credit: u32) {
        if let Some(outbox) = self.outboxes.get(&leader) {
            outbox.ack(partition, ack, credit);
        }
    }

    /// A replica is throttled no more.
    pub(crate) fn let_go(&self, partition: TopicIdPartition) {
        self.outboxes.iter().for_each(|outbox| outbox.let_go(partition));
    }

    /// A replica is not here any more.
    pub(crate) fn forget(&self, partition: TopicIdPartition) {
        self.outboxes.iter().for_each(|outbox| outbox.forget(partition));
    }

    fn all(&self) -> Vec<(BrokerId, Arc<Outbox>)> {
        self.outboxes.iter().map(|entry| (*entry.key(), Arc::clone(entry.value()))).collect()
    }
}

/// Keeps a link to every broker that is followed, until `stop`.
pub(crate) async fn follow_leaders(broker: Arc<Broker>, network: Network, stop: CancellationToken) {
    let mut links = JoinSet::new();
    let mut kept = HashSet::new();
    loop {
        for (leader, outbox) in broker.replication.leaders.all() {
            if kept.insert(leader) {
                links.spawn(keep_link(Arc::clone(&broker), network.clone(), leader, outbox, stop.clone()));
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = broker.replication.leaders.news.notified() => {}
        }
    }
    while links.join_next().await.is_some() {}
}
