//! How a producer behaves, by Kafka's names.

use std::time::Duration;

use levada_proto::v1;
use levada_records::Compression;

use super::Partitioner;
use crate::ClientError;

/// When a record counts as produced (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// `all`: when every in-sync replica has it.
    #[default]
    All,
    /// `1`: when the leader has it.
    Leader,
    /// `0`: when the broker has taken it from the network. No offsets, no errors of the append.
    None,
}

impl Acks {
    pub(crate) fn to_message(self) -> v1::Acks {
        match self {
            Self::All => v1::Acks::All,
            Self::Leader => v1::Acks::Leader,
            Self::None => v1::Acks::None,
        }
    }
}

/// A producer's options, with Kafka's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerOptions {
    pub(super) acks: Acks,
    pub(super) enable_idempotence: bool,
    pub(super) partitioner: Partitioner,
    pub(super) lane: LaneOptions,
    pub(super) max_request_size: usize,
    pub(super) buffer_memory: usize,
    pub(super) max_block: Duration,
    pub(super) auto_create_topics: bool,
}

/// The part of them that a partition's lane needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LaneOptions {
    pub(super) batch_size: usize,
    pub(super) linger: Duration,
    pub(super) compression: (Compression, Option<i32>),
    pub(super) max_in_flight: usize,
    pub(super) delivery_timeout: Duration,
}

/// With idempotence a broker remembers this many batches of a producer per partition, so that a repeated one can be
/// recognised; Kafka's limit for `max.in.flight.requests.per.connection`.
const MAX_IN_FLIGHT_IDEMPOTENT: usize = 5;

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            enable_idempotence: true,
            partitioner: Partitioner::default(),
            lane: LaneOptions {
                batch_size: 16 << 10,
                linger: Duration::from_millis(5),
                compression: (Compression::None, None),
                max_in_flight: MAX_IN_FLIGHT_IDEMPOTENT,
                delivery_timeout: Duration::from_secs(120),
            },
            max_request_size: 1 << 20,
            buffer_memory: 32 << 20,
            max_block: Duration::from_secs(60),
            auto_create_topics: true,
        }
    }
}

impl ProducerOptions {
    pub(super) fn check(&self) -> Result<(), ClientError> {
        let refuse = |text: &str| Err(ClientError::InvalidOptions(text.to_owned()));
        if self.enable_idempotence && self.acks != Acks::All {
            return refuse("enable.idempotence needs acks=all; switch it off for other acks");
        }
        if self.enable_idempotence && self.lane.max_in_flight > MAX_IN_FLIGHT_IDEMPOTENT {
            return refuse("enable.idempotence needs max.in.flight.requests.per.connection of at most 5");
        }
        if self.lane.max_in_flight == 0 {
            return refuse("max.in.flight.requests.per.connection must be at least 1");
        }
        if self.buffer_memory == 0 || u32::try_from(self.buffer_memory).is_err() {
            return refuse("buffer.memory must be from 1 to 4294967295 bytes");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_consistent_and_contradictions_are_refused() {
        assert!(ProducerOptions::default().check().is_ok());
        assert!(ProducerOptions { acks: Acks::Leader, ..ProducerOptions::default() }.check().is_err());
        let mut many = ProducerOptions::default();
        many.lane.max_in_flight = 6;
        assert!(many.check().is_err());
        many.enable_idempotence = false;
        assert!(many.check().is_ok());
        many.lane.max_in_flight = 0;
        assert!(many.check().is_err());
    }
}
