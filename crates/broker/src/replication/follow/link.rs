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
    let throttle = &broker.replication.throttles.follower;
    let Streams { tail, catch_up, requests, .. } = streams;
    let telling = async {
        loop {
            while let Some((request, begun)) = outbox.next(broker.image().offset().0) {
                attached.begin(begun);
                let sent = requests.send(request).await;
                sent.map_err(|_| Status::unavailable("the leader takes no more requests"))?;
            }
            tokio::select! {
                () = outbox.news() => {}
                // What is granted is what will come, so that is what is spent: and of all that wait, in other links too, one.
                () = throttle.room(), if outbox.waits_for_throttle() => {
                    outbox.grant_next(|bytes| throttle.try_spend(bytes, uptime_ms()));
                }
            }
        }
    };
    let (on_tail, on_catch_up) = (
        Hearing { broker, attached, outbox, lane: Lane::Tail, rooms: &leaders.tail },
        Hearing { broker, attached, outbox, lane: Lane::CatchUp, rooms: &leaders.catch_up },
    );
    tokio::select! {
        ended = on_tail.hear(tail) => ended,
        ended = on_catch_up.hear(catch_up) => ended,
        ended = telling => ended,
    }
}

/// What one stream of the pair brings, and to whom.
struct Hearing<'a> {
    broker: &'a Arc<Broker>,
    attached: &'a Attached,
    outbox: &'a Outbox,
    lane: Lane,
    rooms: &'a Rooms,
}

impl Hearing<'_> {
    /// Brings what comes to the replicas.
    async fn hear(&self, mut stream: Streaming<pb::ReplicateResponse>) -> Result<(), Status> {
        while let Some(message) = stream.message().await? {
            self.take_in(message).await.map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(())
    }

    async fn take_in(&self, message: pb::ReplicateResponse) -> Result<(), Malformed> {
        let mut bytes = 0;
        for answer in &message.answers {
            let (id, answer) = answer_from(answer)?;
            if let Some(partition) = self.broker.partitions.get(&id) {
                partition.post(Job::Replica(Event::Answer(answer)));
            }
        }
        for frame in message.frames {
            let (id, head) = frame_from(&frame)?;
            let Some(partition) = self.broker.partitions.get(&id) else { continue };
            let Frame { leader_epoch, session, .. } = head;
            // What a session before that has left on the way would be dropped by the replica, and not before it had taken
            // room from others.
            if !self.attached.is_newest(&Attachment { partition: id, leader_epoch, session }) {
                continue;
            }
            partition.hear_high_watermark(head.high_watermark);
            self.outbox.heard(id, session, self.lane, || partition.is_throttled_as_follower());
            bytes += frame.records.len();
            // Without records it brings nothing that could fill the memory.
            let mut share = None;
            if !frame.records.is_empty() {
                share = self.rooms.of(partition.directory()).take(frame.records.len()).await;
                if share.is_none() {
                    // It asks again once its disk goes on.
                    partition.post(Job::Replica(Event::Detached { leader_epoch, session }));
                    continue;
                }
            }
            partition.post(Job::Frame(Box::new(Framed { head, records: frame.records, share })));
        }
        for ended in &message.ended {
            detach(self.broker, &Attachment::read(Some(ended))?);
        }
        self.broker.metrics.replication_bytes_in.increment(bytes as u64);
        Ok(())
    }
}
