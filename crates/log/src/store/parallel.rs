//! Spreads work over threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

/// Calls `work` with every item, on up to `threads` threads; the results are in the order of the items.
pub(super) fn map<T: Send, R: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = threads.clamp(1, items.len().max(1));
    if threads == 1 {
        return items.into_iter().map(work).collect();
    }
    let slots: Vec<_> = items.into_iter().map(|item| Mutex::new((Some(item), None))).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Each slot is one thread's alone: the lock is never waited for.
                    let item = slot.lock().0.take();
                    let result = item.map(&work);
                    slot.lock().1 = result;
                }
            });
        }
    });
    slots.into_iter().filter_map(|slot| slot.into_inner().1).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_are_in_order_whatever_the_threads() {
        for threads in [0, 1, 3, 100] {
            let squares = super::map((0..50u64).collect(), threads, |n| n * n);
            assert_eq!(squares, (0..50).map(|n| n * n).collect::<Vec<_>>());
        }
        assert!(super::map(Vec::<u8>::new(), 4, |n| n).is_empty());
    }
}
