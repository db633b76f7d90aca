//! DescribeQuorum (KIP-595, KIP-836, KIP-853): the controllers that vote on the metadata, and how far each has it.

use kafka_protocol::messages::describe_quorum_request::TopicData as AskedTopic;
use kafka_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{BrokerId as WireBrokerId, DescribeQuorumRequest, DescribeQuorumResponse};
use levada_broker::api::PartitionError;
use levada_peers::{Quorum, QuorumMember};
use levada_types::{ErrorCode, MetadataOffset};

use super::{Handlers, REQUEST_TIMEOUT, code_of, now_ms, told};
use crate::wire::request::Head;
use crate::wire::text::text;

/// The name under which tools ask for the metadata; it has one partition.
const METADATA_TOPIC: &str = "__cluster_metadata";
const METADATA_PARTITION: i32 = 0;

/// What tools call the listener of a controller.
const LISTENER: &str = "CONTROLLER";

/// Answers tell messages, directories and addresses from this version on (KIP-853).
const DETAILS_SINCE: i16 = 2;

/// Answers tell when a member was last heard of from this version on (KIP-836).
const TIMES_SINCE: i16 = 1;

/// What an answer says of an offset or a time that is not known.
const UNKNOWN: i64 = -1;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let quorum = match handlers.broker.describe_quorum(REQUEST_TIMEOUT).await {
        Ok(quorum) => quorum,
        Err(error) => {
            let (code, message) = told(head, Err(PartitionError::new(error.code, error.message)));
            let response = DescribeQuorumResponse::default().with_error_code(code);
            return response.with_error_message(message.filter(|_| head.version >= DETAILS_SINCE));
        }
    };
    let describe = Describe { head, quorum: &quorum, now_ms: now_ms() };
    let topics = request.topics.into_iter().map(|topic| describe.topic(topic)).collect();
    let response = DescribeQuorumResponse::default().with_topics(topics).with_error_message(None);
    if head.version >= DETAILS_SINCE { response.with_nodes(describe.nodes()) } else { response }
}

struct Describe<'a> {
    head: Head,
    quorum: &'a Quorum,
    now_ms: i64,
}

impl Describe<'_> {
    fn topic(&self, asked: AskedTopic) -> TopicData {
        let is_metadata = &**asked.topic_name == METADATA_TOPIC;
        let partitions = asked.partitions.iter().map(|partition| {
            if is_metadata && partition.partition_index == METADATA_PARTITION {
                return self.partition();
            }
            let code = ErrorCode::UnknownTopicOrPartition;
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code_of(self.head, code))
                .with_error_message((self.head.version >= DETAILS_SINCE).then(|| text(code.message())))
        });
        TopicData::default().with_partitions(partitions.collect()).with_topic_name(asked.topic_name)
    }

    fn partition(&self) -> PartitionData {
        let states = |members: &[QuorumMember]| members.iter().map(|member| self.state(member)).collect();
        PartitionData::default()
            .with_partition_index(METADATA_PARTITION)
            .with_error_message(None)
            .with_leader_id(node_id(self.quorum.leader))
            .with_leader_epoch(i32::try_from(self.quorum.term).unwrap_or(i32::MAX))
            .with_high_watermark(end_behind(self.quorum.committed))
            .with_current_voters(states(&self.quorum.voters))
            .with_observers(states(&self.quorum.observers))
    }

    fn state(&self, member: &QuorumMember) -> ReplicaState {
        let state = ReplicaState::default()
            .with_replica_id(node_id(member.id))
            .with_log_end_offset(member.log_end.map_or(UNKNOWN, end_behind));
        if self.head.version < TIMES_SINCE {
            return state;
        }
        let heard = member
            .last_heard
            .map_or(UNKNOWN, |ago| self.now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
        // The leader knows what a member has, and when it last heard of it, not when it had everything: that is told only
        // of one who has everything that is committed.
        let has_all = member.log_end >= Some(self.quorum.committed);
        let state =
            state.with_last_fetch_timestamp(heard).with_last_caught_up_timestamp(if has_all { heard } else { UNKNOWN });
        if self.head.version >= DETAILS_SINCE { state.with_replica_directory_id(member.directory.0) } else { state }
    }

    fn nodes(&self) -> Vec<Node> {
        let members = self.quorum.voters.iter().chain(&self.quorum.observers);
        members
            .map(|member| {
                // An address within the process, as of a single node, is none that a tool could show.
                let listener = member.internal_address.rsplit_once(':').and_then(|(host, port)| {
                    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                    let port = port.parse().ok()?;
                    Some(Listener::default().with_name(text(LISTENER)).with_host(text(host)).with_port(port))
                });
                Node::default().with_node_id(node_id(member.id)).with_listeners(listener.into_iter().collect())
            })
            .collect()
    }
}

/// A controller's number as Kafka counts nodes.
fn node_id(id: u64) -> WireBrokerId {
    WireBrokerId(i32::try_from(id).unwrap_or(-1))
}

/// The end of a log whose last entry is at `last`, as Kafka counts it: the offset of the entry to come.
fn end_behind(last: MetadataOffset) -> i64 {
    i64::try_from(last.0.saturating_add(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kafka_protocol::messages::{ApiKey, TopicName as WireName};
    use kafka_protocol::protocol::Encodable;
    use levada_types::DirectoryId;
    use uuid::Uuid;

    use super::*;
    use crate::wire::api;

    fn member(id: u64, log_end: Option<u64>, heard_ms: Option<u64>) -> QuorumMember {
        QuorumMember {
            id,
            directory: DirectoryId(Uuid::from_u128(u128::from(id))),
            internal_address: if id == 3 { "memory:controller".to_owned() } else { format!("10.0.0.{id}:9093") },
            log_end: log_end.map(MetadataOffset),
            last_heard: heard_ms.map(Duration::from_millis),
        }
    }

    fn quorum() -> Quorum {
        Quorum {
            leader: 2,
            term: 7,
            committed: MetadataOffset(9),
            voters: vec![member(1, Some(8), Some(40)), member(2, Some(9), Some(0)), member(3, None, None)],
            observers: vec![member(4, Some(9), Some(5))],
        }
    }

    #[test]
    fn each_version_is_told_what_it_can_express() {
        for version in 0..=2 {
            let head =
                Head { api: api::find(ApiKey::DescribeQuorum as i16).expect("listed"), version, correlation_id: 1 };
            let quorum = quorum();
            let describe = Describe { head, quorum: &quorum, now_ms: 1_000 };
            let partition = describe.partition();
            assert_eq!((partition.leader_id.0, partition.leader_epoch, partition.high_watermark), (2, 7, 10));
            let ends: Vec<i64> = partition.current_voters.iter().map(|state| state.log_end_offset).collect();
            assert_eq!(ends, [9, 10, -1], "the offset of the entry to come");
            let times: Vec<(i64, i64)> = partition
                .current_voters
                .iter()
                .chain(&partition.observers)
                .map(|state| (state.last_fetch_timestamp, state.last_caught_up_timestamp))
                .collect();
            let expected = [(960, -1), (1_000, 1_000), (-1, -1), (995, 995)];
            assert_eq!(times, if version >= TIMES_SINCE { expected } else { [(-1, -1); 4] });
            partition.encode(&mut bytes::BytesMut::new(), version).expect("every version can express it");
        }
    }

    #[test]
    fn an_address_within_the_process_is_not_told() {
        let quorum = quorum();
        let head =
            Head { api: api::find(ApiKey::DescribeQuorum as i16).expect("listed"), version: 2, correlation_id: 1 };
        let nodes = Describe { head, quorum: &quorum, now_ms: 0 }.nodes();
        let told: Vec<(i32, Option<(&str, u16)>)> = nodes
            .iter()
            .map(|node| (node.node_id.0, node.listeners.first().map(|listener| (&*listener.host, listener.port))))
            .collect();
        assert_eq!(
            told,
            [(1, Some(("10.0.0.1", 9093))), (2, Some(("10.0.0.2", 9093))), (3, None), (4, Some(("10.0.0.4", 9093)))]
        );
    }

    #[test]
    fn there_is_one_partition_to_be_described() {
        let quorum = quorum();
        let head =
            Head { api: api::find(ApiKey::DescribeQuorum as i16).expect("listed"), version: 2, correlation_id: 1 };
        let describe = Describe { head, quorum: &quorum, now_ms: 0 };
        let asked = |name, partition| {
            use kafka_protocol::messages::describe_quorum_request::PartitionData;
            AskedTopic::default()
                .with_topic_name(WireName(text(name)))
                .with_partitions(vec![PartitionData::default().with_partition_index(partition)])
        };
        for (name, partition, code) in [(METADATA_TOPIC, 0, 0), (METADATA_TOPIC, 1, 3), ("orders", 0, 3)] {
            let told = describe.topic(asked(name, partition));
            assert_eq!((&**told.topic_name, told.partitions[0].error_code), (name, code));
        }
    }
}
