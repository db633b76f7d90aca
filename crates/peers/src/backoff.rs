//! Pauses between attempts: short at first, since most failures pass at once, then longer up to a limit.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(5);

/// The longest pause. A new controller is found within this after it was elected, so that it is a part of every
/// failover of the controllers; a refused connection, which is what most attempts end with, costs next to nothing.
const LONGEST: Duration = Duration::from_millis(50);

/// The pauses of one series of attempts.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next pause; each is twice the one before.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 50, 50, 50, 50]);
    }
}
