//! Logs that take nothing more, since a change of theirs failed half-way, are opened anew.
//!
//! A disk that is full may refuse what takes a failed write back, or the middle of a truncation. Its directory serves on,
//! and only that log is neither the old one nor the new one: its writer refuses everything, and opening the log recovers
//! it. Until that succeeds, its replica serves nobody.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use levada_types::TopicIdPartition;
use parking_lot::Mutex;

use super::transit::Transit;
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

    /// As [`Self::add`], for a replica whose actor has ended already.
    pub(super) fn add_ended(&self, partition: &Arc<Partition>) {
        partition.turn(Health::Closed);
        self.keep(Closed { partition: Arc::clone(partition), has_ended: true });
    }

    /// Has another go at a replica that was added before and whose actor goes on.
    pub(super) fn add_again(&self, partition: &Arc<Partition>) {
        self.keep(Closed { partition: Arc::clone(partition), has_ended: false });
    }

    fn keep(&self, closed: Closed) {
        match self.0.lock().entry(closed.partition.id()) {
            Entry::Occupied(mut known) => {
                // If another has taken its place, that one goes first.
                let known = known.get_mut();
                known.has_ended |= closed.has_ended && Arc::ptr_eq(&known.partition, &closed.partition);
            }
            Entry::Vacant(vacant) => {
                vacant.insert(closed);
            }
        }
    }
}

impl Broker {
    /// Opens logs anew that take nothing more; `unopened` remembers why some could not be. Blocks.
    pub(crate) fn open_closed_logs(self: &Arc<Self>, unopened: &mut Unopened) {
        let ids: Vec<_> = self.replication.closed_logs.0.lock().keys().copied().collect();
        unopened.retain(|id, _| ids.contains(id));
        for id in ids {
            // One by one: a defect met with one must not make the others be forgotten.
            let closed = self.replication.closed_logs.0.lock().remove(&id);
            if let Some(closed) = closed {
                self.open_anew(&closed, unopened);
            }
        }
    }

    /// What cannot be opened is tried again the next time.
    fn open_anew(self: &Arc<Self>, closed: &Closed, unopened: &mut Unopened) {
        // Its directory may have failed meanwhile, or it was taken away; and a move puts it back itself.
        let Some(mut transit) = Transit::begin(self, &closed.partition, Health::Closed) else { return };
        if transit.rest(closed.has_ended) && transit.host_again(unopened) {
            tracing::info!(partition = %closed.partition.name(), "the log was opened anew and takes records again");
        }
    }
}
