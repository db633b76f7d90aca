//! Which faults strike, when, and how hard: a pure function of the seed.

use std::{fmt, time::Duration};

use levada_end_to_end::Seeded;

/// The most records that are acknowledged between two faults.
const MAX_CALM_RECORDS: u64 = 60_000;

/// The longest time that the node stays down before it is started again.
const MAX_DOWN_MS: u64 = 300;

/// The longest time that a start goes on before it is killed too: around what recovery takes, so that some strike
/// in it and some after it.
const MAX_STARTING_MS: u64 = 250;

/// The longest time that the node stays frozen.
const MAX_FROZEN_MS: u64 = 2_000;

/// The most records that the followers read again after a fault.
const MAX_REREAD: u64 = 20_000;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGKILL, and a second one so much later, into the start.
    KillTwice(Duration),
    /// SIGTERM, which it must follow well.
    Stop,
    /// SIGSTOP, and SIGCONT so much later: connections stay open, and nothing answers.
    Freeze(Duration),
}

/// One step of a schedule: some calm, and then a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// How many records must have been acknowledged since the fault before this one.
    pub(super) calm: usize,
    /// What happens then.
    pub(super) fault: Fault,
    /// For how long the node is not started again, if the fault ended it.
    pub(super) down: Duration,
    /// How many records of each topic are read again afterwards.
    pub(super) reread: usize,
    /// The seed of what survives a loss of power.
    pub(super) survival: u64,
}

/// The steps, without end.
#[derive(Debug)]
pub(super) struct Schedule(Seeded);

impl Schedule {
    /// The schedule that the seed decides.
    pub(super) fn new(seed: u64) -> Self {
        Self(Seeded::new(seed))
    }

    fn count(&mut self, most: u64) -> usize {
        usize::try_from(self.0.below(most)).unwrap_or(usize::MAX)
    }

    fn time(&mut self, most_ms: u64) -> Duration {
        Duration::from_millis(self.0.below(most_ms))
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let calm = self.count(MAX_CALM_RECORDS);
        let fault = match self.0.below(8) {
            0..=2 => Fault::Kill,
            3 | 4 => Fault::KillTwice(self.time(MAX_STARTING_MS)),
            5 => Fault::Stop,
            _ => Fault::Freeze(self.time(MAX_FROZEN_MS)),
        };
        let (down, reread) = (self.time(MAX_DOWN_MS), self.count(MAX_REREAD));
        Some(Step { calm, fault, down, reread, survival: self.0.number() })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calm, fault, down, reread, survival: _ } = self;
        write!(f, "after {calm} records ")?;
        match fault {
            Fault::Kill => write!(f, "SIGKILL, down for {down:?}")?,
            Fault::KillTwice(starting) => write!(f, "SIGKILL, down for {down:?}, and a second {starting:?} later")?,
            Fault::Stop => write!(f, "SIGTERM, down for {down:?}")?,
            Fault::Freeze(frozen) => write!(f, "frozen for {frozen:?}")?,
        }
        write!(f, "; then {reread} records are read again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_whole_schedule() {
        let steps = |seed, count| Schedule::new(seed).take(count).collect::<Vec<_>>();
        assert_eq!(steps(7, 100), steps(7, 100));
        assert_eq!(steps(7, 10), steps(7, 100)[..10], "a longer run begins like a shorter one");
        assert_ne!(steps(7, 10), steps(8, 10));
    }

    #[test]
    fn every_kind_of_fault_comes_and_stays_within_its_bounds() {
        let steps: Vec<Step> = Schedule::new(1).take(200).collect();
        let count = |kind: fn(&Fault) -> bool| steps.iter().filter(|step| kind(&step.fault)).count();
        assert!(count(|fault| matches!(fault, Fault::Kill)) > 40);
        assert!(count(|fault| matches!(fault, Fault::KillTwice(_))) > 20);
        assert!(count(|fault| matches!(fault, Fault::Stop)) > 10);
        assert!(count(|fault| matches!(fault, Fault::Freeze(_))) > 20);
        for step in steps {
            assert!(step.calm < 60_000 && step.reread < 20_000 && step.down.as_millis() < 300, "{step}");
        }
    }
}
