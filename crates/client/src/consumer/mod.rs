//! Consuming by assignment: from an offset or a time, prefetched within a bound, going on by itself after a break.

mod builder;
mod feeder;
mod options;
mod reader;
mod record;
mod start;

use std::collections::VecDeque;
use std::sync::Arc;

use levada_records::RecordBuffer;
use levada_types::TopicId;
use tokio::sync::mpsc::Receiver;

pub use builder::ConsumerBuilder;
pub use record::{ConsumedHeader, ConsumedRecord, FetchedBatches};
pub use start::{OffsetReset, OffsetTarget, StartAt};

use reader::Prefetched;

use crate::ClientError;

/// Which partition a consumer reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PartitionKey {
    topic: Arc<str>,
    topic_id: TopicId,
    partition: i32,
}

/// Reads records of the partitions that it was given. Records of one partition come in the order of their offsets.
/// Dropping it ends its streams.
#[derive(Debug)]
pub struct Consumer {
    prefetched: Receiver<Prefetched>,
    /// Decoded and not handed out yet.
    records: VecDeque<ConsumedRecord>,
    buffer: RecordBuffer,
    /// What failed after the records in `records`.
    failed: Option<ClientError>,
}

impl Consumer {
    fn new(prefetched: Receiver<Prefetched>) -> Self {
        Self { prefetched, records: VecDeque::new(), buffer: RecordBuffer::new(), failed: None }
    }

    /// The next record. `None` once every partition was read to its end, which happens only with
    /// [`ConsumerBuilder::stop_at_end`].
    ///
    /// # Errors
    /// What failed for good: the topic is gone, an offset does not exist and `auto.offset.reset` is none, a batch is
    /// damaged. Lost connections and moved leaders are none of these.
    pub async fn next(&mut self) -> Result<Option<ConsumedRecord>, ClientError> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Ok(Some(record));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let Some(fetched) = self.next_batches().await? else { return Ok(None) };
            if let Err(error) = fetched.records(&mut self.buffer, &mut self.records) {
                self.failed = Some(ClientError::Broker {
                    code: error.code(),
                    message: format!("a batch after offset {} is damaged: {error}", fetched.from_offset),
                    leader: None,
                    partition: Some((fetched.topic.to_string(), fetched.partition)),
                });
            }
        }
    }

    /// The next stored batches, undecoded; for tools that copy or measure. Do not mix with [`Self::next`], which may have
    /// taken some already.
    ///
    /// # Errors
    /// Those of [`Self::next`].
    pub async fn next_batches(&mut self) -> Result<Option<FetchedBatches>, ClientError> {
        match self.prefetched.recv().await {
            Some(Ok((fetched, _memory))) => Ok(Some(fetched)),
            Some(Err(error)) => Err(error),
            None => Ok(None),
        }
    }
}
