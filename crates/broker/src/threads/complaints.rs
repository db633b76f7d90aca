//! What an actor has complained of, so that what fails again and again does not fill the broker's log.

use levada_types::TimestampMs;

/// How long the same complaint is not repeated. What is tried again fails ten times a second.
const REPEAT_MS: i64 = 60_000;

/// The newest complaint about each operation that fails, of which there are few.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<Complaint>);

#[derive(Debug)]
struct Complaint {
    operation: &'static str,
    reason: String,
    told_ms: TimestampMs,
}

impl Complaints {
    /// Whether it is to be told that `operation` fails for this reason: at first, when the reason is another one, and once
    /// a minute.
    pub(super) fn is_news(&mut self, operation: &'static str, reason: &str, uptime_ms: TimestampMs) -> bool {
        let told = Complaint { operation, reason: reason.to_owned(), told_ms: uptime_ms };
        match self.0.iter_mut().find(|known| known.operation == operation) {
            Some(known) if known.reason == reason && uptime_ms - known.told_ms < REPEAT_MS => return false,
            Some(known) => *known = told,
            None => self.0.push(told),
        }
        true
    }

    /// The operation has gone well.
    pub(super) fn settle(&mut self, operation: &'static str) {
        self.0.retain(|known| known.operation != operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_ten_times_a_second_is_told_once_a_minute() {
        let mut complaints = Complaints::default();
        let told: Vec<i64> =
            (0..1_300).map(|n| n * 100).filter(|&at| complaints.is_news("flush", "full", at)).collect();
        assert_eq!(told, [0, 60_000, 120_000]);
        assert!(complaints.is_news("flush", "failed", 129_900), "another reason");
        assert!(complaints.is_news("roll", "failed", 129_900), "another operation");
        complaints.settle("flush");
        assert!(complaints.is_news("flush", "failed", 129_901), "it had gone well");
        assert!(!complaints.is_news("roll", "failed", 129_901));
    }
}
