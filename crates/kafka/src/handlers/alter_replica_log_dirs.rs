//! AlterReplicaLogDirs (KIP-113): replicas of this broker move to another of its data directories.

use std::collections::BTreeMap;

use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName as WireName};
use levada_broker::api::MoveReplica;
use levada_types::{ErrorCode, PartitionIndex, TopicIdPartition};

use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let image = handlers.broker.image();
    let mut results: BTreeMap<String, Vec<(PartitionIndex, ErrorCode)>> = BTreeMap::new();
    let (mut names, mut moves) = (Vec::new(), Vec::new());
    for directory in request.dirs {
        for topic in directory.topics {
            let topic_id = image.topic_id(&topic.name);
            for partition in topic.partitions {
                match topic_id {
                    Some(topic_id) => {
                        names.push(topic.name.to_string());
                        let partition = TopicIdPartition { topic_id, partition };
                        moves.push(MoveReplica { partition, directory: directory.path.to_string() });
                    }
                    None => {
                        let unknown = (partition, ErrorCode::UnknownTopicOrPartition);
                        results.entry(topic.name.to_string()).or_default().push(unknown);
                    }
                }
            }
        }
    }
    let partitions: Vec<PartitionIndex> = moves.iter().map(|asked| asked.partition.partition).collect();
    let moved = if moves.is_empty() { Vec::new() } else { handlers.broker.move_replicas(moves).await };
    for ((name, partition), moved) in names.into_iter().zip(partitions).zip(moved) {
        let code = moved.map_or_else(|error| error.code, |()| ErrorCode::None);
        results.entry(name).or_default().push((partition, code));
    }
    let results = results.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition, code)| {
            AlterReplicaLogDirPartitionResult::default()
                .with_partition_index(partition)
                .with_error_code(code_of(head, code))
        });
        AlterReplicaLogDirTopicResult::default()
            .with_topic_name(WireName(text(name)))
            .with_partitions(partitions.collect())
    });
    AlterReplicaLogDirsResponse::default().with_results(results.collect())
}
