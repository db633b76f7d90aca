//! The internal service that tells how far readers are behind.

use std::sync::Arc;
use std::time::Duration;

use levada_peers::MAX_PLACES_PER_REQUEST;
use levada_proto::internal as pb;
use levada_proto::internal::lags_server::{Lags, LagsServer};
use levada_proto::internal::reader_place::Place;
use levada_records::{BATCH_HEADER_LEN, BatchHeader, TimestampType};
use levada_types::{ErrorCode, Isolation, MetadataOffset, Offset, TimestampMs};
use tonic::{Request, Response, Status};

use super::partition_of;
use crate::Broker;
use crate::api::PartitionError;
use crate::partition::Partition;

/// How long this broker's image may take to reach what is asked by.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The service of `broker`.
pub(crate) fn lags_service(broker: Arc<Broker>) -> LagsServer<impl Lags> {
    LagsServer::new(lags(broker))
}

/// What the service does.
pub(crate) fn lags(broker: Arc<Broker>) -> impl Lags {
    Service { broker }
}

struct Service {
    broker: Arc<Broker>,
}

/// A place, and the replica that is asked, if it leads here.
type Located = (Result<Arc<Partition>, PartitionError>, Option<Place>);

#[tonic::async_trait]
impl Lags for Service {
    async fn describe_lags(
        &self,
        request: Request<pb::DescribeLagsRequest>,
    ) -> Result<Response<pb::DescribeLagsResponse>, Status> {
        let request = request.into_inner();
        if request.places.len() > MAX_PLACES_PER_REQUEST {
            let message = format!("at most {MAX_PLACES_PER_REQUEST} places can be asked for at once");
            return Err(Status::invalid_argument(message));
        }
        let places = request.places.into_iter();
        let places = places.map(|place| Ok((partition_of(&place.topic_id, place.partition)?, place.place)));
        let places = places.collect::<Result<Vec<_>, Status>>()?;
        let arrived = self.broker.metadata.wait_for(MetadataOffset(request.metadata_offset), IMAGE_TIMEOUT).await;
        arrived.map_err(|stale| Status::unavailable(stale.to_string()))?;
        let located: Vec<Located> = places
            .into_iter()
            .map(|(id, place)| {
                let partition = self.broker.locate(&id).and_then(|partition| {
                    partition.role().check_leads(None)?;
                    Ok(partition)
                });
                (partition, place)
            })
            .collect();
        Ok(Response::new(pb::DescribeLagsResponse { lags: self.broker.lags(located).await? }))
    }
}

impl Broker {
    /// The lags at places whose replicas are found. A look at a header may have to wait for the device.
    async fn lags(&self, located: Vec<Located>) -> Result<Vec<pb::ReaderLag>, Status> {
        let looks = located.iter().any(|(_, place)| place.is_some());
        let tell = move || located.into_iter().map(|(partition, place)| lag(partition, place)).collect();
        if !looks {
            return Ok(tell());
        }
        tokio::task::spawn_blocking(tell).await.map_err(|_| Status::unavailable("shutting down"))
    }
}

fn lag(partition: Result<Arc<Partition>, PartitionError>, place: Option<Place>) -> pb::ReaderLag {
    partition.and_then(|partition| measure(&partition, place)).unwrap_or_else(|error| pb::ReaderLag {
        error: error.code.code().into(),
        log_start_offset: -1,
        high_watermark: -1,
        next_timestamp_ms: None,
        offset_at_time: None,
    })
}

fn measure(partition: &Partition, place: Option<Place>) -> Result<pb::ReaderLag, PartitionError> {
    partition.check_end_known()?;
    let (log_start_offset, high_watermark) =
        (partition.reader().log_start_offset(), partition.visible_end(Isolation::ReadUncommitted));
    let mut lag =
        pb::ReaderLag { error: 0, log_start_offset, high_watermark, next_timestamp_ms: None, offset_at_time: None };
    match place {
        None => {}
        Some(Place::Offset(offset)) => {
            lag.next_timestamp_ms = next_timestamp(partition, offset.max(log_start_offset), high_watermark)?;
        }
        Some(Place::AtTimeMs(time)) => {
            let found = partition.reader().offset_for_timestamp(time, high_watermark);
            lag.offset_at_time = found.map_err(|error| refused(&error))?.map(|found| found.offset);
        }
    }
    Ok(lag)
}

/// The timestamp of the batch that holds the first record from `offset` on.
fn next_timestamp(
    partition: &Partition,
    offset: Offset,
    high_watermark: Offset,
) -> Result<Option<TimestampMs>, PartitionError> {
    if offset >= high_watermark {
        return Ok(None);
    }
    let found = partition.reader().read(offset, BATCH_HEADER_LEN, high_watermark, true);
    let found = found.map_err(|error| refused(&error))?;
    if found.slice.is_empty() {
        return Ok(None);
    }
    let unreadable =
        |reason: String| PartitionError::new(ErrorCode::KafkaStorageError, format!("the log cannot be read: {reason}"));
    let mut header = [0; BATCH_HEADER_LEN];
    found.slice.read_at(0, &mut header).map_err(|error| unreadable(error.to_string()))?;
    let header = BatchHeader::parse(&header).map_err(|error| unreadable(error.to_string()))?;
    let timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp,
        TimestampType::LogAppendTime => header.max_timestamp,
    };
    Ok(Some(timestamp).filter(|&timestamp| timestamp >= 0))
}

fn refused(error: &levada_log::ReadError) -> PartitionError {
    PartitionError::new(error.code(), error.to_string())
}
