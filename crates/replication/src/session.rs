//! Which attachment a message between a follower and its leader belongs to.

use std::fmt;

use levada_types::BrokerEpoch;

/// One attachment of a follower to its leader. Greater than every earlier one of the same replica, over restarts too,
/// so that whatever an older attachment still has under way is recognised and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session {
    /// The follower's registration.
    pub broker_epoch: BrokerEpoch,
    /// Raised by every attach of this replica under that registration.
    pub counter: u64,
}

impl Session {
    /// The attachment that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { broker_epoch: self.broker_epoch, counter: self.counter + 1 }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.broker_epoch, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_registration_is_greater_whatever_the_counters() {
        let old = Session { broker_epoch: BrokerEpoch(3), counter: 900 };
        let new = Session { broker_epoch: BrokerEpoch(4), counter: 0 };
        assert!(new > old);
        assert!(old.next() > old && old.next() < new);
    }
}
