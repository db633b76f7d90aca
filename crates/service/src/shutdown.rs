//! Stopping in bounded time: the signal that asks for it, and the order in which parts drain.
//!
//! A process has one root [`CancellationToken`]; every part gets a child of it. What must stop before something else
//! is a step of a [`Drain`].

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
pub use tokio_util::sync::CancellationToken;

/// Resolves with the signal's name when the process is asked to stop (SIGTERM, or SIGINT from a terminal).
///
/// Registers the handlers when called, not when polled: from then on the signals no longer kill the process.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = &'static str> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

type Step = (&'static str, Duration, Pin<Box<dyn Future<Output = ()> + Send>>);

/// Steps of a shutdown, run one after the other, each within its own limit. A step that exceeds it is dropped, so that
/// the next one, and the end of the process, come in bounded time whatever hangs.
#[derive(Default)]
pub struct Drain {
    steps: Vec<Step>,
}

impl Drain {
    /// No steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step: cancels `token`, then waits until `ended` resolves, for at most `limit`.
    #[must_use]
    pub fn step(
        mut self,
        name: &'static str,
        limit: Duration,
        token: CancellationToken,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let step = async move {
            token.cancel();
            ended.await;
        };
        self.steps.push((name, limit, Box::pin(step)));
        self
    }

    /// Runs the steps in order; gives the names of those that did not end within their limit.
    pub async fn run(self) -> Vec<&'static str> {
        let mut late = Vec::new();
        for (name, limit, step) in self.steps {
            tracing::debug!(step = name, "draining");
            if tokio::time::timeout(limit, step).await.is_err() {
                tracing::warn!(step = name, limit_ms = limit.as_millis(), "did not drain within its limit; going on");
                late.push(name);
            }
        }
        late
    }
}
