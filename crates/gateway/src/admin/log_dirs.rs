//! Data directories and the replicas in them.

use std::collections::BTreeSet;

use levada_broker::Broker;
use levada_broker::api::{DescribedLogDir, DescribedReplica, MoveReplica, PartitionError};
use levada_metadata::Image;
use levada_proto::{status, v1};
use levada_types::TopicIdPartition;

use super::neighbours;
use crate::gateway::Gateway;
use crate::refusal::{invalid, message};
use crate::topics::{self, Wanted};

pub(super) async fn describe(
    gateway: &Gateway,
    request: &v1::DescribeLogDirsRequest,
) -> Result<v1::DescribeLogDirsResponse, PartitionError> {
    let brokers = neighbours::log_dirs_of(gateway, &request.broker_ids, &request.partitions).await;
    Ok(v1::DescribeLogDirsResponse { brokers })
}

pub(super) async fn alter(
    gateway: &Gateway,
    request: v1::AlterReplicaLogDirsRequest,
) -> Result<v1::AlterReplicaLogDirsResponse, PartitionError> {
    let broker = &gateway.broker;
    if request.broker_id != broker.id().0 {
        let text = format!("this is broker {}; ask broker {} to move its replicas", broker.id(), request.broker_id);
        return Err(invalid(text));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = request.replicas.iter().find(|replica| !seen.insert((&replica.topic, replica.partition))) {
        return Err(invalid(format!("partition {}-{} occurs twice", twice.topic, twice.partition)));
    }
    let image = broker.image();
    // The broker is asked for those that exist; each of the others has its answer already.
    let (mut moves, mut results) = (Vec::new(), Vec::new());
    for replica in request.replicas {
        let found = find(&image, &replica);
        let error = found.as_ref().err().map(|error| message(&image, error.clone()));
        results.push(v1::PartitionOutcome { topic: replica.topic, partition: replica.partition, error });
        moves.extend(found.ok().map(|partition| MoveReplica { partition, directory: replica.path }));
    }
    let outcomes = broker.move_replicas(moves).await;
    for (result, outcome) in results.iter_mut().filter(|result| result.error.is_none()).zip(outcomes) {
        result.error = outcome.err().map(|error| message(&image, error));
    }
    Ok(v1::AlterReplicaLogDirsResponse { results })
}

fn find(image: &Image, replica: &v1::ReplicaLogDir) -> Result<TopicIdPartition, PartitionError> {
    topics::partition(Wanted::Name(replica.topic.clone()).find(image)?, replica.partition)
}

/// This broker's own directories, with the replicas of these partitions; with all, if there are none.
pub(super) async fn own(broker: &Broker, partitions: &[v1::PartitionRef]) -> Vec<v1::LogDir> {
    let asked: BTreeSet<(&str, i32)> = partitions.iter().map(|at| (at.topic.as_str(), at.partition)).collect();
    let wanted =
        |replica: &DescribedReplica| asked.is_empty() || asked.contains(&(replica.topic.as_str(), replica.partition));
    broker.describe_log_dirs().await.into_iter().map(|directory| log_dir(directory, wanted)).collect()
}

fn log_dir(directory: DescribedLogDir, wanted: impl Fn(&DescribedReplica) -> bool) -> v1::LogDir {
    let known = |bytes: i64| (bytes >= 0).then_some(bytes);
    let replica = |replica: DescribedReplica| v1::LogDirReplica {
        topic: replica.topic.to_string(),
        partition: replica.partition,
        size_bytes: replica.size,
        offset_lag: replica.offset_lag,
        is_future: replica.is_future,
    };
    v1::LogDir {
        path: directory.path,
        error: (!directory.error.is_none()).then(|| status::error(directory.error, "")),
        total_bytes: known(directory.total_bytes),
        usable_bytes: known(directory.usable_bytes),
        replicas: directory.replicas.into_iter().filter(|replica| wanted(replica)).map(replica).collect(),
    }
}
