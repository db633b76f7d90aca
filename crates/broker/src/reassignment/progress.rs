//! How far reassignments have come: what the metadata say of them, and what the brokers' logs hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use levada_metadata::{BrokerRegistration, Image};
use levada_types::{BrokerId, TopicIdPartition};

use crate::Broker;

/// A partition that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReassignmentProgress {
    /// Which.
    pub partition: TopicIdPartition,
    /// Who leads it, if anybody does.
    pub leader: Option<BrokerId>,
    /// The replicas that are brought in.
    pub adding: Vec<MovingReplica>,
    /// The brokers that hold it no more when those are in sync.
    pub removing: Vec<BrokerId>,
    /// Bytes of the leader's log, which each of `adding` is to have; `None` if the leader does not tell.
    pub total_bytes: Option<u64>,
}

/// A replica that is brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovingReplica {
    /// The broker that gets it.
    pub broker: BrokerId,
    /// Bytes that its log has already; `None` if the broker does not tell.
    pub bytes: Option<u64>,
    /// Whether it is in sync.
    pub in_sync: bool,
}

impl Broker {
    /// How far the reassignments in progress have come: those of `only`, or all. Brokers that do not answer within
    /// `timeout` leave gaps. Two readings give the rate, and with it when a move will be done.
    pub async fn reassignments(
        &self,
        only: Option<&[TopicIdPartition]>,
        timeout: Duration,
    ) -> Vec<ReassignmentProgress> {
        let image = self.image();
        let moving: Vec<TopicIdPartition> =
            image.reassigning().filter(|at| only.is_none_or(|only| only.contains(at))).collect();
        let bytes = self.replica_bytes(&image, &moving, timeout).await;
        let progress = moving.into_iter().filter_map(|at| {
            let partition = image.partition(at.topic_id, at.partition)?;
            let bytes_of = |broker: BrokerId| bytes.get(&(broker, at)).copied();
            let replica = |&broker: &BrokerId| MovingReplica {
                broker,
                bytes: bytes_of(broker),
                in_sync: partition.is_in_sync(broker),
            };
            Some(ReassignmentProgress {
                partition: at,
                leader: partition.leader,
                adding: partition.adding.iter().map(replica).collect(),
                removing: partition.removing.clone(),
                total_bytes: partition.leader.and_then(bytes_of),
            })
        });
        progress.collect()
    }

    /// The sizes of the logs at the leaders of `moving` and at the brokers that get replicas of them.
    async fn replica_bytes(
        &self,
        image: &Image,
        moving: &[TopicIdPartition],
        timeout: Duration,
    ) -> HashMap<(BrokerId, TopicIdPartition), u64> {
        let mut by_broker: BTreeMap<BrokerId, Vec<TopicIdPartition>> = BTreeMap::new();
        for at in moving {
            let Some(partition) = image.partition(at.topic_id, at.partition) else { continue };
            for broker in partition.leader.iter().chain(&partition.adding) {
                by_broker.entry(*broker).or_default().push(*at);
            }
        }
        let logs = self.controller.replica_logs();
        let asked = by_broker.iter().filter_map(|(id, partitions)| {
            let broker: Arc<BrokerRegistration> = image.broker(*id).filter(|broker| !broker.fenced).cloned()?;
            let logs = &logs;
            Some(async move { (broker.id, logs.ask(&broker, image.offset(), partitions, timeout).await) })
        });
        let mut bytes = HashMap::new();
        for (broker, told) in join_all(asked).await {
            match told {
                Ok(logs) => bytes.extend(logs.into_iter().map(|log| ((broker, log.partition), log.bytes))),
                Err(error) => tracing::debug!(%error, "the progress of its replicas is not known"),
            }
        }
        bytes
    }
}
