//! Partitions as requests name them and as answers speak of them.

use levada_proto::v1;
use levada_types::{TopicName, TopicPartition};

use crate::ClientError;

/// What became of one partition of a request; the others are not concerned.
#[derive(Debug, Clone)]
pub struct PartitionOutcome<T> {
    /// Which partition.
    pub partition: TopicPartition,
    /// What came of it, or why nothing did.
    pub result: Result<T, ClientError>,
}

impl<T> PartitionOutcome<T> {
    pub(super) fn new(
        address: &str,
        topic: &str,
        partition: i32,
        done: Option<T>,
        error: Option<v1::Error>,
    ) -> Result<Self, ClientError> {
        let result = match (done, error) {
            (_, Some(error)) => Err(ClientError::from_message(error)),
            (Some(done), None) => Ok(done),
            (None, None) => return Err(protocol(address, "a result without outcome or error".to_owned())),
        };
        Ok(Self { partition: read(address, topic, partition)?, result })
    }
}

impl PartitionOutcome<()> {
    pub(super) fn read_all(address: &str, results: Vec<v1::PartitionOutcome>) -> Result<Vec<Self>, ClientError> {
        let one =
            |result: v1::PartitionOutcome| Self::new(address, &result.topic, result.partition, Some(()), result.error);
        results.into_iter().map(one).collect()
    }
}

/// The partition that `address` named.
pub(super) fn read(address: &str, topic: &str, partition: i32) -> Result<TopicPartition, ClientError> {
    let topic = TopicName::new(topic).map_err(|error| protocol(address, error.to_string()))?;
    Ok(TopicPartition { topic, partition })
}

pub(super) fn protocol(address: &str, reason: String) -> ClientError {
    ClientError::Protocol { address: address.to_owned(), reason }
}

/// Partitions for a request.
pub(super) fn to_messages(partitions: &[TopicPartition]) -> Vec<v1::PartitionRef> {
    let message = |at: &TopicPartition| v1::PartitionRef { topic: at.topic.to_string(), partition: at.partition };
    partitions.iter().map(message).collect()
}
