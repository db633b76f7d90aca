//! The Raft log, vote and markers as trees of one sled database.
//!
//! An entry is stored in parts, because sled moves pages beyond an eighth of a segment into files of their own, which it never
//! syncs. Part n of entry i has the key (i, n), both big-endian, so that keys sort as entries do; part 0 begins with the number
//! of parts.

use std::fs::{self, File};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};

use levada_proto::internal as pb;
use levada_types::DirectoryId;
use prost::Message;
use sled::{Batch, Db, IVec, Tree};
use uuid::Uuid;

use super::examination::examine;
use super::reserve::{DB_FILE, Reserve};
use super::seal;
use super::types::{RaftEntry, RaftLogId, RaftVote, StorageError, is_full, is_locked};
use super::wire::{entry_from, entry_to, log_id_from, log_id_to, malformed, vote_from, vote_to};
use super::witness::{self, Holdings};

/// Where sled keeps the settings that a database was made with.
const CONFIG_FILE: &str = "conf";

/// Memory that sled may keep pages in. The log is read once at the start and otherwise only by followers that lag.
const CACHE_BYTES: u64 = 1 << 20;

/// Bytes of one part of an entry. A page holds 16 values before it is split, 4 more at most when two are merged, and stays a
/// page up to 64 KiB, an eighth of a segment.
const PART_BYTES: usize = 2 * 1024;

/// How often a database that is still locked by its former owner in this process is tried again; sled unlocks late.
const OPEN_TRIES: u32 = 50;

/// How long to wait between the tries, in milliseconds.
const OPEN_PAUSE_MS: u64 = 20;

const VOTE: &[u8] = b"vote";
const COMMITTED: &[u8] = b"committed";
const PURGED: &[u8] = b"purged";
const NODE: &[u8] = b"node";
const DIRECTORY: &[u8] = b"directory";

/// The stored log. Clones share it. Writes are in memory until [`super::log_sync::LogSync`] has made them durable.
#[derive(Clone)]
pub(super) struct LogTree {
    path: PathBuf,
    db: Db,
    log: Tree,
    markers: Tree,
    directory: DirectoryId,
}

impl LogTree {
    /// Opens or creates the database in `path` for the controller `node`. Blocks.
    pub(super) fn open(path: &Path, node: u64) -> Result<Self, StorageError> {
        let failed = |source| StorageError::of_open(path, source);
        let broken = |source| StorageError::File { path: path.to_owned(), source };
        let was_sealed = seal::break_open(path)?;
        let known = witness::testimony(path).map_err(broken)?.unwrap_or_default();
        if !was_sealed && known != Holdings::default() {
            examine(path, &known)?;
        }
        let db = open_patiently(path).map_err(failed)?;
        sync_once(path).map_err(broken)?;
        let mut tree = Self::over(path, db).map_err(failed)?;
        tree.compare(&known)?;
        let damaged = |what: &str| StorageError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let directory = match tree.markers.get(DIRECTORY).map_err(failed)? {
            Some(bytes) => Uuid::from_slice(&bytes).map_err(|_| damaged("the directory id is not 16 bytes long"))?,
            None => {
                let drawn = Uuid::new_v4();
                tree.markers.insert(DIRECTORY, drawn.as_bytes()).map_err(failed)?;
                // Told to others before anything is appended, so it must not change any more; and sled does not sync.
                tree.db.flush().map_err(failed)?;
                File::open(path.join(DB_FILE)).and_then(|file| file.sync_all()).map_err(broken)?;
                drawn
            }
        };
        tree.directory = DirectoryId(directory);
        match tree.markers.get(NODE).map_err(failed)? {
            None => {
                tree.markers.insert(NODE, &node.to_be_bytes()).map_err(failed)?;
            }
            Some(bytes) => {
                let found = <[u8; 8]>::try_from(&*bytes)
                    .map(u64::from_be_bytes)
                    .map_err(|_| damaged("the node id is not 8 bytes long"))?;
                if found != node {
                    return Err(StorageError::OtherNode { path: path.to_owned(), found, expected: node });
                }
            }
        }
        Ok(tree)
    }

    /// Opens a `copy` of the database in `original`, to be looked at and thrown away. Blocks.
    pub(super) fn of_copy(copy: &Path, original: &Path) -> Result<Self, StorageError> {
        let failed = |source| StorageError::of_open(original, source);
        let db = config(copy).temporary(true).open().map_err(failed)?;
        Self::over(original, db).map_err(failed)
    }

    fn over(path: &Path, db: Db) -> sled::Result<Self> {
        let (log, markers) = (db.open_tree("log")?, db.open_tree("markers")?);
        Ok(Self { path: path.to_owned(), db, log, markers, directory: DirectoryId::UNASSIGNED })
    }

    /// Compares what it holds with what its witness says that it holds.
    pub(super) fn compare(&self, known: &Holdings) -> Result<(), StorageError> {
        // What cannot be read is missing too.
        match self.missing(known).unwrap_or_else(|error| Some(error.to_string())) {
            None => Ok(()),
            Some(what) => Err(StorageError::Damaged { path: self.path.clone(), what }),
        }
    }

    fn missing(&self, known: &Holdings) -> io::Result<Option<String>> {
        if let Some(vote) = known.vote
            && self.vote()?.is_none_or(|held| held < vote)
        {
            return Ok(Some(format!("its vote {vote} was written and is not there any more")));
        }
        if let Some(last) = known.last
            && self.purged()?.is_none_or(|purged| purged.index < last.index)
            && self.read(last.index..=last.index)?.pop().map(|entry| entry.log_id) != Some(last)
        {
            return Ok(Some(format!("its entry {last} was written and is not there any more")));
        }
        Ok(None)
    }

    /// What it holds, as a witness is to know it.
    pub(super) fn holdings(&self) -> io::Result<Holdings> {
        let (last, purged) = (self.last()?, self.purged()?);
        // A purge that was not finished may have left entries before its end.
        let newest = last.filter(|last| purged.is_none_or(|purged| purged.index <= last.index)).or(purged);
        Ok(Holdings { vote: self.vote()?, last: newest })
    }

    /// The identity of the directory, drawn when it was made: a log that was lost comes back under another.
    pub(super) fn directory(&self) -> DirectoryId {
        self.directory
    }

    pub(super) fn db(&self) -> Db {
        self.db.clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn vote(&self) -> io::Result<Option<RaftVote>> {
        let vote: Option<pb::RaftVote> = self.marker(VOTE)?;
        vote.map(|vote| vote_from(Some(vote))).transpose()
    }

    pub(super) fn set_vote(&self, vote: &RaftVote) -> io::Result<()> {
        self.set_marker(VOTE, &vote_to(vote))
    }

    pub(super) fn committed(&self) -> io::Result<Option<RaftLogId>> {
        self.marker(COMMITTED)?.map(log_id_from).transpose()
    }

    pub(super) fn set_committed(&self, committed: Option<&RaftLogId>) -> io::Result<()> {
        match committed {
            Some(id) => self.set_marker(COMMITTED, &log_id_to(id)),
            None => self.markers.remove(COMMITTED).map(drop).map_err(io::Error::from),
        }
    }

    pub(super) fn purged(&self) -> io::Result<Option<RaftLogId>> {
        self.marker(PURGED)?.map(log_id_from).transpose()
    }

    /// The position of the newest entry.
    pub(super) fn last(&self) -> io::Result<Option<RaftLogId>> {
        let Some((key, _)) = self.log.last()? else { return Ok(None) };
        let (index, _) = parse_key(&key)?;
        Ok(self.read(index..=index)?.pop().map(|entry| entry.log_id))
    }

    /// The entries of `range` that there are, which must be without a gap.
    pub(super) fn read(&self, range: impl RangeBounds<u64>) -> io::Result<Vec<RaftEntry>> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let mut entries: Vec<RaftEntry> = Vec::new();
        let mut parts = self.log.range(key(from, 0)..key(to, 0));
        while let Some(part) = parts.next() {
            let (first_key, first) = part?;
            let (index, number) = parse_key(&first_key)?;
            let (count, head) = first.split_first_chunk::<4>().ok_or_else(|| self.damaged(index))?;
            if number != 0 {
                return Err(self.damaged(index));
            }
            let mut bytes = head.to_vec();
            for expected in 1..u32::from_be_bytes(*count) {
                let (key, part) = parts.next().ok_or_else(|| self.damaged(index))??;
                if parse_key(&key)? != (index, expected) {
                    return Err(self.damaged(index));
                }
                bytes.extend_from_slice(&part);
            }
            let entry = entry_from(pb::RaftEntry::decode(bytes.as_slice())?)?;
            let follows = entries.last().is_none_or(|before| before.log_id.index + 1 == index);
            if entry.log_id.index != index || !follows {
                return Err(self.damaged(index));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Adds entries, all of them or none; gives the position of the last one.
    pub(super) fn append(&self, entries: impl IntoIterator<Item = RaftEntry>) -> io::Result<Option<RaftLogId>> {
        let (mut batch, mut last) = (Batch::default(), None);
        for entry in entries {
            last = Some(entry.log_id);
            let bytes = entry_to(&entry).encode_to_vec();
            let count = u32::try_from(bytes.len().div_ceil(PART_BYTES).max(1)).map_err(io::Error::other)?;
            for (number, part) in (0..count).zip(bytes.chunks(PART_BYTES)) {
                let value: IVec = match number {
                    0 => [&count.to_be_bytes(), part].concat().into(),
                    _ => part.into(),
                };
                batch.insert(&key(entry.log_id.index, number), value);
            }
        }
        self.log.apply_batch(batch)?;
        Ok(last)
    }

    /// Drops every entry after `last`, or all of them, from the newest backwards.
    pub(super) fn truncate_after(&self, last: Option<u64>) -> io::Result<()> {
        let from = last.map_or(0, |index| index.saturating_add(1));
        let mut batch = Batch::default();
        for key in self.log.range(key(from, 0)..).keys().rev() {
            batch.remove(key?);
        }
        self.log.apply_batch(batch).map_err(io::Error::from)
    }

    /// Drops every entry up to and including `upto`, and remembers that.
    pub(super) fn purge(&self, upto: &RaftLogId) -> io::Result<()> {
        self.set_marker(PURGED, &log_id_to(upto))?;
        let mut batch = Batch::default();
        for key in self.log.range(..key(upto.index.saturating_add(1), 0)).keys() {
            batch.remove(key?);
        }
        self.log.apply_batch(batch).map_err(io::Error::from)
    }

    fn marker<M: Message + Default>(&self, name: &[u8]) -> io::Result<Option<M>> {
        let bytes = self.markers.get(name)?;
        bytes.map(|bytes| M::decode(&*bytes).map_err(io::Error::from)).transpose()
    }

    fn set_marker(&self, name: &[u8], message: &impl Message) -> io::Result<()> {
        self.markers.insert(name, message.encode_to_vec()).map(drop).map_err(io::Error::from)
    }

    fn damaged(&self, index: u64) -> io::Error {
        malformed(&format!("entry {index} of the log in {} is damaged", self.path.display()))
    }
}

/// Opens the database. Waits for a former owner in this process to unlock it, and gives back the reserve if the disk is full.
fn open_patiently(path: &Path) -> sled::Result<Db> {
    let config = config(path);
    let mut release = false;
    let mut tries = 1;
    loop {
        match prepare(path, release).map_err(sled::Error::Io).and_then(|()| config.open()) {
            Err(sled::Error::Io(error)) if is_locked(&error) && tries < OPEN_TRIES => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(OPEN_PAUSE_MS));
            }
            Err(sled::Error::Io(error)) if is_full(&error) && !release => {
                tracing::warn!(path = %path.display(), "the disk of the metadata log is full; its reserve is given back to open it");
                release = true;
            }
            opened => return opened,
        }
    }
}

fn config(path: &Path) -> sled::Config {
    sled::Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .mode(sled::Mode::LowSpace)
        // LogSync flushes; a second flusher would only add noise.
        .flush_every_ms(None)
}

/// sled never syncs what it writes once, when it makes a database: its settings and the names of its files. After a loss of
/// power the database could not be opened without them, whatever was synced since.
fn sync_once(path: &Path) -> io::Result<()> {
    for name in [DB_FILE, CONFIG_FILE] {
        File::open(path.join(name))?.sync_all()?;
    }
    File::open(path)?.sync_all()
}

/// Makes a database that is there ready to be opened, under its lock.
fn prepare(path: &Path, release: bool) -> io::Result<()> {
    let file = match File::options().read(true).write(true).open(path.join(DB_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    file.try_lock().map_err(io::Error::from)?;
    remove_torn_snapshots(path)?;
    if release { Reserve::release(&file) } else { Ok(()) }
}

/// sled takes a snapshot that it has not finished, because the disk was full or the machine died, for the newest one, and
/// the database for corrupt. It rebuilds what is missing from its log.
fn remove_torn_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating")) {
            fs::remove_file(path.join(name))?;
        }
    }
    Ok(())
}

fn key(index: u64, part: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&index.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

fn parse_key(key: &[u8]) -> io::Result<(u64, u32)> {
    let (index, part) = key.split_first_chunk::<8>().ok_or_else(|| malformed("a key of the log"))?;
    let part = <[u8; 4]>::try_from(part).map_err(|_| malformed("a key of the log"))?;
    Ok((u64::from_be_bytes(*index), u32::from_be_bytes(part)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::EntryPayload;

    use super::*;
    use crate::raft::types::{EntryData, RaftLeaderId};

    fn entry(index: u64, len: usize) -> RaftEntry {
        let payload = EntryPayload::Normal(EntryData(Bytes::from(vec![index as u8; len])));
        RaftEntry { log_id: log_id(index), payload }
    }

    fn log_id(index: u64) -> RaftLogId {
        RaftLogId { leader_id: RaftLeaderId { term: 1, node_id: 1 }, index }
    }

    fn indexes(tree: &LogTree) -> Vec<u64> {
        tree.read(..).unwrap().iter().map(|entry| entry.log_id.index).collect()
    }

    #[test]
    fn entries_of_any_size_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LogTree::open(dir.path(), 1).unwrap();
        let sizes = [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES, 1_000_000];
        let entries: Vec<RaftEntry> = (7..).zip(sizes).map(|(index, len)| entry(index, len)).collect();
        tree.append(entries.clone()).unwrap();
        for (read, written) in tree.read(7..).unwrap().iter().zip(&entries) {
            assert_eq!((read.log_id, &read.payload), (written.log_id, &written.payload));
        }
        assert_eq!(tree.read(9..=10).unwrap().len(), 2);
        assert_eq!(tree.last().unwrap(), Some(log_id(13)));
    }

    #[test]
    fn nothing_is_kept_in_files_that_sled_does_not_sync() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LogTree::open(dir.path(), 1).unwrap();
        for first in (0..200).step_by(20) {
            tree.append((first..first + 20).map(|index| entry(index, 1_000 * (index as usize % 50)))).unwrap();
            tree.purge(&log_id(first / 2)).unwrap();
            tree.db().flush().unwrap();
        }
        assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
    }

    #[test]
    fn truncating_and_purging_leave_what_lies_between() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LogTree::open(dir.path(), 1).unwrap();
        tree.append((1..=9).map(|index| entry(index, 3 * PART_BYTES))).unwrap();
        tree.truncate_after(Some(7)).unwrap();
        tree.purge(&log_id(2)).unwrap();
        assert_eq!(indexes(&tree), [3, 4, 5, 6, 7]);
        assert_eq!(tree.purged().unwrap(), Some(log_id(2)));
        tree.truncate_after(None).unwrap();
        assert_eq!(tree.last().unwrap(), None);
    }

    #[test]
    fn what_a_purge_has_left_of_the_entries_before_it_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LogTree::open(dir.path(), 1).unwrap();
        tree.append((1..=3).map(|index| entry(index, 10))).unwrap();
        tree.set_marker(PURGED, &log_id_to(&log_id(50))).unwrap();
        assert_eq!(tree.holdings().unwrap().last, Some(log_id(50)));
    }

    #[test]
    fn everything_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let vote = RaftVote { leader_id: RaftLeaderId { term: 5, node_id: 1 }, committed: true };
        {
            let tree = LogTree::open(dir.path(), 1).unwrap();
            tree.append((1..=3).map(|index| entry(index, 10))).unwrap();
            tree.set_vote(&vote).unwrap();
            tree.set_committed(Some(&log_id(2))).unwrap();
            tree.db().flush().unwrap();
        }
        let tree = LogTree::open(dir.path(), 1).unwrap();
        assert_eq!(indexes(&tree), [1, 2, 3]);
        assert_eq!(tree.vote().unwrap(), Some(vote));
        assert_eq!(tree.committed().unwrap(), Some(log_id(2)));
    }

    #[test]
    fn a_snapshot_that_was_never_finished_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        for torn in [&b""[..], &[7; 100]] {
            let tree = LogTree::open(dir.path(), 1).unwrap();
            tree.db().flush().unwrap();
            drop(tree);
            fs::write(dir.path().join("snap.00000000FFFFFFFF.generating"), torn).unwrap();
        }
        assert!(LogTree::open(dir.path(), 1).is_ok());
    }

    #[test]
    fn a_log_that_is_open_elsewhere_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let open = LogTree::open(dir.path(), 1).unwrap();
        let error = LogTree::open(dir.path(), 1).err().unwrap();
        assert!(matches!(error, StorageError::Locked { .. }), "{error}");
        drop(open);
    }

    #[test]
    fn another_nodes_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(LogTree::open(dir.path(), 1).unwrap());
        let error = LogTree::open(dir.path(), 2).err().unwrap();
        assert!(matches!(error, StorageError::OtherNode { found: 1, expected: 2, .. }));
    }

    #[test]
    fn a_damaged_entry_is_an_error_not_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let tree = LogTree::open(dir.path(), 1).unwrap();
        tree.append((1..=3).map(|index| entry(index, 2 * PART_BYTES))).unwrap();
        tree.log.remove(key(2, 1)).unwrap();
        assert!(tree.read(..).is_err());
        tree.log.remove(key(2, 0)).unwrap();
        tree.log.remove(key(2, 2)).unwrap();
        assert!(tree.read(..).is_err(), "a gap");
    }
}
