//! Fetch: record batches, pinned in their segments, told by session (KIP-227).

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use kafka_protocol::messages::fetch_request::{FetchPartition as WirePartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use kafka_protocol::protocol::StrBytes;
use levada_broker::api::{DescribedResource, Fetch, FetchPartition, FetchedPartition, ReadFrom};
use levada_log::Slice;
use levada_metadata::Image;
use levada_types::{ErrorCode, Isolation, LeaderEpoch, TopicId, TopicIdPartition, TopicName};
use uuid::Uuid;

use super::{Handlers, code_of, encoded, millis, now_ms};
use crate::connection::Outcome;
use crate::session::{Context, Seen, SessionRequest, TopicKey, Wanted};
use crate::wire::answer::Answer;
use crate::wire::endpoints::{NamedLeaders, wire_id};
use crate::wire::request::Head;
use crate::wire::rope::placeholder;

/// Topics are named by identity from this version on (KIP-516).
const IDS_SINCE: i16 = 13;

/// Answers name the new leader from this version on (KIP-951).
const LEADERS_SINCE: i16 = 16;

/// Clients know zstd from this version on (KIP-110).
const ZSTD_SINCE: i16 = 10;

/// Clients say in which rack they stand, and can be sent to a follower, from this version on (KIP-392).
const RACKS_SINCE: i16 = 11;

/// Answers tell where logs diverge from this version on (KIP-595).
const DIVERGENCE_SINCE: i16 = 12;

/// Steps the session, reads, and answers.
pub(super) fn start(handlers: Handlers, head: Head, request: FetchRequest) -> BoxFuture<'static, Outcome> {
    let limits = Limits {
        max_wait: millis(request.max_wait_ms),
        min_bytes: u32::try_from(request.min_bytes).unwrap_or(0),
        max_bytes: u32::try_from(request.max_bytes).unwrap_or(0).min(handlers.options.fetch_max_bytes),
        isolation: if request.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted },
        read_from: read_from(head, &request),
    };
    let begun = handlers.sessions.begin(session_request(head, request), now_ms());
    async move {
        match begun {
            Ok(context) => read(&handlers, head, &limits, context).await,
            Err(code) => encoded(head, &FetchResponse::default().with_error_code(code_of(head, code))),
        }
    }
    .boxed()
}

struct Limits {
    max_wait: Duration,
    min_bytes: u32,
    max_bytes: u32,
    isolation: Isolation,
    read_from: ReadFrom,
}

fn read_from(head: Head, request: &FetchRequest) -> ReadFrom {
    if head.version < RACKS_SINCE {
        return ReadFrom::Leader;
    }
    ReadFrom::Nearest { rack: request.rack_id.to_string() }
}

fn session_request(head: Head, request: FetchRequest) -> SessionRequest {
    let by_id = head.version >= IDS_SINCE;
    let key = |name: StrBytes, id: Uuid| if by_id { TopicKey::Id(TopicId(id)) } else { TopicKey::Name(name) };
    let wanted = request.topics.into_iter().flat_map(|topic: FetchTopic| {
        let key = key(topic.topic.0, topic.topic_id);
        topic.partitions.into_iter().map(move |partition| wanted(key.clone(), &partition))
    });
    let forgotten = request.forgotten_topics_data.into_iter().flat_map(|topic| {
        let key = key(topic.topic.0, topic.topic_id);
        topic.partitions.into_iter().map(move |partition| (key.clone(), partition))
    });
    SessionRequest {
        id: request.session_id,
        epoch: request.session_epoch,
        by_id,
        wanted: wanted.collect(),
        forgotten: forgotten.collect(),
    }
}

fn wanted(topic: TopicKey, partition: &WirePartition) -> Wanted {
    let epoch = |epoch: i32| (epoch >= 0).then_some(LeaderEpoch(epoch));
    Wanted {
        topic,
        partition: partition.partition,
        offset: partition.fetch_offset,
        max_bytes: u32::try_from(partition.partition_max_bytes).unwrap_or(0),
        current_leader_epoch: epoch(partition.current_leader_epoch),
        last_fetched_epoch: epoch(partition.last_fetched_epoch),
    }
}

async fn read(handlers: &Handlers, head: Head, limits: &Limits, context: Context) -> Outcome {
    let image = handlers.broker.image();
    let topics: Vec<Result<TopicId, ErrorCode>> =
        context.wanted.iter().map(|wanted| resolve(handlers, head, &image, &wanted.topic)).collect();
    let partitions: Vec<FetchPartition> = context
        .wanted
        .iter()
        .zip(&topics)
        .filter_map(|(wanted, topic_id)| {
            Some(FetchPartition {
                partition: TopicIdPartition { topic_id: topic_id.ok()?, partition: wanted.partition },
                offset: wanted.offset,
                max_bytes: wanted.max_bytes,
                current_leader_epoch: wanted.current_leader_epoch,
                last_fetched_epoch: wanted.last_fetched_epoch,
            })
        })
        .collect();
    // An error is told at once, not after the wait for records of other partitions.
    let all_readable = partitions.len() == context.wanted.len();
    let found = if partitions.is_empty() {
        Vec::new()
    } else {
        let fetch = Fetch {
            max_wait: limits.max_wait,
            min_bytes: if all_readable { limits.min_bytes } else { 0 },
            max_bytes: limits.max_bytes,
            isolation: limits.isolation,
            read_from: limits.read_from.clone(),
            partitions,
        };
        handlers.broker.fetch(&fetch).await
    };
    drop(image);
    respond(handlers, head, limits.isolation, &context, &topics, found)
}

/// The topic, or what is told of each of its partitions.
fn resolve(handlers: &Handlers, head: Head, image: &Image, topic: &TopicKey) -> Result<TopicId, ErrorCode> {
    let found = match topic {
        TopicKey::Name(name) => image.topic_by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicKey::Id(id) => image.topic(*id).ok_or(ErrorCode::UnknownTopicId),
    }?;
    // As in Kafka the topic's setting decides, not what is in the batches: those are not looked at.
    if head.version < ZSTD_SINCE && is_stored_as_zstd(handlers, found.name()) {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    Ok(found.id())
}

fn is_stored_as_zstd(handlers: &Handlers, name: &TopicName) -> bool {
    let names = ["compression.type".to_owned()];
    let described = handlers.broker.describe_configs(&DescribedResource::Topic(name.clone()), Some(&names));
    described.is_ok_and(|configs| configs.iter().any(|config| config.value.as_deref() == Some("zstd")))
}

fn respond(
    handlers: &Handlers,
    head: Head,
    isolation: Isolation,
    context: &Context,
    topics: &[Result<TopicId, ErrorCode>],
    found: Vec<FetchedPartition>,
) -> Outcome {
    let mut found = found.into_iter();
    let answers: Vec<FetchedPartition> = context
        .wanted
        .iter()
        .zip(topics)
        .map(|(wanted, topic)| match topic {
            // The broker answers each partition; were one missing, the client would ask again.
            Ok(id) => found.next().unwrap_or_else(|| failed(*id, wanted, ErrorCode::UnknownServerError)),
            Err(code) => failed(TopicId::ZERO, wanted, *code),
        })
        .collect();
    let seen: Vec<Seen> = answers.iter().zip(topics).map(|(answer, topic)| see(answer, topic.ok())).collect();
    let (session_id, told) = handlers.sessions.finish(context, &seen, now_ms(), fresh_session_id);

    let mut build = Build { head, isolation, leaders: NamedLeaders::default(), bodies: Vec::new() };
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    for ((wanted, answer), _) in context.wanted.iter().zip(answers).zip(told).filter(|(_, told)| *told) {
        let data = match build.partition(wanted.partition, answer) {
            Ok(data) => data,
            Err(error) => return Outcome::Close(format!("records could not be read for a Fetch answer: {error}")),
        };
        let (name, id) = match &wanted.topic {
            TopicKey::Name(name) => (name.clone(), Uuid::nil()),
            TopicKey::Id(id) => (StrBytes::new(), id.0),
        };
        match responses.last_mut() {
            Some(last) if last.topic.0 == name && last.topic_id == id => last.partitions.push(data),
            _ => responses.push(
                FetchableTopicResponse::default().with_topic(name.into()).with_topic_id(id).with_partitions(vec![data]),
            ),
        }
    }
    let mut response = FetchResponse::default().with_session_id(session_id).with_responses(responses);
    if head.version >= LEADERS_SINCE {
        response.node_endpoints = build.leaders.for_fetch(&handlers.broker.image(), &handlers.listener);
    }
    match Answer::encode_around(head, &response, build.bodies) {
        Ok(answer) => Outcome::Answer(answer),
        Err(error) => Outcome::Close(error.to_string()),
    }
}

fn failed(topic_id: TopicId, wanted: &Wanted, error: ErrorCode) -> FetchedPartition {
    FetchedPartition {
        partition: TopicIdPartition { topic_id, partition: wanted.partition },
        error,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        diverging: None,
        leader: None,
        preferred_read_replica: None,
        aborted: Vec::new(),
        records: None,
    }
}

fn see(answer: &FetchedPartition, topic_id: Option<TopicId>) -> Seen {
    Seen {
        topic_id,
        is_error: !answer.error.is_none() || answer.diverging.is_some() || answer.preferred_read_replica.is_some(),
        has_records: answer.records.as_ref().is_some_and(|records| !records.is_empty()),
        high_watermark: answer.high_watermark,
        log_start_offset: answer.log_start_offset,
    }
}

/// A session id that nobody can guess; the sign bit is not used.
fn fresh_session_id() -> i32 {
    i32::try_from(Uuid::new_v4().as_u128() & 0x7fff_ffff).unwrap_or(i32::MAX)
}

/// Builds partitions of a response, and collects the bodies that belong into them.
struct Build {
    head: Head,
    isolation: Isolation,
    leaders: NamedLeaders,
    bodies: Vec<Slice>,
}

impl Build {
    fn partition(&mut self, index: i32, answer: FetchedPartition) -> std::io::Result<PartitionData> {
        let mut data = PartitionData::default()
            .with_partition_index(index)
            .with_error_code(code_of(self.head, answer.error))
            .with_high_watermark(answer.high_watermark)
            .with_last_stable_offset(answer.last_stable_offset)
            .with_log_start_offset(answer.log_start_offset)
            .with_aborted_transactions(None)
            .with_records(Some(bytes::Bytes::new()));
        if self.isolation == Isolation::ReadCommitted {
            let aborted = answer.aborted.iter().map(|aborted| {
                AbortedTransaction::default()
                    .with_producer_id(aborted.producer_id.into())
                    .with_first_offset(aborted.first_offset)
            });
            data.aborted_transactions = Some(aborted.collect());
        }
        if let (true, Some(diverging)) = (self.head.version >= DIVERGENCE_SINCE, answer.diverging) {
            data.diverging_epoch =
                EpochEndOffset::default().with_epoch(diverging.epoch.0).with_end_offset(diverging.end_offset);
        }
        if self.head.version >= RACKS_SINCE {
            data.preferred_read_replica = wire_id(answer.preferred_read_replica);
        }
        if let (true, Some(hint)) = (self.head.version >= LEADERS_SINCE, answer.leader) {
            let (leader, epoch) = self.leaders.name(hint);
            data.current_leader = LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(epoch);
        }
        if let Some(records) = answer.records.filter(|records| !records.is_empty()) {
            data.records = Some(match placeholder(records.len()) {
                Some(place) => {
                    self.bodies.push(records);
                    place
                }
                None => records.to_bytes()?,
            });
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ApiKey;
    use kafka_protocol::protocol::Encodable;
    use levada_broker::api::{EpochEnd, LeaderHint};
    use levada_types::BrokerId;

    use super::*;
    use crate::wire::api;

    fn answer() -> FetchedPartition {
        FetchedPartition {
            partition: TopicIdPartition { topic_id: TopicId::ZERO, partition: 3 },
            error: ErrorCode::FencedLeaderEpoch,
            high_watermark: 8,
            last_stable_offset: 7,
            log_start_offset: 1,
            diverging: Some(EpochEnd { epoch: LeaderEpoch(2), end_offset: 5 }),
            leader: Some(LeaderHint { leader: Some(BrokerId(2)), epoch: LeaderEpoch(9) }),
            preferred_read_replica: Some(BrokerId(5)),
            aborted: vec![levada_broker::api::AbortedTransaction { producer_id: 4, first_offset: 6 }],
            records: Some(Slice::of_bytes(bytes::Bytes::from_static(b"records"))),
        }
    }

    #[test]
    fn each_version_is_told_what_it_can_express() {
        for version in 4..=18 {
            for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
                let head = Head { api: api::find(ApiKey::Fetch as i16).expect("listed"), version, correlation_id: 1 };
                let mut build = Build { head, isolation, leaders: NamedLeaders::default(), bodies: Vec::new() };
                let data = build.partition(3, answer()).expect("in memory");
                assert_eq!((data.error_code, data.high_watermark, build.bodies.len()), (74, 8, 1));
                assert_eq!(data.records.as_ref().map(bytes::Bytes::len), Some(7), "a place of the body's length");
                assert_eq!(data.diverging_epoch.end_offset, if version >= DIVERGENCE_SINCE { 5 } else { -1 });
                assert_eq!(data.preferred_read_replica.0, if version >= RACKS_SINCE { 5 } else { -1 });
                assert_eq!(data.current_leader.leader_id.0, if version >= LEADERS_SINCE { 2 } else { -1 });
                let aborted = data.aborted_transactions.as_ref().map(Vec::len);
                assert_eq!(aborted, (isolation == Isolation::ReadCommitted).then_some(1));
                data.encode(&mut bytes::BytesMut::new(), version).expect("every version can express it");
            }
        }
    }

    #[test]
    fn session_ids_are_positive() {
        assert!((0..1_000).all(|_| fresh_session_id() >= 0));
    }
}
