//! What the public services share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use levada_broker::Broker;
use levada_broker::api::PartitionError;
use levada_peers::{LagClient, RecordReader};
use levada_types::ErrorCode;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::GatewayOptions;
use crate::consumer::ReadBuffers;

/// The broker behind the services, and their limits.
pub(crate) struct Gateway {
    pub(crate) broker: Arc<Broker>,
    pub(crate) options: GatewayOptions,
    /// Cancelled when the broker stops: endless streams end then.
    pub(crate) shutdown: CancellationToken,
    /// Counts produce requests, to spread records without a key.
    pub(crate) spread: AtomicUsize,
    /// What fetch streams read into.
    pub(crate) read_buffers: ReadBuffers,
    /// Asks the leaders of partitions how far readers are behind.
    pub(crate) lags: LagClient,
    /// Reads what other brokers lead.
    pub(crate) record_reader: RecordReader,
    /// Room for members of groups.
    pub(crate) subscriptions: Arc<Semaphore>,
}

impl Gateway {
    pub(crate) fn new(broker: Arc<Broker>, options: GatewayOptions, shutdown: CancellationToken) -> Self {
        let read_buffers = ReadBuffers::new(options.fetch_max_buffered_bytes);
        let room = options.subscribe_max_streams.min(Semaphore::MAX_PERMITS);
        let (lags, record_reader) =
            (LagClient::new(broker.network().clone()), RecordReader::new(broker.network().clone()));
        Self {
            broker,
            options,
            shutdown,
            spread: AtomicUsize::new(0),
            read_buffers,
            lags,
            record_reader,
            subscriptions: Arc::new(Semaphore::new(room)),
        }
    }

    /// Creates the topic of this name if the broker does that at all.
    pub(crate) async fn create_on_demand(&self, name: &str) -> Result<(), PartitionError> {
        let created = self.broker.auto_create_topics(&[name]).await;
        match created.into_iter().next() {
            Some(Ok(())) => Ok(()),
            Some(Err(ErrorCode::UnknownTopicOrPartition)) | None => {
                Err(PartitionError::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name:?}")))
            }
            Some(Err(code)) => Err(code.into()),
        }
    }
}
