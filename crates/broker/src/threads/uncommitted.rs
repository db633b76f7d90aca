//! Appends whose answers wait until they are committed.

use std::collections::VecDeque;

use levada_types::{ErrorCode, Offset};
use tokio::sync::oneshot;

use super::gather::Slot;
use crate::api::{LeaderHint, PartitionError, Produced};
use crate::shard_log::AppendOutcome;

/// Appended and not yet committed, in the order of their offsets. Bounded by the unanswered requests that faces allow, and by
/// those of an append session.
#[derive(Default)]
pub(super) struct Uncommitted(VecDeque<Entry>);

struct Entry {
    end: Offset,
    waiting: Waiting,
}

/// Who waits.
pub(super) enum Waiting {
    /// A client, for this answer.
    Client(Produced, Slot<Result<Produced, PartitionError>>),
    /// The owner of a shard, whose append begins at this offset.
    Owner(Offset, oneshot::Sender<AppendOutcome>),
}

impl Uncommitted {
    /// Keeps an answer until everything below `end` is committed.
    pub(super) fn keep(&mut self, end: Offset, waiting: Waiting) {
        self.0.push_back(Entry { end, waiting });
    }

    /// Answers those whose records are below `committed`. A duplicate stands behind its original, and so waits for it.
    pub(super) fn answer(&mut self, committed: Offset) {
        while let Some(first) = self.0.pop_front_if(|first| first.end <= committed) {
            match first.waiting {
                Waiting::Client(produced, answer) => answer.fill(Ok(produced)),
                // An owner that has gone hears nothing.
                Waiting::Owner(base, answer) => drop(answer.send(AppendOutcome::Committed(base))),
            }
        }
    }

    /// Answers everybody with this error: what they appended may be committed yet, or not.
    pub(super) fn fail(&mut self, code: ErrorCode, leader: LeaderHint) {
        for entry in self.0.drain(..) {
            match entry.waiting {
                Waiting::Client(_, answer) => answer.fill(Err(PartitionError::with_leader(code, leader))),
                Waiting::Owner(_, answer) => drop(answer.send(AppendOutcome::Unknown(code))),
            }
        }
    }
}
