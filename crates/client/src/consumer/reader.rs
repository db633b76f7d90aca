//! One fetch stream from one broker.

use std::collections::HashMap;
use std::sync::Arc;

use levada_proto::v1;
use levada_proto::v1::consumer_client::ConsumerClient;
use levada_types::Offset;
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::Channel;

use super::options::ConsumerOptions;
use super::{FetchedBatches, PartitionKey};
use crate::ClientError;
use crate::connections::MAX_MESSAGE_BYTES;

/// Batches on their way to the consumer, and their share of the memory that may be filled ahead of it.
pub(super) type Prefetched = Result<(FetchedBatches, OwnedSemaphorePermit), ClientError>;

/// Reads some partitions of one broker until the stream ends.
pub(super) struct Reader {
    pub(super) address: String,
    pub(super) channel: Channel,
    pub(super) options: ConsumerOptions,
    /// Where to begin; afterwards, where to go on.
    pub(super) positions: HashMap<PartitionKey, Offset>,
    pub(super) out: Sender<Prefetched>,
    pub(super) memory: Arc<Semaphore>,
}

/// How a stream ended.
pub(super) struct Ended {
    /// Which broker it came from.
    pub(super) address: String,
    /// Where to go on.
    pub(super) positions: HashMap<PartitionKey, Offset>,
    /// Whether anything came.
    pub(super) progress: bool,
    /// Success once every partition was read to its end, if that was asked for.
    pub(super) outcome: Result<(), ClientError>,
}

impl Reader {
    pub(super) async fn run(mut self) -> Ended {
        let mut progress = false;
        let outcome = self.read(&mut progress).await;
        Ended { address: self.address, positions: self.positions, progress, outcome }
    }

    async fn read(&mut self, progress: &mut bool) -> Result<(), ClientError> {
        let mut client = ConsumerClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let failed = |status: &tonic::Status| ClientError::from_status(&self.address, status);
        let mut responses = client.fetch(self.request()).await.map_err(|status| failed(&status))?.into_inner();
        let keys: HashMap<(String, i32), PartitionKey> =
            self.positions.keys().map(|key| ((key.topic_id.to_string(), key.partition), key.clone())).collect();
        loop {
            let message = responses.message().await;
            let Some(response) = message.map_err(|status| ClientError::from_status(&self.address, &status))? else {
                return Ok(());
            };
            let protocol =
                |reason: &str| ClientError::Protocol { address: self.address.clone(), reason: reason.to_owned() };
            let key = keys
                .get(&(response.topic_id, response.partition))
                .ok_or_else(|| protocol("records of a partition that was not asked for"))?;
            let Some(v1::fetch_response::Content::RawBatches(batches)) = response.content else {
                return Err(protocol("records in another format than asked for"));
            };
            *progress = true;
            let fetched = FetchedBatches {
                topic: key.topic.clone(),
                partition: key.partition,
                from_offset: self.positions.get(key).copied().unwrap_or_default(),
                batches,
                next_offset: response.next_offset,
                high_watermark: response.high_watermark,
            };
            // A message larger than all of the memory waits until everything else is gone.
            let size = fetched.batches.len().clamp(1, self.options.prefetch_bytes.max(1));
            let room = self.memory.clone().acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX)).await;
            let permit = room.map_err(|_| ClientError::Closed)?;
            self.out.send(Ok((fetched, permit))).await.map_err(|_| ClientError::Closed)?;
            self.positions.insert(key.clone(), response.next_offset);
        }
    }

    fn request(&self) -> v1::FetchRequest {
        let partition = |(key, offset): (&PartitionKey, &Offset)| v1::FetchPartition {
            topic: Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Id(key.topic_id.to_string())) }),
            partition: key.partition,
            start: Some(v1::fetch_partition::Start::Offset(*offset)),
            current_leader_epoch: None,
        };
        v1::FetchRequest {
            partitions: self.positions.iter().map(partition).collect(),
            format: v1::FetchFormat::RawBatches.into(),
            max_response_bytes: self.options.fetch_max_bytes,
            min_bytes: self.options.fetch_min_bytes,
            max_wait_ms: u32::try_from(self.options.fetch_max_wait.as_millis()).unwrap_or(u32::MAX),
            stop_at_end: self.options.stop_at_end,
        }
    }
}
