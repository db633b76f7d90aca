//! Keeps the pair of streams to one leader, and brings what comes to the replicas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_proto::internal as pb;
use levada_replication::Event;
use levada_service::net::{Address, Network};
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerId, TopicIdPartition};
use parking_lot::Mutex;
use tonic::{Status, Streaming};

use super::outbox::Outbox;
use super::streams::Streams;
use crate::Broker;
use crate::replication::wire::{Attachment, Malformed, answer_from, frame_from};
use crate::threads::{Frame, InFlight, Job};

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
                        Err(status) => tracing::debug!(%leader, reason = status.message(), "no replication stream"),
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
        ended = hear(broker, tail, &leaders.tail_bytes) => ended,
        ended = hear(broker, catch_up, &leaders.catch_up_bytes) => ended,
        ended = telling => ended,
    }
}

/// Brings what comes on one stream to the replicas.
async fn hear(
    broker: &Arc<Broker>,
    mut stream: Streaming<pb::ReplicateResponse>,
    room: &Arc<InFlight>,
) -> Result<(), Status> {
    loop {
        room.room().await;
        let Some(message) = stream.message().await? else { return Ok(()) };
        take_in(broker, message, room).map_err(|error| Status::internal(error.to_string()))?;
    }
}

fn take_in(broker: &Broker, message: pb::ReplicateResponse, room: &Arc<InFlight>) -> Result<(), Malformed> {
    for answer in &message.answers {
        let (id, answer) = answer_from(answer)?;
        if let Some(partition) = broker.partitions.get(&id) {
            partition.post(Job::Replica(Event::Answer(answer)));
        }
    }
    for frame in message.frames {
        let (id, head) = frame_from(&frame)?;
        if let Some(partition) = broker.partitions.get(&id) {
            let share = room.take(frame.records.len());
            partition.post(Job::Frame(Box::new(Frame { head, records: frame.records, share })));
        }
    }
    for ended in &message.ended {
        detach(broker, &Attachment::read(Some(ended))?);
    }
    Ok(())
}
