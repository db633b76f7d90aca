//! What is committed and applied at this controller: the newest image, and the newest entries for those who watch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use levada_metadata::Image;
use levada_types::MetadataOffset;
use tokio::sync::watch;

/// Bytes of entries that are kept for watchers. One that lags further behind gets a snapshot. Fencing a broker with ten
/// thousand replicas is an entry of more than a megabyte, and several of those must not cost everybody a snapshot.
const KEPT_BYTES: usize = 16 << 20;

/// What keeping an entry costs beside its bytes, roughly.
const ENTRY_OVERHEAD: usize = 64;

/// How far this controller has applied the metadata log.
const OFFSET: &str = "levada_controller_metadata_offset";

/// What a watcher gets next.
#[derive(Debug)]
pub(crate) enum Next {
    /// These entries, oldest first, after which it stands at `upto`. Entries that change no metadata are left out.
    Entries {
        /// Offset and encoded entry.
        entries: Vec<(MetadataOffset, Bytes)>,
        /// The offset of the newest entry, one that was left out perhaps.
        upto: MetadataOffset,
    },
    /// This image, because the entries that it lacks are no longer kept.
    Snapshot(Box<Image>),
}

/// The committed metadata of this controller. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    kept: Arc<Mutex<Kept>>,
    offset: Arc<watch::Sender<MetadataOffset>>,
}

#[derive(Debug, Default)]
struct Kept {
    image: Image,
    /// The kept entries cover every offset after this one.
    after: MetadataOffset,
    entries: VecDeque<(MetadataOffset, Bytes)>,
    bytes: usize,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self { kept: Arc::default(), offset: Arc::new(watch::Sender::new(MetadataOffset::default())) }
    }

    /// The newest image.
    pub(crate) fn image(&self) -> Image {
        self.kept().image.clone()
    }

    /// The offset of the newest image, and its changes.
    pub(crate) fn offset(&self) -> watch::Receiver<MetadataOffset> {
        self.offset.subscribe()
    }

    /// Takes in entries, oldest first, that have led to `image`. An entry without bytes changes no metadata.
    pub(crate) fn push(&self, image: Image, entries: impl IntoIterator<Item = (MetadataOffset, Bytes)>) {
        let mut kept = self.kept();
        for (offset, bytes) in entries {
            kept.bytes += bytes.len() + ENTRY_OVERHEAD;
            kept.entries.push_back((offset, bytes));
        }
        while kept.bytes > KEPT_BYTES {
            let Some((offset, bytes)) = kept.entries.pop_front() else { break };
            kept.bytes -= bytes.len() + ENTRY_OVERHEAD;
            kept.after = offset;
        }
        self.publish(kept, image);
    }

    /// Begins anew with `image`: what led to it is not known entry by entry.
    pub(crate) fn replace(&self, image: Image) {
        let mut kept = self.kept();
        kept.entries.clear();
        kept.bytes = 0;
        kept.after = image.offset();
        self.publish(kept, image);
    }

    /// What a watcher that stands at `offset` gets next; nothing if it has everything.
    pub(crate) fn next(&self, offset: MetadataOffset) -> Option<Next> {
        let kept = self.kept();
        let upto = kept.image.offset();
        if offset >= upto {
            return None;
        }
        if offset < kept.after {
            return Some(Next::Snapshot(Box::new(kept.image.clone())));
        }
        let first = kept.entries.partition_point(|(at, _)| *at <= offset);
        Some(Next::Entries { entries: kept.entries.range(first..).cloned().collect(), upto })
    }

    fn publish(&self, mut kept: MutexGuard<'_, Kept>, image: Image) {
        let offset = image.offset();
        kept.image = image;
        drop(kept);
        metrics::gauge!(OFFSET).set(offset.0 as f64);
        self.offset.send_replace(offset);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Image {
        let mut image = Image::new();
        image.advance(MetadataOffset(offset));
        image
    }

    fn entry(offset: u64, len: usize) -> (MetadataOffset, Bytes) {
        (MetadataOffset(offset), Bytes::from(vec![0; len]))
    }

    fn offsets(next: Option<Next>) -> Option<(Vec<u64>, u64)> {
        match next? {
            Next::Entries { entries, upto } => Some((entries.iter().map(|(at, _)| at.0).collect(), upto.0)),
            Next::Snapshot(image) => Some((Vec::new(), image.offset().0)),
        }
    }

    #[test]
    fn a_watcher_gets_what_it_lacks() {
        let feed = Feed::new();
        feed.push(at(4), [entry(1, 1), entry(3, 1), entry(4, 1)]);
        assert_eq!(offsets(feed.next(MetadataOffset(0))), Some((vec![1, 3, 4], 4)));
        assert_eq!(offsets(feed.next(MetadataOffset(2))), Some((vec![3, 4], 4)));
        assert_eq!(offsets(feed.next(MetadataOffset(4))), None);
        feed.push(at(5), []);
        assert_eq!(offsets(feed.next(MetadataOffset(4))), Some((vec![], 5)), "an entry of Raft's own");
    }

    #[test]
    fn one_that_lags_too_far_gets_a_snapshot() {
        let feed = Feed::new();
        feed.push(at(3), [entry(1, KEPT_BYTES / 2), entry(2, KEPT_BYTES / 2), entry(3, 1)]);
        assert!(matches!(feed.next(MetadataOffset(0)), Some(Next::Snapshot(_))));
        assert_eq!(offsets(feed.next(MetadataOffset(1))), Some((vec![2, 3], 3)));
        feed.replace(at(9));
        assert!(matches!(feed.next(MetadataOffset(3)), Some(Next::Snapshot(image)) if image.offset().0 == 9));
        assert_eq!(offsets(feed.next(MetadataOffset(9))), None);
    }
}
