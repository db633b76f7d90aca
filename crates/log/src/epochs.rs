//! Which leader epoch wrote which offsets (KIP-101).

use levada_types::{LeaderEpoch, Offset};

use crate::EpochEnd;

/// Where each leader epoch starts in a log. Both columns ascend strictly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs(Vec<EpochStart>);

/// The first offset of a leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochStart {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) start: Offset,
}

impl LeaderEpochs {
    /// From entries in any state: those that contradict a later one are dropped.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = EpochStart>) -> Self {
        let mut epochs = Self::default();
        for entry in entries {
            epochs.assign(entry.epoch, entry.start);
        }
        epochs
    }

    /// The entries, ascending.
    pub(crate) fn entries(&self) -> &[EpochStart] {
        &self.0
    }

    /// Whether [`Self::assign`] would change anything.
    pub(crate) fn would_change(&self, epoch: LeaderEpoch) -> bool {
        epoch.0 >= 0 && self.0.last().is_none_or(|last| last.epoch != epoch)
    }

    /// Notes that `epoch` wrote at `start`. Entries of this and later epochs, and those at or behind `start`, were of a
    /// log that has been replaced, and go. An epoch that goes on keeps its start. -1 (none) is not noted.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if epoch.0 < 0 || self.0.last().is_some_and(|last| last.epoch == epoch && last.start <= start) {
            return;
        }
        let keep = self.0.partition_point(|entry| entry.epoch < epoch && entry.start < start);
        self.0.truncate(keep);
        self.0.push(EpochStart { epoch, start });
    }

    /// Forgets what lies at or behind `end`. Returns whether anything did.
    pub(crate) fn truncate_end(&mut self, end: Offset) -> bool {
        let keep = self.0.partition_point(|entry| entry.start < end);
        let changes = keep < self.0.len();
        self.0.truncate(keep);
        changes
    }

    /// Forgets what lies before `start`; the epoch that `start` is in starts there now. Returns whether anything did.
    pub(crate) fn truncate_start(&mut self, start: Offset) -> bool {
        let before = self.0.partition_point(|entry| entry.start <= start);
        let Some(current) = before.checked_sub(1) else { return false };
        let changes = current > 0 || self.0[current].start < start;
        self.0[current].start = start;
        self.0.drain(..current);
        changes
    }

    /// Whether an epoch starts at one of these offsets, the last one included.
    pub(crate) fn has_start_within(&self, first: Offset, last: Offset) -> bool {
        let next = self.0.partition_point(|entry| entry.start < first);
        self.0.get(next).is_some_and(|entry| entry.start <= last)
    }

    /// The newest epoch.
    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|last| last.epoch)
    }

    /// The epoch that wrote `offset`.
    pub(crate) fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.0.partition_point(|entry| entry.start <= offset);
        after.checked_sub(1).map(|index| self.0[index].epoch)
    }

    /// Where `epoch` ended in a log that ends at `log_end`: the greatest epoch at or below it, and where the next one
    /// starts. `None` if all epochs here are greater, or it is unknown and greater than all.
    pub(crate) fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        let after = self.0.partition_point(|entry| entry.epoch <= epoch);
        let found = self.0[after.checked_sub(1)?];
        match self.0.get(after) {
            Some(next) => Some(EpochEnd { epoch: found.epoch, end_offset: next.start }),
            // An epoch that this log has not heard of may have records that it does not have.
            None => (found.epoch == epoch).then_some(EpochEnd { epoch, end_offset: log_end }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs(entries.iter().map(|&(epoch, start)| EpochStart { epoch: LeaderEpoch(epoch), start }).collect())
    }

    fn end(epochs: &LeaderEpochs, epoch: i32) -> Option<(i32, i64)> {
        epochs.end_of(LeaderEpoch(epoch), 100).map(|end| (end.epoch.0, end.end_offset))
    }

    #[test]
    fn an_epoch_starts_once() {
        let mut cache = LeaderEpochs::default();
        for (epoch, start) in [(-1, 0), (0, 0), (0, 5), (2, 10), (2, 20), (5, 20)] {
            cache.assign(LeaderEpoch(epoch), start);
        }
        assert_eq!(cache, epochs(&[(0, 0), (2, 10), (5, 20)]));
        assert_eq!(cache.latest(), Some(LeaderEpoch(5)));
        assert!(!cache.would_change(LeaderEpoch(5)) && cache.would_change(LeaderEpoch(6)));
    }

    #[test]
    fn a_replaced_tail_takes_its_epochs_with_it() {
        let mut cache = epochs(&[(1, 0), (3, 90)]);
        cache.assign(LeaderEpoch(5), 80);
        assert_eq!(cache, epochs(&[(1, 0), (5, 80)]));
        let mut cache = epochs(&[(1, 0), (3, 90), (4, 95)]);
        cache.assign(LeaderEpoch(3), 96);
        assert_eq!(cache, epochs(&[(1, 0), (3, 96)]), "an older epoch never follows a newer one");
    }

    #[test]
    fn truncation_at_both_ends() {
        let mut cache = epochs(&[(0, 0), (2, 10), (5, 20)]);
        assert!(!cache.truncate_end(21));
        assert!(cache.truncate_end(20));
        assert_eq!(cache, epochs(&[(0, 0), (2, 10)]));
        let mut cache = epochs(&[(0, 0), (2, 10), (5, 20)]);
        assert!(cache.truncate_start(15));
        assert_eq!(cache, epochs(&[(2, 15), (5, 20)]));
        assert!(!cache.truncate_start(15));
        assert!(!LeaderEpochs::default().truncate_start(15));
    }

    #[test]
    fn where_an_epoch_ended() {
        let cache = epochs(&[(1, 0), (2, 10), (5, 20)]);
        assert_eq!(end(&cache, 0), None, "older than all");
        assert_eq!(end(&cache, 1), Some((1, 10)));
        assert_eq!(end(&cache, 3), Some((2, 20)), "the greatest at or below");
        assert_eq!(end(&cache, 5), Some((5, 100)), "the current one ends where the log ends");
        assert_eq!(end(&cache, 6), None, "not heard of");
        assert!(cache.has_start_within(0, 0) && cache.has_start_within(8, 12) && !cache.has_start_within(11, 19));
        assert_eq!(cache.epoch_of(-1), None);
        assert_eq!(cache.epoch_of(9), Some(LeaderEpoch(1)));
        assert_eq!(cache.epoch_of(25), Some(LeaderEpoch(5)));
    }
}
