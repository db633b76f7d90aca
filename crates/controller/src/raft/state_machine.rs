//! Openraft's state machine: the image, kept in memory and restored from the newest snapshot and the log.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::{Stream, StreamExt};
use levada_metadata::{Applied, Image};
use levada_proto::internal as pb;
use levada_types::MetadataOffset;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};

use super::snapshot_file::SnapshotFile;
use super::types::{
    ApplyOutcome, EntryData, RaftLogId, RaftSnapshot, RaftSnapshotMeta, RaftStoredMembership, TypeConfig, is_full,
};
use crate::feed::Feed;

/// The pause between tries to write a snapshot to a full disk.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// The metadata as this node has applied it.
pub(crate) struct StateMachine {
    dir: PathBuf,
    feed: Feed,
    image: Image,
    applied: Option<RaftLogId>,
    membership: RaftStoredMembership,
    /// Bytes of entries applied since the last snapshot was begun.
    grown: Arc<AtomicU64>,
    /// Gone with the state machine, so that nobody writes its snapshots after it.
    alive: Arc<()>,
}

/// A snapshot to be written: the image as of one moment.
pub(crate) struct SnapshotBuilder {
    dir: PathBuf,
    meta: RaftSnapshotMeta,
    image: Image,
    machine: Weak<()>,
}

impl StateMachine {
    /// An empty one with its snapshots in `dir`, which publishes what it applies in `feed` and counts its bytes in
    /// `grown`.
    pub(super) fn new(dir: PathBuf, feed: Feed, grown: Arc<AtomicU64>) -> Self {
        let membership = RaftStoredMembership::default();
        Self { dir, feed, image: Image::new(), applied: None, membership, grown, alive: Arc::new(()) }
    }

    /// Applies one entry to the image. An entry that this build does not know, or that does not fit, stops the node:
    /// openraft makes an error here fatal.
    fn apply_entry(&mut self, offset: MetadataOffset, data: &EntryData) -> io::Result<Applied> {
        let entry = pb::Entry::read(&data.0).map_err(io::Error::other)?;
        self.image.apply(offset, &entry).map_err(io::Error::other)
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, RaftStoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let offset = MetadataOffset(entry.log_id.index);
            let mut outcome = ApplyOutcome { applied: true };
            let mut published = None;
            match entry.payload {
                EntryPayload::Blank => self.image.advance(offset),
                EntryPayload::Normal(data) => {
                    outcome.applied = self.apply_entry(offset, &data)? == Applied::Applied;
                    self.grown.fetch_add(data.0.len() as u64, Ordering::Relaxed);
                    published = Some((offset, data.0));
                }
                EntryPayload::Membership(membership) => {
                    self.membership = RaftStoredMembership::new(Some(entry.log_id), membership);
                    self.image.advance(offset);
                }
            }
            self.applied = Some(entry.log_id);
            // Whoever hears of the outcome finds the image that has it.
            self.feed.push(self.image.clone(), published);
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        self.grown.store(0, Ordering::Relaxed);
        let meta = RaftSnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        SnapshotBuilder { dir: self.dir.clone(), meta, image: self.image.clone(), machine: Arc::downgrade(&self.alive) }
    }

    async fn install_snapshot(&mut self, meta: &RaftSnapshotMeta, snapshot: SnapshotFile) -> io::Result<()> {
        let (dir, meta) = (self.dir.clone(), meta.clone());
        let work = move || {
            // Read before it is kept: a damaged one must not replace what is there.
            let (found, image) = snapshot.read()?;
            SnapshotFile::keep(&dir, snapshot.path(), &found)?;
            Ok::<_, io::Error>((found, image))
        };
        let (found, image) = blocking(work).await?;
        if found != meta {
            return Err(io::Error::other("a metadata snapshot is another than was announced"));
        }
        self.applied = found.last_log_id;
        self.membership = found.last_membership;
        self.image = image.clone();
        self.feed.replace(image);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        let dir = self.dir.clone();
        let newest = blocking(move || SnapshotFile::newest(&dir)).await?;
        Ok(newest.map(|(meta, snapshot)| RaftSnapshot { meta, snapshot }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotFile;

    /// An error here is fatal to openraft, so a full disk is waited out; until then the log is not cut.
    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        let mut told = false;
        loop {
            let (dir, meta, image) = (self.dir.clone(), self.meta.clone(), self.image.clone());
            match blocking(move || SnapshotFile::write(&dir, &meta, &image)).await {
                Ok(snapshot) => return Ok(RaftSnapshot { meta: self.meta.clone(), snapshot }),
                Err(error) if is_full(&error) && self.machine.strong_count() > 0 => {
                    if !told {
                        tracing::warn!(dir = %self.dir.display(), "a metadata snapshot waits for space: the disk is full");
                    }
                    told = true;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(FULL_PAUSE).await;
            // The leader may have sent a newer one meanwhile, which an older one must not replace.
            let dir = self.dir.clone();
            if let Some((meta, snapshot)) = blocking(move || SnapshotFile::newest(&dir)).await?
                && meta.last_log_id >= self.meta.last_log_id
            {
                return Ok(RaftSnapshot { meta, snapshot });
            }
        }
    }
}

/// Runs file work off the async workers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_snapshot_waits_for_space_on_a_full_disk() {
        let dir = tempfile::tempdir().unwrap();
        // What is written there meets a full disk, until the failed attempt is cleared away.
        std::os::unix::fs::symlink("/dev/full", dir.path().join("written.partial")).unwrap();
        let mut machine = StateMachine::new(dir.path().to_owned(), Feed::new(), Arc::default());
        let mut builder = machine.get_snapshot_builder().await;
        let built = builder.build_snapshot().await.unwrap();
        assert_eq!(built.snapshot.read().unwrap().0, built.meta);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_node_that_has_stopped() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("written.partial")).unwrap();
        let mut machine = StateMachine::new(dir.path().to_owned(), Feed::new(), Arc::default());
        let mut builder = machine.get_snapshot_builder().await;
        drop(machine);
        assert!(is_full(&builder.build_snapshot().await.err().unwrap()));
    }
}
