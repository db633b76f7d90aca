//! The sender's place in one stream of frames: where it goes on, and how much it may send.

use levada_types::{LeaderEpoch, Offset};

use crate::{Frame, LogEnds, Session};

/// One follower's stream of frames as its sender keeps it, from [`crate::Effect::StartStream`] to
/// [`crate::Effect::EndStream`].
///
/// The follower grants credit in bytes, per partition, so that one that cannot append takes no room from others. A batch
/// that is larger than the credit left is sent all the same once any is left, or it would never be.
#[derive(Debug, Clone)]
pub struct SendWindow {
    leader_epoch: LeaderEpoch,
    session: Session,
    next: Offset,
    credit: i64,
    /// The high watermark and log start that the follower was told last.
    told: Option<(Offset, Offset)>,
}

/// What a sender does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Read records and send them.
    Records {
        /// From this offset on.
        from: Offset,
        /// Up to this many bytes, but at least one batch.
        max_bytes: usize,
    },
    /// Send a frame without records: the high watermark or the log start have moved.
    Marks,
    /// Nothing, for now.
    Nothing,
    /// The log starts later than where the stream stands: the session cannot go on.
    Gone,
}

impl SendWindow {
    /// A stream that begins at `from`, with the credit in bytes that the follower grants at first.
    #[must_use]
    pub fn new(leader_epoch: LeaderEpoch, session: Session, from: Offset, credit: usize) -> Self {
        Self { leader_epoch, session, next: from, credit: signed(credit), told: None }
    }

    /// The attachment.
    #[must_use]
    pub fn session(&self) -> Session {
        self.session
    }

    /// The offset of the next record to be sent.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The follower grants more credit.
    pub fn grant(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_add(signed(bytes));
    }

    /// What to do, given where the leader's log and high watermark stand.
    #[must_use]
    pub fn due(&self, log: LogEnds, high_watermark: Offset) -> Due {
        if self.next < log.start {
            return Due::Gone;
        }
        match usize::try_from(self.credit) {
            Ok(max_bytes) if max_bytes > 0 && self.next < log.end => Due::Records { from: self.next, max_bytes },
            _ if self.told != Some((high_watermark, log.start)) => Due::Marks,
            _ => Due::Nothing,
        }
    }

    /// The head of the frame that brings `bytes` bytes of records up to `end_offset`, or none if that is where the stream
    /// stands; it counts as sent.
    pub fn frame(&mut self, end_offset: Offset, bytes: usize, high_watermark: Offset, log_start: Offset) -> Frame {
        let base_offset = self.next;
        self.next = end_offset.max(base_offset);
        self.credit = self.credit.saturating_sub(signed(bytes));
        self.told = Some((high_watermark, log_start));
        Frame {
            leader_epoch: self.leader_epoch,
            session: self.session,
            base_offset,
            end_offset: self.next,
            high_watermark,
            log_start,
        }
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use levada_types::BrokerEpoch;

    use super::*;

    fn window(credit: usize) -> SendWindow {
        let session = Session { broker_epoch: BrokerEpoch(1), counter: 1 };
        SendWindow::new(LeaderEpoch(3), session, 10, credit)
    }

    const LOG: LogEnds = LogEnds { start: 0, end: 20, flushed: 0 };

    #[test]
    fn sends_within_its_credit_and_one_batch_beyond() {
        let mut window = window(100);
        assert_eq!(window.due(LOG, 5), Due::Records { from: 10, max_bytes: 100 });
        let frame = window.frame(15, 130, 5, 0);
        assert_eq!((frame.base_offset, frame.end_offset), (10, 15));
        assert_eq!(window.due(LOG, 5), Due::Nothing, "the credit is overdrawn");
        window.grant(30);
        assert_eq!(window.due(LOG, 5), Due::Nothing, "and just made up for");
        window.grant(1);
        assert_eq!(window.due(LOG, 5), Due::Records { from: 15, max_bytes: 1 });
    }

    #[test]
    fn tells_marks_once_and_without_credit() {
        let mut window = window(0);
        assert_eq!(window.due(LOG, 5), Due::Marks);
        let frame = window.frame(10, 0, 5, 0);
        assert_eq!((frame.base_offset, frame.end_offset, frame.high_watermark), (10, 10, 5));
        assert_eq!(window.due(LOG, 5), Due::Nothing);
        assert_eq!(window.due(LogEnds { start: 3, ..LOG }, 5), Due::Marks);
        assert_eq!(window.due(LOG, 6), Due::Marks);
    }

    #[test]
    fn ends_where_the_log_is_gone() {
        assert_eq!(window(100).due(LogEnds { start: 11, ..LOG }, 15), Due::Gone);
        assert_eq!(window(100).due(LogEnds { start: 10, end: 10, flushed: 0 }, 10), Due::Marks);
    }
}
