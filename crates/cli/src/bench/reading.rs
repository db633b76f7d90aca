//! Where a consumer stands in its partitions, and the checks of what it gets there.

use std::time::Duration;

use levada_records::{BatchError, Batches, RecordBatch, RecordBuffer};
use levada_types::Offset;

use super::plan::ConsumePlan;
use crate::CliError;

/// How long the partitions may have nothing new before a run fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where the reading of a partition stands.
#[derive(Debug, Clone)]
pub(super) struct Position {
    pub(super) partition: i32,
    pub(super) next: Offset,
    pub(super) end: Offset,
}

impl Position {
    pub(super) const fn is_done(&self) -> bool {
        self.next >= self.end
    }

    /// Checks the batches that came from this partition and moves on: checksums, that no offset is missing, and each
    /// record if the plan has what to expect. Returns how many records were new.
    pub(super) fn take(
        &mut self,
        plan: &ConsumePlan,
        fetched: &[u8],
        buffer: &mut RecordBuffer,
    ) -> Result<u64, CliError> {
        let what = |offset: Offset| format!("{}-{} at offset {offset}", plan.topic, self.partition);
        let before = self.next;
        let mut next = before;
        for batch in Batches::new(fetched) {
            let batch: RecordBatch<'_> = match batch {
                Ok(batch) => batch,
                // The last batch may be cut off at the size limit.
                Err(BatchError::Truncated { .. }) => break,
                Err(error) => return Err(CliError::batch(what(next))(error)),
            };
            batch.verify_crc().map_err(CliError::batch(what(next)))?;
            let header = batch.header();
            if header.last_offset() < next {
                continue;
            }
            if header.base_offset > next {
                let message = format!("{}: a gap, the next batch starts at {}", what(next), header.base_offset);
                return Err(CliError::Failed(message));
            }
            if let Some(workload) = &plan.verify {
                workload.verify(self.partition, &batch, buffer)?;
            }
            next = header.next_offset();
        }
        self.next = next;
        Ok((next - before).unsigned_abs())
    }
}

/// The error when nothing came for too long.
pub(super) fn starved(positions: &[Position]) -> CliError {
    let waiting: Vec<i32> = positions.iter().filter(|p| !p.is_done()).map(|position| position.partition).collect();
    CliError::Failed(format!("nothing new for {} s in partitions {waiting:?}", PATIENCE.as_secs()))
}

#[cfg(test)]
mod tests {
    use levada_records::{BatchBuilder, Compression};

    use super::*;

    fn plan() -> ConsumePlan {
        ConsumePlan {
            address: String::new(),
            topic: "t".to_owned(),
            records_per_partition: None,
            max_bytes: 1,
            connections: 1,
            verify: None,
        }
    }

    fn batch(base_offset: Offset, count: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        builder.set_position(base_offset, 0);
        for _ in 0..count {
            builder.append(1, None, Some(b"value"), &[]).unwrap();
        }
        builder.build(Compression::None, None).unwrap().to_vec()
    }

    #[test]
    fn whole_batches_count_once_and_a_torn_one_not_yet() {
        let mut position = Position { partition: 0, next: 0, end: 9 };
        let mut buffer = RecordBuffer::new();
        let mut bytes = [batch(0, 3), batch(3, 2), batch(5, 4)].concat();
        bytes.truncate(bytes.len() - 1);
        assert_eq!(position.take(&plan(), &bytes, &mut buffer).unwrap(), 5);
        assert!(!position.is_done());
        let again = [batch(3, 2), batch(5, 4)].concat();
        assert_eq!(position.take(&plan(), &again, &mut buffer).unwrap(), 4);
        assert!(position.is_done());
    }

    #[test]
    fn gaps_and_damage_are_errors() {
        let mut buffer = RecordBuffer::new();
        let mut position = Position { partition: 0, next: 0, end: 9 };
        assert!(position.take(&plan(), &batch(1, 1), &mut buffer).is_err());
        let mut damaged = batch(0, 1);
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert!(position.take(&plan(), &damaged, &mut buffer).is_err());
        assert_eq!(position.next, 0);
    }
}
