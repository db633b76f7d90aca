//! A model of Raft as a proposer sees it: one committed log, terms, and writes that are refused or of unknown outcome.

use levada_metadata::{Applied, ApplyError, Entry, Image, Outcome};
use levada_types::MetadataOffset;

/// The committed log, as the image that it makes, and who may write.
#[derive(Debug)]
pub(crate) struct Raft {
    pub(crate) image: Image,
    pub(crate) term: u64,
    pub(crate) leader: usize,
}

impl Raft {
    pub(crate) fn new() -> Self {
        Self { image: Image::new(), term: 0, leader: 0 }
    }

    /// Another node leads, or the same one in another term.
    pub(crate) fn elect(&mut self, node: usize) -> u64 {
        self.term += 1;
        self.leader = node;
        self.term
    }

    pub(crate) fn accepts(&self, node: usize, term: u64) -> bool {
        self.leader == node && self.term == term
    }

    /// Commits an entry.
    ///
    /// # Errors
    /// [`ApplyError`] if it was decided on a state that never came to be, and was not skipped: a defect.
    pub(crate) fn commit(&mut self, entry: &Entry) -> Result<Outcome, ApplyError> {
        let offset = MetadataOffset(self.image.offset().0 + 1);
        Ok(match self.image.apply(offset, entry)? {
            Applied::Skipped => Outcome::Skipped,
            Applied::Applied => {
                let state = (*entry == Entry::Barrier).then(|| Box::new(self.image.state().clone()));
                Outcome::Applied { offset, state }
            }
        })
    }
}
