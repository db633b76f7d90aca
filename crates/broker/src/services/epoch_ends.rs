//! Where leader epochs ended (KIP-101, KIP-279).

use crate::Broker;
use crate::api::{EpochEnd, EpochEndRequest, PartitionError};
use crate::partition::Partition;
use levada_types::LeaderEpoch;

impl Broker {
    /// See [`Broker::epoch_ends`].
    pub(crate) fn find_epoch_end(&self, asked: &EpochEndRequest) -> Result<Option<EpochEnd>, PartitionError> {
        let partition = self.locate(&asked.partition)?;
        partition.role().check_leads(asked.current_leader_epoch)?;
        Ok(epoch_end(&partition, asked.leader_epoch))
    }
}

/// Where `epoch` ended in this replica's log. The current epoch of a leader ends at the log end, even before it has a
/// record.
pub(super) fn epoch_end(partition: &Partition, epoch: LeaderEpoch) -> Option<EpochEnd> {
    let role = partition.role();
    if role.leads && epoch == role.leader_epoch {
        return Some(EpochEnd { epoch, end_offset: partition.reader().log_end_offset() });
    }
    if epoch > role.leader_epoch {
        return None;
    }
    let reader = partition.reader();
    match reader.latest_epoch() {
        // Epochs without a record, between the last one that has any and the current one, ended where they began.
        Some(latest) if latest < epoch => Some(EpochEnd { epoch: latest, end_offset: reader.log_end_offset() }),
        _ => {
            let found = reader.end_offset_for_epoch(epoch)?;
            Some(EpochEnd { epoch: found.epoch, end_offset: found.end_offset })
        }
    }
}
