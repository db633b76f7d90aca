//! Asks the leaders of partitions how far readers are behind.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use levada_metadata::{BrokerRegistration, Image};
use levada_proto::internal as pb;
use levada_proto::internal::lags_client::LagsClient;
use levada_service::grpc::Profile;
use levada_service::net::Network;
use levada_types::{BrokerId, ErrorCode, MetadataOffset, Offset, TimestampMs, TopicIdPartition};
use tonic::Request;

use crate::broker_channels::BrokerChannels;

/// Places that one request names; more are asked for in further ones.
pub const MAX_PLACES_PER_REQUEST: usize = 10_000;

/// Requests of one question that are under way at a time.
const CONCURRENT_REQUESTS: usize = 8;

/// The way to the leaders. Clones share their connections.
#[derive(Debug, Clone)]
pub struct LagClient {
    channels: BrokerChannels,
}

/// Where somebody reads, or wants to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderPlace {
    /// Which partition.
    pub partition: TopicIdPartition,
    /// Which place in it.
    pub place: Place,
}

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// None: only the ends are asked for.
    Ends,
    /// The next offset to be read.
    Offset(Offset),
    /// The first visible record whose timestamp is at least this.
    AtTime(TimestampMs),
}

/// What lies after one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderLag {
    /// The first offset that the partition holds.
    pub log_start_offset: Offset,
    /// The offset after the last visible record.
    pub high_watermark: Offset,
    /// For [`Place::Offset`]: the timestamp of the batch that holds the next record; `None` if there is none.
    pub next_timestamp: Option<TimestampMs>,
    /// For [`Place::AtTime`]: the record; `None` if there is none that young.
    pub offset_at_time: Option<Offset>,
}

impl ReaderLag {
    /// How many records lie after what a group has committed, never fewer than none: it may have committed what the log has
    /// been cut off below since.
    #[must_use]
    pub fn records(&self, committed: Offset) -> i64 {
        self.high_watermark.saturating_sub(committed).max(0)
    }

    /// How long the oldest of them has been waiting at `now`, in milliseconds; `None` if its time is not known.
    #[must_use]
    pub fn milliseconds(&self, committed: Offset, now: TimestampMs) -> Option<i64> {
        match self.next_timestamp {
            _ if self.records(committed) == 0 => Some(0),
            Some(timestamp) => Some(now.saturating_sub(timestamp).max(0)),
            None => None,
        }
    }
}

impl LagClient {
    /// Over `network`.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { channels: BrokerChannels::new(network, Profile::Control) }
    }

    /// What lies after `places`, as the leaders in `image` tell; one answer for each, in their order.
    ///
    /// Each leader has `timeout`; one that does not answer costs its own partitions and no others: REQUEST_TIMED_OUT, or
    /// NETWORK_EXCEPTION if it cannot be reached. A partition that `image` does not know, or that has no leader:
    /// UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE.
    pub async fn describe(
        &self,
        image: &Image,
        places: &[ReaderPlace],
        timeout: Duration,
    ) -> Vec<Result<ReaderLag, ErrorCode>> {
        let mut answers = vec![Err(ErrorCode::LeaderNotAvailable); places.len()];
        let mut by_leader: BTreeMap<BrokerId, Vec<usize>> = BTreeMap::new();
        for (index, place) in places.iter().enumerate() {
            match leader(image, place.partition) {
                Ok(broker) => by_leader.entry(broker.id).or_default().push(index),
                Err(code) => answers[index] = Err(code),
            }
        }
        let mut requests = Vec::new();
        for (id, indexes) in &by_leader {
            for some in indexes.chunks(MAX_PLACES_PER_REQUEST) {
                let asked: Vec<ReaderPlace> = some.iter().map(|&index| places[index]).collect();
                requests.push(async move {
                    let told = match image.broker(*id) {
                        Some(broker) => self.ask(broker, image.offset(), &asked, timeout).await,
                        None => Err(ErrorCode::LeaderNotAvailable),
                    };
                    (some, told)
                });
            }
        }
        let mut told = futures::stream::iter(requests).buffer_unordered(CONCURRENT_REQUESTS);
        while let Some((some, told)) = told.next().await {
            for (place, &index) in some.iter().enumerate() {
                answers[index] = match &told {
                    Ok(lags) => lags.get(place).copied().unwrap_or(Err(ErrorCode::UnknownServerError)),
                    Err(code) => Err(*code),
                };
            }
        }
        answers
    }

    async fn ask(
        &self,
        broker: &BrokerRegistration,
        offset: MetadataOffset,
        places: &[ReaderPlace],
        timeout: Duration,
    ) -> Result<Vec<Result<ReaderLag, ErrorCode>>, ErrorCode> {
        let channel = self.channels.to(broker).ok_or(ErrorCode::NetworkException)?;
        let mut request = Request::new(pb::DescribeLagsRequest {
            metadata_offset: offset.0,
            places: places.iter().map(to_message).collect(),
        });
        request.set_timeout(timeout);
        let answer = tokio::time::timeout(timeout, LagsClient::new(channel).describe_lags(request)).await;
        let answer = answer.map_err(|_| ErrorCode::RequestTimedOut)?;
        let answer = answer.map_err(|status| {
            tracing::debug!(broker = broker.id.0, %status, "a leader does not tell of its readers' lag");
            ErrorCode::NetworkException
        })?;
        Ok(answer.into_inner().lags.into_iter().map(from_message).collect())
    }
}

fn leader(image: &Image, id: TopicIdPartition) -> Result<&BrokerRegistration, ErrorCode> {
    let topic = image.topic(id.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partition(id.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let leader = partition.leader.and_then(|leader| image.broker(leader));
    leader.map(AsRef::as_ref).ok_or(ErrorCode::LeaderNotAvailable)
}

fn to_message(place: &ReaderPlace) -> pb::ReaderPlace {
    use pb::reader_place::Place as Message;
    pb::ReaderPlace {
        topic_id: place.partition.topic_id.0.as_bytes().to_vec().into(),
        partition: place.partition.partition,
        place: match place.place {
            Place::Ends => None,
            Place::Offset(offset) => Some(Message::Offset(offset)),
            Place::AtTime(time) => Some(Message::AtTimeMs(time)),
        },
    }
}

fn from_message(lag: pb::ReaderLag) -> Result<ReaderLag, ErrorCode> {
    let code = i16::try_from(lag.error).ok().and_then(ErrorCode::from_code).unwrap_or(ErrorCode::UnknownServerError);
    if !code.is_none() {
        return Err(code);
    }
    Ok(ReaderLag {
        log_start_offset: lag.log_start_offset,
        high_watermark: lag.high_watermark,
        next_timestamp: lag.next_timestamp_ms,
        offset_at_time: lag.offset_at_time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(high_watermark: Offset, next_timestamp: Option<TimestampMs>) -> ReaderLag {
        ReaderLag { log_start_offset: 0, high_watermark, next_timestamp, offset_at_time: None }
    }

    #[test]
    fn lag_is_never_negative() {
        assert_eq!(lag(10, None).records(3), 7);
        assert_eq!(lag(10, None).records(12), 0, "the log was cut off below what is committed");
        assert_eq!(lag(10, Some(500)).milliseconds(3, 700), Some(200));
        assert_eq!(lag(10, Some(900)).milliseconds(3, 700), Some(0), "the producer's clock is ahead");
        assert_eq!(lag(10, None).milliseconds(10, 700), Some(0));
        assert_eq!(lag(10, None).milliseconds(3, 700), None);
    }
}
