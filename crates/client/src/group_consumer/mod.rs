//! Consuming as a member of a group: partitions come and go, records are handed out, and what is processed is committed.
//!
//! The consumer's stream to a broker is kept by a task of its own, so that a broken one is replaced while the program
//! processes. Everything that the program is told, it is told within its own `poll`.

mod builder;
mod ledger;
mod link;
mod listener;
mod membership;
mod options;
mod shared;

use std::fmt;

use levada_types::{Offset, TopicPartition};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use builder::GroupConsumerBuilder;
pub use listener::RebalanceListener;
pub use membership::Membership;

use ledger::{Change, Step};

use crate::{ClientError, ConsumedRecord, OffsetToCommit, StartAt};

/// A member of a consumer group. Each partition of the topics that it subscribes to belongs to one member of the group, and
/// the records of those that are its own come in the order of their offsets.
///
/// Every record comes at least once to some member. After a rebalance, a crash, or a broken stream at the wrong moment, those
/// come again that were processed and not committed. Dropping the consumer looks like a crash to the group, which waits for
/// the session timeout; [`Self::close`] leaves.
pub struct GroupConsumer {
    membership: Membership,
    link: JoinHandle<()>,
    /// Never locked: it is what lets tasks share a consumer although nobody shares the listener.
    listener: Mutex<Box<dyn RebalanceListener>>,
    max_poll_records: usize,
}

impl fmt::Debug for GroupConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupConsumer").field("membership", &self.membership).finish_non_exhaustive()
    }
}

impl GroupConsumer {
    fn new(
        membership: Membership,
        link: JoinHandle<()>,
        listener: Box<dyn RebalanceListener>,
        max_poll_records: usize,
    ) -> Self {
        Self { membership, link, listener: Mutex::new(listener), max_poll_records }
    }

    /// The next records, at least one and at most `max.poll.records`. Waits for them as long as it takes; a caller that does
    /// not want to may drop it, for instance by a timeout, and loses nothing.
    ///
    /// What the polls before returned counts as processed from now on: it may be committed, and there is room for more. The
    /// listener is told within this call of partitions that come and go.
    ///
    /// # Errors
    /// What failed for good, such as `FENCED_INSTANCE_ID` (somebody else has its name). Lost connections, moved coordinators and
    /// having been taken out of the group are none of these.
    pub async fn poll(&mut self) -> Result<Vec<ConsumedRecord>, ClientError> {
        self.membership.shared.act(ledger::Ledger::polled);
        loop {
            match self.next_step().await {
                Step::Records(records) => return Ok(records),
                Step::Failed(error) => return Err(error),
                step => self.tell(step).await,
            }
        }
    }

    async fn next_step(&self) -> Step {
        let (shared, max) = (&self.membership.shared, self.max_poll_records);
        let something = |step| match step {
            Step::Wait => None,
            step => Some(step),
        };
        shared.until(|ledger| something(ledger.next_step(max))).await
    }

    async fn tell(&mut self, step: Step) {
        let Step::Tell(change, partitions) = step else { return };
        let listener = self.listener.get_mut();
        match change {
            Change::Assigned => listener.on_assigned(&partitions, &self.membership).await,
            Change::Revoked => listener.on_revoked(&partitions, &self.membership).await,
            Change::Lost => listener.on_lost(&partitions, &self.membership).await,
        }
        self.membership.shared.act(ledger::Ledger::told);
    }

    /// Commits everything that `poll` has returned.
    ///
    /// # Errors
    /// Those of [`Membership::commit_offsets`].
    pub async fn commit(&self) -> Result<(), ClientError> {
        self.membership.shared.act(ledger::Ledger::polled);
        self.membership.commit().await
    }

    /// [`Membership::commit_offsets`].
    ///
    /// # Errors
    /// Those of [`Membership::commit_offsets`].
    pub async fn commit_offsets(&self, offsets: &[OffsetToCommit]) -> Result<(), ClientError> {
        self.membership.commit_offsets(offsets).await
    }

    /// [`Membership::seek`].
    ///
    /// # Errors
    /// Those of [`Membership::seek`].
    pub async fn seek(&self, partition: &TopicPartition, to: StartAt) -> Result<Offset, ClientError> {
        self.membership.seek(partition, to).await
    }

    /// [`Membership::assignment`].
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.membership.assignment()
    }

    /// Its place in the group, for other tasks.
    #[must_use]
    pub const fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Leaves the group, after the listener has been told that everything is revoked. What `poll` has returned counts as
    /// processed, and is committed where that is automatic.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] if no broker has taken leave of it within `request.timeout.ms`: the group waits for the
    /// session timeout.
    pub async fn close(self) -> Result<(), ClientError> {
        self.membership.shared.act(ledger::Ledger::polled);
        self.leave().await
    }

    /// [`Self::close`], but what the last `poll` returned counts as not processed.
    ///
    /// # Errors
    /// Those of [`Self::close`].
    pub async fn abandon(self) -> Result<(), ClientError> {
        self.leave().await
    }

    async fn leave(mut self) -> Result<(), ClientError> {
        let owned = self.assignment();
        if !owned.is_empty() {
            self.listener.get_mut().on_revoked(&owned, &self.membership).await;
        }
        let shared = &self.membership.shared;
        shared.act(ledger::Ledger::leave);
        let limit = self.membership.cluster.options().request_timeout;
        let left = shared.until(|ledger| ledger.is_over().then_some(()));
        let outcome = timeout(limit, left).await;
        self.stop();
        outcome.map_err(|_| ClientError::TimedOut { option: "request.timeout.ms", limit })
    }

    fn stop(&mut self) {
        self.link.abort();
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.stop();
    }
}
