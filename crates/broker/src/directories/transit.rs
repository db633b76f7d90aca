//! A replica that its actor lets go of for a while, since its log is opened anew: where it lies, or in another directory.
//!
//! That waits for the actor and for disks, so nothing is locked meanwhile, and the broker goes on following the metadata.
//! Until it is over nobody else touches a log of that name: the reconciler opens none, and leaves the deletion of one whose
//! topic has gone to whoever has it in transit. However it ends, by a defect too, one replica is there afterwards, or none
//! if it is no longer assigned here.

use std::collections::HashSet;
use std::sync::Arc;

use levada_log::PromotionError;
use levada_metadata::Image;
use levada_types::TopicPartition;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::stand_still::stand_still;
use crate::Broker;
use crate::partition::{Health, Partition};
use crate::reconcile::Unopened;

/// The logs that are in transit, by the names under which the store knows them. They come while `hosting` is locked.
#[derive(Default)]
pub(crate) struct Transits {
    under_way: Mutex<HashSet<TopicPartition>>,
    ended: Condvar,
}

impl Transits {
    /// Whether a log of this name is in transit.
    pub(crate) fn contains(&self, name: &TopicPartition) -> bool {
        self.under_way.lock().contains(name)
    }

    /// Blocks while any is under way.
    fn wait_for_all(&self) {
        let mut under_way = self.under_way.lock();
        while !under_way.is_empty() {
            self.ended.wait(&mut under_way);
        }
    }

    fn begin(&self, name: &TopicPartition) -> bool {
        self.under_way.lock().insert(name.clone())
    }

    fn end(&self, name: &TopicPartition) {
        self.under_way.lock().remove(name);
        self.ended.notify_all();
    }
}

impl Broker {
    /// Locks `hosting` while no log is in transit. Blocks.
    pub(crate) fn settle_hosting(&self) -> MutexGuard<'_, Option<Arc<Image>>> {
        loop {
            self.transits.wait_for_all();
            let hosting = self.hosting.lock();
            if self.transits.under_way.lock().is_empty() {
                return hosting;
            }
        }
    }

    /// Whether this very replica is hosted, and not another one that has taken its place.
    fn hosts(&self, partition: &Arc<Partition>) -> bool {
        self.partitions.get(&partition.id()).is_some_and(|hosted| Arc::ptr_eq(&hosted, partition))
    }
}

/// A replica whose log is opened anew. Whoever drops it before that has been done puts the replica back.
pub(super) struct Transit {
    broker: Arc<Broker>,
    partition: Arc<Partition>,
    stage: Stage,
}

/// Who has the log.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Its actor still has it.
    Held,
    /// Nobody writes it.
    AtRest,
    /// Another is taking its place, and nobody can tell yet which of them it is.
    Switching,
    /// The actor of the replica that has taken its place.
    Over,
}

impl Transit {
    /// Begins, if this replica is still the one that is hosted, is in this health, and is not in transit already.
    pub(super) fn begin(broker: &Arc<Broker>, partition: &Arc<Partition>, health: Health) -> Option<Self> {
        let _hosting = broker.hosting.lock();
        let begins = broker.hosts(partition) && partition.health() == health && broker.transits.begin(partition.name());
        begins.then(|| Self { broker: Arc::clone(broker), partition: Arc::clone(partition), stage: Stage::Held })
    }

    /// Ends the replica's actor, unless it is known that it `has_ended`; says whether nobody writes the log any more.
    /// Blocks.
    pub(super) fn rest(&mut self, has_ended: bool) -> bool {
        let rests = has_ended || stand_still(&self.partition);
        if rests {
            self.stage = Stage::AtRest;
        }
        rests
    }

    /// Has another log take the place of this one, which rests.
    pub(super) fn switch(
        &mut self,
        promote: impl FnOnce() -> Result<(), PromotionError>,
    ) -> Result<(), PromotionError> {
        self.stage = Stage::Switching;
        let switched = promote();
        if !matches!(switched, Err(PromotionError::Stuck(_))) {
            self.stage = Stage::AtRest;
        }
        switched
    }

    /// Opens the log, which rests, wherever it lies by now, and lets a new replica take the place of the one that was
    /// hosted; says whether that went well, and remembers in `unopened` why the log could not be opened. Blocks.
    pub(super) fn host_again(mut self, unopened: &mut Unopened) -> bool {
        let Some((opened, config)) = self.broker.open_again(&self.partition, unopened) else { return false };
        let acted_upon = self.broker.hosting.lock();
        // Otherwise it was taken away meanwhile.
        if !self.broker.hosts(&self.partition) {
            return false;
        }
        let image = acted_upon.clone().unwrap_or_else(|| self.broker.image());
        let is_hosted = self.broker.host_again(&image, &self.partition, opened, &config);
        if is_hosted {
            self.stage = Stage::Over;
            self.broker.transits.end(self.partition.name());
        }
        is_hosted
    }
}

impl Drop for Transit {
    fn drop(&mut self) {
        let (broker, partition) = (&self.broker, &self.partition);
        if matches!(self.stage, Stage::Over) {
            return;
        }
        let hosting = broker.hosting.lock();
        match self.stage {
            _ if partition.health() == Health::Gone => {
                // Nothing hosts it again, so this may wait.
                drop(hosting);
                broker.end_and_delete(std::slice::from_ref(partition));
                broker.transits.end(partition.name());
                return;
            }
            Stage::Held if partition.health() == Health::Closed => broker.replication.closed_logs.add_again(partition),
            Stage::Held | Stage::Over => {}
            Stage::AtRest => broker.replication.closed_logs.add_ended(partition),
            Stage::Switching => {
                partition.turn(Health::Failed);
                let why =
                    "the move of a log out of it stopped half-way, and a crash could bring back either of the two";
                broker.store.give_up_directory(partition.directory(), why);
            }
        }
        broker.transits.end(partition.name());
    }
}
