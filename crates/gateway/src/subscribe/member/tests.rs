//! The member against a coordinator, a client and logs that do what the tests say.

mod company;
mod lifetimes;
mod offsets;
mod ownership;
mod properties;

use std::collections::VecDeque;

use levada_groups::api::{
    CommittedPartition, CommittedTopic, ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, FetchOffsets,
    FetchOffsetsAnswer, FetchedPartition, FetchedTopic, OffsetCommit, OffsetCommitAnswer, Request, Response,
    TopicPartitions,
};
use levada_metadata::Image;
use levada_proto::v1;
use levada_proto::v1::subscribe_request::Kind;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

use super::super::owned::StartPlace;
use super::super::settings::{Held, OffsetReset, Resumption, Settings};
use super::{Effect, Event, Member, Records, Refusal, World};
use crate::fixtures;

/// A member and what has come of it so far.
struct Scene {
    member: Member,
    image: Image,
    now: i64,
    drawn: u32,
    asked: Option<Request>,
    told: VecDeque<Told>,
    finds: VecDeque<(TopicIdPartition, u64, StartPlace)>,
    ended: Option<Result<(), v1::Error>>,
}

fn settings() -> Settings {
    Settings {
        group_id: "g".to_owned(),
        topics: vec!["t".to_owned()],
        topic_pattern: None,
        instance_id: None,
        rack_id: None,
        assignor: None,
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        reset: OffsetReset::Earliest,
        auto_commit_interval: Some(1_000),
        max_unprocessed: 10,
        max_poll_interval: 60_000,
        max_response_bytes: 1_000,
    }
}

fn t(partition: i32) -> TopicIdPartition {
    TopicIdPartition { topic_id: fixtures::topic_id("t"), partition }
}

fn refusal(code: ErrorCode) -> Refusal {
    Refusal { code, message: String::new() }
}

fn processed(partition: i32, next_offset: Offset) -> Kind {
    let topic_id = fixtures::topic_id("t").to_string();
    Kind::Processed(v1::ProcessedRecords { topic_id, partition, next_offset })
}

fn done(number: u64) -> Kind {
    Kind::RevocationDone(v1::RevocationDone { number })
}

fn partitions(topics: &[v1::TopicPartitions]) -> Vec<i32> {
    topics.iter().flat_map(|topic| topic.partitions.iter().copied()).collect()
}

impl Scene {
    fn new(settings: Settings, resumption: Option<Resumption>) -> Self {
        Self::after_others(settings, resumption, 0, 7)
    }

    /// A member for which so many ids were drawn before, on a stream of this number.
    fn after_others(settings: Settings, resumption: Option<Resumption>, mut drawn: u32, stream_number: u64) -> Self {
        let image = fixtures::image(&[("t", 8)]);
        let mut fresh = || {
            drawn += 1;
            format!("m-{drawn}")
        };
        let member =
            Member::new(settings, resumption, stream_number, &mut World { now: 0, image: &image, fresh: &mut fresh });
        let mut scene = Self {
            member,
            image,
            now: 0,
            drawn,
            asked: None,
            told: VecDeque::new(),
            finds: VecDeque::new(),
            ended: None,
        };
        scene.happens(Event::Tick);
        scene
    }

    /// A member that has joined and owns these partitions, of which nothing is committed up to 100.
    fn joined(settings: Settings, owned: &[i32]) -> Self {
        let mut scene = Self::new(settings, None);
        scene.heard(1, Some(owned));
        assert!(matches!(scene.told.pop_front(), Some(Told::Joined(_))));
        if !owned.is_empty() {
            assert_eq!(scene.assigned(), owned);
            scene.heard(1, None);
            scene.told_offsets(|_| Some(100));
        }
        scene
    }

    fn happens(&mut self, event: Event) {
        let drawn = &mut self.drawn;
        let mut fresh = || {
            *drawn += 1;
            format!("m-{drawn}")
        };
        let mut world = World { now: self.now, image: &self.image, fresh: &mut fresh };
        for effect in self.member.handle(event, &mut world) {
            assert!(self.ended.is_none(), "nothing follows the end: {effect:?}");
            match effect {
                Effect::Ask(request) => assert_eq!(self.asked.replace(request), None, "one thing is asked at a time"),
                Effect::Tell(told) => self.told.push_back(told),
                Effect::Find { partition, generation, place } => self.finds.push_back((partition, generation, place)),
                Effect::End(result) => self.ended = Some(result),
            }
        }
        assert!(self.ended.is_some() || self.member.next_deadline(self.now) > self.now, "it would turn in circles");
    }

    fn said(&mut self, kind: Kind) {
        self.happens(Event::Said(kind));
    }

    fn after(&mut self, ms: i64) {
        self.now += ms;
        self.happens(Event::Tick);
    }

    /// What is asked of the coordinator just now, which is a heartbeat.
    fn heartbeat(&self) -> &ConsumerGroupHeartbeat {
        match &self.asked {
            Some(Request::ConsumerGroupHeartbeat(heartbeat)) => heartbeat,
            other => panic!("{other:?} is no heartbeat"),
        }
    }

    fn commit(&self) -> &OffsetCommit {
        match &self.asked {
            Some(Request::OffsetCommit(commit)) => commit,
            other => panic!("{other:?} is no commit"),
        }
    }

    /// The offsets of the commit that is under way, by partition.
    fn committing(&self) -> Vec<(i32, Offset)> {
        let topics = self.commit().topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (p.partition, p.offset))).collect()
    }

    fn answer(&mut self, answer: Result<Response, Refusal>) {
        assert!(self.asked.take().is_some(), "nothing was asked");
        self.happens(Event::Answered(answer));
    }

    /// The coordinator takes a heartbeat.
    fn heard(&mut self, member_epoch: i32, assignment: Option<&[i32]>) {
        let member_id = Some(self.heartbeat().member_id.clone());
        let topic_id = fixtures::topic_id("t");
        let assignment =
            assignment.map(|partitions| vec![TopicPartitions { topic_id, partitions: partitions.to_vec() }]);
        self.answer(Ok(Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatAnswer {
            error: ErrorCode::None,
            error_message: None,
            member_id,
            member_epoch,
            heartbeat_interval_ms: 5_000,
            assignment,
        })));
    }

    /// The coordinator refuses a heartbeat.
    fn unheard(&mut self, error: ErrorCode) {
        let member_id = Some(self.heartbeat().member_id.clone());
        self.answer(Ok(Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatAnswer {
            error,
            error_message: Some("because".to_owned()),
            member_id,
            member_epoch: 0,
            heartbeat_interval_ms: 5_000,
            assignment: None,
        })));
    }

    fn committed(&mut self, error: ErrorCode) {
        let topics = self.commit().topics.iter().map(|topic| CommittedTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|asked| CommittedPartition { partition: asked.partition, error })
                .collect(),
        });
        let topics = topics.collect();
        self.answer(Ok(Response::OffsetCommit(OffsetCommitAnswer { topics })));
    }

    fn offsets(&self) -> &FetchOffsets {
        match &self.asked {
            Some(Request::FetchOffsets(request)) => request,
            other => panic!("{other:?} does not ask for offsets"),
        }
    }

    fn told_offsets(&mut self, offset: impl Fn(i32) -> Option<Offset>) {
        let topics = self.offsets().topics.clone().unwrap_or_default().into_iter().map(|topic| FetchedTopic {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .into_iter()
                .map(|partition| FetchedPartition {
                    partition,
                    offset: offset(partition),
                    leader_epoch: None,
                    metadata: String::new(),
                    committed_at: None,
                    error: ErrorCode::None,
                })
                .collect(),
        });
        let topics = topics.collect();
        self.answer(Ok(Response::FetchOffsets(FetchOffsetsAnswer { error: ErrorCode::None, topics })));
    }

    /// The partitions that the client is told to be its own now.
    fn assigned(&mut self) -> Vec<i32> {
        match self.told.pop_front() {
            Some(Told::Assigned(assigned)) => partitions(&assigned.partitions),
            other => panic!("{other:?} assigns nothing"),
        }
    }

    fn revoked(&mut self) -> (u64, Vec<i32>) {
        match self.told.pop_front() {
            Some(Told::Revoke(revoke)) => (revoke.number, partitions(&revoke.partitions)),
            other => panic!("{other:?} revokes nothing"),
        }
    }

    /// What is being read, by partition and offset.
    fn reading(&self) -> Vec<(i32, Offset)> {
        self.member.readings(self.now).iter().map(|reading| (reading.partition.partition, reading.offset)).collect()
    }

    /// So many records are read from a partition that is being read.
    fn records(&mut self, partition: i32, count: i64) {
        let readings = self.member.readings(self.now);
        let reading = readings.iter().find(|reading| reading.partition == t(partition));
        let reading = *reading.unwrap_or_else(|| panic!("{partition} is not being read: {readings:?}"));
        self.happens(Event::Read {
            partition: reading.partition,
            generation: reading.generation,
            records: Ok(read(reading.offset, count)),
        });
    }

    fn found(&mut self, offset: Result<Offset, ErrorCode>) -> StartPlace {
        let (partition, generation, place) = self.finds.pop_front().expect("something is looked for");
        self.happens(Event::Found { partition, generation, offset });
        place
    }
}

/// So many records from an offset on.
fn read(from: Offset, count: i64) -> Records {
    let records = (from..from + count).map(|offset| v1::StoredRecord { offset, ..Default::default() });
    Records {
        records: records.collect(),
        next_offset: from + count,
        leader_epoch: Some(LeaderEpoch(4)),
        high_watermark: from + count,
    }
}
