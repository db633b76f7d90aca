//! A consumer: reads on, from whichever replica.

use levada_log::ReadError;
use levada_records::Batches;
use levada_types::Offset;

use crate::happening::Happening;
use crate::run::Failure;
use crate::universe::Universe;

/// Bytes that a consumer asks for: some batches.
const FETCH_BYTES: usize = 600;

#[derive(Debug, Clone, Default)]
pub(crate) struct Consumer {
    /// The offset of the next record that it wants.
    pub(crate) position: Offset,
}

impl Universe {
    /// A consumer reads from a leader or a follower what is below its high watermark.
    pub(crate) fn consume(&mut self, index: usize) -> Result<(), Failure> {
        let delay = self.between(10, 120);
        self.after(delay, Happening::Consume { consumer: index });
        let from = self.below(self.brokers.len());
        let (Some(topic), broker) = (&self.topic, &self.brokers[from]) else { return Ok(()) };
        let Some(hosted) = broker.hosted.as_ref().filter(|h| h.topic == topic.at.topic_id && !broker.is_of_the_past)
        else {
            return Ok(());
        };
        let position = &mut self.consumers[index].position;
        match hosted.reader.read(*position, FETCH_BYTES, hosted.replica.high_watermark(), true) {
            Ok(read) => {
                let bytes = read.slice.to_bytes().map_err(|error| Failure::Stuck(error.to_string()))?;
                for batch in Batches::new(&bytes) {
                    let batch = batch.map_err(|error| Failure::Stuck(error.to_string()))?;
                    let (base, fingerprint) = (batch.header().base_offset, u64::from(batch.header().crc));
                    topic.history.consumed(topic.checker.committed(), base, fingerprint)?;
                }
                *position = read.next_offset;
            }
            // Records were deleted; or this replica, which follows, has not come so far.
            Err(ReadError::OffsetOutOfRange { offset, start, .. }) if offset < start => *position = start,
            Err(ReadError::OffsetOutOfRange { .. } | ReadError::DirectoryOffline) => {}
            Err(error) => return Err(Failure::Stuck(format!("a consumer cannot read: {error}"))),
        }
        Ok(())
    }
}
