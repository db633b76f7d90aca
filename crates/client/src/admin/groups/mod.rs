//! Consumer groups, as an administrator sees them.

mod description;
mod offsets;

use std::future::Future;
use std::time::Instant;

use levada_proto::v1;
use levada_proto::v1::groups_client::GroupsClient;
use levada_types::ErrorCode;
use tonic::transport::Channel;
use tonic::{Response, Status};

pub use description::{GroupDescription, GroupList, GroupListing, GroupMember, GroupOffset, GroupType};
pub use offsets::{MovedOffset, OffsetToCommit, ResetTarget, TopicSelection};

use super::{Admin, PartitionOutcome};
use crate::ClientError;
use crate::connections::MAX_MESSAGE_BYTES;

/// The stub that calls are made with.
type Stub = GroupsClient<Channel>;

impl Admin {
    /// Lists groups by ascending id: those in one of `states` (such as `Stable`, in whatever case) and of one of `types`; what
    /// is empty restricts nothing.
    ///
    /// # Errors
    /// The broker's, if no coordinator can be asked.
    pub async fn list_groups(&self, states: &[String], types: &[GroupType]) -> Result<GroupList, ClientError> {
        let types = types.iter().map(|group_type| group_type.to_message().into()).collect();
        let request = v1::ListGroupsRequest { states: states.to_vec(), types };
        let ask = |mut groups: Stub, request| async move { groups.list_groups(request).await };
        Ok(GroupList::read(self.call_groups(request, ask).await?.1))
    }

    /// Describes a group: its members, what is committed, and how far behind they are.
    ///
    /// # Errors
    /// The broker's, such as `GROUP_ID_NOT_FOUND`.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        self.describe_group_with(group, true).await
    }

    /// [`Self::describe_group`] without the offsets, which spares asking the leaders of the partitions.
    ///
    /// # Errors
    /// The broker's, such as `GROUP_ID_NOT_FOUND`.
    pub async fn describe_group_members(&self, group: &str) -> Result<GroupDescription, ClientError> {
        self.describe_group_with(group, false).await
    }

    async fn describe_group_with(&self, group: &str, offsets: bool) -> Result<GroupDescription, ClientError> {
        let request = v1::DescribeGroupRequest { group_id: group.to_owned(), without_offsets: !offsets };
        let ask = |mut groups: Stub, request| async move { groups.describe_group(request).await };
        let (address, answer) = self.call_groups(request, ask).await?;
        GroupDescription::read(&address, answer)
    }

    /// Commits offsets for a group that has no members; it is created if it does not exist.
    ///
    /// # Errors
    /// The broker's for the whole of it; each offset has an outcome of its own, such as `UNKNOWN_MEMBER_ID` (the group has
    /// members) or `UNKNOWN_TOPIC_OR_PARTITION`.
    pub async fn commit_group_offsets(
        &self,
        group: &str,
        offsets: &[OffsetToCommit],
    ) -> Result<Vec<PartitionOutcome<()>>, ClientError> {
        let offsets = offsets.iter().map(OffsetToCommit::to_message).collect();
        let request = v1::CommitOffsetsRequest { group_id: group.to_owned(), offsets };
        let ask = |mut groups: Stub, request| async move { groups.commit_offsets(request).await };
        let (address, answer) = self.call_groups(request, ask).await?;
        offsets::read_outcomes(&address, answer.results)
    }

    /// Moves the committed offsets of a group without members; of everything that it has committed, if `topics` is empty. Each
    /// new offset is moved into what its partition holds. With `dry_run` it only tells.
    ///
    /// # Errors
    /// The broker's for the whole of it, such as `NON_EMPTY_GROUP`; each partition has an outcome of its own.
    pub async fn reset_group_offsets(
        &self,
        group: &str,
        topics: &[TopicSelection],
        target: ResetTarget,
        dry_run: bool,
    ) -> Result<Vec<PartitionOutcome<MovedOffset>>, ClientError> {
        // A shift that is done again, since its answer was lost, would shift again; offsets that are committed again are the same.
        if matches!(target, ResetTarget::ShiftBy(_)) && !dry_run {
            return self.shift(group, topics, target).await;
        }
        let request = v1::ResetOffsetsRequest {
            group_id: group.to_owned(),
            topics: topics.iter().map(TopicSelection::to_message).collect(),
            target: Some(target.to_message()),
            dry_run,
        };
        let ask = |mut groups: Stub, request| async move { groups.reset_offsets(request).await };
        let (address, answer) = self.call_groups(request, ask).await?;
        answer.results.into_iter().map(|result| MovedOffset::read(&address, result)).collect()
    }

    /// Asks where the offsets would be, and commits that.
    async fn shift(
        &self,
        group: &str,
        topics: &[TopicSelection],
        target: ResetTarget,
    ) -> Result<Vec<PartitionOutcome<MovedOffset>>, ClientError> {
        let mut planned = Box::pin(self.reset_group_offsets(group, topics, target, true)).await?;
        let to_commit = |outcome: &PartitionOutcome<MovedOffset>| {
            let moved = outcome.result.as_ref().ok()?;
            Some(OffsetToCommit::new(outcome.partition.clone(), moved.to))
        };
        let offsets: Vec<OffsetToCommit> = planned.iter().filter_map(to_commit).collect();
        for committed in self.commit_group_offsets(group, &offsets).await? {
            let Err(error) = committed.result else { continue };
            for outcome in planned.iter_mut().filter(|outcome| outcome.partition == committed.partition) {
                outcome.result = Err(error.clone());
            }
        }
        Ok(planned)
    }

    /// Forgets committed offsets of a group.
    ///
    /// # Errors
    /// The broker's for the whole of it; each partition has an outcome of its own, such as `GROUP_SUBSCRIBED_TO_TOPIC`.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        topics: &[TopicSelection],
    ) -> Result<Vec<PartitionOutcome<()>>, ClientError> {
        let topics = topics.iter().map(TopicSelection::to_message).collect();
        let request = v1::DeleteOffsetsRequest { group_id: group.to_owned(), topics };
        let ask = |mut groups: Stub, request| async move { groups.delete_offsets(request).await };
        let (address, answer) = self.call_groups(request, ask).await?;
        offsets::read_outcomes(&address, answer.results)
    }

    /// Deletes a group that has no members, with its offsets.
    ///
    /// # Errors
    /// The broker's, such as `NON_EMPTY_GROUP` or `GROUP_ID_NOT_FOUND`.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let request = v1::DeleteGroupRequest { group_id: group.to_owned() };
        let ask = |mut groups: Stub, request| async move { groups.delete_group(request).await };
        self.call_groups(request, ask).await.map(|_| ())
    }

    /// Calls any broker, and again after a pause while the group's coordinator changes hands, until `request.timeout.ms` has
    /// passed.
    async fn call_groups<Q: Clone, T, F>(
        &self,
        request: Q,
        call: impl Fn(Stub, Q) -> F,
    ) -> Result<(String, T), ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = self.cluster.deadline();
        let mut attempt = 0;
        loop {
            let asked = self.cluster.ask_until(deadline, |channel| call(groups_on(channel), request.clone()));
            let error = match asked.await {
                Err(error) if is_without_coordinator(error.code()) => error,
                answer => return answer,
            };
            let pause = self.cluster.backoff().pause(attempt, rand::random());
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

/// Nothing was done since nobody coordinates the group at the moment.
fn is_without_coordinator(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator
    )
}

/// The groups service behind `channel`.
fn groups_on(channel: Channel) -> Stub {
    GroupsClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
}
