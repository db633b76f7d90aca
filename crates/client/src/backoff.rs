//! How long to wait before trying again.

use std::time::Duration;

/// `retry.backoff.ms` and `retry.backoff.max.ms` (KIP-580): the pause doubles with every attempt up to the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Before the first retry.
    pub(crate) initial: Duration,
    /// Never longer than this.
    pub(crate) max: Duration,
}

/// A fifth more or less, so that clients that failed together do not come back together. Kafka's clients use the same.
const JITTER: f64 = 0.2;

impl Default for Backoff {
    /// Kafka's defaults: 100 ms, at most 1 s.
    fn default() -> Self {
        Self { initial: Duration::from_millis(100), max: Duration::from_secs(1) }
    }
}

impl Backoff {
    /// The pause before retry number `attempt` (0 is the first). `random` is drawn uniformly from 0 to 1.
    #[must_use]
    pub(crate) fn pause(&self, attempt: u32, random: f64) -> Duration {
        let doubled = self.initial.saturating_mul(1u32.checked_shl(attempt.min(20)).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_maximum() {
        let backoff = Backoff::default();
        let pauses: Vec<u128> = (0..6).map(|attempt| backoff.pause(attempt, 0.5).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.pause(u32::MAX, 0.5).as_millis(), 1000);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(0, 0.0).as_millis(), 80);
        assert_eq!(backoff.pause(0, 1.0).as_millis(), 120);
    }
}
