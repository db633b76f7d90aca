//! Who is told when a data directory fails, fills up or has space again.

use std::fmt;
use std::sync::OnceLock;

/// What is called after the state of any data directory of a store has changed. Shared by the directories.
#[derive(Default)]
pub(crate) struct StateListener(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl StateListener {
    /// Sets whom to tell; the first one stays.
    pub(crate) fn set(&self, listener: impl Fn() + Send + Sync + 'static) {
        // A second listener would be a defect of the broker, and harmless: it also asks from time to time.
        let _ = self.0.set(Box::new(listener));
    }

    /// Tells of a change.
    pub(crate) fn tell(&self) {
        if let Some(listener) = self.0.get() {
            listener();
        }
    }
}

impl fmt::Debug for StateListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateListener")
    }
}
