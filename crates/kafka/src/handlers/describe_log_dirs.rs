//! DescribeLogDirs: data directories and the size of what is in them.

use std::collections::{BTreeMap, HashSet};

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use levada_broker::api::{DescribedLogDir, DescribedReplica};
use levada_types::TopicName;

use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::{text, wire_name};

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let asked: Option<HashSet<(String, i32)>> = request.topics.map(|topics| {
        let pairs = topics
            .into_iter()
            .flat_map(|topic| topic.partitions.into_iter().map(move |partition| (topic.topic.to_string(), partition)));
        pairs.collect()
    });
    let wanted = |replica: &DescribedReplica| {
        asked.as_ref().is_none_or(|asked| asked.contains(&(replica.topic.to_string(), replica.partition)))
    };
    let directories = handlers.broker.describe_log_dirs().await;
    let results = directories.into_iter().map(|directory| respond(head, directory, wanted));
    DescribeLogDirsResponse::default().with_results(results.collect())
}

fn respond(
    head: Head,
    directory: DescribedLogDir,
    wanted: impl Fn(&DescribedReplica) -> bool,
) -> DescribeLogDirsResult {
    let mut topics: BTreeMap<TopicName, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for replica in directory.replicas.into_iter().filter(wanted) {
        let partition = DescribeLogDirsPartition::default()
            .with_partition_index(replica.partition)
            .with_partition_size(replica.size)
            .with_offset_lag(replica.offset_lag)
            .with_is_future_key(replica.is_future);
        topics.entry(replica.topic).or_default().push(partition);
    }
    let topics = topics.iter().map(|(name, partitions)| {
        DescribeLogDirsTopic::default().with_name(wire_name(name)).with_partitions(partitions.clone())
    });
    DescribeLogDirsResult::default()
        .with_error_code(code_of(head, directory.error))
        .with_log_dir(text(directory.path))
        .with_topics(topics.collect())
        .with_total_bytes(directory.total_bytes)
        .with_usable_bytes(directory.usable_bytes)
}
