//! A record on its way to a topic.

use bytes::Bytes;
use levada_types::TimestampMs;

/// A record to produce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerRecord {
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(String, Option<Bytes>)>,
    pub(super) timestamp_ms: Option<TimestampMs>,
}

impl ProducerRecord {
    /// A record for `topic`, with neither key nor value yet.
    pub fn to(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), partition: None, key: None, value: None, headers: Vec::new(), timestamp_ms: None }
    }

    /// Its key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Its value. Without one the record is a tombstone.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// One more header; `None` is null.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: Option<Bytes>) -> Self {
        self.headers.push((key.into(), value));
        self
    }

    /// Where to; without it the producer's partitioner decides.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// When it happened, in milliseconds since 1970; without it, now.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: TimestampMs) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }
}
