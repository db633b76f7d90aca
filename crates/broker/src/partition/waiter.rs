//! A fetch that sleeps until its partitions have gained enough bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One sleeping fetch. It stands in the wait list of every partition that it reads, adds up what they gain, and wakes
/// once, when that is enough; no partition is read again before.
pub(crate) struct Waiter {
    wanted: u64,
    gained: AtomicU64,
    wake: Notify,
}

impl Waiter {
    /// Sleeps until `wanted` bytes were gained.
    pub(crate) fn new(wanted: u64) -> Arc<Self> {
        Arc::new(Self { wanted, gained: AtomicU64::new(0), wake: Notify::new() })
    }

    /// A partition has `bytes` more than when the fetch read it.
    pub(crate) fn gain(&self, bytes: u64) {
        let before = self.gained.fetch_add(bytes, Ordering::Relaxed);
        if before < self.wanted && before.saturating_add(bytes) >= self.wanted {
            self.wake.notify_one();
        }
    }

    /// Something other than bytes has changed (leadership, the log start): the fetch must look again.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    /// Whether anything was gained.
    pub(crate) fn has_gained(&self) -> bool {
        self.gained.load(Ordering::Relaxed) > 0
    }

    /// Resolves once enough was gained or there is another reason to look; at once if that was so before.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// The fetches that sleep on one partition. Empty, it costs no allocation.
#[derive(Default)]
pub(crate) struct WaitList(Mutex<Vec<Arc<Waiter>>>);

impl WaitList {
    pub(crate) fn enter(&self, waiter: &Arc<Waiter>) {
        self.0.lock().push(Arc::clone(waiter));
    }

    pub(crate) fn leave(&self, waiter: &Arc<Waiter>) {
        let mut waiters = self.0.lock();
        if let Some(place) = waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            waiters.swap_remove(place);
        }
        if waiters.is_empty() {
            // An idle partition keeps nothing.
            *waiters = Vec::new();
        }
    }

    pub(crate) fn gain(&self, bytes: u64) {
        for waiter in self.0.lock().iter() {
            waiter.gain(bytes);
        }
    }

    pub(crate) fn look_again(&self) {
        for waiter in self.0.lock().iter() {
            waiter.look_again();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn wakes_once_the_partitions_together_have_gained_enough() {
        let (one, two) = (WaitList::default(), WaitList::default());
        let waiter = Waiter::new(100);
        one.enter(&waiter);
        two.enter(&waiter);
        one.gain(60);
        assert!(waiter.woken().now_or_never().is_none(), "60 of 100 bytes");
        two.gain(40);
        assert!(waiter.woken().now_or_never().is_some());
        one.gain(1);
        assert!(waiter.woken().now_or_never().is_none(), "it was woken already");
    }

    #[test]
    fn who_has_left_is_told_nothing() {
        let list = WaitList::default();
        let (gone, here) = (Waiter::new(1), Waiter::new(1));
        list.enter(&gone);
        list.enter(&here);
        list.leave(&gone);
        list.gain(1);
        assert!(gone.woken().now_or_never().is_none());
        assert!(here.woken().now_or_never().is_some());
    }

    #[test]
    fn a_reason_to_look_again_wakes_whatever_was_gained() {
        let list = WaitList::default();
        let waiter = Waiter::new(u64::MAX);
        list.enter(&waiter);
        list.look_again();
        assert!(waiter.woken().now_or_never().is_some());
    }
}
