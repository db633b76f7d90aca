//! What the member owns: taking what the coordinator gives, and giving up what it takes away.

use std::collections::{BTreeMap, BTreeSet};

use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, Offset, TopicIdPartition};

use super::super::owned::{Owned, Stage, StartPlace};
use super::super::settings::OffsetReset;
use super::ending::Ending;
use super::{Asked, Effect, Member, Records, World};

/// Partitions that are being given up.
#[derive(Debug)]
pub(super) struct Revocation {
    number: u64,
    partitions: BTreeSet<TopicIdPartition>,
    /// When the client's patience ends.
    deadline: i64,
    /// The client has given them up; what it has processed is being committed.
    done: bool,
}

impl Member {
    /// Brings what is owned nearer to what the coordinator lets it own. A topic that this broker has not heard of yet is
    /// taken once it has.
    pub(super) fn reconcile(&mut self, world: &World<'_>) {
        if self.revocation.is_none() {
            let gone: Vec<_> = self.partitions.keys().filter(|id| !self.target.contains(id)).copied().collect();
            let (revoked, deleted): (Vec<_>, Vec<_>) =
                gone.into_iter().partition(|id| world.image.topic(id.topic_id).is_some());
            let deleted = deleted.into_iter().filter_map(|id| self.give_up(id).map(|topic| (id, topic)));
            let deleted: Vec<_> = deleted.collect();
            self.lose(deleted);
            if !revoked.is_empty() {
                self.begin_revocation(revoked.into_iter().collect(), world.now);
            }
        }
        for &id in &self.target {
            if self.partitions.contains_key(&id) {
                continue;
            }
            let Some(topic) = world.image.topic(id.topic_id) else { continue };
            self.generations += 1;
            let mut owned = Owned::new(topic.name().to_string(), self.generations);
            owned.was_delivered_to(self.delivered_before.get(&id).copied());
            self.partitions.insert(id, owned);
        }
        let new = self.partitions.iter_mut().filter(|(id, owned)| !owned.is_announced && self.target.contains(id));
        let new: Vec<_> = new
            .map(|(&id, owned)| {
                owned.is_announced = true;
                (id, owned.topic.clone())
            })
            .collect();
        if !new.is_empty() {
            self.tell(Told::Assigned(v1::SubscriptionAssigned { partitions: named(new) }));
        }
    }

    fn begin_revocation(&mut self, partitions: BTreeSet<TopicIdPartition>, now: i64) {
        self.revocations += 1;
        let mut told = Vec::new();
        for id in &partitions {
            if let Some(owned) = self.partitions.get_mut(id) {
                owned.revoked = true;
                told.push((*id, owned.topic.clone()));
            }
        }
        let number = self.revocations;
        self.tell(Told::Revoke(v1::SubscriptionRevoke { number, partitions: named(told) }));
        let deadline = now + self.settings.max_poll_interval;
        self.revocation = Some(Revocation { number, partitions, deadline, done: false });
    }

    /// The client has given up what the revocation of this number names. Fails if it was never told of it.
    pub(super) fn revocation_done(&mut self, number: u64) -> Result<(), String> {
        if number == 0 || number > self.revocations {
            return Err(format!("there was no revoke of the number {number}"));
        }
        let automatic = self.settings.auto_commit_interval.is_some();
        if let Some(revocation) = self.revocation.as_mut().filter(|revocation| revocation.number == number) {
            let was_done = std::mem::replace(&mut revocation.done, true);
            if !was_done && automatic {
                self.commit_processed();
            }
        }
        Ok(())
    }

    /// Lets go of what the client has given up, once nothing is left to be committed.
    pub(super) fn finish_revocation(&mut self, world: &World<'_>) {
        let is_done = self.revocation.as_ref().is_some_and(|revocation| revocation.done);
        if !is_done || matches!(self.asked, Some(Asked::Commit(_))) {
            return;
        }
        self.answer_empty_commits();
        if !self.commits.is_empty() {
            return;
        }
        let Some(revocation) = self.revocation.take() else { return };
        for id in revocation.partitions {
            self.give_up(id);
        }
        self.reconcile(world);
    }

    /// Takes a partition away. Gives the name of its topic, if it was owned.
    fn give_up(&mut self, id: TopicIdPartition) -> Option<String> {
        let owned = self.partitions.remove(&id)?;
        self.remember(id, &owned);
        Some(owned.topic)
    }

    /// Remembers of a partition that is not owned any more what the client may still speak of.
    pub(super) fn remember(&mut self, id: TopicIdPartition, owned: &Owned) {
        self.delivered_before.insert(id, owned.delivered_to());
        if let Some(request_id) = owned.seek {
            self.refuse_seek(request_id, id, ErrorCode::UnknownTopicOrPartition);
        }
    }

    /// Tells the client what it has lost.
    pub(super) fn lose(&mut self, lost: Vec<(TopicIdPartition, String)>) {
        if !lost.is_empty() {
            self.tell(Told::Lost(v1::SubscriptionLost { partitions: named(lost) }));
        }
    }

    /// Has the offsets looked for of the places at which partitions are to begin.
    pub(super) fn look_for_starts(&mut self, now: i64) {
        for (&partition, owned) in &mut self.partitions {
            if let Stage::Start { place, asked: asked @ false } = &mut owned.stage
                && owned.paused_until <= now
            {
                *asked = true;
                let (generation, place) = (owned.generation, *place);
                self.effects.push(Effect::Find { partition, generation, place });
            }
        }
    }

    /// The offset of a place was looked for.
    pub(super) fn found(
        &mut self,
        id: TopicIdPartition,
        generation: u64,
        offset: Result<Offset, ErrorCode>,
        world: &World<'_>,
    ) {
        let Some(owned) = self.partitions.get_mut(&id).filter(|owned| owned.generation == generation) else { return };
        let Stage::Start { asked, .. } = &mut owned.stage else { return };
        match offset {
            Ok(offset) => {
                owned.start_at(offset, false);
                self.answer_seek(id);
            }
            Err(_) => {
                *asked = false;
                owned.hold_back(world.now);
            }
        }
    }

    /// Nothing is committed of a partition, or what is committed does not exist any more.
    pub(super) fn reset(&mut self, id: TopicIdPartition, why: &str) {
        let place = match self.settings.reset {
            OffsetReset::Earliest => StartPlace::Earliest,
            OffsetReset::Latest => StartPlace::Latest,
            OffsetReset::Never => {
                let topic = self.partitions.get(&id).map(|owned| owned.topic.clone()).unwrap_or_default();
                let text = format!("{why} of {topic}-{}, and no_offset_reset is set", id.partition);
                let error = status::error(ErrorCode::OffsetOutOfRange, text);
                let error = v1::Error { topic: Some(topic), partition: Some(id.partition), ..error };
                return self.end(Ending::failed(error));
            }
        };
        let generation = self.next_generation();
        if let Some(owned) = self.partitions.get_mut(&id) {
            owned.look_for(place, generation);
        }
    }

    /// Something was read, or could not be.
    pub(super) fn read(
        &mut self,
        id: TopicIdPartition,
        generation: u64,
        records: Result<Records, ErrorCode>,
        world: &World<'_>,
    ) {
        let nothing_was_with_it = self.unprocessed() == 0;
        let Some(owned) = self.partitions.get_mut(&id) else { return };
        if owned.generation != generation || owned.revoked || owned.stage != Stage::Records {
            return;
        }
        match records {
            Ok(read) => {
                owned.deliver(read.records.len(), read.next_offset, read.leader_epoch);
                if read.records.is_empty() {
                    return;
                }
                let topic = owned.topic.clone();
                if nothing_was_with_it {
                    self.progress_at = world.now;
                }
                self.tell(Told::Records(v1::SubscriptionRecords {
                    topic,
                    topic_id: id.topic_id.to_string(),
                    partition: id.partition,
                    next_offset: read.next_offset,
                    high_watermark: read.high_watermark,
                    records: read.records,
                }));
            }
            Err(ErrorCode::OffsetOutOfRange) => self.reset(id, "the next offset does not exist any more"),
            Err(code) if is_for_good(code) => {
                let topic = owned.topic.clone();
                let error = status::error(code, "");
                self.end(Ending::failed(v1::Error { topic: Some(topic), partition: Some(id.partition), ..error }));
            }
            Err(_) => owned.hold_back(world.now),
        }
    }

    /// When the client's patience with us, or ours with it, ends.
    pub(super) fn patience_ends(&self) -> i64 {
        let silence =
            if self.unprocessed() > 0 { self.progress_at + self.settings.max_poll_interval } else { i64::MAX };
        let revocation = self.revocation.as_ref().filter(|revocation| !revocation.done);
        silence.min(revocation.map_or(i64::MAX, |revocation| revocation.deadline))
    }

    /// Leaves the group if the client has made no progress for too long.
    pub(super) fn mind_patience(&mut self, now: i64) {
        if now < self.patience_ends() {
            return;
        }
        let limit = self.settings.max_poll_interval;
        let is_revoking = self.revocation.as_ref().is_some_and(|revocation| now >= revocation.deadline);
        let text = if is_revoking {
            format!("the client has not given up what was revoked within {limit} ms (max_poll_interval_ms)")
        } else {
            format!("the client has said nothing for {limit} ms although records are with it (max_poll_interval_ms)")
        };
        self.end(Ending::impatient(status::error(ErrorCode::RequestTimedOut, text)));
    }
}

/// Whether reading again would meet the same.
fn is_for_good(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CorruptMessage
            | ErrorCode::InvalidRecord
            | ErrorCode::UnsupportedCompressionType
            | ErrorCode::UnsupportedForMessageFormat
    )
}

/// Partitions by topic, as clients are told.
fn named(partitions: Vec<(TopicIdPartition, String)>) -> Vec<v1::TopicPartitions> {
    let mut topics: BTreeMap<_, v1::TopicPartitions> = BTreeMap::new();
    for (id, topic) in partitions {
        let entry = topics.entry(id.topic_id).or_insert_with(|| v1::TopicPartitions {
            topic,
            topic_id: id.topic_id.to_string(),
            partitions: Vec::new(),
        });
        entry.partitions.push(id.partition);
    }
    topics.into_values().collect()
}
