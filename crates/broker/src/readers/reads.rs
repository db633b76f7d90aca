//! The internal service that reads records for another broker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_log::Slice;
use levada_peers::MAX_PARTITIONS_PER_READ;
use levada_proto::internal as pb;
use levada_proto::internal::reads_server::{Reads, ReadsServer};
use levada_service::shutdown::CancellationToken;
use levada_types::{ErrorCode, Isolation};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::partition_of;
use crate::Broker;
use crate::api::{Fetch, FetchPartition, FetchedPartition, ReadFrom};

/// The longest that a request may wait. Readers ask again long before.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The service of `broker`, until `stop`.
pub(crate) fn reads_service(broker: Arc<Broker>, stop: CancellationToken) -> ReadsServer<impl Reads> {
    ReadsServer::new(reads(broker, stop)).max_encoding_message_size(usize::MAX)
}

/// What the service does.
pub(crate) fn reads(broker: Arc<Broker>, stop: CancellationToken) -> impl Reads {
    Service { broker, stop }
}

struct Service {
    broker: Arc<Broker>,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl Reads for Service {
    type ReadStream = std::pin::Pin<Box<dyn Stream<Item = Result<pb::ReadResponse, Status>> + Send>>;

    async fn read(&self, request: Request<pb::ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let fetch = read_request(&request.into_inner())?;
        let (broker, stop) = (Arc::clone(&self.broker), self.stop.clone());
        let answer = async move {
            tokio::select! {
                () = stop.cancelled() => Err(Status::unavailable("shutting down")),
                found = broker.fetch(&fetch) => answer(found).await,
            }
        };
        Ok(Response::new(Box::pin(futures::stream::once(answer))))
    }
}

fn read_request(request: &pb::ReadRequest) -> Result<Fetch, Status> {
    if request.partitions.len() > MAX_PARTITIONS_PER_READ {
        let message = format!("at most {MAX_PARTITIONS_PER_READ} partitions can be read at once");
        return Err(Status::invalid_argument(message));
    }
    let partitions = request.partitions.iter().map(|asked| {
        Ok(FetchPartition {
            partition: partition_of(&asked.topic_id, asked.partition)?,
            offset: asked.offset,
            max_bytes: request.max_bytes,
            current_leader_epoch: None,
            last_fetched_epoch: None,
        })
    });
    Ok(Fetch {
        max_wait: Duration::from_millis(request.max_wait_ms.into()).min(LONGEST_WAIT),
        min_bytes: 1,
        max_bytes: request.max_bytes,
        isolation: Isolation::ReadUncommitted,
        read_from: ReadFrom::Leader,
        partitions: partitions.collect::<Result<_, Status>>()?,
    })
}

async fn answer(found: Vec<FetchedPartition>) -> Result<pb::ReadResponse, Status> {
    let mut told = Vec::new();
    for (index, fetched) in (0..).zip(found) {
        let mut answer = pb::ReadFound {
            index,
            error: fetched.error.code().into(),
            high_watermark: fetched.high_watermark,
            batches: Bytes::new(),
        };
        match fetched.records {
            Some(slice) if fetched.error.is_none() => match bytes_of(slice).await {
                Ok(batches) => answer.batches = batches,
                Err(error) => {
                    tracing::warn!(%error, "a log cannot be read");
                    answer.error = ErrorCode::KafkaStorageError.code().into();
                }
            },
            _ if fetched.error.is_none() => continue,
            _ => {}
        }
        told.push(answer);
    }
    Ok(pb::ReadResponse { found: told })
}

/// The bytes of a slice. What may have to wait for the disk is read on a thread that may.
async fn bytes_of(slice: Slice) -> std::io::Result<Bytes> {
    if slice.is_likely_cached() {
        return slice.to_bytes();
    }
    tokio::task::spawn_blocking(move || slice.to_bytes()).await.map_err(std::io::Error::other)?
}
