//! Who may append to a shard's partition, as its leader sees it.

use levada_types::{LeaderEpoch, Offset};

use crate::rules::{Defect, Rules};

/// The number of an append session. No two sessions of a partition under one leader epoch have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppendSession(pub u64);

/// Under what right an append is made, and where it is to land.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendTicket {
    /// The leader epoch under which the session was opened.
    pub epoch: LeaderEpoch,
    /// The session.
    pub session: AppendSession,
    /// The offset that the first record is to get.
    pub expected: Offset,
}

/// Why an append is refused; nothing of it is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendRefusal {
    /// There is a newer session, or none.
    Session,
    /// The log ends elsewhere than expected.
    Offset,
}

/// The newest append session of a partition. It is asked in the order of the appends, right before each: so nothing that
/// was sent under an earlier session is appended after a newer one was opened, and nothing behind a refused append.
#[derive(Debug, Clone, Default)]
pub struct AppendGate {
    newest: Option<(LeaderEpoch, AppendSession)>,
    rules: Rules,
}

impl AppendGate {
    /// Closed: no session was opened yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { newest: None, rules }
    }

    /// Opens `session`, which was never open before, under the epoch in which this replica leads, and ends any earlier one.
    pub fn open(&mut self, epoch: LeaderEpoch, session: AppendSession) {
        self.newest = Some((epoch, session));
    }

    /// Ends every session: this replica does not lead any more, or under another epoch.
    pub fn close(&mut self) {
        self.newest = None;
    }

    /// Whether `session` is the newest one.
    #[must_use]
    pub fn is_newest(&self, epoch: LeaderEpoch, session: AppendSession) -> bool {
        self.newest == Some((epoch, session))
    }

    /// Whether an append may be made to a log that ends at `end`.
    ///
    /// # Errors
    /// [`AppendRefusal`].
    pub fn admit(&self, ticket: AppendTicket, end: Offset) -> Result<(), AppendRefusal> {
        if !self.is_newest(ticket.epoch, ticket.session) && !self.rules.breaks(Defect::LateAppend) {
            return Err(AppendRefusal::Session);
        }
        if ticket.expected != end && !self.rules.breaks(Defect::AppendAnywhere) {
            return Err(AppendRefusal::Offset);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(epoch: i32, session: u64, expected: Offset) -> AppendTicket {
        AppendTicket { epoch: LeaderEpoch(epoch), session: AppendSession(session), expected }
    }

    #[test]
    fn only_the_newest_session_appends_and_only_at_the_end() {
        let mut gate = AppendGate::default();
        assert_eq!(gate.admit(ticket(3, 1, 10), 10), Err(AppendRefusal::Session));
        gate.open(LeaderEpoch(3), AppendSession(1));
        assert_eq!(gate.admit(ticket(3, 1, 10), 10), Ok(()));
        assert_eq!(gate.admit(ticket(3, 1, 9), 10), Err(AppendRefusal::Offset));
        assert_eq!(gate.admit(ticket(2, 1, 10), 10), Err(AppendRefusal::Session));
        gate.open(LeaderEpoch(3), AppendSession(2));
        assert_eq!(gate.admit(ticket(3, 1, 10), 10), Err(AppendRefusal::Session), "it was ended");
        assert!(gate.is_newest(LeaderEpoch(3), AppendSession(2)));
        gate.close();
        assert_eq!(gate.admit(ticket(3, 2, 10), 10), Err(AppendRefusal::Session));
    }
}
