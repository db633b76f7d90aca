//! Keeps the pair of streams to one leader, and brings what comes to the replicas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_proto::internal as pb;
use levada_replication::{Event, Frame, Lane};
use levada_service::net::{Address, Network};
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerId, TopicIdPartition};
use parking_lot::Mutex;
use tonic::{Code, Status, Streaming};

use super::outbox::Outbox;
use super::room::Rooms;
use super::streams::Streams;
use crate::Broker;
use crate::clock::uptime_ms;
use crate::replication::wire::{Attachment, Malformed, answer_from, frame_from};
use crate::threads::{Frame as Framed, Job};

/// The pause before streams that broke or did not come to be are tried again. It doubles with each attempt up to the
/// longest; news of the metadata end it.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the streams to `leader` while somebody asks for it, until `stop`.
pub(super) async fn keep_link(
    broker: Arc<Broker>,
    network: Network,
    leader: BrokerId,
    outbox: Arc<Outbox>,
    stop: CancellationToken,
) {
    let keeping = async {
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            while !outbox.is_asked_for() {
                outbox.news().await;
            }
            let seen = broker.image().offset();
            match address_of(&broker, leader) {
                Some(address) => {
                    let attached = Attached::default();
                    match converse(&broker, &network, &address, leader, &outbox, &attached).await {
                        Ok(()) => pause = FIRST_PAUSE,
                        Err(status) => tell(leader, &status, &mut told),
                    }
                    if attached.end_all(&broker) {
                        pause = FIRST_PAUSE;
                    }
                    outbox.forget_acks();
                }
                None => tracing::debug!(%leader, "the leader is not registered"),
            }
            // Another leader, or this one registered again: there may be nothing to wait for.
            drop(tokio::time::timeout(pause, broker.image_changed(seen)).await);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = keeping => {}
    }
}

/// A leader that does not want this follower is told of once, until it says something else; others come and go.
fn tell(leader: BrokerId, status: &Status, told: &mut String) {
    let reason = status.message();
    if !matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument) {
        tracing::debug!(%leader, reason, "no replication stream");
    } else if told != reason {
        reason.clone_into(told);
        tracing::warn!(%leader, reason, "the leader refuses replication; trying again");
    }
}

fn address_of(broker: &Broker, leader: BrokerId) -> Option<Address> {
    broker.image().broker(leader)?.internal_address.parse().ok()
}

/// The attachments that were asked for on the streams that there are.
#[derive(Default)]
struct Attached(Mutex<HashMap<TopicIdPartition, Attachment>>);

impl Attached {
    fn begin(&self, attachments: Vec<Attachment>) {
        self.0.lock().extend(attachments.into_iter().map(|attachment| (attachment.partition, attachment)));
    }

    /// Whether this is what was asked for last of its replica.
    fn is_newest(&self, attachment: &Attachment) -> bool {
        self.0.lock().get(&attachment.partition) == Some(attachment)
    }

    /// Tells the replicas that their sessions have ended with the streams. Says whether there was any.
    fn end_all(&self, broker: &Broker) -> bool {
        let attached = std::mem::take(&mut *self.0.lock());
        attached.values().for_each(|attachment| detach(broker, attachment));
        !attached.is_empty()
    }
}

fn detach(broker: &Broker, attachment: &Attachment) {
    let Attachment { partition, leader_epoch, session } = *attachment;
    if let Some(partition) = broker.partitions.get(&partition) {
        partition.post(Job::Replica(Event::Detached { leader_epoch, session }));
    }
}

/// Opens the streams and uses them to their end.
async fn converse(
    broker: &Arc<Broker>,
    network: &Network,
    address: &Address,
    leader: BrokerId,
    outbox: &Outbox,
    attached: &Attached,
) -> Result<(), Status> {
    let streams = Streams::open(broker, network, address).await?;
    tracing::debug!(%leader, %address, "following");
    let leaders = &broker.replication.leaders;
    let Streams { tail, catch_up, requests, .. } = streams;
    let telling = async {
        loop {
            while let Some((request, begun)) = outbox.next(broker.image().offset().0) {
                attached.begin(begun);
                let sent = requests.send(request).await;
                sent.map_err(|_| Status::unavailable("the leader takes no more requests"))?;
            }
            outbox.news().await;
        }
    };
    tokio::select! {
        ended = hear(broker, tail, attached, Lane::Tail, &leaders.tail) => ended,
        ended = hear(broker, catch_up, attached, Lane::CatchUp, &leaders.catch_up) => ended,
        ended = telling => ended,
    }
}

/// Brings what comes on one stream to the replicas.
async fn hear(
    broker: &Arc<Broker>,
    mut stream: Streaming<pb::ReplicateResponse>,
    attached: &Attached,
    lane: Lane,
    rooms: &Rooms,
) -> Result<(), Status> {
    while let Some(message) = stream.message().await? {
        let throttled = take_in(broker, message, attached, lane, rooms).await;
        let throttled = throttled.map_err(|error| Status::internal(error.to_string()))?;
        if throttled > 0 {
            let throttle = &broker.replication.throttles.follower;
            throttle.spend(throttled, uptime_ms());
            // What waits meanwhile is at the leader, but for what the connection holds.
            throttle.room().await;
        }
    }
    Ok(())
}

/// Gives the bytes of records that were throttled.
async fn take_in(
    broker: &Broker,
    message: pb::ReplicateResponse,
    attached: &Attached,
    lane: Lane,
    rooms: &Rooms,
) -> Result<usize, Malformed> {
    let (mut bytes, mut throttled) = (0, 0);
    for answer in &message.answers {
        let (id, answer) = answer_from(answer)?;
        if let Some(partition) = broker.partitions.get(&id) {
            partition.post(Job::Replica(Event::Answer(answer)));
        }
    }
    for frame in message.frames {
        let (id, head) = frame_from(&frame)?;
        let Some(partition) = broker.partitions.get(&id) else { continue };
        let Frame { leader_epoch, session, .. } = head;
        // What a session before that has left on the way would be dropped by the replica, and not before it had had its
        // share of the throttle: behind a slow one, every frame could come too late for its session.
        if !attached.is_newest(&Attachment { partition: id, leader_epoch, session }) {
            continue;
        }
        partition.hear_high_watermark(head.high_watermark);
        bytes += frame.records.len();
        if lane == Lane::CatchUp && partition.is_throttled_as_follower() {
            throttled += frame.records.len();
        }
        // Without records it brings nothing that could fill the memory.
        let mut share = None;
        if !frame.records.is_empty() {
            share = rooms.of(partition.directory()).take(frame.records.len()).await;
            if share.is_none() {
                // It asks again once its disk goes on.
                partition.post(Job::Replica(Event::Detached { leader_epoch, session }));
                continue;
            }
        }
        partition.post(Job::Frame(Box::new(Framed { head, records: frame.records, share })));
    }
    for ended in &message.ended {
        detach(broker, &Attachment::read(Some(ended))?);
    }
    broker.metrics.replication_bytes_in.increment(bytes as u64);
    Ok(throttled)
}
