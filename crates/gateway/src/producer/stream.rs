//! A produce stream: batches are queued as they come, and answered in their order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use levada_broker::api::Acks;
use levada_proto::v1;
use levada_proto::v1::produce_stream_request::Message;
use levada_service::grpc::unreadable;
use prost::Message as _;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::append::{Terms, append};
use crate::gateway::Gateway;
use crate::inflow::Share;
use crate::refusal::{invalid, to_status};

/// The answer to one batch, when it is ready, or the reason why the stream ends.
type Answer = Pin<Box<dyn Future<Output = Result<v1::ProduceStreamResponse, Status>> + Send>>;

/// The answers of a stream, one for each batch. A task reads and queues the batches; it stops reading while too many are
/// unanswered or too many bytes wait to be appended, and when the client has gone.
pub(super) fn answers(
    gateway: Arc<Gateway>,
    requests: Streaming<v1::ProduceStreamRequest>,
    share: Arc<Share>,
) -> impl Stream<Item = Result<v1::ProduceStreamResponse, Status>> + Send {
    let (unanswered, answers) = channel(gateway.options.produce_stream_max_unanswered.max(1));
    tokio::spawn(async move {
        let shutdown = gateway.shutdown.clone();
        tokio::select! {
            // What was queued is answered; the client meets the end of the stream and opens another one elsewhere.
            () = shutdown.cancelled() => {}
            () = unanswered.closed() => {}
            ended = read(&gateway, requests, &share, &unanswered) => {
                if let Err(status) = ended {
                    // Nobody need be listening any more.
                    let _ = unanswered.send(Box::pin(async { Err(status) })).await;
                }
            }
        }
    });
    // An answer after the first error is never polled.
    ReceiverStream::new(answers).then(|answer: Answer| answer)
}

/// Reads until the client has no more. An error is one that ends the stream.
async fn read(
    gateway: &Arc<Gateway>,
    mut requests: Streaming<v1::ProduceStreamRequest>,
    share: &Share,
    unanswered: &Sender<Answer>,
) -> Result<(), Status> {
    let refuse = |error| to_status(&gateway.broker.image(), error);
    let mut terms = Terms { acks: Acks::All, ..Terms::read(v1::Acks::All, 0, None).map_err(refuse)? };
    let mut is_first = true;
    loop {
        gateway.broker.produce_room().await;
        let Some(request) = requests.message().await.map_err(unreadable)? else { return Ok(()) };
        let message_len = request.encoded_len();
        match request.message {
            Some(Message::Open(open)) if is_first => {
                terms = Terms::read(open.acks(), open.timeout_ms, open.producer).map_err(refuse)?;
            }
            Some(Message::Open(_)) => return Err(refuse(invalid("only the first message of a stream may be open"))),
            Some(Message::Batch(batch)) => {
                let Ok(place) = unanswered.reserve().await else { return Ok(()) };
                let outcome = append(gateway, terms, batch).await;
                place.send(Box::pin(async move {
                    Ok(match outcome.await {
                        Ok(results) => v1::ProduceStreamResponse { results, error: None },
                        Err(error) => v1::ProduceStreamResponse { results: Vec::new(), error: Some(error) },
                    })
                }));
            }
            None => return Err(refuse(invalid("a message of a stream is either open or batch"))),
        }
        share.give_back(message_len);
        is_first = false;
    }
}
