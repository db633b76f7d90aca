//! Groups of the next-generation protocol, as clients see them.

mod classic_members;
mod joining;
mod migrations;
mod random;
mod random_migrations;
mod reconciling;
mod static_members;
mod subscriptions;

use std::collections::BTreeSet;

use bytes::Bytes;
use levada_types::{ErrorCode, PartitionIndex, TopicId};

use crate::{
    api::{
        ConsumerGroupDescribe, ConsumerGroupDescribeAnswer, ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer,
        JoinGroup, JoinGroupAnswer, Protocol, Request, Response, SyncGroup, SyncGroupAnswer, TopicPartitions,
    },
    records::Writer,
    world::World,
};

/// The group of these tests.
const GROUP: &str = "g";

/// The usual session.
const SESSION_MS: i64 = 45_000;

/// A sign of life without anything new.
fn alive(member_id: &str, epoch: i32) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        member_epoch: epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: -1,
        subscribed_topic_names: None,
        subscribed_topic_regex: None,
        server_assignor: None,
        topic_partitions: None,
        client_id: "client".to_owned(),
        client_host: "/10.0.0.1".to_owned(),
        stream_number: None,
    }
}

/// A first heartbeat.
fn joining(member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        topic_partitions: Some(Vec::new()),
        ..alive(member_id, 0)
    }
}

/// A heartbeat that says what the member owns.
fn owning(member_id: &str, epoch: i32, partitions: &[TopicPartitions]) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat { topic_partitions: Some(partitions.to_vec()), ..alive(member_id, epoch) }
}

/// Partitions of one topic.
fn of(topic_id: TopicId, partitions: impl IntoIterator<Item = PartitionIndex>) -> Vec<TopicPartitions> {
    vec![TopicPartitions { topic_id, partitions: partitions.into_iter().collect() }]
}

/// How many partitions these are.
fn count(partitions: &[TopicPartitions]) -> usize {
    partitions.iter().map(|topic| topic.partitions.len()).sum()
}

/// All partitions, as a set.
fn set(partitions: &[TopicPartitions]) -> BTreeSet<(TopicId, PartitionIndex)> {
    partitions.iter().flat_map(|topic| topic.partitions.iter().map(|&partition| (topic.topic_id, partition))).collect()
}

/// As a client says it.
fn told(set: &BTreeSet<(TopicId, PartitionIndex)>) -> Vec<TopicPartitions> {
    let mut told: Vec<TopicPartitions> = Vec::new();
    for &(topic_id, partition) in set {
        match told.last_mut() {
            Some(last) if last.topic_id == topic_id => last.partitions.push(partition),
            _ => told.push(TopicPartitions { topic_id, partitions: vec![partition] }),
        }
    }
    told
}

/// A join of a consumer of the classic protocol.
fn classic_joining(member_id: &str, topics: &[&str], owned: &[(&str, &[PartitionIndex])]) -> JoinGroup {
    JoinGroup {
        group_id: GROUP.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.to_owned(),
        group_instance_id: None,
        protocol_type: "consumer".to_owned(),
        protocols: ["cooperative-sticky", "range"]
            .map(|name| Protocol { name: name.to_owned(), metadata: subscription(topics, owned) })
            .to_vec(),
        client_id: "classic".to_owned(),
        client_host: "/10.0.0.2".to_owned(),
        reason: None,
        requires_known_member_id: false,
        supports_skipping_assignment: true,
    }
}

/// A subscription of version 1.
fn subscription(topics: &[&str], owned: &[(&str, &[PartitionIndex])]) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(1);
    writer.array_length(topics.len());
    for topic in topics {
        writer.string(topic);
    }
    writer.i32(-1);
    writer.array_length(owned.len());
    for (topic, partitions) in owned {
        writer.string(topic);
        writer.array_length(partitions.len());
        for &partition in *partitions {
            writer.i32(partition);
        }
    }
    writer.finish()
}

impl World {
    /// A heartbeat, checked against what the log adds up to.
    fn beat(&mut self, request: ConsumerGroupHeartbeat) -> ConsumerGroupHeartbeatAnswer {
        let Response::ConsumerGroupHeartbeat(answer) = self.answer(Request::ConsumerGroupHeartbeat(request)) else {
            panic!("another answer");
        };
        self.check();
        answer
    }

    /// A heartbeat that must go well: the member's epoch and, if told, what it may own.
    fn well(&mut self, request: ConsumerGroupHeartbeat) -> (i32, Option<Vec<TopicPartitions>>) {
        let answer = self.beat(request);
        assert_eq!((answer.error, answer.error_message), (ErrorCode::None, None));
        (answer.member_epoch, answer.assignment)
    }

    /// A heartbeat that must be refused, without a change.
    fn refused(&mut self, request: ConsumerGroupHeartbeat) -> ErrorCode {
        let (before, length) = (self.check(), self.log.len());
        let answer = self.beat(request);
        assert_ne!(answer.error, ErrorCode::None);
        assert!(answer.error_message.is_some());
        assert_eq!((self.check(), self.log.len()), (before, length), "{:?} changed something", answer.error);
        answer.error
    }

    fn described_consumers(&mut self) -> ConsumerGroupDescribeAnswer {
        match self.answer(Request::ConsumerGroupDescribe(ConsumerGroupDescribe { group_id: GROUP.to_owned() })) {
            Response::ConsumerGroupDescribe(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn consumer_state(&mut self) -> String {
        self.described_consumers().state
    }

    fn classic_join(&mut self, request: JoinGroup) -> JoinGroupAnswer {
        match self.answer(Request::JoinGroup(request)) {
            Response::JoinGroup(answer) => {
                self.check();
                answer
            }
            other => panic!("{other:?}"),
        }
    }

    fn classic_sync(&mut self, member_id: &str, generation_id: i32) -> SyncGroupAnswer {
        let request = SyncGroup {
            group_id: GROUP.to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            group_instance_id: None,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("cooperative-sticky".to_owned()),
            assignments: Vec::new(),
        };
        match self.answer(Request::SyncGroup(request)) {
            Response::SyncGroup(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn classic_alive(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        let request = crate::api::Heartbeat {
            group_id: GROUP.to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            group_instance_id: None,
        };
        match self.answer(Request::Heartbeat(request)) {
            Response::Heartbeat(answer) => answer.error,
            other => panic!("{other:?}"),
        }
    }
}
