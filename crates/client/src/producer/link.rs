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
                let answer = read_answer(address, &answer);
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

/// What the answer to batches for one explicit partition says: the first offset, or the first thing that went wrong.
pub(super) fn read_answer(address: &str, answer: &v1::ProduceStreamResponse) -> Result<Appended, ClientError> {
    let failed = answer.results.iter().find_map(|result| result.error.as_ref());
    if let Some(error) = answer.error.as_ref().or(failed) {
        return Err(ClientError::from_message(error.clone()));
    }
    let result = answer.results.first().ok_or_else(|| ClientError::Protocol {
        address: address.to_owned(),
        reason: "an answer without result or error".to_owned(),
    })?;
    Ok(Appended {
        base_offset: (result.base_offset >= 0).then_some(result.base_offset),
        log_append_time_ms: (result.log_append_time_ms >= 0).then_some(result.log_append_time_ms),
    })
}

#[cfg(test)]
mod tests {
    use levada_types::ErrorCode;

    use super::*;

    fn read(results: Vec<v1::PartitionProduced>, error: Option<v1::Error>) -> Result<Option<i64>, ErrorCode> {
        let answer = read_answer("a:1", &v1::ProduceStreamResponse { results, error });
        answer.map(|appended| appended.base_offset).map_err(|error| error.code())
    }

    #[test]
    fn an_answer_is_good_only_if_all_of_it_is() {
        let good = |base_offset| v1::PartitionProduced { base_offset, ..v1::PartitionProduced::default() };
        let error = || levada_proto::status::error(ErrorCode::InvalidRecord, "");
        let bad = || v1::PartitionProduced { error: Some(error()), ..good(-1) };
        assert_eq!(read(vec![good(5), good(6)], None), Ok(Some(5)));
        assert_eq!(read(vec![good(-1)], None), Ok(None), "acks=0");
        assert_eq!(read(vec![good(5), bad()], None), Err(ErrorCode::InvalidRecord));
        assert_eq!(read(Vec::new(), Some(error())), Err(ErrorCode::InvalidRecord));
        assert_eq!(read(Vec::new(), None), Err(ErrorCode::UnknownServerError));
    }
}
