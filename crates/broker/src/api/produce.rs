//! Appending records.

use std::time::Duration;

use bytes::Bytes;
use levada_types::{Offset, TimestampMs, TopicIdPartition};

/// When a produce request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Never: the client does not wait. An error closes the connection.
    None,
    /// When the leader has appended.
    Leader,
    /// When every in-sync replica has appended.
    All,
}

/// Append these batches.
#[derive(Debug)]
pub struct Produce {
    /// When to answer.
    pub acks: Acks,
    /// How long to wait for the in-sync replicas, with [`Acks::All`].
    pub timeout: Duration,
    /// What to append where. A partition may occur once only.
    pub partitions: Vec<ProducePartition>,
}

/// Batches for one partition.
#[derive(Debug)]
pub struct ProducePartition {
    /// Where.
    pub partition: TopicIdPartition,
    /// Exactly one record batch (format v2), as Kafka asks since Produce v3, as it came from the client and unchecked: a
    /// slice of the received frame.
    pub records: Bytes,
}

/// What was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// The offset of the first record, the original one if the batch is a duplicate.
    pub base_offset: Offset,
    /// The time stamped by the broker, or -1 with `message.timestamp.type=CreateTime`.
    pub log_append_time: TimestampMs,
    /// The partition's log start offset.
    pub log_start_offset: Offset,
}
