//! Tells replicas that time has passed.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use levada_replication::Event;
use levada_service::shutdown::CancellationToken;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::RETRY_MS;
use crate::Broker;
use crate::partition::Partition;
use crate::threads::Job;

/// Ticks within `replica.lag.time.max.ms`: a follower is noticed to lag at most a quarter of it late.
const TICKS_PER_LAG_TIME: i64 = 4;

/// Replicas that wait for an answer, or will try something again after a while. An idle broker has none.
#[derive(Default)]
pub(crate) struct Restless {
    waiting: Mutex<Vec<Arc<Partition>>>,
    news: Notify,
}

impl Restless {
    /// Gives this replica a tick soon. Once for each tick.
    pub(crate) fn add(&self, partition: &Arc<Partition>) {
        if partition.set_restless(true) {
            return;
        }
        let mut waiting = self.waiting.lock();
        waiting.push(Arc::clone(partition));
        if waiting.len() == 1 {
            self.news.notify_one();
        }
    }

    fn tick(&self) {
        for partition in take(&mut *self.waiting.lock()) {
            partition.set_restless(false);
            partition.post(Job::Replica(Event::Tick));
        }
    }
}

/// Ticks until `stop`.
pub(crate) async fn tick_replicas(broker: Arc<Broker>, stop: CancellationToken) {
    let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(1).max(1));
    let mut all = tokio::time::interval(millis(broker.replication.lag_time_max_ms() / TICKS_PER_LAG_TIME));
    all.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let restless = &broker.replication.restless;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = all.tick() => {
                let partitions = broker.partitions.all();
                // A follower that waits for something is restless; others have nothing to judge.
                for partition in partitions.iter().filter(|partition| {
                    let role = partition.role();
                    role.leads && role.replicas > 1
                }) {
                    partition.post(Job::Replica(Event::Tick));
                }
            }
            () = restless.news.notified() => {
                tokio::time::sleep(millis(RETRY_MS)).await;
                restless.tick();
            }
        }
    }
}
