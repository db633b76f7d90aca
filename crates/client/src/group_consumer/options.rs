//! How a member of a group behaves, by Kafka's names.

use std::time::Duration;

use levada_proto::v1;

use crate::{ClientError, OffsetReset};

/// Prefetched records for each that one poll may return: while one lot is processed, others are on their way.
const PREFETCHED_POLLS: u32 = 10;

/// A member's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupOptions {
    pub(super) group_id: String,
    pub(super) topics: Vec<String>,
    pub(super) topic_pattern: String,
    pub(super) instance_id: String,
    pub(super) rack_id: String,
    pub(super) assignor: String,
    pub(super) client_id: String,
    pub(super) auto_offset_reset: OffsetReset,
    pub(super) manual_commit: bool,
    pub(super) auto_commit_interval: Duration,
    pub(super) max_poll_records: u32,
    pub(super) max_poll_interval: Duration,
    pub(super) prefetch_records: Option<u32>,
    pub(super) prefetch_bytes: usize,
    pub(super) fetch_max_bytes: u32,
}

impl GroupOptions {
    pub(super) fn new(group_id: String) -> Self {
        Self {
            group_id,
            topics: Vec::new(),
            topic_pattern: String::new(),
            instance_id: String::new(),
            rack_id: String::new(),
            assignor: String::new(),
            client_id: "levada-client".to_owned(),
            auto_offset_reset: OffsetReset::default(),
            manual_commit: false,
            auto_commit_interval: Duration::from_secs(5),
            max_poll_records: 500,
            max_poll_interval: Duration::from_secs(300),
            prefetch_records: None,
            prefetch_bytes: 64 << 20,
            fetch_max_bytes: 1 << 20,
        }
    }

    pub(super) fn check(&self) -> Result<(), ClientError> {
        let refuse = |reason: &str| Err(ClientError::InvalidOptions(reason.to_owned()));
        if self.group_id.is_empty() {
            return refuse("group.id is empty");
        }
        if self.topics.is_empty() && self.topic_pattern.is_empty() {
            return refuse("the consumer was given neither topics nor a pattern");
        }
        if self.max_poll_records == 0 {
            return refuse("max.poll.records is 0");
        }
        for (name, span) in
            [("max.poll.interval.ms", self.max_poll_interval), ("auto.commit.interval.ms", self.auto_commit_interval)]
        {
            if span.as_millis() == 0 || u32::try_from(span.as_millis()).is_err() {
                return refuse(&format!("{name} must be at least 1 ms and less than 2^32 ms"));
            }
        }
        Ok(())
    }

    /// How many records may be with the client and not processed.
    pub(super) fn max_unprocessed(&self) -> u32 {
        let ahead = self.prefetch_records.unwrap_or(self.max_poll_records.saturating_mul(PREFETCHED_POLLS));
        ahead.max(self.max_poll_records)
    }

    /// The message that makes a member.
    pub(super) fn join(&self) -> v1::JoinSubscription {
        let reset = match self.auto_offset_reset {
            OffsetReset::Earliest => v1::OffsetPosition::Earliest,
            OffsetReset::Latest => v1::OffsetPosition::Latest,
            OffsetReset::Fail => v1::OffsetPosition::Unspecified,
        };
        v1::JoinSubscription {
            group_id: self.group_id.clone(),
            topics: self.topics.clone(),
            topic_pattern: self.topic_pattern.clone(),
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            assignor: self.assignor.clone(),
            client_id: self.client_id.clone(),
            auto_offset_reset: reset.into(),
            no_offset_reset: self.auto_offset_reset == OffsetReset::Fail,
            manual_commit: self.manual_commit,
            auto_commit_interval_ms: milliseconds(self.auto_commit_interval),
            max_unprocessed_records: self.max_unprocessed(),
            max_poll_interval_ms: milliseconds(self.max_poll_interval),
            max_response_bytes: self.fetch_max_bytes,
            ..v1::JoinSubscription::default()
        }
    }
}

fn milliseconds(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}
