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

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    /// Far enough that it never comes in a test.
    fn never() -> Instant {
        Instant::now() + Duration::from_secs(3_600)
    }

    #[tokio::test]
    async fn one_tries_at_a_time() {
        let turns = Turns::default();
        let first = turns.wait(7, ready(()), never()).now_or_never().unwrap().unwrap();
        assert!(first.is_some());
        let mut second = Box::pin(turns.wait(7, ready(()), never()));
        assert!((&mut second).now_or_never().is_none());
        let elsewhere = turns.wait(8, ready(()), never()).now_or_never().unwrap().unwrap();
        assert!(elsewhere.is_some(), "another shard has turns of its own");
        drop(first);
        assert!(matches!(second.now_or_never(), Some(Some(Some(_)))));
    }

    #[tokio::test]
    async fn when_one_is_served_all_others_of_the_shard_try_at_once() {
        let turns = Turns::default();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turns.wait(7, pending(), never()))).collect();
        let mut elsewhere = Box::pin(turns.wait(8, pending(), never()));
        assert!(waiting.iter_mut().all(|waits| waits.now_or_never().is_none()));
        assert!((&mut elsewhere).now_or_never().is_none());
        turns.served(7);
        assert!(waiting.into_iter().all(|waits| matches!(waits.now_or_never(), Some(Some(None)))));
        assert!(elsewhere.now_or_never().is_none());
    }
}
