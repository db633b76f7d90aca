//! Asks brokers where the logs of their replicas end, and how large they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use levada_metadata::BrokerRegistration;
use levada_proto::internal as pb;
use levada_proto::internal::replica_logs_client::ReplicaLogsClient;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use levada_types::{BrokerId, LeaderEpoch, MetadataOffset, Offset, PartitionIndex, TopicId, TopicIdPartition};
use tonic::transport::Channel;
use tonic::{Request, Status};
use uuid::Uuid;

/// Replicas that one request names; more are asked for in further ones.
pub const MAX_REPLICAS_PER_REQUEST: usize = 10_000;

/// The ways to the brokers. Clones share them.
#[derive(Debug, Clone)]
pub struct ReplicaLogs {
    network: Network,
    /// The channel to each broker, and where it leads.
    channels: Arc<Mutex<HashMap<BrokerId, (Address, Channel)>>>,
}

/// The log of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaLog {
    /// Which partition.
    pub partition: TopicIdPartition,
    /// The leader epoch of its last record; -1 for an empty log.
    pub last_epoch: LeaderEpoch,
    /// Its log start offset.
    pub log_start: Offset,
    /// Its log end offset.
    pub log_end: Offset,
    /// Bytes of its segments.
    pub bytes: u64,
}

/// A broker did not tell what its logs hold.
#[derive(Debug, Clone, thiserror::Error)]
#[error("broker {broker} at {address} does not tell what its logs hold: {reason}")]
pub struct ReplicaLogsError {
    /// Which broker.
    pub broker: BrokerId,
    /// Where it was asked.
    pub address: String,
    /// Why not.
    pub reason: String,
}

impl ReplicaLogs {
    /// Over `network`.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { network, channels: Arc::default() }
    }

    /// Asks `broker`, under the registration that is given, for the logs of its replicas of `partitions`. It answers by an
    /// image that has reached `offset`. Replicas that it does not have or cannot read are left out.
    ///
    /// # Errors
    /// [`ReplicaLogsError`] if it has another registration by now, or does not answer within `timeout`.
    pub async fn ask(
        &self,
        broker: &BrokerRegistration,
        offset: MetadataOffset,
        partitions: &[TopicIdPartition],
        timeout: Duration,
    ) -> Result<Vec<ReplicaLog>, ReplicaLogsError> {
        let failed =
            |reason: String| ReplicaLogsError { broker: broker.id, address: broker.internal_address.clone(), reason };
        let address: Address = broker.internal_address.parse().map_err(|_| failed("it has no address".to_owned()))?;
        let mut stub = self.stub(broker.id, address);
        let mut logs = Vec::with_capacity(partitions.len());
        for some in partitions.chunks(MAX_REPLICAS_PER_REQUEST) {
            let mut request = Request::new(pb::DescribeReplicaLogsRequest {
                broker_epoch: broker.epoch.0,
                metadata_offset: offset.0,
                partitions: some.iter().map(reference).collect(),
            });
            request.set_timeout(timeout);
            let answer = tokio::time::timeout(timeout, stub.describe_replica_logs(request)).await;
            let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
            let answer = answer.map_err(|status| failed(status.message().to_owned()))?.into_inner();
            let read = answer.logs.into_iter().map(|log| read(log).ok_or("its answer cannot be read".to_owned()));
            logs.extend(read.collect::<Result<Vec<_>, _>>().map_err(failed)?);
        }
        Ok(logs)
    }

    fn stub(&self, broker: BrokerId, address: Address) -> ReplicaLogsClient<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let known = channels.get(&broker).filter(|(known, _)| *known == address).map(|(_, channel)| channel.clone());
        let channel = known.unwrap_or_else(|| {
            let channel = self.network.dialer(address.clone()).channel(Profile::Control);
            channels.insert(broker, (address, channel.clone()));
            channel
        });
        ReplicaLogsClient::new(channel)
    }
}

fn reference(partition: &TopicIdPartition) -> pb::ReplicaLogRef {
    let topic_id = partition.topic_id.0.as_bytes().to_vec().into();
    pb::ReplicaLogRef { topic_id, partition: partition.partition }
}

/// The partition that a message names, if it can be read.
#[must_use]
pub fn partition_of(replica: &pb::ReplicaLogRef) -> Option<TopicIdPartition> {
    let topic_id = TopicId(Uuid::from_slice(&replica.topic_id).ok()?);
    let partition: PartitionIndex = replica.partition;
    (partition >= 0).then_some(TopicIdPartition { topic_id, partition })
}

fn read(log: pb::ReplicaLog) -> Option<ReplicaLog> {
    let pb::ReplicaLog { replica, last_epoch, log_start, log_end, bytes } = log;
    let partition = partition_of(&replica?)?;
    Some(ReplicaLog { partition, last_epoch: LeaderEpoch(last_epoch), log_start, log_end, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broker_that_moves_from_address_to_address_has_one_channel() {
        let logs = ReplicaLogs::new(Network::new());
        for n in 0..10 {
            logs.stub(BrokerId(1), Address::memory(format!("b-{n}")));
        }
        logs.stub(BrokerId(2), Address::memory("b-9"));
        let channels = logs.channels.lock().unwrap();
        let mut known: Vec<_> = channels.iter().map(|(id, (address, _))| (*id, address.to_string())).collect();
        known.sort();
        assert_eq!(known, [(BrokerId(1), "memory:b-9".to_owned()), (BrokerId(2), "memory:b-9".to_owned())]);
    }
}
