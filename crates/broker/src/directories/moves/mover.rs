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

/// Moves what is to be moved, until `stop`. What is not finished then goes on at the next start.
pub(crate) async fn move_replicas(broker: Arc<Broker>, stop: CancellationToken) {
    let resuming = Arc::clone(&broker);
    if let Err(defect) = tokio::task::spawn_blocking(move || resume(&resuming)).await {
        tracing::error!(%defect, "a defect kept moves from going on");
    }
    let moving = async {
        let mut copies = HashMap::new();
        loop {
            end_others(&broker, &mut copies).await;
            let throttle = &broker.replication.throttles.moves;
            let is_free = throttle.pause(uptime_ms()).is_zero();
            if is_free && pass(&broker, &mut copies).await {
                continue;
            }
            let wait = async {
                if broker.moves.first(1).is_empty() {
                    std::future::pending::<()>().await;
                } else if is_free {
                    tokio::time::sleep(RETRY).await;
                } else {
                    throttle.room().await;
                }
            };
            tokio::select! {
                () = wait => {}
                () = broker.moves.news() => {}
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = moving => {}
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

/// Gives up the copies that nobody wants any more.
async fn end_others(broker: &Arc<Broker>, copies: &mut HashMap<TopicIdPartition, Copying>) {
    let ended: Vec<_> = copies.extract_if(|id, copying| !broker.moves.is_wanted(*id, copying.to)).collect();
    for (id, copying) in ended {
        let ending = Arc::clone(broker);
        let ended = tokio::task::spawn_blocking(move || {
            drop(copying);
            Copying::give_up(&ending, id);
        });
        if let Err(defect) = ended.await {
            tracing::error!(%id, %defect, "a defect kept the copy of a replica from being given up");
        }
    }
}

/// Gives each of the first few a step; says whether any has come further.
async fn pass(broker: &Arc<Broker>, copies: &mut HashMap<TopicIdPartition, Copying>) -> bool {
    let wanted = broker.moves.first(AT_ONCE);
    let mut has_gained = false;
    for (id, to) in wanted {
        has_gained |= advance(broker, copies, id, to).await;
    }
    has_gained
}

async fn advance(
    broker: &Arc<Broker>,
    copies: &mut HashMap<TopicIdPartition, Copying>,
    id: TopicIdPartition,
    to: DirectoryId,
) -> bool {
    let (copying, stepping) = (copies.remove(&id), Arc::clone(broker));
    let step = tokio::task::spawn_blocking(move || Copying::step(&stepping, id, to, copying)).await;
    match step {
        Ok(Step::Copied(copying, bytes)) => {
            broker.replication.throttles.moves.spend(bytes, uptime_ms());
            copies.insert(id, copying);
            true
        }
        Ok(Step::Waits(copying)) => {
            if let Some(copying) = copying {
                copies.insert(id, copying);
            } else {
                // Its disk is full, say: others come first.
                broker.moves.postpone(id);
            }
            false
        }
        Ok(Step::Over) => {
            broker.moves.done(id, to);
            true
        }
        Err(defect) => {
            tracing::error!(%id, %defect, "a defect stopped the move of a replica");
            broker.moves.done(id, to);
            true
        }
    }
}
