//! One produce stream to one broker.

use std::collections::VecDeque;
use std::time::Instant;

use futures::StreamExt as _;
use levada_proto::v1;
use levada_proto::v1::produce_stream_request::Message;
use levada_proto::v1::producer_client::ProducerClient;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;

use super::delivery::Appended;
use super::sender::{Event, LaneKey};
use crate::ClientError;

/// The sending half of a produce stream, and what was sent on it and not answered. Answers come in the order of the
/// batches. What is queued here is bounded by the lanes' limits of batches in flight and by `buffer.memory`.
pub(super) struct Link {
    /// Tells this stream from an earlier one to the same broker.
    pub(super) id: u64,
    outgoing: UnboundedSender<v1::ProduceStreamRequest>,
    pub(super) unanswered: VecDeque<(LaneKey, Instant)>,
    task: AbortHandle,
}

impl Link {
    /// Opens a stream. What happens on it is told as events.
    pub(super) fn open(
        id: u64,
        address: &str,
        channel: Channel,
        open: v1::ProduceStreamOpen,
        events: UnboundedSender<Event>,
    ) -> Self {
        let (outgoing, incoming) = unbounded_channel();
        let opening = v1::ProduceStreamRequest { message: Some(Message::Open(open)) };
        let requests = futures::stream::iter([opening]).chain(UnboundedReceiverStream::new(incoming));
        let address = address.to_owned();
        let task = tokio::spawn(async move {
            let error = read_answers(id, &address, channel, requests, &events).await;
            // The sender is gone once its producer is.
            let _ = events.send(Event::Broken { address, link: id, error });
        });
        Self { id, outgoing, unanswered: VecDeque::new(), task: task.abort_handle() }
    }

    /// Sends a batch. A stream that broke meanwhile tells so by its event.
    pub(super) fn send(&mut self, now: Instant, lane: LaneKey, batch: v1::ProduceBatch) {
        self.unanswered.push_back((lane, now));
        let _ = self.outgoing.send(v1::ProduceStreamRequest { message: Some(Message::Batch(batch)) });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_answers(
    link: u64,
    address: &str,
    channel: Channel,
    requests: impl futures::Stream<Item = v1::ProduceStreamRequest> + Send + 'static,
    events: &UnboundedSender<Event>,
) -> ClientError {
    let mut answers = match ProducerClient::new(channel).produce_stream(requests).await {
        Ok(response) => response.into_inner(),
        Err(status) => return ClientError::from_status(address, &status),
    };
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let answer = read_answer(address, answer);
                if events.send(Event::Answer { address: address.to_owned(), link, answer }).is_err() {
                    return ClientError::Closed;
                }
            }
            Ok(None) => {
                let reason = "the broker ended the stream".to_owned();
                return ClientError::Unreachable { address: address.to_owned(), reason };
            }
            Err(status) => return ClientError::from_status(address, &status),
        }
    }
}

/// What the answer to a batch for one explicit partition says.
pub(super) fn read_answer(address: &str, answer: v1::ProduceStreamResponse) -> Result<Appended, ClientError> {
    if let Some(error) = answer.error {
        return Err(ClientError::from_message(error));
    }
    let result = answer.results.into_iter().next().ok_or_else(|| ClientError::Protocol {
        address: address.to_owned(),
        reason: "an answer without result or error".to_owned(),
    })?;
    match result.error {
        Some(error) => Err(ClientError::from_message(error)),
        None => Ok(Appended {
            base_offset: (result.base_offset >= 0).then_some(result.base_offset),
            log_append_time_ms: (result.log_append_time_ms >= 0).then_some(result.log_append_time_ms),
        }),
    }
}
