//! A partition that the member has.

use levada_proto::v1;
use levada_proto::v1::seek_subscription::Start;
use levada_types::{ErrorCode, Offset, TopicId, TopicPartition};
use tokio::sync::oneshot;

use crate::ClientError;

/// A partition by its topic's identity: a topic that is created again under its name is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Key {
    pub(in super::super) topic_id: TopicId,
    pub(in super::super) partition: i32,
}

/// Whose a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The member's.
    Owned,
    /// To be given up: the program has not been told yet, or has not come back from it.
    Revoking,
    /// Given up by the program; the broker is to be told.
    GivenUp,
}

/// Somewhere else to go on.
#[derive(Debug)]
pub(super) struct Seek {
    pub(super) request_id: u64,
    pub(super) start: Start,
    /// The present stream bears it.
    pub(super) sent: bool,
    pub(super) waiter: oneshot::Sender<Result<Offset, ClientError>>,
}

/// What is known of a partition. The offsets are each "the next record": behind what has come so far.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) name: TopicPartition,
    pub(super) standing: Standing,
    /// Whether the present stream has said whose it is; before that, it must not hear of it.
    pub(super) confirmed: bool,
    /// Behind what has reached the client.
    pub(super) received: Option<Offset>,
    /// Behind what the program has got.
    pub(super) handed_out: Option<Offset>,
    /// Behind what the program has dealt with.
    pub(super) processed: Option<Offset>,
    /// What the present stream was told to be processed.
    pub(super) told: Option<Offset>,
    pub(super) seek: Option<Seek>,
}

impl Held {
    pub(super) fn new(name: TopicPartition) -> Self {
        Self {
            name,
            standing: Standing::Owned,
            confirmed: true,
            received: None,
            handed_out: None,
            processed: None,
            told: None,
            seek: None,
        }
    }

    /// What was handed out is dealt with.
    pub(super) fn process_all(&mut self) {
        self.processed = self.processed.max(self.handed_out);
    }

    /// Whether records are with the client that are not processed; `buffered` ones too.
    pub(super) fn is_under_way(&self) -> bool {
        self.received > self.processed
    }

    /// Takes it away from the program; what was buffered of it is dropped by the caller.
    pub(super) fn stop(&mut self, standing: Standing) {
        self.standing = standing;
        self.received = self.handed_out;
        if let Some(seek) = self.seek.take() {
            seek.fail(&self.name);
        }
    }

    /// How it is told of on another stream than the one that broke.
    pub(super) fn carry_over(&mut self, key: Key) -> v1::HeldPartition {
        self.confirmed = false;
        self.told = self.processed;
        if let Some(seek) = &mut self.seek {
            seek.sent = false;
        }
        v1::HeldPartition {
            topic_id: key.topic_id.to_string(),
            partition: key.partition,
            next_offset: self.received.filter(|_| self.seek.is_none()),
            processed_offset: self.processed,
        }
    }
}

impl Seek {
    /// The partition is the member's no more.
    pub(super) fn fail(self, name: &TopicPartition) {
        // Whoever asked may have gone.
        let _ = self.waiter.send(Err(not_assigned(name.topic.as_str(), name.partition)));
    }
}

pub(in super::super) fn not_assigned(topic: &str, partition: i32) -> ClientError {
    ClientError::Broker {
        code: ErrorCode::UnknownTopicOrPartition,
        message: format!("{topic}-{partition} is not assigned to this consumer"),
        leader: None,
        partition: Some((topic.to_owned(), partition)),
    }
}
