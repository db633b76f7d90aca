//! Deleting the head of partitions, at their leaders.

use std::collections::HashMap;
use std::time::Instant;

use levada_proto::v1;
use levada_types::{ErrorCode, Offset};

use super::Admin;
use crate::ClientError;
use crate::cluster::admin_on;

/// A partition and the offset that shall be its first; `None` for the end of what consumers can see.
type Deletion = (i32, Option<Offset>);

impl Admin {
    /// Deletes the head of some partitions: what lies before the given offset, or everything that consumers can see
    /// (`None`). Tells the first offset that each holds then. Leaders that move are followed, until `request.timeout.ms` has
    /// passed.
    ///
    /// # Errors
    /// The brokers', of any of the partitions; the others may have been shortened.
    pub async fn delete_records(
        &self,
        topic: &str,
        partitions: &[Deletion],
    ) -> Result<Vec<(i32, Offset)>, ClientError> {
        let deadline = self.cluster.deadline();
        let (mut left, mut missing, mut attempt) = (Vec::new(), partitions.to_vec(), 0);
        loop {
            let Err(error) = self.delete_at_leaders(topic, &mut missing, deadline, &mut left).await else {
                left.sort_unstable();
                return Ok(left);
            };
            let pause = self.cluster.backoff().pause(attempt, rand::random());
            let hopeless = !error.retriable() || error.code() == ErrorCode::UnknownTopicOrPartition;
            if hopeless || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// One round: what was done goes to `left` and is no longer in `missing`. The error is one of what is missing.
    async fn delete_at_leaders(
        &self,
        topic: &str,
        missing: &mut Vec<Deletion>,
        deadline: Instant,
        left: &mut Vec<(i32, Offset)>,
    ) -> Result<(), ClientError> {
        let metadata = self.cluster.refresh_topic(topic, false).await?;
        let mut by_leader: HashMap<String, Vec<v1::DeleteRecordsPartition>> = HashMap::new();
        let mut last_error = None;
        for &(partition, before_offset) in missing.iter() {
            let partition_count = metadata.partition_count();
            let leader = metadata.leader(partition).ok_or_else(|| ClientError::NoSuchPartition {
                topic: topic.to_owned(),
                partition,
                partition_count,
            })?;
            match &leader.address {
                Some(address) => {
                    let deletion = v1::DeleteRecordsPartition { partition, before_offset };
                    by_leader.entry(address.clone()).or_default().push(deletion);
                }
                None => last_error = Some(ClientError::no_leader(topic, partition)),
            }
        }
        for (address, partitions) in by_leader {
            let timeout = deadline.saturating_duration_since(Instant::now());
            let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
            let topic = Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Id(metadata.id.to_string())) });
            let request = v1::DeleteRecordsRequest { topic, partitions, timeout_ms };
            let ask = |channel| async move { admin_on(channel).delete_records(request).await };
            let results = match self.cluster.ask_at(&address, deadline, ask).await {
                Ok(answer) => answer.results,
                Err(error) => {
                    last_error = Some(error);
                    continue;
                }
            };
            for result in results {
                match result.error {
                    Some(error) => last_error = Some(ClientError::from_message(error)),
                    None => {
                        missing.retain(|(partition, _)| *partition != result.partition);
                        left.push((result.partition, result.log_start_offset));
                    }
                }
            }
        }
        last_error.map_or(Ok(()), Err)
    }
}
