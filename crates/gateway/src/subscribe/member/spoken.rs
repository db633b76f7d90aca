//! What the client says.

use std::collections::btree_map::Entry;

use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::subscribe_request::Kind;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, LeaderEpoch, TopicId, TopicIdPartition};

use super::super::owned::{Stage, StartPlace};
use super::commits::Item;
use super::ending::Ending;
use super::{Member, Phase, World};
use crate::topics::Wanted;

/// Offsets that one commit may name.
const MAX_OFFSETS_PER_COMMIT: usize = 10_000;

impl Member {
    /// The client has spoken.
    pub(super) fn said(&mut self, kind: Kind, world: &World<'_>) {
        self.progress_at = world.now;
        let understood = match kind {
            Kind::Join(_) => Err("a stream has one join, its first message".to_owned()),
            Kind::Processed(processed) => self.processed(&processed),
            Kind::RevocationDone(done) => self.revocation_done(done.number),
            Kind::Commit(commit) => self.commit(commit, world),
            Kind::Seek(seek) => self.seek(&seek),
            Kind::Progress(_) => Ok(()),
            Kind::Leave(_) => {
                self.end(Ending::asked_for());
                Ok(())
            }
        };
        if let Err(text) = understood {
            self.end(Ending::failed(status::error(ErrorCode::InvalidRequest, text)));
        }
    }

    fn processed(&mut self, processed: &v1::ProcessedRecords) -> Result<(), String> {
        let id = partition(&processed.topic_id, processed.partition)?;
        // What is said of a partition that is lost was under way.
        let Some(owned) = self.partitions.get_mut(&id) else { return Ok(()) };
        if !self.resumed && !owned.may_have_processed(processed.next_offset) {
            let (topic, to) = (&owned.topic, processed.next_offset);
            return Err(format!("{topic}-{} is not processed up to {to}: it was not delivered", id.partition));
        }
        owned.process(processed.next_offset);
        Ok(())
    }

    fn commit(&mut self, commit: v1::CommitSubscription, world: &World<'_>) -> Result<(), String> {
        if commit.offsets.len() > MAX_OFFSETS_PER_COMMIT {
            return Err(format!("a commit may name {MAX_OFFSETS_PER_COMMIT} offsets at most"));
        }
        let mut items = Vec::with_capacity(commit.offsets.len());
        for offset in commit.offsets {
            let wanted = Wanted::read(offset.topic).map_err(|error| error.to_string())?;
            if offset.offset < 0 || offset.partition < 0 {
                return Err(format!("there is no offset {} of a partition {}", offset.offset, offset.partition));
            }
            let topic = wanted.find(world.image).ok();
            items.push(Item {
                topic: match (topic, wanted) {
                    (Some(topic), _) => topic.name().to_string(),
                    (None, Wanted::Name(name)) => name,
                    (None, Wanted::Id(id)) => id.to_string(),
                },
                topic_id: topic.map(levada_metadata::Topic::id),
                partition: offset.partition,
                offset: offset.offset,
                leader_epoch: offset.leader_epoch.map(LeaderEpoch),
                metadata: offset.metadata,
            });
        }
        self.commit_for_client(commit.request_id, items);
        if !matches!(self.phase, Phase::Joined) {
            self.fail_commits(ErrorCode::UnknownMemberId);
        }
        Ok(())
    }

    fn seek(&mut self, seek: &v1::SeekSubscription) -> Result<(), String> {
        use v1::seek_subscription::Start;
        let id = partition(&seek.topic_id, seek.partition)?;
        let generation = self.next_generation();
        let place = match seek.start {
            None => return Err("the seek does not say where to".to_owned()),
            Some(Start::Offset(0..)) => None,
            Some(Start::Offset(offset)) => return Err(format!("there is no offset {offset}; offsets begin at 0")),
            Some(Start::TimestampMs(time)) => Some(StartPlace::AtTime(time)),
            Some(Start::Position(position)) => match v1::OffsetPosition::try_from(position) {
                Ok(v1::OffsetPosition::Earliest) => Some(StartPlace::Earliest),
                Ok(v1::OffsetPosition::Latest) => Some(StartPlace::Latest),
                _ => return Err("a seek goes to the earliest or the latest offset".to_owned()),
            },
        };
        let Entry::Occupied(mut entry) = self.partitions.entry(id) else {
            self.refuse_seek(seek.request_id, id, ErrorCode::UnknownTopicOrPartition);
            return Ok(());
        };
        let owned = entry.get_mut();
        if owned.revoked {
            self.refuse_seek(seek.request_id, id, ErrorCode::UnknownTopicOrPartition);
            return Ok(());
        }
        let earlier = owned.seek.replace(seek.request_id);
        match (place, &seek.start) {
            (Some(place), _) => owned.look_for(place, generation),
            (None, Some(Start::Offset(offset))) => owned.seek_to(*offset, generation),
            (None, _) => {}
        }
        if let Some(request_id) = earlier {
            self.refuse_seek(request_id, id, ErrorCode::OperationNotAttempted);
        }
        self.answer_seek(id);
        Ok(())
    }

    /// Tells where a seek has led, once that is known.
    pub(super) fn answer_seek(&mut self, id: TopicIdPartition) {
        let Some(owned) = self.partitions.get_mut(&id).filter(|owned| owned.stage == Stage::Records) else { return };
        let Some(request_id) = owned.seek.take() else { return };
        let offset = owned.position();
        let (topic_id, partition) = (id.topic_id.to_string(), id.partition);
        self.tell(Told::Sought(v1::SubscriptionSought { request_id, topic_id, partition, offset, error: None }));
    }

    /// Tells that a seek was not done.
    pub(super) fn refuse_seek(&mut self, request_id: u64, id: TopicIdPartition, code: ErrorCode) {
        self.tell(Told::Sought(v1::SubscriptionSought {
            request_id,
            topic_id: id.topic_id.to_string(),
            partition: id.partition,
            offset: -1,
            error: Some(status::error(code, "")),
        }));
    }
}

fn partition(topic_id: &str, partition: i32) -> Result<TopicIdPartition, String> {
    let topic_id = TopicId::parse(topic_id).ok_or_else(|| format!("{topic_id:?} is not a topic id"))?;
    Ok(TopicIdPartition { topic_id, partition })
}
