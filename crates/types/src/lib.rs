//! Facts of the house: ids, names and their validation, offsets, epochs, and the one error-code table.
//!
//! Floor 0: no I/O, no clock, no randomness. Everything here is a value; every other crate speaks in these words.

mod broker_id;
mod cluster_id;
mod directory_id;
mod epoch;
mod error_code;
mod isolation;
mod key_hash;
mod metadata_offset;
mod offset;
mod producer;
mod topic_id;
mod topic_name;
mod topic_partition;

pub use broker_id::BrokerId;
pub use cluster_id::ClusterId;
pub use directory_id::DirectoryId;
pub use epoch::{BrokerEpoch, CoordinatorEpoch, LeaderEpoch, PartitionEpoch};
pub use error_code::{ErrorCode, StatusCode};
pub use isolation::Isolation;
pub use key_hash::{key_partition, murmur2};
pub use metadata_offset::MetadataOffset;
pub use offset::{Offset, TimestampMs};
pub use producer::{ProducerEpoch, ProducerId, Sequence};
pub use topic_id::TopicId;
pub use topic_name::{TopicName, TopicNameError};
pub use topic_partition::{PartitionIndex, TopicIdPartition, TopicPartition};
