//! Who may commit and read offsets.

use std::sync::Arc;

use levada_types::{ErrorCode, PartitionIndex, TopicId};

use super::ConsumerGroup;
use crate::records::CurrentAssignment;

/// Of which partitions a commit is taken.
#[derive(Debug, Clone)]
pub(crate) enum CommitScope {
    /// Of all.
    All,
    /// The commit is of an older epoch than the member's: of what the member has owned ever since (KIP-1251). Of others it
    /// is refused with STALE_MEMBER_EPOCH.
    Since(Arc<CurrentAssignment>, i32),
}

impl CommitScope {
    /// Whether a commit of this partition is taken.
    pub(crate) fn allows(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        match self {
            Self::All => true,
            Self::Since(current, epoch) => {
                let since = current.assigned.epoch_of(topic, partition);
                since.or_else(|| current.revoking.epoch_of(topic, partition)).is_some_and(|since| since <= *epoch)
            }
        }
    }
}

impl ConsumerGroup {
    /// Of which partitions a commit of this member under this epoch (generation, for a member of the classic protocol) is
    /// taken. A client that is no member may commit while the group is empty.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION, FENCED_INSTANCE_ID (also for an older stream).
    pub(crate) fn check_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        epoch: i32,
        stream_number: Option<u64>,
    ) -> Result<CommitScope, ErrorCode> {
        if epoch < 0 && self.is_empty() {
            return Ok(CommitScope::All);
        }
        if let Some(owner) = group_instance_id.and_then(|instance| self.hard.instances.get(instance))
            && **owner != *member_id
        {
            return Err(ErrorCode::FencedInstanceId);
        }
        let (id, member) = self.hard.members.get_key_value(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        let (id, member) = (Arc::clone(id), member.clone());
        self.check_stream(&id, stream_number).map_err(|refused| refused.code)?;
        if let Some(stream) = stream_number {
            self.clocks.set(&id, |clock| clock.stream = clock.stream.max(stream));
        }
        match epoch.cmp(&member.current.epoch) {
            std::cmp::Ordering::Equal => Ok(CommitScope::All),
            _ if member.is_classic() => Err(ErrorCode::IllegalGeneration),
            std::cmp::Ordering::Less if epoch >= 0 => Ok(CommitScope::Since(member.current, epoch)),
            _ => Err(ErrorCode::StaleMemberEpoch),
        }
    }

    /// Whether this member may read offsets under this epoch. Not asked for clients that are no members.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION.
    pub(crate) fn check_fetch(&self, member_id: &str, epoch: i32) -> Result<(), ErrorCode> {
        let member = self.member(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if epoch == member.current.epoch {
            Ok(())
        } else if member.is_classic() {
            Err(ErrorCode::IllegalGeneration)
        } else {
            Err(ErrorCode::StaleMemberEpoch)
        }
    }
}
