//! Puts the pieces of a metadata stream together: snapshots of many chunks, entries of many parts.

use levada_metadata::{ApplyError, Delta, Image, RunPosition};
use levada_proto::internal::watch_metadata_response::Kind;
use levada_proto::internal::{self, ConversionError, WatchMetadataResponse};
use levada_types::MetadataOffset;

/// The largest entry that is put together, in bytes. What one command may create is bounded far below it.
const MAX_ENTRY_BYTES: usize = 256 << 20;

/// A metadata stream breaks its own rules, or holds what this build does not know.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The order of its pieces is wrong.
    #[error("the metadata stream is out of order: {0}")]
    Disorder(&'static str),
    /// A piece cannot be read. Nothing is skipped, since that would be to hold another state.
    #[error("a piece of the metadata cannot be read by this version: {0}")]
    Unreadable(#[from] ConversionError),
    /// An entry is larger than any that a controller makes.
    #[error("an entry of the metadata exceeds {MAX_ENTRY_BYTES} bytes")]
    TooLarge,
    /// The kind of a piece is not known.
    #[error("a piece of the metadata is of a kind that this version does not know")]
    UnknownKind,
    /// A piece does not fit onto the image.
    #[error("the metadata does not fit together: {0}")]
    Misfit(#[from] ApplyError),
}

/// An image that follows a stream. Every method is pure.
#[derive(Debug)]
pub(crate) struct MetadataAssembler {
    image: Image,
    snapshot: Option<Snapshot>,
    entry: Option<(MetadataOffset, Vec<u8>)>,
}

#[derive(Debug)]
struct Snapshot {
    offset: MetadataOffset,
    next: Option<RunPosition>,
    deltas: Vec<Delta>,
}

impl MetadataAssembler {
    /// An assembler that goes on from `image`.
    pub(crate) fn new(image: Image) -> Self {
        Self { image, snapshot: None, entry: None }
    }

    /// Takes in one piece. Gives the image if the piece moved it forward.
    pub(crate) fn take(&mut self, piece: WatchMetadataResponse) -> Result<Option<&Image>, StreamError> {
        let kind = piece.kind.ok_or(StreamError::UnknownKind)?;
        let before = self.image.offset();
        match kind {
            Kind::SnapshotBegin(header) => self.begin(header)?,
            Kind::SnapshotChunk(chunk) => self.gather(chunk)?,
            Kind::SnapshotEnd(internal::SnapshotEnd {}) => self.end()?,
            Kind::EntryPart(part) => self.entry_part(&part)?,
            Kind::Progress(progress) => {
                let offset = MetadataOffset(progress.offset);
                if offset > before {
                    self.image.advance(offset);
                }
            }
        }
        Ok((self.image.offset() > before).then_some(&self.image))
    }

    fn begin(&mut self, header: internal::SnapshotHeader) -> Result<(), StreamError> {
        header.check_version()?;
        let next = header.next_position.map(RunPosition::from);
        self.entry = None;
        self.snapshot = Some(Snapshot { offset: MetadataOffset(header.offset), next, deltas: Vec::new() });
        Ok(())
    }

    fn gather(&mut self, chunk: internal::SnapshotChunk) -> Result<(), StreamError> {
        let snapshot = self.snapshot.as_mut().ok_or(StreamError::Disorder("a snapshot chunk without a beginning"))?;
        for delta in chunk.deltas {
            snapshot.deltas.push(Delta::try_from(delta)?);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), StreamError> {
        let snapshot =
            self.snapshot.take().ok_or(StreamError::Disorder("the end of a snapshot without a beginning"))?;
        // An image never moves back; a controller that is behind sends what we have seen.
        if snapshot.offset > self.image.offset() {
            self.image = Image::restore(snapshot.offset, snapshot.next, &snapshot.deltas)?;
        }
        Ok(())
    }

    fn entry_part(&mut self, part: &internal::EntryPart) -> Result<(), StreamError> {
        if self.snapshot.is_some() {
            return Err(StreamError::Disorder("an entry inside a snapshot"));
        }
        let offset = MetadataOffset(part.offset);
        let (begun, mut bytes) = self.entry.take().unwrap_or((offset, Vec::new()));
        if begun != offset {
            return Err(StreamError::Disorder("an entry begins before the one before it is complete"));
        }
        if bytes.len() + part.data.len() > MAX_ENTRY_BYTES {
            return Err(StreamError::TooLarge);
        }
        bytes.extend_from_slice(&part.data);
        if !part.last {
            self.entry = Some((offset, bytes));
            return Ok(());
        }
        if offset <= self.image.offset() {
            return Ok(());
        }
        self.image.apply(offset, &internal::Entry::read(&bytes)?)?;
        Ok(())
    }
}
