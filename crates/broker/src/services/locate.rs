//! Finding the replica that a request is about, or the reason why it is not here.

use std::sync::Arc;

use levada_types::{ErrorCode, TopicIdPartition};

use crate::Broker;
use crate::api::{LeaderHint, PartitionError};
use crate::partition::Partition;

impl Broker {
    /// The replica that this broker hosts, if it can be used.
    pub(crate) fn locate(&self, id: &TopicIdPartition) -> Result<Arc<Partition>, PartitionError> {
        if let Some(partition) = self.partitions.get(id) {
            partition.check_usable()?;
            return Ok(partition);
        }
        let image = self.image();
        let topic = image.topic(id.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let assigned = topic.partition(id.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if assigned.leader == Some(self.id()) {
            let message =
                format!("the log of {}-{} could not be opened; see the broker's log", topic.name(), id.partition);
            return Err(PartitionError::new(ErrorCode::KafkaStorageError, message));
        }
        let here = assigned.replicas.iter().find(|replica| replica.broker == self.id());
        if assigned.leader.is_none() && here.is_some_and(|replica| !image.is_online(replica)) {
            let message = format!(
                "the data directory that holds {}-{} is offline; see the broker's log",
                topic.name(),
                id.partition
            );
            return Err(PartitionError::new(ErrorCode::KafkaStorageError, message));
        }
        let leader = LeaderHint { leader: assigned.leader, epoch: assigned.leader_epoch };
        Err(PartitionError::with_leader(ErrorCode::NotLeaderOrFollower, leader))
    }
}
