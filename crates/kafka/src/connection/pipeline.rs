//! The order of one connection's requests and answers.
//!
//! Answers leave in the order of their requests. Reads and writes of records and look-ups start while earlier answers
//! are open; every other request starts only when all earlier answers are ready, and nothing starts behind an
//! unanswered one of those. Requests of one fetch session follow each other, since each builds on the one before.

use std::collections::VecDeque;

/// When a request may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// While others are open, except another of the same fetch session.
    Beside {
        /// The fetch session it belongs to, if any.
        session: Option<i32>,
    },
    /// Alone.
    Alone,
}

/// How much one connection may leave unanswered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many requests.
    pub(crate) requests: usize,
    /// How many bytes of them. A single request may be larger.
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Slot<A> {
    order: Order,
    bytes: usize,
    answer: Option<A>,
}

/// The requests of a connection that have started and whose answers have not left, oldest first. `A` is an answer.
#[derive(Debug)]
pub(crate) struct Pipeline<A> {
    slots: VecDeque<Slot<A>>,
    /// The number of the oldest slot; numbers count the requests of the connection.
    first: u64,
    bytes: usize,
    bounds: Bounds,
}

impl<A> Pipeline<A> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { slots: VecDeque::new(), first: 0, bytes: 0, bounds }
    }

    /// Whether nothing is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether an answer is ready that waits for an earlier one.
    pub(crate) fn has_ready(&self) -> bool {
        self.slots.iter().any(|slot| slot.answer.is_some())
    }

    /// Whether one more request may be taken from the connection.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.is_empty() || (self.slots.len() < self.bounds.requests && self.bytes < self.bounds.bytes)
    }

    /// Whether a request of this order may start now, as far as those before it are concerned.
    pub(crate) fn may_start(&self, order: Order) -> bool {
        self.slots.iter().filter(|slot| slot.answer.is_none()).all(|slot| match (order, slot.order) {
            (Order::Alone, _) | (_, Order::Alone) => false,
            (Order::Beside { session: mine }, Order::Beside { session: theirs }) => mine.is_none() || mine != theirs,
        })
    }

    /// Takes in a request of so many bytes that starts now, and numbers it.
    pub(crate) fn start(&mut self, order: Order, bytes: usize) -> u64 {
        self.slots.push_back(Slot { order, bytes, answer: None });
        self.bytes += bytes;
        self.first + self.slots.len() as u64 - 1
    }

    /// Takes in the answer to the request of this number.
    pub(crate) fn complete(&mut self, number: u64, answer: A) {
        let position = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = position.and_then(|index| self.slots.get_mut(index)) {
            slot.answer = Some(answer);
        }
    }

    /// The next answer to leave, if it is ready.
    pub(crate) fn pop_ready(&mut self) -> Option<A> {
        let answer = self.slots.front_mut()?.answer.take()?;
        if let Some(slot) = self.slots.pop_front() {
            self.bytes -= slot.bytes;
        }
        self.first += 1;
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BESIDE: Order = Order::Beside { session: None };

    fn pipeline() -> Pipeline<&'static str> {
        Pipeline::new(Bounds { requests: 3, bytes: 100 })
    }

    #[test]
    fn answers_leave_in_the_order_of_requests() {
        let mut pipeline = pipeline();
        let (first, second) = (pipeline.start(BESIDE, 1), pipeline.start(BESIDE, 1));
        pipeline.complete(second, "second");
        assert_eq!((pipeline.pop_ready(), pipeline.has_ready()), (None, true));
        pipeline.complete(first, "first");
        assert_eq!(
            (pipeline.pop_ready(), pipeline.pop_ready(), pipeline.pop_ready()),
            (Some("first"), Some("second"), None)
        );
        assert!(pipeline.is_empty());
    }

    #[test]
    fn records_move_beside_each_other_and_the_rest_alone() {
        let mut pipeline = pipeline();
        assert!(pipeline.may_start(BESIDE) && pipeline.may_start(Order::Alone));
        let fetch = pipeline.start(BESIDE, 1);
        assert!(pipeline.may_start(BESIDE) && !pipeline.may_start(Order::Alone));
        pipeline.complete(fetch, "ready, not sent");
        assert!(pipeline.may_start(Order::Alone));
        let admin = pipeline.start(Order::Alone, 1);
        assert!(!pipeline.may_start(BESIDE) && !pipeline.may_start(Order::Alone));
        pipeline.complete(admin, "ready");
        assert!(pipeline.may_start(BESIDE));
    }

    #[test]
    fn requests_of_one_fetch_session_follow_each_other() {
        let mut pipeline = pipeline();
        let first = pipeline.start(Order::Beside { session: Some(7) }, 1);
        assert!(!pipeline.may_start(Order::Beside { session: Some(7) }));
        assert!(pipeline.may_start(Order::Beside { session: Some(8) }));
        assert!(pipeline.may_start(BESIDE));
        pipeline.complete(first, "done");
        assert!(pipeline.may_start(Order::Beside { session: Some(7) }));
    }

    #[test]
    fn there_is_room_up_to_the_bounds_and_always_for_one() {
        let mut pipeline = pipeline();
        assert!(pipeline.has_room());
        let large = pipeline.start(BESIDE, 1_000);
        assert!(!pipeline.has_room(), "bytes");
        pipeline.complete(large, "large");
        assert!(!pipeline.has_room(), "an answer that has not left still counts");
        pipeline.pop_ready();
        (0..3).for_each(|_| {
            assert!(pipeline.has_room());
            pipeline.start(BESIDE, 1);
        });
        assert!(!pipeline.has_room(), "requests");
    }

    proptest! {
        #[test]
        fn whatever_order_they_finish_in_they_leave_in_order(finish in Just((0u64..20).collect::<Vec<_>>()).prop_shuffle()) {
            let mut pipeline = Pipeline::new(Bounds { requests: 100, bytes: 1_000 });
            let numbers: Vec<u64> = (0..20).map(|_| pipeline.start(BESIDE, 1)).collect();
            let mut left = Vec::new();
            for number in finish {
                pipeline.complete(number, number);
                left.extend(std::iter::from_fn(|| pipeline.pop_ready()));
            }
            prop_assert_eq!(left, numbers);
        }
    }
}
