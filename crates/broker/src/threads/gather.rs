//! Collects the answers of several actors into one: a request over many partitions sleeps once and is woken once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// The waiting end: resolves, in the order of the slots, once every slot is filled.
pub(crate) struct Gather<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

/// One place in the answer. A slot that is dropped unfilled (its actor is gone) fills itself with the fallback of the
/// gather, so nobody waits for ever.
pub(crate) struct Slot<T> {
    shared: Arc<Mutex<Shared<T>>>,
    index: usize,
    filled: bool,
}

struct Shared<T> {
    answers: Vec<Option<T>>,
    missing: usize,
    waker: Option<Waker>,
    fallback: fn() -> T,
}

impl<T> Gather<T> {
    /// A gather of `answers`, where `None` is still to come: the slots for those, in order. `fallback` is the answer of
    /// a slot that is dropped without one.
    pub(crate) fn new(answers: Vec<Option<T>>, fallback: fn() -> T) -> (Self, Vec<Slot<T>>) {
        let open: Vec<usize> = answers.iter().enumerate().filter(|(_, a)| a.is_none()).map(|(i, _)| i).collect();
        let shared = Arc::new(Mutex::new(Shared { missing: open.len(), answers, waker: None, fallback }));
        let slots = open.into_iter().map(|index| Slot { shared: Arc::clone(&shared), index, filled: false }).collect();
        (Self { shared }, slots)
    }

    /// Blocks this thread until every slot is filled. For threads that are no workers of the async runtime.
    pub(crate) fn wait(&self) {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        while Pin::new(&mut &*self).poll(&mut context).is_pending() {
            std::thread::park();
        }
    }

    /// Takes what is there now; slots that are still open answer with `missing()`, and what they bring later is dropped.
    pub(crate) fn give_up(self, missing: impl Fn() -> T) -> Vec<T> {
        let answers = std::mem::take(&mut self.shared.lock().answers);
        answers.into_iter().map(|answer| answer.unwrap_or_else(&missing)).collect()
    }
}

impl<T> Future for &Gather<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared.lock();
        if shared.missing == 0 {
            return Poll::Ready(());
        }
        if !shared.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            shared.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl<T> Slot<T> {
    /// Fills the slot.
    pub(crate) fn fill(mut self, answer: T) {
        self.put(|_| answer);
    }

    fn put(&mut self, answer: impl FnOnce(fn() -> T) -> T) {
        if std::mem::replace(&mut self.filled, true) {
            return;
        }
        let mut shared = self.shared.lock();
        let answer = answer(shared.fallback);
        // Empty once the waiting end has given up.
        if let Some(place) = shared.answers.get_mut(self.index) {
            *place = Some(answer);
        }
        shared.missing -= 1;
        if shared.missing == 0 {
            let waker = shared.waker.take();
            drop(shared);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.put(|fallback| fallback());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_keep_the_order_of_their_slots() {
        let (gather, mut slots) = Gather::new(vec![None, Some(7), None], || -1);
        let last = slots.pop();
        let first = slots.pop();
        let waiting = tokio::spawn(async move {
            (&gather).await;
            gather.give_up(|| -2)
        });
        if let Some(slot) = last {
            slot.fill(9);
        }
        if let Some(slot) = first {
            slot.fill(5);
        }
        assert_eq!(waiting.await.ok(), Some(vec![5, 7, 9]));
    }

    #[tokio::test]
    async fn a_slot_that_is_dropped_answers_with_the_fallback() {
        let (gather, slots) = Gather::new(vec![None, None], || -1);
        drop(slots);
        (&gather).await;
        assert_eq!(gather.give_up(|| -2), [-1, -1]);
    }

    #[test]
    fn giving_up_takes_what_is_there() {
        let (gather, mut slots) = Gather::new(vec![None, None], || -1);
        if let Some(slot) = slots.pop() {
            slot.fill(4);
        }
        assert_eq!(gather.give_up(|| -2), [-2, 4]);
        // The late answer goes nowhere and harms nothing.
        if let Some(slot) = slots.pop() {
            slot.fill(3);
        }
    }
}
