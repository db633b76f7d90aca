//! Partitions that move to other brokers, and leaders that are elected by hand.

use levada_proto::v1;
use levada_types::{BrokerId, TopicPartition};

use super::partitions::{self, to_messages};
use super::{Admin, PartitionOutcome};
use crate::ClientError;

/// Where a partition is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReassignment {
    /// Which partition.
    pub partition: TopicPartition,
    /// Who shall hold it, the preferred leader first.
    pub replicas: Vec<BrokerId>,
}

/// A partition that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OngoingReassignment {
    /// Which partition.
    pub partition: TopicPartition,
    /// Who holds it now, those that come and those that go included.
    pub replicas: Vec<BrokerId>,
    /// Those of them that come.
    pub adding: Vec<BrokerId>,
    /// Those of them that go once the others have come.
    pub removing: Vec<BrokerId>,
    /// Who leads it, if anybody does.
    pub leader: Option<BrokerId>,
    /// The replicas that are in sync.
    pub isr: Vec<BrokerId>,
    /// How far each of `adding` has come, in their order.
    pub progress: Vec<ReplicaProgress>,
    /// What holds it up, if it is not copying; for people.
    pub stuck_because: Option<String>,
}

/// How far a replica has come that is being added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaProgress {
    /// The broker that it comes to.
    pub broker: BrokerId,
    /// Whether it has caught up.
    pub in_sync: bool,
    /// Bytes of its log, if its broker told.
    pub copied_bytes: Option<u64>,
    /// Bytes of the leader's log, which goes on growing, if the leader's broker told.
    pub total_bytes: Option<u64>,
}

/// How a leader is elected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The first replica of the assignment leads, if it is in sync.
    Preferred,
    /// A replica that lives leads a partition without a leader, although acknowledged records may be lost by it.
    Unclean,
}

impl Admin {
    /// Moves partitions to other brokers, each on its own. With `keep_replication_factor` what would change the number of
    /// replicas is refused.
    ///
    /// # Errors
    /// The broker's; those of each partition are in its outcome.
    pub async fn alter_partition_reassignments(
        &self,
        reassignments: &[NewReassignment],
        keep_replication_factor: bool,
    ) -> Result<Vec<PartitionOutcome<()>>, ClientError> {
        let message = |new: &NewReassignment| v1::NewReassignment {
            topic: new.partition.topic.to_string(),
            partition: new.partition.partition,
            broker_ids: new.replicas.iter().map(|id| id.0).collect(),
        };
        let reassignments = reassignments.iter().map(message).collect();
        let request = v1::AlterPartitionReassignmentsRequest { reassignments, keep_replication_factor };
        let (address, answer) = self
            .call(request, |mut admin, request| async move { admin.alter_partition_reassignments(request).await })
            .await?;
        PartitionOutcome::read_all(&address, answer.results)
    }

    /// Stops reassignments; all that are under way, if `partitions` is empty.
    ///
    /// # Errors
    /// The broker's; those of each partition are in its outcome, such as `NO_REASSIGNMENT_IN_PROGRESS`.
    pub async fn cancel_partition_reassignments(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<PartitionOutcome<()>>, ClientError> {
        let request = v1::CancelPartitionReassignmentsRequest { partitions: to_messages(partitions) };
        let (address, answer) = self
            .call(request, |mut admin, request| async move { admin.cancel_partition_reassignments(request).await })
            .await?;
        PartitionOutcome::read_all(&address, answer.results)
    }

    /// The reassignments under way, of these partitions or, if there are none, of all.
    ///
    /// # Errors
    /// The broker's.
    pub async fn list_partition_reassignments(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<OngoingReassignment>, ClientError> {
        let request = v1::ListPartitionReassignmentsRequest { partitions: to_messages(partitions) };
        let (address, answer) = self
            .call(request, |mut admin, request| async move { admin.list_partition_reassignments(request).await })
            .await?;
        answer.reassignments.into_iter().map(|moving| OngoingReassignment::read(&address, moving)).collect()
    }

    /// Elects leaders, of these partitions or, if there are none, of all that need it. Tells who leads then.
    ///
    /// # Errors
    /// The broker's; those of each partition are in its outcome, such as `ELECTION_NOT_NEEDED`.
    pub async fn elect_leaders(
        &self,
        election: Election,
        partitions: &[TopicPartition],
    ) -> Result<Vec<PartitionOutcome<BrokerId>>, ClientError> {
        let election = match election {
            Election::Preferred => v1::ElectionType::Preferred,
            Election::Unclean => v1::ElectionType::Unclean,
        };
        let request = v1::ElectLeadersRequest { partitions: to_messages(partitions), r#type: election.into() };
        let (address, answer) =
            self.call(request, |mut admin, request| async move { admin.elect_leaders(request).await }).await?;
        let one = |elected: v1::ElectedLeader| {
            let leader = elected.leader_id.map(BrokerId);
            PartitionOutcome::new(&address, &elected.topic, elected.partition, leader, elected.error)
        };
        answer.results.into_iter().map(one).collect()
    }
}

impl OngoingReassignment {
    fn read(address: &str, moving: v1::OngoingReassignment) -> Result<Self, ClientError> {
        let ids = |ids: Vec<i32>| ids.into_iter().map(BrokerId).collect();
        let bytes = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let progress = |progress: v1::ReplicaProgress| ReplicaProgress {
            broker: BrokerId(progress.broker_id),
            in_sync: progress.in_sync,
            copied_bytes: bytes(progress.copied_bytes),
            total_bytes: bytes(progress.total_bytes),
        };
        Ok(Self {
            partition: partitions::read(address, &moving.topic, moving.partition)?,
            replicas: ids(moving.replica_ids),
            adding: ids(moving.adding_ids),
            removing: ids(moving.removing_ids),
            leader: moving.leader_id.map(BrokerId),
            isr: ids(moving.isr_ids),
            progress: moving.progress.into_iter().map(progress).collect(),
            stuck_because: moving.stuck_because,
        })
    }
}
