//! Tells the controller in which directories replicas lie that it knows nowhere or elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_metadata::{Command, ReplicaDirectory, Response};
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerEpoch, DirectoryId, TopicIdPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Broker;

/// Placements told in one command, so that its entry in the metadata log stays small.
const PER_COMMAND: usize = 1_000;

/// The pause before placements that were not taken are told again.
const RETRY: Duration = Duration::from_secs(1);

/// Placements that the controller has yet to be told. Nothing waits for them.
#[derive(Default)]
pub(crate) struct Placements {
    pending: Mutex<HashMap<TopicIdPartition, DirectoryId>>,
    news: Notify,
}

impl Placements {
    /// Takes these in; a newer place of a replica replaces an older one.
    pub(crate) fn note(&self, placements: Vec<ReplicaDirectory>) {
        if placements.is_empty() {
            return;
        }
        let mut pending = self.pending.lock();
        for ReplicaDirectory { topic, partition, directory } in placements {
            pending.insert(TopicIdPartition { topic_id: topic, partition }, directory);
        }
        self.news.notify_one();
    }

    /// Some that are to be told, if there are any. They stay until they are taken out.
    fn some(&self) -> Vec<ReplicaDirectory> {
        let pending = self.pending.lock();
        let some = pending.iter().take(PER_COMMAND);
        some.map(|(id, &directory)| ReplicaDirectory { topic: id.topic_id, partition: id.partition, directory })
            .collect()
    }

    /// Takes out what was told, unless there is something newer to tell.
    fn take_out(&self, told: &[ReplicaDirectory]) {
        let mut pending = self.pending.lock();
        for ReplicaDirectory { topic, partition, directory } in told {
            let id = TopicIdPartition { topic_id: *topic, partition: *partition };
            if pending.get(&id) == Some(directory) {
                pending.remove(&id);
            }
        }
        if pending.is_empty() {
            // An idle broker keeps nothing.
            *pending = HashMap::new();
        }
    }
}

/// Tells placements as they come, under the broker's registration, until `stop`.
pub(crate) async fn report_placements(broker: Arc<Broker>, stop: CancellationToken) {
    let mut epoch = broker.epoch.subscribe();
    let telling = async {
        loop {
            let some = broker.placements.some();
            if some.is_empty() {
                broker.placements.news.notified().await;
                continue;
            }
            let Ok(registered) = epoch.wait_for(Option::is_some).await.map(|epoch| *epoch) else { return };
            if let Some(registered) = registered
                && !tell(&broker, registered, &some).await
            {
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = telling => {}
    }
}

/// Tells some placements; says whether that is done with.
async fn tell(broker: &Broker, epoch: BrokerEpoch, some: &[ReplicaDirectory]) -> bool {
    let command = Command::AssignReplicasToDirs { broker: broker.id(), epoch, assignments: some.to_vec() };
    let timeout = Duration::from_millis(broker.options.request_timeout_ms);
    match broker.controller.submit(&command, timeout).await {
        Ok((Response::AssignReplicasToDirs(Ok(items)), _)) => {
            if let Some(refused) = items.iter().find_map(|item| item.as_ref().err()) {
                // The topic or the replica has gone meanwhile, or the directory has: then there is nothing to tell.
                tracing::debug!(%refused, "the controller did not take note of where a replica lies");
            }
            broker.placements.take_out(some);
            true
        }
        Ok((answer, _)) => {
            tracing::warn!(?answer, "the controller did not take note of where replicas lie; telling it again");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "the controller could not be told where replicas lie; trying again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use levada_types::TopicId;
    use uuid::Uuid;

    use super::*;

    fn at(partition: i32, directory: u128) -> ReplicaDirectory {
        let topic = TopicId(Uuid::from_u128(1));
        ReplicaDirectory { topic, partition, directory: DirectoryId(Uuid::from_u128(directory)) }
    }

    #[test]
    fn what_was_told_is_taken_out_and_what_is_newer_stays() {
        let placements = Placements::default();
        placements.note(vec![at(0, 7), at(1, 7)]);
        let told = placements.some();
        assert_eq!(told.len(), 2);
        placements.note(vec![at(1, 8)]);
        placements.take_out(&told);
        assert_eq!(placements.some(), [at(1, 8)]);
    }

    #[test]
    fn one_command_has_a_bound() {
        let placements = Placements::default();
        placements.note((0..1_500).map(|partition| at(partition, 7)).collect());
        let first = placements.some();
        assert_eq!(first.len(), PER_COMMAND);
        placements.take_out(&first);
        assert_eq!(placements.some().len(), 500);
    }
}
