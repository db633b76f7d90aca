//! Logs that take nothing more, since a change of theirs failed half-way, are opened anew.
//!
//! A disk that is full may refuse what takes a failed write back, or the middle of a truncation. Its directory serves on,
//! and only that log is neither the old one nor the new one: its writer refuses everything, and opening the log recovers
//! it. Until that succeeds, its replica serves nobody.

use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;

use levada_types::TopicIdPartition;
use parking_lot::Mutex;

use super::stand_still::stand_still;
use crate::Broker;
use crate::partition::{Health, Partition};
use crate::reconcile::Unopened;

/// Replicas whose logs take nothing more. A broker whose disks have space has none.
#[derive(Default)]
pub(crate) struct ClosedLogs(Mutex<HashMap<TopicIdPartition, Closed>>);

struct Closed {
    partition: Arc<Partition>,
    /// Whether its actor has ended and let go of the log.
    has_ended: bool,
}

impl ClosedLogs {
    /// Has this replica's log opened anew soon. It serves nobody from here on. Its actor's, who finds that out.
    pub(crate) fn add(&self, partition: &Arc<Partition>) {
        if partition.health() != Health::Good {
            return;
        }
        partition.turn(Health::Closed);
        self.0.lock().insert(partition.id(), Closed { partition: Arc::clone(partition), has_ended: false });
        tracing::error!(
            partition = %partition.name(),
            "a change of the log failed half-way: it takes nothing more until it is opened anew, which is tried again and again"
        );
    }

    /// As [`Self::add`], for a replica whose actor has ended already. The one that has taken its place, if any, goes first.
    pub(super) fn add_ended(&self, partition: &Arc<Partition>) {
        partition.turn(Health::Closed);
        self.keep(Closed { partition: Arc::clone(partition), has_ended: true });
    }

    fn keep(&self, closed: Closed) {
        self.0.lock().entry(closed.partition.id()).or_insert(closed);
    }
}

impl Broker {
    /// Opens logs anew that take nothing more; `unopened` remembers why some could not be. Blocks.
    pub(super) fn open_closed_logs(self: &Arc<Self>, unopened: &mut Unopened) {
        let closed = take(&mut *self.replication.closed_logs.0.lock());
        unopened.retain(|id, _| closed.contains_key(id));
        for closed in closed.into_values() {
            if let Some(closed) = self.open_anew(closed, unopened) {
                self.replication.closed_logs.keep(closed);
            }
        }
    }

    /// Gives it back if it is to be tried again.
    fn open_anew(self: &Arc<Self>, mut closed: Closed, unopened: &mut Unopened) -> Option<Closed> {
        let acted_upon = self.hosting.lock();
        let partition = &closed.partition;
        let is_hosted = self.partitions.get(&partition.id()).is_some_and(|hosted| Arc::ptr_eq(&hosted, partition));
        // Its directory may have failed meanwhile, or it was taken away.
        if !is_hosted || partition.health() != Health::Closed {
            return None;
        }
        closed.has_ended = closed.has_ended || stand_still(partition);
        let image = acted_upon.clone().unwrap_or_else(|| self.image());
        if closed.has_ended && self.host_again(&image, partition, unopened) {
            tracing::info!(partition = %partition.name(), "the log was opened anew and takes records again");
            return None;
        }
        Some(closed)
    }
}
