//! Finding offsets at the leaders of partitions.

use std::collections::HashMap;
use std::time::Instant;

use levada_proto::v1;
use levada_types::{LeaderEpoch, Offset, TimestampMs};

use crate::cluster::{Cluster, admin_on};
use crate::{ClientError, OffsetTarget};

/// An offset that was found in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The partition.
    pub partition: i32,
    /// The offset; -1 if no record is as young as asked for.
    pub offset: Offset,
    /// The time of the record that was found, -1 where no record was looked for.
    pub timestamp_ms: TimestampMs,
    /// The leader epoch of the record, where it is known.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Asks the leaders of `partitions` (all of the topic's, if empty), and again after a pause where that can help, until
/// `request.timeout.ms` has passed. The answer is in ascending order of partitions.
pub(crate) async fn list_offsets(
    cluster: &Cluster,
    topic: &str,
    partitions: &[i32],
    target: OffsetTarget,
) -> Result<Vec<ListedOffset>, ClientError> {
    let deadline = cluster.deadline();
    let mut attempt = 0;
    let mut found = Vec::new();
    let mut missing: Option<Vec<i32>> = (!partitions.is_empty()).then(|| partitions.to_vec());
    loop {
        let error = match ask_leaders(cluster, topic, &mut missing, target, deadline, &mut found).await {
            Ok(()) => {
                found.sort_unstable_by_key(|found| found.partition);
                return Ok(found);
            }
            Err(error) => error,
        };
        let pause = cluster.backoff().pause(attempt, rand::random());
        if !error.retriable() || error.code() == levada_types::ErrorCode::UnknownTopicOrPartition {
            return Err(error);
        }
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        attempt += 1;
        cluster.refresh_topic(topic, false).await?;
    }
}

/// One round: what was found goes to `found` and is no longer in `missing`. The error is one of what is left.
async fn ask_leaders(
    cluster: &Cluster,
    topic: &str,
    missing: &mut Option<Vec<i32>>,
    target: OffsetTarget,
    deadline: Instant,
    found: &mut Vec<ListedOffset>,
) -> Result<(), ClientError> {
    let metadata = match cluster.fresh_topic(topic) {
        Some(known) => known,
        None => cluster.refresh_topic(topic, false).await?,
    };
    let missing = missing.get_or_insert_with(|| (0..metadata.partition_count()).collect());
    let mut by_leader: HashMap<String, Vec<i32>> = HashMap::new();
    let mut last_error = None;
    for &partition in missing.iter() {
        let Some(leader) = metadata.leader(partition) else {
            let partition_count = metadata.partition_count();
            return Err(ClientError::NoSuchPartition { topic: topic.to_owned(), partition, partition_count });
        };
        match &leader.address {
            Some(address) => by_leader.entry(address.clone()).or_default().push(partition),
            None => {
                last_error = Some(ClientError::no_leader(topic, partition));
            }
        }
    }
    for (address, partitions) in by_leader {
        let request = v1::ListOffsetsRequest {
            topic: Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Id(metadata.id.to_string())) }),
            partitions,
            target: Some(target.to_message()),
        };
        let answer = cluster
            .ask_at(&address, deadline, |channel| async move { admin_on(channel).list_offsets(request).await })
            .await;
        match answer {
            Ok(answer) => {
                for offset in answer.offsets {
                    match offset.error {
                        Some(error) => last_error = Some(ClientError::from_message(error)),
                        None => {
                            missing.retain(|partition| *partition != offset.partition);
                            found.push(ListedOffset {
                                partition: offset.partition,
                                offset: offset.offset,
                                timestamp_ms: offset.timestamp_ms,
                                leader_epoch: offset.leader_epoch.map(LeaderEpoch),
                            });
                        }
                    }
                }
            }
            Err(error) => last_error = Some(error),
        }
    }
    last_error.map_or(Ok(()), Err)
}
