//! A member's way to tell what happens to it.

use std::{
    io::{self, BufWriter, Stdout, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::super::event::{Event, Happened, now};

/// Lines on stdout, each with the time at which it was told.
#[derive(Debug)]
pub(super) struct Telling(Mutex<BufWriter<Stdout>>);

impl Default for Telling {
    fn default() -> Self {
        Self(Mutex::new(BufWriter::new(io::stdout())))
    }
}

impl Telling {
    /// Tells something, which is known for good when it has been flushed.
    pub(super) fn tell(&self, event: Event) {
        let mut out = self.out();
        let told = serde_json::to_writer(&mut *out, &Happened { at: now(), event }).map_err(io::Error::from);
        if told.and_then(|()| out.write_all(b"\n")).is_err() {
            // Nobody listens any more: the run is over.
            std::process::exit(1);
        }
    }

    /// Has everything that was told known: what was not is not processed, whatever the member remembers of it.
    pub(super) fn flush(&self) {
        if self.out().flush().is_err() {
            std::process::exit(1);
        }
    }

    fn out(&self) -> MutexGuard<'_, BufWriter<Stdout>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
