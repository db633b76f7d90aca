//! How long a broker or coordinator may believe that the controller has not counted it out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A broker's right to act on what it leads, and a coordinator's to answer from what it holds, for as long as the controller
/// counts it among the living.
///
/// A heartbeat that the active controller has taken renews the session for the session timeout from when it *arrived*, so
/// until that long after it was *sent* that controller fences nobody for silence. It is asked for by the clock, not by a
/// timer: a process that was stopped knows at once when it goes on that its time has passed.
///
/// A broken stream, and a controller that takes over, fence sooner. Then nobody can lead in place of a broker that is alone
/// in sync, but by an unclean election: where the topic allows it, the controller waits with it for a session's time from the
/// fence on, and so for the end of the lease. One that is held by hand waits for nothing. A coordinator that was removed sooner
/// writes nothing any more, whatever its lease says: its shards passed under new leader epochs.
#[derive(Debug)]
pub struct Lease {
    begun: Instant,
    /// When it lapses, in milliseconds after `begun`; 0 while there is none.
    until_ms: AtomicU64,
}

impl Lease {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { begun: Instant::now(), until_ms: AtomicU64::new(0) }
    }

    /// One that never lapses, for tests of what stands on a lease.
    #[must_use]
    pub fn endless() -> Self {
        Self { begun: Instant::now(), until_ms: AtomicU64::new(u64::MAX) }
    }

    /// It is good until `until`, or as long as it was before if that is longer.
    pub(crate) fn renew(&self, until: Instant) {
        self.until_ms.fetch_max(self.millis(until), Ordering::AcqRel);
    }

    /// It has ended: the controller has said so, or the session is another one.
    pub(crate) fn end(&self) {
        self.until_ms.store(0, Ordering::Release);
    }

    /// Whether it is good now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.is_current_at(Instant::now())
    }

    fn is_current_at(&self, now: Instant) -> bool {
        self.millis(now) < self.until_ms.load(Ordering::Acquire)
    }

    fn millis(&self, at: Instant) -> u64 {
        let since: Duration = at.saturating_duration_since(self.begun);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_until_it_lapses_or_is_ended() {
        let lease = Lease::new();
        let at = |ms| lease.begun + Duration::from_millis(ms);
        assert!(!lease.is_current_at(at(0)));
        lease.renew(at(9_000));
        lease.renew(at(8_000));
        assert!(lease.is_current_at(at(8_999)));
        assert!(!lease.is_current_at(at(9_000)));
        lease.end();
        assert!(!lease.is_current_at(at(1)));
    }
}
