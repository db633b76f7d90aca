//! The image: the metadata as of one offset, which is what everybody sees.

use std::ops::Deref;

use levada_types::MetadataOffset;

use crate::{ApplyError, Delta, Entry, RunPosition, State};

/// What [`Image::apply`] did with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The entry began a run or its deltas were applied.
    Applied,
    /// The entry did not follow the one before it in its run, so its deltas never took effect, here or anywhere.
    Skipped,
}

/// The cluster's metadata as of an offset. Cheap to clone; reads go to the [`State`] inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    offset: MetadataOffset,
    /// The position that the next entry of the current run bears.
    next: Option<RunPosition>,
    state: State,
}

impl Image {
    /// The image before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds the image that was saved as these parts, see [`Image::next_position`] and [`State::to_deltas`].
    ///
    /// # Errors
    /// [`ApplyError`] if the deltas do not build upon each other.
    pub fn restore<'a>(
        offset: MetadataOffset,
        next: Option<RunPosition>,
        deltas: impl IntoIterator<Item = &'a Delta>,
    ) -> Result<Self, ApplyError> {
        let mut state = State::new();
        deltas.into_iter().try_for_each(|delta| state.apply(delta))?;
        Ok(Self { offset, next, state })
    }

    /// The offset of the newest entry in it.
    #[must_use]
    pub fn offset(&self) -> MetadataOffset {
        self.offset
    }

    /// The position of the entry that would be applied next; `None` before the first barrier.
    #[must_use]
    pub fn next_position(&self) -> Option<RunPosition> {
        self.next
    }

    /// The metadata itself.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes in the entry at `offset`, which must be greater than the image's; whole or not at all.
    ///
    /// # Errors
    /// [`ApplyError`] if the entry was not decided on this image; the image is then unchanged and the node must stop.
    pub fn apply(&mut self, offset: MetadataOffset, entry: &Entry) -> Result<Applied, ApplyError> {
        let applied = match entry {
            Entry::Barrier => {
                self.next = Some(RunPosition { barrier: offset.0, number: 0 });
                Applied::Applied
            }
            Entry::Deltas { position, deltas } if self.next == Some(*position) => {
                let mut state = self.state.clone();
                deltas.iter().try_for_each(|delta| state.apply(delta))?;
                self.state = state;
                self.next = Some(RunPosition { number: position.number + 1, ..*position });
                Applied::Applied
            }
            Entry::Deltas { .. } => Applied::Skipped,
        };
        self.offset = offset;
        Ok(applied)
    }

    /// Takes note of an entry that changes no metadata, such as one of Raft's own.
    pub fn advance(&mut self, offset: MetadataOffset) {
        self.offset = offset;
    }
}

impl Deref for Image {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}
