//! Why something that a client was asked to do failed.

use std::time::Duration;

use levada_proto::{status, v1};
use levada_types::{ErrorCode, LeaderEpoch, TopicNameError};
use tonic::{Code, Status};

/// Who leads a partition, told with an error so that nobody has to be asked first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderHint {
    /// Where the leader serves gRPC; `None` if there is none, or it is not known.
    pub address: Option<String>,
    /// Counts the leaders. A hint of an epoch that is not newer than what is known says nothing.
    pub epoch: LeaderEpoch,
}

/// Why an operation failed. Cheap enough to clone, since all records of a batch share one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// A broker answered with an error.
    #[error("{}: {message}", code.name())]
    Broker {
        /// Kafka's code for it.
        code: ErrorCode,
        /// What is wrong in this case.
        message: String,
        /// Who leads the partition, if the broker told (as in KIP-951).
        leader: Option<LeaderHint>,
        /// The topic and partition that it is about, if the broker told.
        partition: Option<(String, i32)>,
    },
    /// No answer came: the connection could not be made or broke, or the server was too busy to take the call. Whether
    /// a change took effect is unknown.
    #[error("no answer from {address}: {reason}")]
    Unreachable {
        /// Which broker was asked.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// A named time limit passed. Whether a change took effect is unknown.
    #[error("not done within {} ms ({option})", limit.as_millis())]
    TimedOut {
        /// The option that set the limit, by Kafka's name.
        option: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// A record alone is larger than a request or the producer's memory may be.
    #[error("the record takes {size} bytes; {option} allows {limit}")]
    RecordTooLarge {
        /// Bytes of the record, encoded.
        size: usize,
        /// The option that set the limit, by Kafka's name.
        option: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The partition that a record names does not exist.
    #[error("topic {topic} has {partition_count} partition{}; there is no partition {partition}", plural(*partition_count))]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many there are, from 0.
        partition_count: i32,
    },
    /// The text is no topic name.
    #[error("{0}")]
    TopicName(#[from] TopicNameError),
    /// Options contradict each other or are out of range.
    #[error("{0}")]
    InvalidOptions(String),
    /// Client and server do not understand each other: a message is over the limit, the server is none of ours, or it sent
    /// something that the API does not allow.
    #[error("{address} and this client do not understand each other: {reason}")]
    Protocol {
        /// Which broker.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The producer or consumer was closed.
    #[error("it was closed")]
    Closed,
}

fn plural(count: i32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

impl ClientError {
    /// Whether the same operation may succeed when it is done again. Doing a change again is harmless only where its
    /// outcome is known or the operation is idempotent.
    #[must_use]
    pub fn retriable(&self) -> bool {
        match self {
            Self::Broker { code, .. } => code.is_retriable(),
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::RecordTooLarge { .. }
            | Self::NoSuchPartition { .. }
            | Self::TopicName(_)
            | Self::InvalidOptions(_)
            | Self::Protocol { .. }
            | Self::Closed => false,
        }
    }

    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Broker { code, .. } => *code,
            Self::Unreachable { .. } => ErrorCode::NetworkException,
            Self::TimedOut { .. } => ErrorCode::RequestTimedOut,
            Self::RecordTooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::NoSuchPartition { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::TopicName(_) => ErrorCode::InvalidTopicException,
            Self::InvalidOptions(_) => ErrorCode::InvalidConfig,
            Self::Protocol { .. } | Self::Closed => ErrorCode::UnknownServerError,
        }
    }

    /// A partition has no leader, or none that serves gRPC.
    pub(crate) fn no_leader(topic: &str, partition: i32) -> Self {
        Self::Broker {
            code: ErrorCode::LeaderNotAvailable,
            message: format!("{topic}-{partition} has no leader"),
            leader: None,
            partition: Some((topic.to_owned(), partition)),
        }
    }

    /// What `address` answered: the error in the details, or what the transport made of it.
    pub(crate) fn from_status(address: &str, status: &Status) -> Self {
        if let Some(error) = status::error_of(status) {
            return Self::from_message(error);
        }
        let (address, reason) = (address.to_owned(), format!("{} ({:?})", status.message(), status.code()));
        match status.code() {
            // The request never reached a handler, and never will.
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented | Code::Unauthenticated => {
                Self::Protocol { address, reason }
            }
            _ => Self::Unreachable { address, reason },
        }
    }

    /// What a result of one partition said.
    pub(crate) fn from_message(error: v1::Error) -> Self {
        let code = i16::try_from(error.code).ok().and_then(ErrorCode::from_code);
        Self::Broker {
            code: code.unwrap_or(ErrorCode::UnknownServerError),
            message: error.message,
            leader: error.leader.map(|leader| LeaderHint {
                address: leader.grpc_address.filter(|address| !address.is_empty()),
                epoch: LeaderEpoch(leader.leader_epoch),
            }),
            partition: error.topic.zip(error.partition),
        }
    }

    /// Whether another broker, or a fresh look at the metadata, is what a retry needs.
    pub(crate) fn is_stale_metadata(&self) -> bool {
        matches!(
            self.code(),
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::InconsistentTopicId
                | ErrorCode::NetworkException
                | ErrorCode::KafkaStorageError
                | ErrorCode::ReplicaNotAvailable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_partition_is_not_several() {
        let text = |partition_count| {
            let topic = "orders".to_owned();
            ClientError::NoSuchPartition { topic, partition: 7, partition_count }.to_string()
        };
        assert_eq!(text(1), "topic orders has 1 partition; there is no partition 7");
        assert_eq!(text(2), "topic orders has 2 partitions; there is no partition 7");
    }

    #[test]
    fn a_leader_that_is_told_without_an_address_is_still_told() {
        let leader = v1::PartitionLeader { broker_id: None, leader_epoch: 4, grpc_address: Some(String::new()) };
        let error = v1::Error { leader: Some(leader), ..status::error(ErrorCode::NotLeaderOrFollower, "") };
        let ClientError::Broker { leader, .. } = ClientError::from_message(error) else { panic!("a broker answered") };
        assert_eq!(leader, Some(LeaderHint { address: None, epoch: LeaderEpoch(4) }));
    }
}
