//! The most memory that a process has while it is watched.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use levada_end_to_end::Outcome;
use levada_harness::ProcessFacts;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// Watches a process.
pub(super) struct Memory {
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<io::Result<Peak>>,
}

/// The most of each, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peak {
    pub(super) anonymous: u64,
    pub(super) resident: u64,
}

impl Memory {
    /// Watches this process from now on.
    pub(super) fn watch(pid: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let watching = thread::spawn(move || {
            let mut peak = Peak::default();
            while !over.load(Ordering::Relaxed) {
                let facts = ProcessFacts::read(pid)?;
                peak.anonymous = peak.anonymous.max(facts.anonymous_bytes);
                peak.resident = peak.resident.max(facts.resident_bytes);
                thread::sleep(LOOK);
            }
            Ok(peak)
        });
        Self { is_over, watching }
    }

    /// What it had at most until now.
    pub(super) fn peak(self) -> Outcome<Peak> {
        self.is_over.store(true, Ordering::Relaxed);
        let peak = self.watching.join().map_err(|_| "watching the memory met a defect")?;
        Ok(peak?)
    }
}
