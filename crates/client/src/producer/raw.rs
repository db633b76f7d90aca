//! Producing ready-made record batches: for load generators and for tools that copy topics.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt as _;
use levada_proto::v1;
use levada_proto::v1::produce_stream_request::Message;
use levada_proto::v1::producer_client::ProducerClient;
use levada_types::{Offset, TopicId};
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::Acks;
use super::link::read_answer;
use crate::ClientError;
use crate::cluster::Cluster;
use crate::connections::Connections;

/// Messages that wait for a slow stream, on top of those in flight.
const QUEUED_MESSAGES: usize = 2;

/// Begins a [`RawProducer`].
#[derive(Debug, Clone)]
#[must_use = "nothing happens before open"]
pub struct RawProducerBuilder {
    cluster: Arc<Cluster>,
    topic: String,
    partition: i32,
    acks: Acks,
    max_in_flight: usize,
}

impl RawProducerBuilder {
    pub(crate) fn new(cluster: Arc<Cluster>, topic: String, partition: i32) -> Self {
        Self { cluster, topic, partition, acks: Acks::All, max_in_flight: 5 }
    }

    /// `acks`. Default all.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.acks = acks;
        self
    }

    /// Messages that may be unanswered at a time. Default 5; for batches that bear a producer id, that is also the most
    /// with which a broker recognises every repeated one.
    pub fn max_in_flight(mut self, messages: usize) -> Self {
        self.max_in_flight = messages;
        self
    }

    /// Opens a stream to the partition's leader, on a connection of its own.
    ///
    /// # Errors
    /// What looking up the topic came to; [`ClientError::NoSuchPartition`]; [`ClientError::Unreachable`].
    pub async fn open(self) -> Result<RawProducer, ClientError> {
        let metadata = self.cluster.refresh_topic(&self.topic, false).await?;
        let leader = metadata.leader(self.partition).ok_or_else(|| ClientError::NoSuchPartition {
            topic: self.topic.clone(),
            partition: self.partition,
            partition_count: metadata.partition_count(),
        })?;
        let address = leader.address.clone().ok_or_else(|| ClientError::Broker {
            code: levada_types::ErrorCode::LeaderNotAvailable,
            message: format!("{}-{} has no leader at the moment", self.topic, self.partition),
            leader: None,
            partition: Some((self.topic.clone(), self.partition)),
        })?;
        let (outgoing, queued) = channel(QUEUED_MESSAGES);
        let open = v1::ProduceStreamOpen {
            acks: self.acks.to_message().into(),
            timeout_ms: u32::try_from(self.cluster.options().request_timeout.as_millis()).unwrap_or(u32::MAX),
            producer: None,
        };
        let opening = v1::ProduceStreamRequest { message: Some(Message::Open(open)) };
        let requests = futures::stream::iter([opening]).chain(ReceiverStream::new(queued));
        let stream = ProducerClient::new(Connections::bulk().channel(&address)?).produce_stream(requests).await;
        let mut answers = stream.map_err(|status| ClientError::from_status(&address, &status))?.into_inner();
        let (waiting, mut waiters) = channel::<Waiter>(self.max_in_flight.max(1));
        tokio::spawn(async move {
            while let Some((resolve, permit)) = waiters.recv().await {
                let answer = match answers.message().await {
                    Ok(Some(answer)) => read_answer(&address, &answer),
                    Ok(None) => Err(ClientError::Unreachable {
                        address: address.clone(),
                        reason: "the broker ended the stream".to_owned(),
                    }),
                    Err(status) => Err(ClientError::from_status(&address, &status)),
                };
                drop(permit);
                // Nobody need be waiting any more.
                let _ = resolve.send(answer.map(|appended| RawAppend { base_offset: appended.base_offset }));
            }
        });
        Ok(RawProducer {
            topic_id: metadata.id,
            partition: self.partition,
            outgoing,
            waiting,
            room: Arc::new(Semaphore::new(self.max_in_flight.max(1))),
        })
    }
}

/// Somebody who waits for the answer to a message, and the message's place among those in flight.
type Waiter = (oneshot::Sender<Result<RawAppend, ClientError>>, OwnedSemaphorePermit);

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawAppend {
    /// The offset of its first record; `None` with `acks=0`.
    pub base_offset: Option<Offset>,
}

/// Produces ready-made record batches to one partition, in order, over one stream. It retries nothing: an error leaves
/// open whether the batches in flight arrived, unless they bear a producer id and are sent again as they are.
#[derive(Debug)]
pub struct RawProducer {
    topic_id: TopicId,
    partition: i32,
    outgoing: Sender<v1::ProduceStreamRequest>,
    waiting: Sender<Waiter>,
    room: Arc<Semaphore>,
}

impl RawProducer {
    /// Sends one message: one or more whole record batches of format v2, one after the other. Waits for its place among
    /// the messages in flight.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if the stream broke; the deliveries before say why.
    pub async fn send(&mut self, batches: Bytes) -> Result<RawDelivery, ClientError> {
        let closed = |_| ClientError::Closed;
        let permit = self.room.clone().acquire_owned().await.map_err(|_| ClientError::Closed)?;
        let batch = v1::ProduceBatch {
            topic: Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Id(self.topic_id.to_string())) }),
            partition: Some(self.partition),
            base_sequence: None,
            content: Some(v1::produce_batch::Content::RawBatches(batches)),
        };
        let message = v1::ProduceStreamRequest { message: Some(Message::Batch(batch)) };
        self.outgoing.send(message).await.map_err(|_| ClientError::Closed)?;
        let (resolve, outcome) = oneshot::channel();
        self.waiting.send((resolve, permit)).await.map_err(|_| ()).map_err(closed)?;
        Ok(RawDelivery { outcome })
    }
}

/// The outcome of one message.
#[derive(Debug)]
#[must_use = "whether the batches arrived is known only by awaiting this"]
pub struct RawDelivery {
    outcome: oneshot::Receiver<Result<RawAppend, ClientError>>,
}

impl Future for RawDelivery {
    type Output = Result<RawAppend, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(context).map(|outcome| outcome.unwrap_or(Err(ClientError::Closed)))
    }
}
