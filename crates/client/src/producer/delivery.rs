//! What becomes of a record that was handed to a producer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::Shared;
use levada_types::{Offset, TimestampMs};
use tokio::sync::oneshot;

use crate::ClientError;

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The partition that it went to.
    pub partition: i32,
    /// Its offset; `None` with `acks=0`, and for a repeated batch whose original offset the broker no longer knows.
    pub offset: Option<Offset>,
    /// The time that the broker stamped, if the topic has `message.timestamp.type=LogAppendTime`.
    pub log_append_time_ms: Option<TimestampMs>,
}

/// What became of a whole batch; all of its records share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appended {
    pub(super) base_offset: Option<Offset>,
    pub(super) log_append_time_ms: Option<TimestampMs>,
}

/// The outcome of a batch, for everybody who waits for it.
pub(super) type Outcome = Shared<oneshot::Receiver<Result<Appended, ClientError>>>;

/// The outcome of one record: resolves when the record is acknowledged or was given up. Dropping it cancels nothing.
#[derive(Debug, Clone)]
#[must_use = "whether the record arrived is known only by awaiting this"]
pub struct Delivery {
    outcome: Outcome,
    partition: i32,
    /// The record's number within its batch.
    index: i64,
}

impl Delivery {
    pub(super) fn new(outcome: Outcome, partition: i32, index: usize) -> Self {
        Self { outcome, partition, index: index as i64 }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (partition, index) = (self.partition, self.index);
        self.outcome.poll_unpin(context).map(|outcome| {
            // The sender of the outcome is dropped only when its producer is gone.
            let appended = outcome.unwrap_or(Err(ClientError::Closed))?;
            Ok(RecordMetadata {
                partition,
                offset: appended.base_offset.map(|base| base + index),
                log_append_time_ms: appended.log_append_time_ms,
            })
        })
    }
}
