//! Bounds the bytes that wait to be appended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes of produce requests that are queued at the log threads and not yet appended, and the bound on them.
///
/// A request's bytes are in memory before the broker sees it, so refusing it at the bound would save nothing: it is
/// counted and accepted. Faces read no further request before [`InFlight::room`] resolves; that is the backpressure.
pub(crate) struct InFlight {
    queued: AtomicUsize,
    limit: usize,
    freed: Notify,
}

/// A request's share; given back when it is dropped.
pub(crate) struct Share {
    of: Arc<InFlight>,
    bytes: usize,
}

impl InFlight {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { queued: AtomicUsize::new(0), limit, freed: Notify::new() })
    }

    /// Counts `bytes` until the share is dropped.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Share {
        self.queued.fetch_add(bytes, Ordering::Relaxed);
        Share { of: Arc::clone(self), bytes }
    }

    /// Bytes queued now.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether fewer bytes are queued than the bound.
    pub(crate) fn has_room(&self) -> bool {
        self.queued() < self.limit
    }

    /// Resolves once fewer bytes are queued than the bound.
    pub(crate) async fn room(&self) {
        while !self.has_room() {
            let freed = self.freed.notified();
            // Asked again after registering, so that a share dropped in between is not missed.
            if self.has_room() {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let before = self.of.queued.fetch_sub(self.bytes, Ordering::Relaxed);
        if before >= self.of.limit && before - self.bytes < self.of.limit {
            self.of.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn there_is_room_again_once_a_share_is_given_back() {
        let in_flight = InFlight::new(100);
        let first = in_flight.take(60);
        assert!(in_flight.room().now_or_never().is_some());
        let second = in_flight.take(60);
        let mut room = Box::pin(in_flight.room());
        assert!(room.as_mut().now_or_never().is_none(), "120 of 100 bytes are queued");
        drop(first);
        room.await;
        drop(second);
        assert_eq!(in_flight.queued(), 0);
    }
}
