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
use crate::Broker;
use crate::threads::InFlight;

/// Bytes of records that a leader may send of one replica before it has acknowledged any: Kafka's default of
/// `replica.fetch.max.bytes`. Some tail streams' worth of round trips, and little enough to have a thousand replicas
/// catching up at once within [`QUEUED_BYTES`] each.
pub(crate) const CREDIT: u32 = 1 << 20;

/// Bytes of frames of each kind of stream that may wait for the log threads before the streams are not read any more.
const QUEUED_BYTES: usize = 64 << 20;

/// What is told to each leader, and the bounds on what they send.
pub(crate) struct Leaders {
    outboxes: DashMap<BrokerId, Arc<Outbox>>,
    news: Notify,
    /// Bytes of frames of tail streams that wait for the log threads.
    pub(super) tail_bytes: Arc<InFlight>,
    /// Bytes of frames of catch-up streams that wait for them.
    pub(super) catch_up_bytes: Arc<InFlight>,
}

impl Default for Leaders {
    fn default() -> Self {
        Self {
            outboxes: DashMap::new(),
            news: Notify::new(),
            tail_bytes: InFlight::new(QUEUED_BYTES),
            catch_up_bytes: InFlight::new(QUEUED_BYTES),
        }
    }
}

impl Leaders {
    /// Asks `leader` for what follows the log end of a replica.
    pub(crate) fn attach(&self, leader: BrokerId, partition: TopicIdPartition, attach: Attach) {
        if let Some(outbox) = self.outboxes.get(&leader) {
            outbox.attach(partition, attach, CREDIT);
            return;
        }
        self.outboxes.entry(leader).or_default().attach(partition, attach, CREDIT);
        self.news.notify_one();
    }

    /// Tells `leader` how far a replica has come, and grants `credit` more bytes.
    pub(crate) fn ack(&self, leader: BrokerId, partition: TopicIdPartition, ack: Ack, credit: u32) {
        if let Some(outbox) = self.outboxes.get(&leader) {
            outbox.ack(partition, ack, credit);
        }
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
