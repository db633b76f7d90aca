//! How far a broker has come, for readiness probes and for people.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// How far a broker has come. It only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Options are read and directories locked.
    Starting,
    /// Logs that were not closed cleanly are checked.
    Recovering {
        /// Logs checked so far.
        done: usize,
        /// Logs to check in all.
        total: usize,
    },
    /// The logs are open; the broker waits for the controller to admit it and for a current image.
    Registering,
    /// Clients are served.
    Serving,
    /// Clients are sent away and the logs are closed.
    Stopping,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Recovering { done, total } => write!(f, "recovering ({done} of {total} logs)"),
            Self::Registering => f.write_str("registering"),
            Self::Serving => f.write_str("serving"),
            Self::Stopping => f.write_str("stopping"),
        }
    }
}

/// The broker's end of the phase: moves it on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PhaseReporter(Arc<watch::Sender<Phase>>);

impl Default for PhaseReporter {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Starting)))
    }
}

impl PhaseReporter {
    /// Moves on to `phase`; a move back is ignored.
    pub fn reach(&self, phase: Phase) {
        let reached = self.0.send_if_modified(|now| {
            let onward = phase > *now;
            if onward {
                *now = phase;
            }
            onward
        });
        if reached {
            match phase {
                Phase::Recovering { .. } => tracing::debug!(%phase, "broker"),
                _ => tracing::info!(%phase, "broker"),
            }
        }
    }

    /// Follows the phase.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_only_moves_forward() {
        let reporter = PhaseReporter::default();
        let watch = reporter.watch();
        reporter.reach(Phase::Recovering { done: 1, total: 9 });
        reporter.reach(Phase::Recovering { done: 2, total: 9 });
        assert_eq!(*watch.borrow(), Phase::Recovering { done: 2, total: 9 });
        reporter.reach(Phase::Serving);
        reporter.reach(Phase::Recovering { done: 3, total: 9 });
        assert_eq!(*watch.borrow(), Phase::Serving);
    }
}
