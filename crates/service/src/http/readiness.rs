//! Whether this process serves, as the sum of its parts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Parts = Mutex<Vec<(&'static str, Arc<AtomicBool>)>>;

/// The parts of a process that have something to say about whether it serves. Clones share the parts.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    parts: Arc<Parts>,
}

impl Readiness {
    /// No parts, which is ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part, not ready yet.
    #[must_use]
    pub fn part(&self, name: &'static str) -> ReadyFlag {
        let ready = Arc::new(AtomicBool::new(false));
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push((name, ready.clone()));
        ReadyFlag { ready }
    }

    /// The names of the parts that are not ready; empty when the process serves.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().filter(|(_, ready)| !ready.load(Ordering::Acquire)).map(|(name, _)| *name).collect()
    }
}

/// One part's word on whether it serves.
#[derive(Debug, Clone)]
pub struct ReadyFlag {
    ready: Arc<AtomicBool>,
}

impl ReadyFlag {
    /// Says whether this part serves.
    pub fn set(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_every_part_is() {
        let readiness = Readiness::new();
        assert!(readiness.missing().is_empty());
        let (controller, broker) = (readiness.part("controller"), readiness.part("broker"));
        assert_eq!(readiness.missing(), ["controller", "broker"]);
        broker.set(true);
        assert_eq!(readiness.missing(), ["controller"]);
        controller.set(true);
        assert!(readiness.missing().is_empty());
        broker.set(false);
        assert_eq!(readiness.missing(), ["broker"]);
    }
}
