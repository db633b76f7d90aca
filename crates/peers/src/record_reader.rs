//! Reads records from the brokers that lead their partitions, for one that serves a consumer.

use std::time::Duration;

use bytes::Bytes;
use levada_metadata::BrokerRegistration;
use levada_proto::internal as pb;
use levada_proto::internal::reads_client::ReadsClient;
use levada_service::grpc::Profile;
use levada_service::net::Network;
use levada_types::{ErrorCode, Offset, TopicIdPartition};

use crate::broker_channels::BrokerChannels;

/// Partitions that one request may name.
pub const MAX_PARTITIONS_PER_READ: usize = 10_000;

/// How much longer than it was asked to wait a broker may take before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the brokers. Clones share their connections.
#[derive(Debug, Clone)]
pub struct RecordReader {
    channels: BrokerChannels,
}

/// Where to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPosition {
    /// Which partition.
    pub partition: TopicIdPartition,
    /// From which offset.
    pub offset: Offset,
}

/// What was found in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRecords {
    /// Which of the partitions that were asked for.
    pub index: usize,
    /// What went wrong.
    pub error: ErrorCode,
    /// The offset below which every consumer sees everything.
    pub high_watermark: Offset,
    /// Whole record batches; the first may begin before the offset asked for.
    pub batches: Bytes,
}

impl RecordReader {
    /// Over `network`.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { channels: BrokerChannels::new(network, Profile::Bulk) }
    }

    /// Reads from `broker`, which leads `partitions` ([`MAX_PARTITIONS_PER_READ`] at most), and waits up to `max_wait` for
    /// records. At most `max_bytes` are read, but the first batch found is read whole. Partitions of which there is nothing
    /// to tell are left out.
    ///
    /// # Errors
    /// NETWORK_EXCEPTION if the broker cannot be reached or does not answer, UNKNOWN_SERVER_ERROR if its answer makes no
    /// sense.
    pub async fn read(
        &self,
        broker: &BrokerRegistration,
        partitions: &[ReadPosition],
        max_wait: Duration,
        max_bytes: u32,
    ) -> Result<Vec<ReadRecords>, ErrorCode> {
        let channel = self.channels.to(broker).ok_or(ErrorCode::NetworkException)?;
        let request = pb::ReadRequest {
            max_wait_ms: u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX),
            max_bytes,
            partitions: partitions.iter().map(to_message).collect(),
        };
        // The broker bounds what it sends: what was asked for, or one batch.
        let mut stub = ReadsClient::new(channel).max_decoding_message_size(usize::MAX);
        let asking = async { stub.read(request).await?.into_inner().message().await };
        let answer = tokio::time::timeout(max_wait + PATIENCE, asking).await;
        let answer = answer.map_err(|_| ErrorCode::NetworkException)?.map_err(|status| {
            tracing::debug!(broker = broker.id.0, %status, "a leader does not let its records be read");
            ErrorCode::NetworkException
        })?;
        let found = answer.ok_or(ErrorCode::NetworkException)?.found.into_iter();
        let found = found.map(|found| from_message(found, partitions.len()));
        found.collect::<Option<Vec<_>>>().ok_or(ErrorCode::UnknownServerError)
    }
}

fn to_message(from: &ReadPosition) -> pb::ReadPartition {
    pb::ReadPartition {
        topic_id: from.partition.topic_id.0.as_bytes().to_vec().into(),
        partition: from.partition.partition,
        offset: from.offset,
    }
}

fn from_message(found: pb::ReadFound, asked: usize) -> Option<ReadRecords> {
    let index = usize::try_from(found.index).ok().filter(|&index| index < asked)?;
    let error = i16::try_from(found.error).ok().and_then(ErrorCode::from_code)?;
    Some(ReadRecords { index, error, high_watermark: found.high_watermark, batches: found.batches })
}
