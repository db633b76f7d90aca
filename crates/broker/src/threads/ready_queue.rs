//! The actors of one thread that have something to do.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// A queue that its one thread sleeps on. Bounded by the number of actors, since each stands in it at most once.
pub(crate) struct ReadyQueue<A> {
    contents: Mutex<Contents<A>>,
    filled: Condvar,
}

struct Contents<A> {
    actors: VecDeque<A>,
    closed: bool,
    sleeping: bool,
}

impl<A> Default for ReadyQueue<A> {
    fn default() -> Self {
        let contents = Contents { actors: VecDeque::new(), closed: false, sleeping: false };
        Self { contents: Mutex::new(contents), filled: Condvar::new() }
    }
}

impl<A> ReadyQueue<A> {
    /// Appends an actor. After [`ReadyQueue::close`] it is still run, if the thread has not ended.
    pub(crate) fn push(&self, actor: A) {
        let mut contents = self.contents.lock();
        contents.actors.push_back(actor);
        let wake = std::mem::replace(&mut contents.sleeping, false);
        drop(contents);
        if wake {
            self.filled.notify_one();
        }
    }

    /// The next actor; sleeps while there is none. `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<A> {
        let mut contents = self.contents.lock();
        loop {
            if let Some(actor) = contents.actors.pop_front() {
                return Some(actor);
            }
            if contents.closed {
                return None;
            }
            contents.sleeping = true;
            self.filled.wait(&mut contents);
        }
    }

    /// The thread ends once it has run what waits.
    pub(crate) fn close(&self) {
        self.contents.lock().closed = true;
        self.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_closed_queue_gives_what_waits_and_then_ends() {
        let queue = Arc::new(ReadyQueue::default());
        let reader = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || std::iter::from_fn(|| queue.pop()).collect::<Vec<i32>>())
        };
        for actor in 0..100 {
            queue.push(actor);
        }
        queue.close();
        assert_eq!(reader.join().ok(), Some((0..100).collect()));
    }
}
