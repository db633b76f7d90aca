//! The ledger between those who use it: the program, and the link to the broker.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ledger::Ledger;

/// The ledger and who waits for it to change.
#[derive(Debug)]
pub(super) struct Shared {
    ledger: Mutex<Ledger>,
    /// Something was heard: for the program.
    heard: Notify,
    /// Something is to be said, or the program lives: for the link.
    wanted: Notify,
}

impl Shared {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger: Mutex::new(ledger), heard: Notify::new(), wanted: Notify::new() }
    }

    /// What the program does; the link looks what is to be said of it.
    pub(super) fn act<T>(&self, action: impl FnOnce(&mut Ledger) -> T) -> T {
        let outcome = action(&mut self.ledger.lock());
        self.wanted.notify_one();
        outcome
    }

    /// What the link has heard; the program looks what has come of it.
    pub(super) fn hear<T>(&self, action: impl FnOnce(&mut Ledger) -> T) -> T {
        let outcome = action(&mut self.ledger.lock());
        self.heard.notify_waiters();
        outcome
    }

    /// Looks, and changes nothing that anybody waits for.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut self.ledger.lock())
    }

    /// Waits until `look` finds something in what is heard.
    pub(super) async fn until<T>(&self, mut look: impl FnMut(&mut Ledger) -> Option<T>) -> T {
        loop {
            let mut heard = std::pin::pin!(self.heard.notified());
            // Before looking, so that nothing that comes meanwhile is missed.
            heard.as_mut().enable();
            if let Some(found) = self.look(&mut look) {
                return found;
            }
            heard.await;
        }
    }

    /// Waits until the program does something.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
