//! A member of a classic group, as its requests.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        GroupId, HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
        TopicName,
        join_group_request::JoinGroupRequestProtocol,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::StrBytes,
};
use levada_end_to_end::{Outcome, fail};
use tokio::time;

use super::wire::Connection;

/// The last versions before the flexible ones, which every client has.
const JOIN_GROUP: i16 = 5;
const SYNC_GROUP: i16 = 3;
const HEARTBEAT: i16 = 3;
const OFFSET_COMMIT: i16 = 7;
const OFFSET_FETCH: i16 = 5;

/// MEMBER_ID_REQUIRED: join again with the id that the answer gives (KIP-394).
const MEMBER_ID_REQUIRED: i16 = 79;

/// Another member has joined: join again too.
pub(super) const REBALANCE_IN_PROGRESS: i16 = 27;
const ILLEGAL_GENERATION: i16 = 22;

/// COORDINATOR_NOT_AVAILABLE, while the coordinators' topic is being created.
const NOT_YET: i16 = 15;

/// Before what could not be done yet is asked again.
const RETRY: Duration = Duration::from_millis(50);

/// What members that are never meant to be missed are given: half an hour, the most that brokers allow.
const SESSION_MS: i32 = 1_800_000;

/// One member.
#[derive(Clone)]
pub(super) struct Member {
    connection: Connection,
    group: GroupId,
    member_id: StrBytes,
    generation: i32,
}

impl Member {
    /// Joins a group over a connection, and gets an assignment that says nothing.
    pub(super) async fn join(connection: Connection, group: &str) -> Outcome<Self> {
        let group = GroupId(StrBytes::from_string(group.to_owned()));
        let mut member = Self { connection, group, member_id: StrBytes::default(), generation: -1 };
        member.join_generation().await?;
        Ok(member)
    }

    /// Joins the next generation.
    pub(super) async fn join_generation(&mut self) -> Outcome {
        loop {
            let request = JoinGroupRequest::default()
                .with_group_id(self.group.clone())
                .with_session_timeout_ms(SESSION_MS)
                .with_rebalance_timeout_ms(60_000)
                .with_member_id(self.member_id.clone())
                .with_protocol_type(StrBytes::from_static_str("bench"))
                .with_protocols(vec![JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("none"))]);
            let joined = self.connection.call(&request, JOIN_GROUP).await?;
            self.member_id = joined.member_id.clone();
            self.generation = joined.generation_id;
            match joined.error_code {
                0 => {}
                MEMBER_ID_REQUIRED => continue,
                NOT_YET => {
                    time::sleep(RETRY).await;
                    continue;
                }
                code => return fail(format!("JoinGroup of {}: error {code}", self.group.0)),
            }
            let assignments = joined.members.iter().map(|other| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(other.member_id.clone())
                    .with_assignment(Bytes::from_static(b"nothing"))
            });
            match self.sync(assignments.collect()).await? {
                0 => return Ok(()),
                // Another one has come meanwhile.
                REBALANCE_IN_PROGRESS | ILLEGAL_GENERATION => {}
                code => return fail(format!("SyncGroup of {}: error {code}", self.group.0)),
            }
        }
    }

    async fn sync(&mut self, assignments: Vec<SyncGroupRequestAssignment>) -> Outcome<i16> {
        let request = SyncGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone())
            .with_assignments(assignments);
        Ok(self.connection.call(&request, SYNC_GROUP).await?.error_code)
    }

    /// The generation that it has joined.
    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    /// A sign of life; Kafka's error code.
    pub(super) async fn heartbeat(&self) -> Outcome<i16> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone());
        Ok(self.connection.call(&request, HEARTBEAT).await?.error_code)
    }

    /// Commits `offset` for some partitions of a topic; the first of Kafka's error codes that is not 0.
    pub(super) async fn commit(&self, topic: &str, partitions: std::ops::Range<i32>, offset: i64) -> Outcome<i16> {
        commit(&self.connection, &self.group, (&self.member_id, self.generation), topic, partitions, offset).await
    }

    /// Goes on over another connection.
    pub(super) async fn reconnect(&mut self, address: SocketAddr) -> Outcome {
        self.connection = Connection::open(address).await?;
        Ok(())
    }
}

/// Commits for a group without members.
pub(super) async fn commit_alone(
    connection: &Connection,
    group: &str,
    topic: &str,
    partitions: std::ops::Range<i32>,
    offset: i64,
) -> Outcome<i16> {
    let group = GroupId(StrBytes::from_string(group.to_owned()));
    commit(connection, &group, (&StrBytes::default(), -1), topic, partitions, offset).await
}

async fn commit(
    connection: &Connection,
    group: &GroupId,
    (member_id, generation): (&StrBytes, i32),
    topic: &str,
    partitions: std::ops::Range<i32>,
    offset: i64,
) -> Outcome<i16> {
    let partitions = partitions.map(|partition| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(StrBytes::default()))
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(group.clone())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(member_id.clone())
        .with_topics(vec![
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
                .with_partitions(partitions.collect()),
        ]);
    let answer = connection.call(&request, OFFSET_COMMIT).await?;
    let codes = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| partition.error_code));
    Ok(codes.into_iter().find(|code| *code != 0).unwrap_or(0))
}

/// Everything that a group has committed: partitions with their offsets; Kafka's error code where there is one.
pub(super) async fn committed(connection: &Connection, group: &str) -> Outcome<Result<Vec<(i32, i64)>, i16>> {
    let request =
        OffsetFetchRequest::default().with_group_id(GroupId(StrBytes::from_string(group.to_owned()))).with_topics(None);
    let answer = connection.call(&request, OFFSET_FETCH).await?;
    if answer.error_code != 0 {
        return Ok(Err(answer.error_code));
    }
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    Ok(Ok(partitions.map(|partition| (partition.partition_index, partition.committed_offset)).collect()))
}
