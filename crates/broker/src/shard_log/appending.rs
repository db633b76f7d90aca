//! One append session: takes batches in order and answers them in order.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use levada_proto::internal as pb;
use levada_service::grpc::unreadable;
use levada_service::shutdown::CancellationToken;
use levada_shard::{AppendSession, AppendTicket};
use levada_types::{ErrorCode, LeaderEpoch};
use tokio::sync::{mpsc, oneshot};
use tonic::{Status, Streaming};

use super::AppendOutcome;
use crate::partition::Partition;
use crate::threads::{InFlight, Job, SessionAppend};

/// Appends of one session that may be unanswered; no more are read before one is. Several times what an owner has under way.
pub(super) const MAX_UNANSWERED: usize = 64;

type Outbox = mpsc::Sender<Result<pb::ShardAppendResponse, Status>>;

/// Serves a session until its stream or this broker ends.
pub(super) async fn serve_appends(
    partition: Arc<Partition>,
    epoch: LeaderEpoch,
    session: AppendSession,
    in_flight: Arc<InFlight>,
    mut inbox: Streaming<pb::ShardAppendRequest>,
    outbox: Outbox,
    stop: CancellationToken,
) {
    let mut unanswered = FuturesOrdered::new();
    let mut is_open = true;
    while is_open || !unanswered.is_empty() {
        tokio::select! {
            received = inbox.message(), if is_open && unanswered.len() < MAX_UNANSWERED => {
                let append = match received.map(|message| message.map(|message| message.kind)) {
                    Ok(Some(Some(pb::shard_append_request::Kind::Append(append)))) => append,
                    Ok(None) => {
                        is_open = false;
                        continue;
                    }
                    Ok(Some(_)) => return refuse(&outbox, Status::invalid_argument("a stream has one session")),
                    Err(status) => return refuse(&outbox, unreadable(status)),
                };
                let ticket = AppendTicket { epoch, session, expected: append.expected_offset };
                unanswered.push_back(post(&partition, ticket, append, &in_flight));
            }
            Some(outcome) = unanswered.next(), if !unanswered.is_empty() => {
                // Dropped undone, since the replica was closed: it may have been appended.
                let outcome = outcome.unwrap_or(AppendOutcome::Unknown(ErrorCode::NotLeaderOrFollower));
                if outbox.send(Ok(outcome.into())).await.is_err() {
                    return;
                }
            }
            () = outbox.closed() => return,
            () = stop.cancelled() => return refuse(&outbox, Status::unavailable("this broker is shutting down")),
        }
    }
}

fn post(
    partition: &Arc<Partition>,
    ticket: AppendTicket,
    append: pb::ShardAppend,
    in_flight: &Arc<InFlight>,
) -> oneshot::Receiver<AppendOutcome> {
    let (answer, outcome) = oneshot::channel();
    let share = in_flight.take(append.records.len());
    partition.post(Job::AppendInSession(Box::new(SessionAppend { ticket, records: append.records, answer, share })));
    outcome
}

fn refuse(outbox: &Outbox, status: Status) {
    // No room means that nobody reads; the end of the stream says as much.
    drop(outbox.try_send(Err(status)));
}
