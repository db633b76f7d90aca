//! How far a follower cuts its log back when its leader says that it diverges (KIP-101, KIP-279).

use levada_types::{LeaderEpoch, Offset};

use crate::{EpochHistory, LogEnds};

/// The new log end. The leader has said that `epoch` is its greatest epoch at or below that of the follower's last
/// record, and ends at `end_offset` there. Below the log end whenever the leader is right, so that it comes to an end.
pub(super) fn cut(epoch: LeaderEpoch, end_offset: Offset, log: LogEnds, epochs: &dyn EpochHistory) -> Offset {
    match epochs.floor(epoch) {
        // Both have written in this epoch: they agree as far as both have it.
        Some(own) if own.epoch == epoch => own.end_offset.min(end_offset),
        // The leader's epoch is unknown here. What follows the end of the last one before it is not the leader's; the
        // next attach compares that one.
        Some(own) => own.end_offset,
        // Everything here is of later epochs.
        None => log.start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::ToyLog;

    fn cut_at(runs: &[(i32, i64)], epoch: i32, end_offset: Offset) -> Offset {
        let log = ToyLog::of_runs(runs);
        cut(LeaderEpoch(epoch), end_offset, log.ends(), &log)
    }

    #[test]
    fn both_have_the_epoch() {
        assert_eq!(cut_at(&[(1, 10), (2, 5)], 1, 8), 8, "the leader has less of it");
        assert_eq!(cut_at(&[(1, 10), (3, 5)], 1, 12), 10, "the leader has more of it");
    }

    #[test]
    fn the_leaders_epoch_is_unknown_here() {
        // The leader: epoch 1 up to 10, epoch 2 up to 20. Here: epoch 1 up to 12, then 3.
        assert_eq!(cut_at(&[(1, 12), (3, 5)], 2, 20), 12, "first to the end of epoch 1; the next attach compares that");
    }

    #[test]
    fn everything_here_is_later() {
        assert_eq!(cut_at(&[(4, 6)], 2, 5), 0);
    }
}
