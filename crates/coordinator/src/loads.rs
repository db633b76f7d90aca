//! Which shards are loaded at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use levada_types::Offset;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Offsets up to which a load waits for no other one: some milliseconds of work, as for who has followed.
const SMALL: Offset = 10_000;

/// The loads of one process. As many are under way at a time as there are cores to replay on: the first of them are done the
/// sooner. Those that somebody waits for come first, and of these the smallest. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Loads(Arc<Mutex<Waiting>>);

#[derive(Debug)]
struct Waiting {
    free: usize,
    loads: Vec<Load>,
}

/// A load that waits for its turn.
#[derive(Debug)]
struct Load {
    wanted: Wanted,
    size: Offset,
    begin: oneshot::Sender<Turn>,
}

/// Whether somebody waits for a shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// From now on, or not any more.
    pub(crate) fn set(&self, is_wanted: bool) {
        self.0.store(is_wanted, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The right to load until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Option<Loads>);

impl Turn {
    /// That of a load which is nobody's concern: it ends when it ends.
    pub(crate) fn of_nobody() -> Self {
        Self(None)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(loads) = self.0.take() {
            loads.pass_on();
        }
    }
}

impl Loads {
    /// So many at a time, one at least.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Waiting { free: at_once.max(1), loads: Vec::new() })))
    }

    /// Resolves when so many offsets may be loaded.
    pub(crate) async fn turn(&self, size: Offset, wanted: Wanted) -> Turn {
        if size <= SMALL {
            return Turn::of_nobody();
        }
        let begun = {
            let mut waiting = self.0.lock();
            if waiting.free > 0 {
                waiting.free -= 1;
                return Turn(Some(self.clone()));
            }
            let (begin, begun) = oneshot::channel();
            waiting.loads.push(Load { wanted, size, begin });
            begun
        };
        // The list holds the sender until it is its turn, and the list lives as long as this.
        begun.await.unwrap_or(Turn::of_nobody())
    }

    /// Gives a turn that is over to the next load.
    fn pass_on(self) {
        let mut turn = Turn(Some(self.clone()));
        loop {
            let next = {
                let mut waiting = self.0.lock();
                let best = waiting.loads.iter().enumerate().min_by_key(|(_, load)| (!load.wanted.get(), load.size));
                let Some(best) = best.map(|(at, _)| at) else {
                    waiting.free += 1;
                    turn.0 = None;
                    return;
                };
                waiting.loads.swap_remove(best)
            };
            match next.begin.send(turn) {
                Ok(()) => return,
                // It has given up, and the next one has its turn.
                Err(back) => turn = back,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn wanted(is_wanted: bool) -> Wanted {
        let wanted = Wanted::default();
        wanted.set(is_wanted);
        wanted
    }

    #[test]
    fn those_that_are_waited_for_come_first_and_of_these_the_smallest() {
        let loads = Loads::new(1);
        let first = loads.turn(50_000, wanted(false)).now_or_never().unwrap();
        let later = wanted(false);
        let mut large = Box::pin(loads.turn(90_000, wanted(true)));
        let mut unwanted = Box::pin(loads.turn(20_000, wanted(false)));
        let mut small = Box::pin(loads.turn(30_000, wanted(true)));
        let mut wanted_later = Box::pin(loads.turn(40_000, later.clone()));
        for waits in [&mut large, &mut unwanted, &mut small, &mut wanted_later] {
            assert!(waits.now_or_never().is_none());
        }
        later.set(true);
        drop(first);
        let second = small.now_or_never().unwrap();
        assert!((&mut wanted_later).now_or_never().is_none());
        drop(second);
        let third = wanted_later.now_or_never().unwrap();
        // One that gives up holds up nobody.
        drop(large);
        drop(third);
        drop(unwanted.now_or_never().unwrap());
        let last = loads.turn(50_000, wanted(false)).now_or_never();
        assert!(last.is_some(), "nobody has it any more");
        assert!(loads.turn(50_000, wanted(false)).now_or_never().is_none(), "and there is no more than the one");
        drop(last);
    }

    #[test]
    fn a_turn_that_is_given_up_before_it_is_taken_goes_to_the_next() {
        let loads = Loads::new(1);
        let first = loads.turn(50_000, wanted(false)).now_or_never().unwrap();
        let mut given = Box::pin(loads.turn(50_000, wanted(true)));
        assert!((&mut given).now_or_never().is_none());
        drop(first);
        drop(given);
        assert!(loads.turn(50_000, wanted(false)).now_or_never().is_some());
    }

    #[test]
    fn a_rest_waits_for_nobody_and_several_go_at_once() {
        let loads = Loads::new(2);
        let both = [(); 2].map(|()| loads.turn(50_000, wanted(false)).now_or_never().unwrap());
        assert!(loads.turn(50_000, wanted(true)).now_or_never().is_none());
        assert!(loads.turn(SMALL, wanted(false)).now_or_never().is_some());
        drop(both);
    }
}
