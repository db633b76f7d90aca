//! Who tries next, when many wait for a shard that changes hands or is loaded.
//!
//! Thousands of members speak every few seconds. If each of them tried again by itself, they would keep the coordinator
//! that loads their shard from loading it. So one tries at a time, and when one is served all others try at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use levada_types::PartitionIndex;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;

use super::TURN;

/// The turns of all shards.
#[derive(Debug, Default)]
pub(super) struct Turns {
    shards: Mutex<HashMap<PartitionIndex, Arc<Waiting>>>,
}

/// Those who wait for one shard.
#[derive(Debug, Default)]
struct Waiting {
    turn: Arc<tokio::sync::Mutex<()>>,
    served: Notify,
}

/// The right to try while others wait.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Takes note that the shard serves.
    pub(super) fn served(&self, shard: PartitionIndex) {
        if let Some(waiting) = self.shards().remove(&shard) {
            waiting.served.notify_waiters();
        }
    }

    /// Waits until it makes sense to try again: for a turn and then for `pause`, or until another one was served. `None`
    /// if neither came before `until`.
    pub(super) async fn wait(
        &self,
        shard: PartitionIndex,
        pause: impl Future<Output = ()>,
        until: Instant,
    ) -> Option<Option<Turn>> {
        let waiting = Arc::clone(self.shards().entry(shard).or_default());
        let turn = async {
            let turn = Arc::clone(&waiting.turn).lock_owned().await;
            pause.await;
            turn
        };
        tokio::select! {
            biased;
            () = waiting.served.notified() => Some(None),
            () = tokio::time::sleep_until(until) => None,
            turn = turn => Some(Some(turn)),
        }
    }

    fn shards(&self) -> std::sync::MutexGuard<'_, HashMap<PartitionIndex, Arc<Waiting>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `attempt`, and gives the turn back when it takes long: what waits for other members keeps nobody from trying.
pub(super) async fn for_a_turn<T>(turn: Option<Turn>, attempt: impl Future<Output = T>) -> T {
    let mut attempt = std::pin::pin!(attempt);
    if let Some(turn) = turn {
        if let Ok(done) = tokio::time::timeout(TURN, attempt.as_mut()).await {
            return done;
        }
        drop(turn);
    }
    attempt.await
}
