//! The two streams to one follower, as everybody but their tasks sees them.

use std::collections::{HashMap, VecDeque};
use std::mem::take;
use std::sync::Arc;

use levada_replication::{AttachAnswer, Lane};
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerId, TopicIdPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::Sending;
use crate::replication::wire::{Attachment, answer_to};
use levada_proto::internal as pb;

/// A follower's pair of streams.
pub(crate) struct FollowerLink {
    follower: BrokerId,
    /// Which pair.
    nonce: Uuid,
    tail: Ready,
    catch_up: Ready,
    /// What is told on the tail stream beside frames.
    notices: Mutex<Notices>,
    attached: Mutex<Attached>,
    closed: CancellationToken,
}

/// The replicas that a stream has something for.
#[derive(Default)]
pub(crate) struct Ready {
    waiting: Mutex<VecDeque<Arc<Sending>>>,
    news: Notify,
}

/// Answers, and ends of sessions. Bounded by what the follower asks and has attached.
#[derive(Default)]
pub(super) struct Notices {
    pub(super) answers: Vec<pb::ReplicaAttachAnswer>,
    pub(super) ended: Vec<pb::ReplicaSession>,
}

#[derive(Default)]
struct Attached {
    sendings: HashMap<TopicIdPartition, Arc<Sending>>,
    is_closed: bool,
}

impl FollowerLink {
    pub(crate) fn new(follower: BrokerId, nonce: Uuid) -> Arc<Self> {
        Arc::new(Self {
            follower,
            nonce,
            tail: Ready::default(),
            catch_up: Ready::default(),
            notices: Mutex::default(),
            attached: Mutex::default(),
            closed: CancellationToken::new(),
        })
    }

    pub(super) fn follower(&self) -> BrokerId {
        self.follower
    }

    pub(super) fn nonce(&self) -> Uuid {
        self.nonce
    }

    /// The list of one of the streams.
    pub(crate) fn ready(&self, lane: Lane) -> &Ready {
        match lane {
            Lane::Tail => &self.tail,
            Lane::CatchUp => &self.catch_up,
        }
    }

    /// Answers an attach.
    pub(crate) fn answer(&self, partition: TopicIdPartition, answer: &AttachAnswer) {
        self.notices.lock().answers.push(answer_to(partition, answer));
        self.tail.news.notify_one();
    }

    /// Says that a session has ended.
    pub(crate) fn tell_ended(&self, attachment: Attachment) {
        self.notices.lock().ended.push(attachment.to_message());
        self.tail.news.notify_one();
    }

    /// What is to be told.
    pub(super) fn notices(&self) -> Notices {
        take(&mut *self.notices.lock())
    }

    /// Begins to send. False if the link is closed: then nothing will be sent.
    pub(crate) fn begin(&self, sending: &Arc<Sending>) -> bool {
        {
            let mut attached = self.attached.lock();
            if attached.is_closed {
                return false;
            }
            attached.sendings.insert(sending.partition().id(), Arc::clone(sending));
        }
        sending.wake();
        true
    }

    /// Forgets an attachment that has ended.
    pub(crate) fn forget(&self, sending: &Arc<Sending>) {
        let mut attached = self.attached.lock();
        let id = sending.partition().id();
        if attached.sendings.get(&id).is_some_and(|known| Arc::ptr_eq(known, sending)) {
            attached.sendings.remove(&id);
        }
    }

    /// What is sent under this attachment.
    pub(super) fn sending(&self, attachment: &Attachment) -> Option<Arc<Sending>> {
        let attached = self.attached.lock();
        attached.sendings.get(&attachment.partition).filter(|sending| sending.attachment() == *attachment).cloned()
    }

    /// Ends both streams.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Takes out every attachment, once the streams have ended. There will be no other.
    pub(super) fn end_all(&self) -> Vec<Arc<Sending>> {
        let mut attached = self.attached.lock();
        attached.is_closed = true;
        take(&mut attached.sendings).into_values().collect()
    }
}

impl Ready {
    /// Puts it behind the others.
    pub(super) fn push(&self, sending: Arc<Sending>) {
        self.waiting.lock().push_back(sending);
        self.news.notify_one();
    }

    /// The next one.
    pub(super) fn pop(&self) -> Option<Arc<Sending>> {
        self.waiting.lock().pop_front()
    }

    /// Resolves when there may be something to send or to tell since the last time.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}
