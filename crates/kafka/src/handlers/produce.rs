//! Produce: hands record batches to the broker, as slices of the frame they came in.

use std::collections::HashSet;

use futures::future::{BoxFuture, FutureExt};
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName as WireName};
use levada_broker::api::{Acks, PartitionError, Produce, ProducePartition, Produced};
use levada_metadata::Image;
use levada_records::{BatchHeader, Compression};
use levada_types::{ErrorCode, TopicId, TopicIdPartition};
use uuid::Uuid;

use super::{Handlers, code_of, encoded, millis};
use crate::connection::Outcome;
use crate::wire::endpoints::NamedLeaders;
use crate::wire::request::Head;
use crate::wire::text::text;

/// Topics are named by identity from this version on (KIP-516).
const IDS_SINCE: i16 = 13;

/// Batches may be compressed with zstd from this version on (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// Answers name the new leader from this version on (KIP-951).
const LEADERS_SINCE: i16 = 10;

/// One topic of a request, to be answered in its order.
struct Topic {
    name: WireName,
    id: Uuid,
    partitions: Vec<Partition>,
}

struct Partition {
    index: i32,
    /// Refused here; `None` is taken from the broker's answers, in order.
    refused: Option<PartitionError>,
}

/// Queues the batches, and answers when the broker has.
pub(super) fn start(handlers: &Handlers, head: Head, request: ProduceRequest) -> BoxFuture<'static, Outcome> {
    let acks = match request.acks {
        0 => Ok(Acks::None),
        1 => Ok(Acks::Leader),
        -1 => Ok(Acks::All),
        _ => Err(PartitionError::from(ErrorCode::InvalidRequiredAcks)),
    };
    let refused = match &request.transactional_id {
        Some(_) => Some(PartitionError::new(ErrorCode::InvalidTxnState, "this cluster has no transaction coordinator")),
        None => acks.as_ref().err().cloned(),
    };
    let image = handlers.broker.image();
    let mut sort = Sort { head, image: &image, refused, seen: HashSet::new(), accepted: Vec::new() };
    let topics: Vec<Topic> = request.topic_data.into_iter().map(|topic| sort.topic(topic)).collect();
    let partitions = sort.accepted;
    let acks = acks.unwrap_or(Acks::Leader);
    let appending = handlers.broker.produce(Produce { acks, timeout: millis(request.timeout_ms), partitions });
    let handlers = handlers.clone();
    async move {
        let results = appending.await;
        if acks == Acks::None { silent(&topics, &results) } else { respond(&handlers, head, topics, results) }
    }
    .boxed()
}

/// Tells apart what the broker gets and what is refused here.
struct Sort<'a> {
    head: Head,
    image: &'a Image,
    /// Why the whole request is refused.
    refused: Option<PartitionError>,
    seen: HashSet<TopicIdPartition>,
    accepted: Vec<ProducePartition>,
}

impl Sort<'_> {
    fn topic(&mut self, topic: TopicProduceData) -> Topic {
        let id = self.topic_id(&topic);
        let partitions = topic
            .partition_data
            .into_iter()
            .map(|data| {
                let accepted = id.clone().and_then(|topic_id| {
                    let partition = TopicIdPartition { topic_id, partition: data.index };
                    if !self.seen.insert(partition) {
                        return Err(PartitionError::new(ErrorCode::InvalidRequest, "the partition is named twice"));
                    }
                    let records = data.records.unwrap_or_default();
                    if self.head.version < ZSTD_SINCE && is_zstd(&records) {
                        return Err(PartitionError::new(
                            ErrorCode::UnsupportedCompressionType,
                            "zstd needs Produce version 7 or newer",
                        ));
                    }
                    self.accepted.push(ProducePartition { partition, records });
                    Ok(())
                });
                Partition { index: data.index, refused: accepted.err() }
            })
            .collect();
        Topic { name: topic.name, id: topic.topic_id, partitions }
    }

    fn topic_id(&self, topic: &TopicProduceData) -> Result<TopicId, PartitionError> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let (found, unknown) = if self.head.version >= IDS_SINCE {
            (self.image.topic(TopicId(topic.topic_id)), ErrorCode::UnknownTopicId)
        } else {
            (self.image.topic_by_name(&topic.name), ErrorCode::UnknownTopicOrPartition)
        };
        let found = found.ok_or(unknown)?;
        if found.is_internal() {
            return Err(PartitionError::new(
                ErrorCode::InvalidTopicException,
                format!("{} belongs to the cluster; clients may read it, not write it", found.name()),
            ));
        }
        Ok(found.id())
    }
}

/// A client that wants no answer learns of an error by the end of the connection.
fn silent(topics: &[Topic], results: &[Result<Produced, PartitionError>]) -> Outcome {
    let refused = topics.iter().flat_map(|topic| &topic.partitions).find_map(|partition| partition.refused.as_ref());
    match refused.or_else(|| results.iter().find_map(|result| result.as_ref().err())) {
        Some(error) => Outcome::Close(format!("a Produce request with acks=0 failed: {error}")),
        None => Outcome::Silent,
    }
}

fn respond(
    handlers: &Handlers,
    head: Head,
    topics: Vec<Topic>,
    results: Vec<Result<Produced, PartitionError>>,
) -> Outcome {
    let mut results = results.into_iter();
    let mut leaders = NamedLeaders::default();
    let responses = topics
        .into_iter()
        .map(|topic| {
            let partitions = topic.partitions.into_iter().map(|partition| {
                let result = match partition.refused {
                    Some(error) => Err(error),
                    // The broker answers each partition; were one missing, its outcome would be unknown.
                    None => results.next().unwrap_or_else(|| Err(ErrorCode::UnknownServerError.into())),
                };
                partition_response(head, partition.index, result, &mut leaders)
            });
            TopicProduceResponse::default()
                .with_partition_responses(partitions.collect())
                .with_name(topic.name)
                .with_topic_id(topic.id)
        })
        .collect();
    let mut response = ProduceResponse::default().with_responses(responses);
    if head.version >= LEADERS_SINCE {
        response.node_endpoints = leaders.for_produce(&handlers.broker.image(), &handlers.listener);
    }
    encoded(head, &response)
}

fn partition_response(
    head: Head,
    index: i32,
    result: Result<Produced, PartitionError>,
    leaders: &mut NamedLeaders,
) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match result {
        Ok(produced) => response
            .with_base_offset(produced.base_offset)
            .with_log_append_time_ms(produced.log_append_time)
            .with_log_start_offset(produced.log_start_offset),
        Err(error) => {
            let mut response = response
                .with_error_code(code_of(head, error.code))
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1)
                .with_record_errors(record_errors(&error))
                .with_error_message(error.message.map(text));
            if let (true, Some(hint)) = (head.version >= LEADERS_SINCE, error.leader) {
                let (leader, epoch) = leaders.name(hint);
                response.current_leader = LeaderIdAndEpoch::default().with_leader_id(leader).with_leader_epoch(epoch);
            }
            response
        }
    }
}

/// Which record is to blame, so that a producer gives up that one and can send the others again (KIP-467).
fn record_errors(error: &PartitionError) -> Vec<BatchIndexAndErrorMessage> {
    let told = |index| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(error.message.clone().map(text))
    };
    error.record.map(told).into_iter().collect()
}

/// Whether the records are compressed in the way that clients before [`ZSTD_SINCE`] cannot mean.
fn is_zstd(records: &[u8]) -> bool {
    // What is no batch at all is refused by the log, with its own words.
    BatchHeader::parse(records).and_then(|header| header.compression()).is_ok_and(|found| found == Compression::Zstd)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ApiKey;
    use kafka_protocol::protocol::Encodable;
    use levada_broker::api::LeaderHint;
    use levada_types::{BrokerId, LeaderEpoch};

    use super::*;
    use crate::wire::api;

    #[test]
    fn a_new_leader_is_told_by_the_versions_that_can() {
        for version in 3..=13 {
            let head = Head { api: api::find(ApiKey::Produce as i16).expect("listed"), version, correlation_id: 1 };
            let hint = LeaderHint { leader: Some(BrokerId(2)), epoch: LeaderEpoch(9) };
            let error = PartitionError {
                message: Some("moved".to_owned()),
                ..PartitionError::with_leader(ErrorCode::NotLeaderOrFollower, hint)
            };
            let response = partition_response(head, 4, Err(error), &mut NamedLeaders::default());
            assert_eq!((response.error_code, response.base_offset), (6, -1));
            let told = (response.current_leader.leader_id.0, response.current_leader.leader_epoch);
            assert_eq!(told, if version >= LEADERS_SINCE { (2, 9) } else { (-1, -1) });
            response.encode(&mut bytes::BytesMut::new(), version).expect("every version can express it");
        }
    }

    #[test]
    fn without_an_answer_an_error_ends_the_connection() {
        let topic = |refused| Topic {
            name: WireName::default(),
            id: Uuid::nil(),
            partitions: vec![Partition { index: 0, refused }],
        };
        let appended = Produced { base_offset: 0, log_append_time: -1, log_start_offset: 0 };
        assert!(matches!(silent(&[topic(None)], &[Ok(appended)]), Outcome::Silent));
        assert!(matches!(silent(&[topic(None)], &[Err(ErrorCode::CorruptMessage.into())]), Outcome::Close(_)));
        assert!(matches!(silent(&[topic(Some(ErrorCode::InvalidRequest.into()))], &[]), Outcome::Close(_)));
    }
}
