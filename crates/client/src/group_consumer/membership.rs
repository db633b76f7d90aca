//! What a member of a group can do beside consuming.

use std::sync::Arc;

use levada_proto::v1;
use levada_proto::v1::seek_subscription::Start;
use levada_types::{Offset, TopicPartition};
use tokio::time::timeout;

use super::shared::Shared;
use crate::cluster::Cluster;
use crate::{ClientError, ConsumedRecord, OffsetToCommit, StartAt};

/// A consumer's place in its group: commits, seeks and tells, from any task and from within a
/// [`super::RebalanceListener`]. Cheap to clone. It does not keep the consumer alive.
#[derive(Debug, Clone)]
pub struct Membership {
    pub(super) cluster: Arc<Cluster>,
    pub(super) shared: Arc<Shared>,
}

impl Membership {
    /// The member's id; `None` while it is joining anew.
    #[must_use]
    pub fn member_id(&self) -> Option<String> {
        self.shared.look(|ledger| ledger.member_id().map(str::to_owned))
    }

    /// The member's epoch (KIP-848): a partition that is given up in one epoch is somebody else's in a greater one at the
    /// earliest. `None` while it is joining anew.
    #[must_use]
    pub fn member_epoch(&self) -> Option<i32> {
        self.shared.look(|ledger| ledger.member_epoch())
    }

    /// The partitions that the program has been told to be its own, by topic and number.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        let mut assignment = self.shared.look(|ledger| ledger.assignment());
        assignment.sort_unstable();
        assignment
    }

    /// The offset of the next record that `poll` will return of a partition; `None` until one has been returned, or a seek
    /// has been made.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.shared.look(|ledger| ledger.position(partition))
    }

    /// This record, and those before it in its partition, are processed. Only needed where it should count before the next
    /// `poll`.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION` if the partition is not the consumer's any more.
    pub fn processed(&self, record: &ConsumedRecord) -> Result<(), ClientError> {
        self.shared.act(|ledger| ledger.processed(record))
    }

    /// Processing takes long, but it goes on: `max.poll.interval.ms` counts from now.
    pub fn progress(&self) {
        self.shared.act(super::ledger::Ledger::show_progress);
    }

    /// Commits what is processed: everything that was returned before the last `poll`, and what [`Self::processed`] was told.
    ///
    /// # Errors
    /// Those of [`Self::commit_offsets`].
    pub async fn commit(&self) -> Result<(), ClientError> {
        let offsets = self.shared.look(|ledger| ledger.processed_offsets());
        self.commit_offsets(&offsets).await
    }

    /// Commits these offsets, each of them the next record to be consumed.
    ///
    /// # Errors
    /// What the broker answered of one of them; the others may be committed. `UNKNOWN_MEMBER_ID` where the consumer was taken
    /// out of the group; [`ClientError::TimedOut`] after `request.timeout.ms`, when the outcome is unknown.
    pub async fn commit_offsets(&self, offsets: &[OffsetToCommit]) -> Result<(), ClientError> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.check()?;
        let (request_id, answer) = self.shared.act(|ledger| ledger.commit(offsets));
        // Also where the caller does not wait for the answer.
        let _forget = Forget { shared: &self.shared, request_id };
        self.within(answer).await
    }

    /// Goes on somewhere else in a partition, and tells where that is. Of what was fetched before nothing is returned any more,
    /// and where it goes on counts as processed.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION` if the partition is not the consumer's; [`ClientError::TimedOut`] after
    /// `request.timeout.ms`, when the consumer still goes there as soon as it can.
    pub async fn seek(&self, partition: &TopicPartition, to: StartAt) -> Result<Offset, ClientError> {
        self.check()?;
        let start = match to {
            StartAt::Earliest => Start::Position(v1::OffsetPosition::Earliest.into()),
            StartAt::Latest => Start::Position(v1::OffsetPosition::Latest.into()),
            StartAt::Offset(offset) => Start::Offset(offset),
            StartAt::Timestamp(timestamp_ms) => Start::TimestampMs(timestamp_ms),
        };
        let answer = self.shared.act(|ledger| ledger.seek(partition, start))?;
        self.within(answer).await
    }

    fn check(&self) -> Result<(), ClientError> {
        self.shared.look(|ledger| match ledger.failed() {
            Some(error) => Err(error.clone()),
            None if ledger.is_over() => Err(ClientError::Closed),
            None => Ok(()),
        })
    }

    async fn within<T>(
        &self,
        answer: tokio::sync::oneshot::Receiver<Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let limit = self.cluster.options().request_timeout;
        match timeout(limit, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ClientError::Closed),
            Err(_) => Err(ClientError::TimedOut { option: "request.timeout.ms", limit }),
        }
    }
}

/// A commit that somebody waits for.
struct Forget<'a> {
    shared: &'a Shared,
    request_id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.look(|ledger| ledger.forget_commit(self.request_id));
    }
}
