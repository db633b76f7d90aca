//! Finding offsets by position or time.

use std::sync::Arc;

use levada_log::TimestampOffset;
use levada_types::{ErrorCode, Isolation};

use crate::Broker;
use crate::api::{FoundOffset, ListOffset, OffsetSpec, PartitionError};
use crate::partition::Partition;

type Answer = Result<FoundOffset, PartitionError>;

const NOT_FOUND: FoundOffset = FoundOffset { offset: -1, timestamp: -1, leader_epoch: None };

impl Broker {
    /// See [`Broker::list_offsets`].
    pub(crate) async fn find_offsets(&self, request: Vec<ListOffset>, isolation: Isolation) -> Vec<Answer> {
        let located: Vec<_> = request.into_iter().map(|asked| (self.leader_of(&asked), asked.spec)).collect();
        let reads_disk =
            located.iter().any(|(_, spec)| matches!(spec, OffsetSpec::Timestamp(_) | OffsetSpec::MaxTimestamp));
        if !reads_disk {
            return find_all(located, isolation);
        }
        let count = located.len();
        match tokio::task::spawn_blocking(move || find_all(located, isolation)).await {
            Ok(found) => found,
            // The search met a defect, or the process ends.
            Err(_) => (0..count).map(|_| Err(ErrorCode::UnknownServerError.into())).collect(),
        }
    }

    fn leader_of(&self, asked: &ListOffset) -> Result<Arc<Partition>, PartitionError> {
        let partition = self.locate(&asked.partition)?;
        partition.role().check_leads(asked.current_leader_epoch)?;
        Ok(partition)
    }
}

fn find_all(located: Vec<(Result<Arc<Partition>, PartitionError>, OffsetSpec)>, isolation: Isolation) -> Vec<Answer> {
    located.into_iter().map(|(partition, spec)| find(&*partition?, spec, isolation)).collect()
}

fn find(partition: &Partition, spec: OffsetSpec, isolation: Isolation) -> Answer {
    let reader = partition.reader();
    let visible_end = partition.visible_end(isolation);
    let refused = |error: levada_log::ReadError| PartitionError::new(error.code(), error.to_string());
    match spec {
        OffsetSpec::Earliest | OffsetSpec::EarliestLocal => {
            let offset = reader.log_start_offset();
            Ok(FoundOffset { offset, timestamp: -1, leader_epoch: reader.epoch_for_offset(offset) })
        }
        OffsetSpec::Latest => {
            partition.check_end_known()?;
            Ok(FoundOffset { offset: visible_end, timestamp: -1, leader_epoch: reader.latest_epoch() })
        }
        OffsetSpec::LatestTiered => Ok(NOT_FOUND),
        OffsetSpec::MaxTimestamp => {
            let record = reader.max_timestamp_offset(visible_end).map_err(refused)?;
            known_or_absent(partition, record)
        }
        OffsetSpec::Timestamp(timestamp) => {
            let record = reader.offset_for_timestamp(timestamp, visible_end).map_err(refused)?;
            known_or_absent(partition, record)
        }
    }
}

/// What a search by time has found. That there is no record cannot be said before the end is known (KIP-207).
fn known_or_absent(partition: &Partition, record: Option<TimestampOffset>) -> Answer {
    if record.is_none() {
        partition.check_end_known()?;
    }
    Ok(found(record))
}

fn found(record: Option<TimestampOffset>) -> FoundOffset {
    record.map_or(NOT_FOUND, |record| FoundOffset {
        offset: record.offset,
        timestamp: record.timestamp,
        leader_epoch: record.leader_epoch,
    })
}
