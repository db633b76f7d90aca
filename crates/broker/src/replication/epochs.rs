//! The leader epochs of a log, as the replica's state machine asks for them.

use levada_log::LogReader;
use levada_replication::{EpochEnd, EpochHistory};
use levada_types::LeaderEpoch;

/// Those of the log that this reads.
pub(crate) struct LogEpochs<'a>(pub(crate) &'a LogReader);

impl EpochHistory for LogEpochs<'_> {
    fn latest(&self) -> Option<LeaderEpoch> {
        self.0.latest_epoch()
    }

    fn floor(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let end_of = |epoch| self.0.end_offset_for_epoch(epoch);
        // An epoch later than all that are here is none that the log has heard of.
        let asked = self.0.latest_epoch().map_or(epoch, |latest| latest.min(epoch));
        end_of(asked).map(|end| EpochEnd { epoch: end.epoch, end_offset: end.end_offset })
    }
}
