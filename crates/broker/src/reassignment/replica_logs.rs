//! The internal service that tells what the logs of this broker's replicas hold.

use std::sync::Arc;
use std::time::Duration;

use levada_peers::{MAX_REPLICAS_PER_REQUEST, partition_of};
use levada_proto::internal as pb;
use levada_proto::internal::replica_logs_server::{ReplicaLogs, ReplicaLogsServer};
use levada_types::{BrokerEpoch, LeaderEpoch, MetadataOffset};
use tonic::{Request, Response, Status};

use crate::Broker;
use crate::partition::{Health, Partition};
use crate::threads::{Gather, Job};

/// How long this broker's image may take to reach what is asked by.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// The service of `broker`.
pub(crate) fn replica_logs_service(broker: Arc<Broker>) -> ReplicaLogsServer<impl ReplicaLogs> {
    ReplicaLogsServer::new(Service { broker })
}

struct Service {
    broker: Arc<Broker>,
}

#[tonic::async_trait]
impl ReplicaLogs for Service {
    async fn describe_replica_logs(
        &self,
        request: Request<pb::DescribeReplicaLogsRequest>,
    ) -> Result<Response<pb::DescribeReplicaLogsResponse>, Status> {
        let request = request.into_inner();
        if request.partitions.len() > MAX_REPLICAS_PER_REQUEST {
            let message = format!("at most {MAX_REPLICAS_PER_REQUEST} replicas can be asked for at once");
            return Err(Status::invalid_argument(message));
        }
        let partitions = request.partitions.iter().map(|replica| partition_of(replica).ok_or(replica));
        let partitions = partitions
            .collect::<Result<Vec<_>, _>>()
            .map_err(|replica| Status::invalid_argument(format!("{replica:?} names no partition")))?;
        let broker = &self.broker;
        let arrived = broker.metadata.wait_for(MetadataOffset(request.metadata_offset), IMAGE_TIMEOUT).await;
        arrived.map_err(|stale| Status::unavailable(stale.to_string()))?;
        if broker.epoch() != Some(BrokerEpoch(request.broker_epoch)) {
            let message = format!("broker {} is registered with another epoch by now", broker.id());
            return Err(Status::failed_precondition(message));
        }
        let hosted: Vec<Arc<Partition>> = partitions.iter().filter_map(|id| broker.partitions.get(id)).collect();
        // What was let in under an older image is appended first.
        let (gather, slots) = Gather::new(vec![None; hosted.len()], || ());
        for (partition, slot) in hosted.iter().zip(slots) {
            partition.post(Job::Reach(slot));
        }
        (&gather).await;
        let usable = hosted.iter().filter(|partition| partition.health() == Health::Good);
        Ok(Response::new(pb::DescribeReplicaLogsResponse { logs: usable.map(describe).collect() }))
    }
}

fn describe(partition: &Arc<Partition>) -> pb::ReplicaLog {
    let (id, reader) = (partition.id(), partition.reader());
    let topic_id = id.topic_id.0.as_bytes().to_vec().into();
    // The epoch of the last record, which an epoch that begins at the end has none of yet.
    let last = reader.log_end_offset() - 1;
    let last_epoch = if last < reader.log_start_offset() { None } else { reader.epoch_for_offset(last) };
    pb::ReplicaLog {
        replica: Some(pb::ReplicaLogRef { topic_id, partition: id.partition }),
        last_epoch: last_epoch.unwrap_or(LeaderEpoch(-1)).0,
        log_start: reader.log_start_offset(),
        log_end: reader.log_end_offset(),
        bytes: reader.size_bytes(),
    }
}
