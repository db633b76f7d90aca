//! What a shard wants done.

use std::ops::Range;

use bytes::Bytes;
use levada_types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

use super::Unserved;
use crate::Token;

/// Something to be done. What concerns the leader belongs to the attempt that was opened last.
#[derive(Debug)]
pub enum Effect<R> {
    /// Open an append session at this leader. Whatever was opened, read or appended before is of no interest any more.
    Open {
        /// The attempt that begins.
        attempt: u64,
        /// Whom to ask.
        leader: BrokerId,
        /// Under which leader epoch.
        epoch: LeaderEpoch,
    },
    /// Read what is committed, once all of it is.
    Read {
        /// The first offset.
        from: Offset,
        /// The offset after the last one.
        to: Offset,
    },
    /// Read what is committed at this leader, from `from` or its log start on, as it comes. Whatever was opened, read or appended
    /// before is of no interest any more.
    Follow {
        /// The attempt that begins.
        attempt: u64,
        /// Whom to ask.
        leader: BrokerId,
        /// Under which leader epoch.
        epoch: LeaderEpoch,
        /// The first offset.
        from: Offset,
    },
    /// Append a batch under the session, behind those before it.
    Append {
        /// Stands for it.
        number: u64,
        /// The offset that it is to get.
        expected: Offset,
        /// The batch.
        records: Bytes,
    },
    /// Nothing that was opened, read or appended is of interest any more, and nothing new is opened yet.
    Close,
    /// Answer a request, if anybody still waits for it.
    Answer {
        /// Which one.
        token: Token,
        /// With what.
        answer: Result<R, Unserved>,
    },
    /// Fail every request of these that was not answered yet. Requests that the machine has not heard of when it says this are
    /// not among them.
    Fail {
        /// Which ones.
        tokens: Range<Token>,
        /// With what.
        with: Unserved,
    },
    /// Something that operators may want to know.
    Tell(News),
}

/// What operators may want to know of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It serves.
    Serves {
        /// From which offset on it was loaded; `to` if what it had was enough.
        from: Offset,
        /// Up to which.
        to: Offset,
        /// Records and markers that it was shown.
        replayed: u64,
    },
    /// It has to load again.
    LoadsAgain(&'static str),
    /// An append was refused, and its state set back.
    SetBack(ErrorCode),
    /// What was read cannot be read.
    Damaged(&'static str),
}
