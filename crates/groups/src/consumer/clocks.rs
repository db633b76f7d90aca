//! The deadlines of members: soft.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use levada_types::TimestampMs;

/// Until when something has to come of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// A sign of life.
    pub(super) session: Option<TimestampMs>,
    /// That it gives up what it was asked to give up.
    pub(super) rebalance: Option<TimestampMs>,
    /// Of a member of the classic protocol: that it joins again.
    pub(super) join: Option<TimestampMs>,
    /// Of a member of the classic protocol: that it asks for its assignment.
    pub(super) sync: Option<TimestampMs>,
    /// The greatest number of a stream of it that was heard of.
    pub(super) stream: u64,
    /// When the alarm is set to.
    alarm: Option<TimestampMs>,
}

impl Clock {
    /// The first of its deadlines.
    fn due(&self) -> Option<TimestampMs> {
        [self.session, self.rebalance, self.join, self.sync].into_iter().flatten().min()
    }
}

/// The deadlines of all members. A deadline that moves away costs nothing: its alarm rings at the old time, and is set anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Clocks {
    members: OrdMap<Arc<str>, Clock>,
    alarms: OrdSet<(TimestampMs, Arc<str>)>,
}

impl Clocks {
    /// The clock of a member, if it has one.
    pub(super) fn get(&self, member: &str) -> Option<&Clock> {
        self.members.get(member)
    }

    /// Changes the clock of a member.
    pub(super) fn set(&mut self, member: &Arc<str>, change: impl FnOnce(&mut Clock)) {
        let clock = self.members.entry(Arc::clone(member)).or_default();
        change(clock);
        let due = clock.due();
        // An alarm that rings too early does no harm.
        if let Some(due) = due
            && clock.alarm.is_none_or(|alarm| due < alarm)
        {
            let old = clock.alarm.replace(due);
            if let Some(old) = old {
                self.alarms.remove(&(old, Arc::clone(member)));
            }
            self.alarms.insert((due, Arc::clone(member)));
        }
    }

    /// Forgets a member.
    pub(super) fn remove(&mut self, member: &Arc<str>) {
        if let Some(alarm) = self.members.remove(member).and_then(|clock| clock.alarm) {
            self.alarms.remove(&(alarm, Arc::clone(member)));
        }
    }

    /// When the first alarm rings.
    pub(super) fn next(&self) -> Option<TimestampMs> {
        self.alarms.get_min().map(|(at, _)| *at)
    }

    /// A member one of whose deadlines has passed. It is to be forgotten or given time before this is asked again.
    pub(super) fn expired(&mut self, now: TimestampMs) -> Option<Arc<str>> {
        loop {
            let (at, member) = self.alarms.get_min()?;
            if *at > now {
                return None;
            }
            let member = Arc::clone(member);
            let due = self.members.get(&member).and_then(Clock::due);
            if due.is_some_and(|due| due <= now) {
                return Some(member);
            }
            let at = *at;
            self.alarms.remove(&(at, Arc::clone(&member)));
            if let Some(clock) = self.members.get_mut(&member) {
                clock.alarm = due;
                if let Some(due) = due {
                    self.alarms.insert((due, member));
                }
            }
        }
    }
}
