//! OffsetCommit.

use levada_types::{ErrorCode, TimestampMs};

use super::{GroupNumber, Offsets};
use crate::{
    api::{CommitPartition, CommitTopic, CommittedPartition, CommittedTopic, OffsetCommit, OffsetCommitAnswer},
    consumer::CommitScope,
    draft::Draft,
    records::{OffsetKey, OffsetValue, Record},
};

/// Kafka's formats cannot say a longer text.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

impl Offsets {
    /// Commits what may be committed. That the client may commit at all has been checked; `scope` says of which
    /// partitions, where that depends.
    pub(crate) fn commit(
        &mut self,
        group: GroupNumber,
        request: OffsetCommit,
        scope: Option<&CommitScope>,
        draft: &mut Draft<'_>,
    ) -> OffsetCommitAnswer {
        // -1 is what clients say that leave it to the broker.
        let retention_ms = request.retention_time_ms.filter(|ms| *ms >= 0);
        let expires_at = retention_ms.map(|ms| draft.now.saturating_add(ms));
        let topics = request.topics.into_iter().map(|topic| self.commit_topic(group, topic, expires_at, scope, draft));
        OffsetCommitAnswer { topics: topics.collect() }
    }

    fn commit_topic(
        &mut self,
        group: GroupNumber,
        topic: CommitTopic,
        expires_at: Option<TimestampMs>,
        scope: Option<&CommitScope>,
        draft: &mut Draft<'_>,
    ) -> CommittedTopic {
        let partitions = topic.partitions.iter().map(|partition| {
            let error = match check(&topic, partition, scope, draft) {
                Ok(name) => {
                    self.commit_partition(group, name, partition, expires_at, draft);
                    ErrorCode::None
                }
                Err(error) => error,
            };
            CommittedPartition { partition: partition.partition, error }
        });
        let partitions = partitions.collect();
        CommittedTopic { name: topic.name, topic_id: topic.topic_id, partitions }
    }

    fn commit_partition(
        &mut self,
        group: GroupNumber,
        topic: &str,
        partition: &CommitPartition,
        expires_at: Option<TimestampMs>,
        draft: &mut Draft<'_>,
    ) {
        let value = OffsetValue {
            offset: partition.offset,
            // The version with an expiry has no leader epoch.
            leader_epoch: partition.leader_epoch.filter(|_| expires_at.is_none()),
            metadata: partition.metadata.as_deref().unwrap_or_default(),
            committed_at: draft.now,
            expires_at,
            topic_id: None,
        };
        let group_id = draft.group_id.clone();
        let key = OffsetKey { group: &group_id, topic, partition: partition.partition };
        draft.write(&Record::Offset(key, Some(value)));
        self.apply(group, topic, partition.partition, Some(&value), None);
    }
}

/// The topic's name, if the offset may be committed.
fn check<'a>(
    topic: &CommitTopic,
    partition: &CommitPartition,
    scope: Option<&CommitScope>,
    draft: &Draft<'a>,
) -> Result<&'a str, ErrorCode> {
    let known = topic.topic_id.and_then(|id| draft.image.topic(id)).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if known.partition(partition.partition).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let limit = usize::try_from(draft.config.offset_metadata_max_bytes).unwrap_or(0);
    if partition.metadata.as_ref().is_some_and(|metadata| is_too_long(metadata, limit)) {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    if scope.is_some_and(|scope| !scope.allows(known.id(), partition.partition)) {
        return Err(ErrorCode::StaleMemberEpoch);
    }
    Ok(known.name().as_str())
}

/// Whether it is longer than the limit, which Kafka counts in UTF-16 units whatever its setting's name says, or has no
/// place in a record.
fn is_too_long(metadata: &str, limit: usize) -> bool {
    metadata.len() > MAX_STRING_BYTES || (metadata.len() > limit && metadata.encode_utf16().count() > limit)
}

/// The answer to a commit of which nothing is taken.
pub(crate) fn refused(request: OffsetCommit, error: ErrorCode) -> OffsetCommitAnswer {
    let topics = request.topics.into_iter().map(|topic| CommittedTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| CommittedPartition { partition: partition.partition, error })
            .collect(),
    });
    OffsetCommitAnswer { topics: topics.collect() }
}
