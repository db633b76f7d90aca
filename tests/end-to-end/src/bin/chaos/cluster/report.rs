//! What a run has come to, in figures.

use std::{collections::BTreeMap, fmt, time::Duration};

use levada_end_to_end::{Followed, History};

use super::line::Promise;

/// How often a kind of fault struck, and the longest gap of a step that it was part of.
#[derive(Debug, Clone, Copy, Default)]
struct Struck {
    times: usize,
    longest_gap: Duration,
}

/// What a run has come to.
#[derive(Debug, Default)]
pub(super) struct Report {
    struck: BTreeMap<&'static str, Struck>,
    lines: Vec<String>,
    /// Whatever else is worth a line.
    notes: Vec<String>,
    bytes_lost: u64,
    losses: usize,
}

impl Report {
    /// A step has been with faults of these kinds, in which a producer went for so long without an acknowledgement.
    pub(super) fn step(&mut self, kinds: impl IntoIterator<Item = &'static str>, longest_gap: Duration) {
        for kind in kinds {
            let struck = self.struck.entry(kind).or_default();
            struck.times += 1;
            struck.longest_gap = struck.longest_gap.max(longest_gap);
        }
    }

    /// A disk has lost so many bytes.
    pub(super) fn lost(&mut self, bytes: u64) {
        self.bytes_lost += bytes;
        self.losses += 1;
    }

    /// What became of what a producer sent.
    pub(super) fn line(&mut self, promise: &Promise, history: &History, followed: &Followed) {
        let (acknowledged, missing) = (history.acknowledged.len(), followed.missing(history));
        let places = followed.places();
        let judged = if promise.may_lose { " (acks=1: not judged)" } else { "" };
        self.lines.push(format!(
            "{}: {acknowledged} records acknowledged, {} failed, {places} in the log, {missing} of the acknowledged missing{judged}",
            promise.topic,
            history.failed.len(),
        ));
    }

    /// Something else that is worth a line.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times: usize = self.struck.values().map(|struck| struck.times).sum();
        writeln!(
            f,
            "chaos: {times} faults; beside each the longest time without an acknowledgement in a step with it:"
        )?;
        for (kind, Struck { times, longest_gap }) in &self.struck {
            writeln!(f, "chaos: {times:>5} {kind:<36} {:>7.3} s", longest_gap.as_secs_f64())?;
        }
        writeln!(f, "chaos: {} losses of power took {} bytes that were not synced", self.losses, self.bytes_lost)?;
        for line in self.lines.iter().chain(&self.notes) {
            writeln!(f, "chaos: {line}")?;
        }
        Ok(())
    }
}
