//! Bounds the bytes of requests that have arrived and were not handed to the broker yet.
//!
//! A message may arrive slowly, on thousands of streams at once, and is useless before its last byte. Each stream's body
//! therefore takes its share of one budget (`grpc.queued.max.request.bytes`) for every piece that arrives, and gives it
//! back when the message has been handed on; from there the broker's own bound counts it. A body that gets no share is not
//! read, so flow control holds its client back, and is refused after `grpc.queued.max.wait.ms`, so that many half-sent
//! messages cannot block each other for ever.

mod body;
mod layer;

use std::sync::Arc;
use std::time::Duration;

use levada_proto::status;
use levada_types::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

pub(crate) use layer::MeteredService;

/// The smallest budget that makes sense: two frames of the largest size that the server accepts, 1 MiB each.
const MIN_BUDGET: usize = 2 << 20;

/// What a message takes on the wire beside its own bytes: a compression flag and a length.
const MESSAGE_PREFIX_LEN: usize = 5;

/// The budget of all streams together.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    max_wait: Duration,
}

impl Budget {
    pub(crate) fn new(bytes: usize, max_wait: Duration) -> Self {
        let bytes = bytes.clamp(MIN_BUDGET, Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(bytes)), max_wait }
    }

    /// A part of it, if there is enough left.
    fn try_take(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        self.bytes.clone().try_acquire_many_owned(bytes).ok()
    }

    /// A part of it, once there is enough left.
    async fn take(self, bytes: u32) -> Result<OwnedSemaphorePermit, Status> {
        metrics::counter!("levada_gateway_held_back_requests_total").increment(1);
        let taken = tokio::time::timeout(self.max_wait, self.bytes.acquire_many_owned(bytes)).await;
        taken.ok().and_then(Result::ok).ok_or_else(|| {
            metrics::counter!("levada_gateway_throttled_requests_total").increment(1);
            let text = "too many bytes of requests wait at this broker (grpc.queued.max.request.bytes); try again";
            status::status_of(ErrorCode::ThrottlingQuotaExceeded, text)
        })
    }
}

/// What one request holds of the budget; given back when the request and its body are dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Mutex<Option<OwnedSemaphorePermit>>);

impl Share {
    fn add(&self, more: OwnedSemaphorePermit) {
        let mut held = self.0.lock();
        match &mut *held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
    }

    /// A message of this many bytes was handed on.
    pub(crate) fn give_back(&self, message_len: usize) {
        let mut held = self.0.lock();
        if let Some(permit) = &mut *held {
            let bytes = (message_len + MESSAGE_PREFIX_LEN).min(permit.num_permits());
            drop(permit.split(bytes));
        }
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.0.lock().as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}
