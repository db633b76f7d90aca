//! Signs of life: joining, going on, and telling what is owned.

use std::collections::{BTreeMap, BTreeSet};

use levada_groups::api::{ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, Request, TopicPartitions};
use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, PartitionIndex, TopicId, TopicIdPartition};

use super::super::owned::Owned;
use super::ending::{Ending, FAREWELLS};
use super::{Asked, FIRST_PAUSE, Member, Phase, Refusal, World};

/// How often to be heard of if the coordinator does not say: Kafka's default `group.consumer.heartbeat.interval.ms`.
const DEFAULT_INTERVAL: i64 = 5_000;

impl Member {
    /// The next heartbeat, if one is due.
    pub(super) fn heartbeat(&self, world: &World<'_>) -> Option<(Asked, Request)> {
        let owned: BTreeSet<TopicIdPartition> = match (&self.phase, &self.held) {
            (Phase::Joining, Some(held)) => held.iter().map(|held| held.partition).collect(),
            _ => self.partitions.keys().copied().collect(),
        };
        let has_changed = owned != self.reported;
        if world.now < self.heartbeat_at && !has_changed {
            return None;
        }
        let settings = &self.settings;
        let mut request = self.bare_heartbeat(self.epoch);
        request.topic_partitions = (has_changed || self.full).then(|| by_topic(&owned));
        if self.full {
            request.rack_id.clone_from(&settings.rack_id);
            request.rebalance_timeout_ms = i32::try_from(settings.max_poll_interval).unwrap_or(i32::MAX);
            request.subscribed_topic_names = Some(settings.topics.clone());
            request.subscribed_topic_regex.clone_from(&settings.topic_pattern);
            request.server_assignor.clone_from(&settings.assignor);
        }
        Some((Asked::Heartbeat { owned }, Request::ConsumerGroupHeartbeat(request)))
    }

    /// A heartbeat that says nothing but that the member is there.
    pub(super) fn bare_heartbeat(&self, member_epoch: i32) -> ConsumerGroupHeartbeat {
        ConsumerGroupHeartbeat {
            group_id: self.settings.group_id.clone(),
            member_id: self.member_id.clone(),
            member_epoch,
            instance_id: self.settings.instance_id.clone(),
            rack_id: None,
            rebalance_timeout_ms: -1,
            subscribed_topic_names: None,
            subscribed_topic_regex: None,
            server_assignor: None,
            topic_partitions: None,
            client_id: self.settings.client_id.clone(),
            client_host: self.settings.client_host.clone(),
            stream_number: Some(self.stream_number),
        }
    }

    /// The coordinator has taken a heartbeat.
    pub(super) fn heard(
        &mut self,
        owned: BTreeSet<TopicIdPartition>,
        answer: ConsumerGroupHeartbeatAnswer,
        world: &World<'_>,
    ) {
        self.full = false;
        self.reported = owned;
        self.pause = FIRST_PAUSE;
        let interval = i64::from(answer.heartbeat_interval_ms);
        self.heartbeat_at = world.now + if interval > 0 { interval } else { DEFAULT_INTERVAL };
        if let Some(member_id) = answer.member_id.filter(|id| !id.is_empty()) {
            self.member_id = member_id;
        }
        if let Some(target) = answer.assignment {
            self.target = flatten(&target);
        }
        let has_changed = self.epoch != answer.member_epoch;
        self.epoch = answer.member_epoch;
        match self.phase {
            Phase::Joining => {
                self.phase = Phase::Joined;
                self.progress_at = world.now;
                self.tell(Told::Joined(v1::SubscriptionJoined {
                    member_id: self.member_id.clone(),
                    member_epoch: self.epoch,
                    stream_number: self.stream_number,
                }));
                self.take_held(world);
            }
            Phase::Joined if has_changed => {
                self.tell(Told::Epoch(v1::SubscriptionEpoch { member_epoch: self.epoch }));
            }
            _ => {}
        }
    }

    /// The client still has these of the stream that broke.
    fn take_held(&mut self, world: &World<'_>) {
        let mut gone = Vec::new();
        for held in self.held.take().unwrap_or_default() {
            let Some(topic) = world.image.topic(held.partition.topic_id) else {
                gone.push((held.partition, String::new()));
                continue;
            };
            let generation = self.next_generation();
            let mut owned = Owned::new(topic.name().to_string(), generation);
            if let Some(next_offset) = held.next_offset {
                owned.go_on(next_offset, held.processed_offset, self.settings.max_unprocessed);
            }
            self.partitions.insert(held.partition, owned);
        }
        self.lose(gone);
    }

    /// The coordinator has refused a heartbeat, or has not answered it.
    pub(super) fn unheard(&mut self, refusal: Refusal, world: &mut World<'_>) {
        let joining = matches!(self.phase, Phase::Joining);
        match refusal.code {
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => self.fenced(refusal.code, world),
            // The group has been deleted; it is there again once somebody joins.
            ErrorCode::GroupIdNotFound if !joining || self.epoch > 0 => self.fenced(refusal.code, world),
            code if code.is_retriable() => {
                // What the coordinator knows of the member is uncertain now.
                self.full = true;
                self.heartbeat_at = world.now;
                self.hold_back(world.now);
            }
            ErrorCode::FencedInstanceId => self.end(Ending::replaced()),
            code => self.end(Ending::refused(status::error(code, refusal.message))),
        }
    }

    /// The member is not what it took itself for, as this code says. It has lost everything, and joins as a new one. If the
    /// group still knows the old one, that leaves first, so that what it had comes free at once.
    pub(super) fn fenced(&mut self, code: ErrorCode, world: &mut World<'_>) {
        let is_known = code == ErrorCode::FencedMemberEpoch;
        if !matches!(self.phase, Phase::Joining | Phase::Joined) {
            // It wants to leave anyway.
            if !is_known {
                self.epoch = 0;
            }
            return;
        }
        self.held = None;
        let lost = std::mem::take(&mut self.partitions);
        let lost = lost.into_iter().map(|(partition, owned)| {
            self.remember(partition, &owned);
            (partition, owned.topic)
        });
        let lost: Vec<_> = lost.collect();
        self.lose(lost);
        self.revocation = None;
        self.fail_commits(ErrorCode::UnknownMemberId);
        self.phase = Phase::Joining;
        self.epoch = 0;
        self.full = true;
        self.reported.clear();
        self.target.clear();
        self.heartbeat_at = world.now;
        if is_known {
            self.farewells = FAREWELLS;
        } else {
            self.become_another(world);
            self.hold_back(world.now);
        }
    }

    /// From now on the member is one that nobody knows.
    pub(super) fn become_another(&mut self, world: &mut World<'_>) {
        self.farewells = 0;
        self.member_id = (world.fresh)();
    }
}

fn by_topic(partitions: &BTreeSet<TopicIdPartition>) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(partition.topic_id).or_default().push(partition.partition);
    }
    topics.into_iter().map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect()
}

fn flatten(topics: &[TopicPartitions]) -> BTreeSet<TopicIdPartition> {
    let of_topic = |topic: &TopicPartitions| {
        let topic_id = topic.topic_id;
        topic.partitions.iter().map(move |&partition| TopicIdPartition { topic_id, partition }).collect::<Vec<_>>()
    };
    topics.iter().flat_map(of_topic).collect()
}
