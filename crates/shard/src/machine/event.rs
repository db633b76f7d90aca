//! What happens to a shard.

use bytes::Bytes;
use levada_types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

use crate::{AppendSession, Token};

/// Who leads the shard's partition, by an image in which this process owns the shard or would be the next to own it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The leader, if there is one.
    pub leader: Option<BrokerId>,
    /// The leader epoch.
    pub epoch: LeaderEpoch,
    /// Elections after which committed records may be missing (`Partition::possible_losses`): what was loaded before another
    /// one counts no more.
    pub losses: u32,
}

/// Something has happened. What bears the number of an attempt is dropped if another one has begun since.
#[derive(Debug)]
pub enum Event<Q> {
    /// The newest word on the partition; may be told again and again.
    Term(Term),
    /// The shard is another process's, whose place this one would take: it is to know beforehand what is committed. By an image
    /// in which that is so; may be told again and again.
    Follow(Term),
    /// This process may not serve for now: its session with the controller has lapsed. [`Event::Term`] ends it, and
    /// [`Event::Follow`].
    Suspend,
    /// The append session is open.
    Opened {
        /// Of which attempt.
        attempt: u64,
        /// What the leader said.
        opened: Opened,
    },
    /// Committed batches, as they follow those read before; none of them says that nothing is new to who follows.
    Read {
        /// Of which attempt.
        attempt: u64,
        /// Whole batches.
        records: Bytes,
    },
    /// Everything that was to be read was read.
    ReadEnded {
        /// Of which attempt.
        attempt: u64,
    },
    /// What was asked of the leader did not work out, its stream has broken, or the session is known not to be the newest.
    Lost {
        /// Of which attempt.
        attempt: u64,
    },
    /// A request. Tokens are drawn in the order of the requests.
    Request {
        /// Stands for it.
        token: Token,
        /// What is asked.
        request: Q,
    },
    /// What has become of an append; in the order of the appends.
    Outcome {
        /// Of which attempt.
        attempt: u64,
        /// The number of the append.
        number: u64,
        /// What has become of it.
        outcome: Outcome,
    },
    /// Time has passed, or the metadata has changed.
    Tick,
}

/// An append session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub session: AppendSession,
    /// The log start offset.
    pub start: Offset,
    /// The log end offset: nothing that was sent earlier comes to lie above it.
    pub end: Offset,
    /// Where the leader epoch begins, for an owner that breaks the rules.
    #[cfg(any(test, feature = "defects"))]
    pub epoch_start: Offset,
}

impl Opened {
    /// What a leader told that opened a session.
    #[must_use]
    pub fn new(session: AppendSession, start: Offset, end: Offset) -> Self {
        Self {
            session,
            start,
            end,
            #[cfg(any(test, feature = "defects"))]
            epoch_start: end,
        }
    }
}

/// What has become of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed; the offset of its first record.
    Committed(Offset),
    /// Nothing of it is in the log.
    Refused(RefusalReason, ErrorCode),
    /// It may be in the log, and be committed now or later.
    Unknown,
}

/// Why nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The session or the epoch is not the newest.
    Session,
    /// The log does not end where it was expected to.
    Offset,
    /// The log does not take it, as things are; the next one may be taken.
    NotTaken,
}
