//! `Consumer.Subscribe`: a member of a group, for a client that only speaks and listens on a stream.
//!
//! - `member`: the member as a pure state machine.
//! - `owned`: a partition that it owns. Pure.
//! - `settings`: what it wants. Pure.
//! - `driver`: brings the member what happens and does what it says.
//! - `readers`: reads records from the leaders of its partitions.

mod driver;
mod member;
mod owned;
mod readers;
mod settings;

use std::sync::Arc;

use futures::Stream;
use levada_proto::status;
use levada_proto::v1;
use levada_service::net::Peer;
use levada_types::ErrorCode;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::consumer::Frame;
use crate::gateway::Gateway;
use crate::inflow::Share;
use driver::Line;

/// Streams of this kind that are open.
const OPEN: &str = "levada_gateway_subscriptions";

/// Serves a client from `peer`. The stream lives as long as its task, which ends soon after the client has gone.
///
/// # Errors
/// THROTTLING_QUOTA_EXCEEDED while `grpc.subscribe.max.streams` are open.
pub(crate) fn subscribe(
    gateway: &Arc<Gateway>,
    requests: Streaming<v1::SubscribeRequest>,
    share: Arc<Share>,
    peer: Option<Peer>,
) -> Result<impl Stream<Item = Result<Frame, Status>> + Unpin + use<>, Status> {
    let Ok(place) = gateway.subscriptions.clone().try_acquire_owned() else {
        let text = "too many members are served by this broker (grpc.subscribe.max.streams); try another";
        return Err(status::status_of(ErrorCode::ThrottlingQuotaExceeded, text));
    };
    // As Kafka writes it.
    let host = match peer {
        Some(Peer::Tcp(address)) => format!("/{}", address.ip()),
        Some(Peer::Memory) | None => "/127.0.0.1".to_owned(),
    };
    let (answers, received) = mpsc::channel(1);
    let (gateway, line) = (gateway.clone(), Line { requests, share, answers, host });
    tokio::spawn(async move {
        metrics::gauge!(OPEN).increment(1.0);
        driver::serve(gateway, line).await;
        metrics::gauge!(OPEN).decrement(1.0);
        drop(place);
    });
    Ok(ReceiverStream::new(received))
}
