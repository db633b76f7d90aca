//! What a history of a group must keep, whatever failed:
//!
//! 1. Each acknowledged record is processed, and an offset holds the same record whoever reads it.
//! 2. Who owns a partition reads on from where it began, without a gap.
//! 3. No offset that the group shows, or where an owner begins, is beyond what the group has processed from the start on.
//! 4. No accepted commit is lost, and none moved back but by one that began when it was over.
//! 5. No partition has two owners in one generation.
//! 6. A commit of a generation that is over is not accepted, nor one of a partition that has gone to another member.

mod offsets;
mod owners;
mod processed;
mod zombies;

use std::fmt;

use super::history::History;
pub(super) use processed::{Processed, Promised};

/// How many findings are told.
const TOLD: usize = 10;

/// What a history has come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// How many records were processed, each counted once.
    pub(super) processed: usize,
    /// How many were processed once more.
    pub(super) again: usize,
    pub(super) accepted: usize,
    /// Accepted commits that were sent without a generation, which a group takes that has no members.
    pub(super) without_generation: usize,
    pub(super) refused: usize,
    pub(super) unknown: usize,
    /// How often the committed offsets were looked at, and a partition begun.
    pub(super) readings: usize,
    /// How often a newer commit moved an offset back.
    pub(super) moved_back: usize,
}

/// What breaks a rule, in words.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        self.0.push(finding);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} findings", self.0.len())?;
        self.0.iter().take(TOLD).try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

/// Checks a history that is in the order of time. Whether the generations of the group are those of all its members at once
/// is so in the classic protocol; in the next-generation protocol each member has its own epoch.
pub(super) fn check(history: &History, promised: &Promised<'_>, one_generation: bool) -> (Checked, Findings) {
    let (mut checked, mut findings) = (Checked::default(), Findings::default());
    let commits = history.commits();
    let processed = Processed::of(history, &mut checked, &mut findings);
    processed.check(promised, &mut findings);
    owners::check(history, &mut findings);
    zombies::check(history, &commits, one_generation, &mut checked, &mut findings);
    offsets::check(history, &commits, &processed, &mut checked, &mut findings);
    (checked, findings)
}

/// A time of the machine's clock, as the logs of the processes have it.
fn time(at: u64) -> String {
    let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
    format!("{:02}:{:02}:{:02}.{micros:06}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests;
