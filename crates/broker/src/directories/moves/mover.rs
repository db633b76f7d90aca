//! The task that moves replicas between directories.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_service::shutdown::CancellationToken;
use levada_types::{DirectoryId, TopicIdPartition};

use super::copying::{Copying, Step};
use crate::Broker;
use crate::clock::uptime_ms;

/// Replicas that are copied at the same time. The others wait for their turn, so that each is soon where it is to be.
const AT_ONCE: usize = 4;

/// The pause before what could not go on is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// Moves replicas between the directories of its broker.
pub(crate) struct Mover {
    broker: Arc<Broker>,
    /// The copies that have been begun.
    copies: HashMap<TopicIdPartition, Copying>,
}

/// Moves what is to be moved, until `stop`. What is not finished then goes on at the next start.
pub(crate) async fn move_replicas(broker: Arc<Broker>, stop: CancellationToken) {
    let resuming = Arc::clone(&broker);
    if let Err(defect) = tokio::task::spawn_blocking(move || resume(&resuming)).await {
        tracing::error!(%defect, "a defect kept moves from going on");
    }
    let mut mover = Mover::new(broker);
    tokio::select! {
        () = stop.cancelled() => {}
        () = mover.run() => {}
    }
}

/// Goes on with moves that an earlier process has begun, and gives up those of replicas that are not here.
fn resume(broker: &Broker) {
    for (id, to) in broker.store.found_futures() {
        if broker.partitions.get(&id).is_some_and(|partition| partition.directory() != to) {
            broker.moves.want(id, to);
        } else {
            Copying::give_up(broker, id);
        }
    }
}

impl Mover {
    pub(crate) fn new(broker: Arc<Broker>) -> Self {
        Self { broker, copies: HashMap::new() }
    }

    async fn run(&mut self) {
        loop {
            self.end_others().await;
            let is_free = self.broker.replication.throttles.moves.pause(uptime_ms()).is_zero();
            if is_free && self.pass().await {
                continue;
            }
            let (moves, throttle) = (&self.broker.moves, &self.broker.replication.throttles.moves);
            let wait = async {
                if moves.first(1).is_empty() {
                    std::future::pending::<()>().await;
                } else if is_free {
                    tokio::time::sleep(RETRY).await;
                } else {
                    throttle.room().await;
                }
            };
            tokio::select! {
                () = wait => {}
                () = moves.news() => {}
            }
        }
    }

    /// Gives up the copies that nobody wants any more.
    async fn end_others(&mut self) {
        let moves = &self.broker.moves;
        let ended: Vec<_> = self.copies.extract_if(|id, copying| !moves.is_wanted(*id, copying.to)).collect();
        for (id, copying) in ended {
            self.give_up(id, Some(copying)).await;
        }
    }

    async fn give_up(&self, id: TopicIdPartition, copying: Option<Copying>) {
        let broker = Arc::clone(&self.broker);
        let ended = tokio::task::spawn_blocking(move || {
            drop(copying);
            Copying::give_up(&broker, id);
        });
        if let Err(defect) = ended.await {
            tracing::error!(%id, %defect, "a defect kept the copy of a replica from being given up");
        }
    }

    /// Gives each of the first few a step; says whether any has come further.
    pub(crate) async fn pass(&mut self) -> bool {
        let mut has_gained = false;
        for (id, to) in self.broker.moves.first(AT_ONCE) {
            has_gained |= self.advance(id, to).await;
        }
        has_gained
    }

    async fn advance(&mut self, id: TopicIdPartition, to: DirectoryId) -> bool {
        let (copying, stepping) = (self.copies.remove(&id), Arc::clone(&self.broker));
        let step = tokio::task::spawn_blocking(move || Copying::step(&stepping, id, to, copying)).await;
        match step {
            Ok(Step::Copied(copying, bytes)) => {
                self.broker.replication.throttles.moves.spend(bytes, uptime_ms());
                self.copies.insert(id, copying);
                true
            }
            Ok(Step::Waits(copying)) => {
                self.copies.extend(copying.map(|copying| (id, copying)));
                // Its disk is full, say, or the controller does not answer: others come first.
                self.broker.moves.postpone(id);
                false
            }
            Ok(Step::Over) => {
                self.broker.moves.done(id, to);
                true
            }
            Err(defect) => {
                tracing::error!(%id, %defect, "a defect stopped the move of a replica");
                self.broker.moves.done(id, to);
                self.give_up(id, None).await;
                true
            }
        }
    }
}
