//! The task behind one stream: finds what is due, reads it, sends it.

use std::sync::Arc;

use levada_log::ReadError;
use levada_proto::internal as pb;
use levada_replication::{Event, Lane};
use tokio::sync::mpsc;
use tonic::Status;

use super::FollowerLink;
use super::sending::{Next, Read, Sending};
use crate::Broker;
use crate::clock::uptime_ms;
use crate::replication::wire::frame_to;
use crate::threads::Job;
use crate::throttle::Throttle;

/// Bytes of records after which a message is sent, be there more or not.
const MESSAGE_BYTES: usize = 1 << 20;

/// Frames in one message, were they without records.
const MESSAGE_FRAMES: usize = 4_096;

/// Where messages go. A full one holds up this stream alone.
pub(super) type Outbox = mpsc::Sender<Result<pb::ReplicateResponse, Status>>;

/// Sends what is due on one of the streams of `link`, until the follower has gone.
pub(super) async fn send_frames(broker: &Broker, link: &FollowerLink, lane: Lane, outbox: &Outbox) {
    let throttle = &broker.replication.throttles.leader;
    let mut held = Vec::new();
    loop {
        let message = gather(link, lane, throttle, &mut held).await;
        let is_empty = message.answers.is_empty() && message.ended.is_empty() && message.frames.is_empty();
        if is_empty && held.is_empty() {
            link.ready(lane).news().await;
        } else if is_empty {
            tokio::select! {
                () = link.ready(lane).news() => {}
                () = throttle.room() => {}
            }
        } else {
            let bytes: usize = message.frames.iter().map(|frame| frame.records.len()).sum();
            broker.metrics.replication_bytes_out.increment(bytes as u64);
            if outbox.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if !held.is_empty() && throttle.pause(uptime_ms()).is_zero() {
            for sending in held.drain(..) {
                sending.hold(false);
                link.ready(lane).push(sending);
            }
        }
    }
}

/// What is due. Replicas that the throttle has wait are put into `held`, where they stand for the stream's list.
async fn gather(
    link: &FollowerLink,
    lane: Lane,
    throttle: &Throttle,
    held: &mut Vec<Arc<Sending>>,
) -> pb::ReplicateResponse {
    let mut message = pb::ReplicateResponse::default();
    let mut bytes = 0;
    while bytes < MESSAGE_BYTES && message.frames.len() < MESSAGE_FRAMES {
        let Some(sending) = link.ready(lane).pop() else { break };
        let is_throttled = lane == Lane::CatchUp && sending.partition().is_throttled_as_leader();
        if is_throttled && !sending.has_ended() && !throttle.pause(uptime_ms()).is_zero() {
            sending.hold(true);
            held.push(sending);
            continue;
        }
        sending.looked_at();
        if sending.has_ended() {
            continue;
        }
        match next(&sending).await {
            Ok(Next::Frame(frame, records)) => {
                bytes += records.len();
                if is_throttled {
                    throttle.spend(records.len(), uptime_ms());
                }
                message.frames.push(frame_to(sending.partition().id(), &frame, records));
                // There may be more; others have their turn first.
                sending.wake();
            }
            Ok(Next::Nothing) => {}
            Ok(Next::Gone) => end(link, &sending),
            // A log that is not this leader's any more changes while it is read.
            Err(_) if sending.has_ended() => {}
            Err(error) => {
                // The leader ends the session when it has heard nothing for a while, and the follower attaches anew.
                tracing::error!(
                    partition = %sending.partition().name(),
                    follower = %link.follower(),
                    %error,
                    "the log cannot be read for a follower, which falls behind"
                );
            }
        }
    }
    // The answer to an attach goes before the session's first frames, or with them.
    if lane == Lane::Tail {
        let notices = link.notices();
        (message.answers, message.ended) = (notices.answers, notices.ended);
    }
    message
}

async fn next(sending: &Arc<Sending>) -> Result<Next, ReadError> {
    let read = sending.read();
    if let Read::Now = read
        && let Some(next) = sending.next(&read)?
    {
        return Ok(next);
    }
    let reading = Arc::clone(sending);
    let read = tokio::task::spawn_blocking(move || reading.next(&Read::Blocking)).await;
    // The read met a defect, or the process ends.
    read.unwrap_or(Ok(None)).map(|next| next.unwrap_or(Next::Nothing))
}

/// The session cannot go on: the follower begins anew.
fn end(link: &FollowerLink, sending: &Arc<Sending>) {
    sending.end();
    link.forget(sending);
    link.tell_ended(sending.attachment());
    let (follower, session) = (sending.follower(), sending.session());
    sending.partition().post(Job::Replica(Event::StreamEnded { follower, session }));
}
