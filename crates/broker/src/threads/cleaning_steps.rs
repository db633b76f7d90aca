//! What an actor does for the cleaning of its log.

use levada_log::LogError;

use super::actor::Actor;
use super::job::Swap;
use crate::clock::now_ms;

impl Actor {
    /// Puts a cleaned segment in the place of what it was made of, if the log is still the one that was read.
    pub(super) fn swap(&mut self, swap: Swap) {
        let Swap { cleaned, answer } = swap;
        let swapped = self.writer.swap(cleaned, now_ms());
        if let Err(error) = &swapped {
            self.note(Err(error.clone()), "taking a compacted segment");
            // Half-way: it is whole again once it was opened anew.
            if self.writer.begin_cleaning().is_none() {
                self.note(Err(LogError::Closed), "taking a compacted segment");
            }
        }
        answer.fill(swapped);
    }
}
