//! Which faults strike a cluster, when, and how hard: a pure function of the seed.

use std::{num::NonZeroU32, time::Duration};

use levada_end_to_end::Seeded;
use levada_harness::Weather;

use super::fault::{Direction, Fault, Step, Strike, Victim};
use crate::groups::Blow;

/// The most records of each producer that are acknowledged between two steps.
const MAX_CALM_RECORDS: u64 = 1_000;

/// The latest that a fault begins, since its step began.
const MAX_BEGINNING_MS: u64 = 1_500;

/// The longest that a fault lasts: the session timeout that the brokers are given, three times.
const MAX_LASTING_MS: u64 = 6_000;

/// The longest that a disk fails.
const MAX_DISK_MS: u64 = 4_000;

/// The most records of each partition that the consumers read again after a step.
const MAX_REREAD: u64 = 5_000;

/// The longest that a member of a group is frozen, or does not poll: some longer than its session and than its
/// `max.poll.interval.ms`.
const MAX_MEMBER_MS: u64 = 12_000;

/// The steps, without end.
#[derive(Debug)]
pub(super) struct Schedule {
    random: Seeded,
    /// Whether there are groups: coordinators, and members.
    groups: bool,
}

impl Schedule {
    /// The schedule that the seed decides, with or without groups.
    pub(super) fn new(seed: u64, groups: bool) -> Self {
        Self { random: Seeded::new(seed), groups }
    }

    fn count(&mut self, most: u64) -> usize {
        usize::try_from(self.random.below(most)).unwrap_or(usize::MAX)
    }

    fn time(&mut self, most_ms: u64) -> Duration {
        Duration::from_millis(self.random.below(most_ms))
    }

    fn broker(&mut self) -> Victim {
        match self.random.below(4) {
            0 | 1 => Victim::Leader(self.random.number()),
            2 => Victim::Follower(self.random.number()),
            _ => Victim::Broker(self.random.number()),
        }
    }

    fn process(&mut self) -> Victim {
        match self.random.below(if self.groups { 12 } else { 8 }) {
            0 | 1 => Victim::Active,
            2 => Victim::Controller(self.random.number()),
            8.. => Victim::Coordinator(self.random.number()),
            _ => self.broker(),
        }
    }

    /// What happens to members, and whether there is a coordinator more or less.
    fn strike_groups(&mut self, strikes: &mut Vec<Strike>) {
        let at = self.time(MAX_BEGINNING_MS);
        match self.random.below(8) {
            0 => {
                let victim = Victim::Coordinator(self.random.number());
                strikes.push(Strike { fault: Fault::Fewer, victim, at, lasts: Duration::ZERO });
            }
            1 => {
                let victim = Victim::Coordinator(self.random.number());
                strikes.push(Strike { fault: Fault::More, victim, at, lasts: Duration::ZERO });
            }
            _ => {}
        }
        for _ in 0..=self.random.below(4) {
            // A kill is more likely than each of the others.
            let blow = Blow::ALL.get(self.count(8)).copied().unwrap_or(Blow::Kill);
            let victim = Victim::Member(self.random.number());
            let at = self.time(MAX_BEGINNING_MS);
            strikes.push(Strike { fault: Fault::Member(blow), victim, at, lasts: self.time(MAX_MEMBER_MS) });
        }
    }

    fn direction(&mut self) -> Direction {
        match self.random.below(4) {
            0 => Direction::Out,
            1 => Direction::In,
            _ => Direction::Both,
        }
    }

    fn weather(&mut self) -> Weather {
        let clear = Weather::default();
        match self.random.below(6) {
            0 | 1 => Weather { delay: (Duration::ZERO, self.time(400)), ..clear },
            2 => Weather { bytes_per_second: NonZeroU32::new(2_000 + self.random.below(60_000) as u32), ..clear },
            3 => Weather { stalled_there: true, ..clear },
            4 => Weather { stalled_back: true, ..clear },
            _ => Weather {
                delay: (Duration::ZERO, self.time(50)),
                resets_per_mille: 1 + self.random.below(200) as u16,
                ..clear
            },
        }
    }

    fn strike(&mut self) -> Strike {
        let (fault, victim) = match self.random.below(25) {
            0..=3 => (Fault::Kill, self.process()),
            4 => (Fault::Terminate, self.process()),
            5..=7 => (Fault::Freeze, self.process()),
            8..=9 => (Fault::LosePower(self.random.number()), self.broker()),
            10..=12 => {
                let victim = self.process();
                let other = if self.random.below(4) == 0 { Victim::Clients } else { self.process() };
                (Fault::Cut(other, self.direction()), victim)
            }
            13..=14 => (Fault::Isolate(self.direction()), self.process()),
            15..=17 => {
                let other = if self.random.below(3) == 0 { None } else { Some(self.process()) };
                (Fault::Weather(other, self.weather()), self.process())
            }
            18 => (Fault::Reset, self.process()),
            19 => (Fault::FullDisk, self.process()),
            20 => (Fault::BrokenDisk, self.process()),
            21 => (Fault::SlowDisk(self.time(100)), self.process()),
            22 => (Fault::KillBrokers, Victim::Broker(0)),
            23 => (Fault::ControllersLosePower(self.random.number()), Victim::Controller(0)),
            _ => (Fault::KillEverything, Victim::Broker(0)),
        };
        let most = if fault.needs_disk() { MAX_DISK_MS } else { MAX_LASTING_MS };
        Strike { fault, victim, at: self.time(MAX_BEGINNING_MS), lasts: self.time(most) }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let calm = self.count(MAX_CALM_RECORDS);
        let mut strikes = Vec::new();
        if self.random.below(20) == 0 {
            let (fault, victim) = (Fault::Roll, Victim::Broker(0));
            strikes.push(Strike { fault, victim, at: Duration::ZERO, lasts: Duration::ZERO });
        } else {
            for _ in 0..=self.random.below(3) {
                let strike = self.strike();
                // One member at a time may lose what it did not sync: the minimum of in-sync replicas less one.
                let second_loss = strikes.iter().any(|other: &Strike| matches!(other.fault, Fault::LosePower(_)))
                    && matches!(strike.fault, Fault::LosePower(_));
                strikes.push(if second_loss { Strike { fault: Fault::Kill, ..strike } } else { strike });
            }
        }
        if self.groups {
            self.strike_groups(&mut strikes);
        }
        let (settle, reread) = (self.random.below(2) == 0, self.count(MAX_REREAD));
        Some(Step { calm, strikes, settle, reread })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_decides_the_whole_schedule() {
        let steps = |seed, count| Schedule::new(seed, true).take(count).collect::<Vec<_>>();
        assert_eq!(steps(7, 100), steps(7, 100));
        assert_eq!(steps(7, 10), steps(7, 100)[..10], "a longer run begins like a shorter one");
        assert_ne!(steps(7, 10), steps(8, 10));
    }

    #[test]
    fn every_kind_of_fault_comes_within_the_steps_of_half_an_hour() {
        // Without groups, and with the coordinators and members of some.
        for (groups, count) in [(false, 20), (true, 28)] {
            let steps: Vec<Step> = Schedule::new(1, groups).take(180).collect();
            let kinds: BTreeSet<&str> =
                steps.iter().flat_map(|step| &step.strikes).map(|strike| strike.fault.kind()).collect();
            assert_eq!(kinds.len(), count, "{kinds:?}");
        }
    }

    #[test]
    fn one_broker_at_a_time_loses_what_it_did_not_sync() {
        for step in Schedule::new(1, true).take(1000) {
            let losses = step.strikes.iter().filter(|strike| matches!(strike.fault, Fault::LosePower(_))).count();
            assert!(losses <= 1, "{step:?}");
            assert_eq!(losses == 1, step.loses_power());
        }
    }
}
