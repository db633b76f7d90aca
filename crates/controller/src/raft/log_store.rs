//! Openraft's log storage on [`LogTree`] and [`LogSync`].

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{OptionalSend, alias::VoteOf};
use tokio::sync::oneshot;

use super::log_sync::LogSync;
use super::log_tree::LogTree;
use super::reserve::Reserve;
use super::types::{RaftEntry, RaftLogId, RaftVote, TypeConfig};
use super::witness::Witness;

/// Entries that are read at once for a follower that lags.
const READ_ENTRIES: u64 = 256;

/// The Raft log of this process. Clones share it.
///
/// Its operations on the tree are short and in memory most of the time; what touches the disk for long, the sync, has a
/// thread of its own.
#[derive(Clone)]
pub(super) struct LogStore {
    tree: LogTree,
    sync: Arc<LogSync>,
    witness: Arc<Witness>,
}

impl LogStore {
    pub(super) fn new(tree: LogTree, reserve: Arc<Reserve>) -> io::Result<Self> {
        let witness = Arc::new(Witness::open(tree.path(), tree.holdings()?)?);
        let sync = LogSync::start(tree.db(), reserve, Arc::clone(&witness))?;
        Ok(Self { tree, sync: Arc::new(sync), witness })
    }

    /// Adds entries, which are not durable yet.
    fn add(&self, entries: impl IntoIterator<Item = RaftEntry>) -> io::Result<()> {
        if let Some(last) = self.tree.append(entries)? {
            self.witness.appended(last);
        }
        Ok(())
    }

    async fn durable(&self) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.sync.when_durable(move |result| {
            // Whoever waited may have been cancelled.
            let _ = done.send(result);
        });
        wait.await.map_err(io::Error::other)?
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<RaftEntry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.tree.read(range)
    }

    async fn read_vote(&mut self) -> io::Result<Option<RaftVote>> {
        self.tree.vote()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<RaftEntry>> {
        self.tree.read(start..end.min(start.saturating_add(READ_ENTRIES)))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        Ok(LogState { last_purged_log_id: self.tree.purged()?, last_log_id: self.tree.holdings()?.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> io::Result<()> {
        self.tree.set_vote(vote)?;
        self.witness.voted(*vote);
        self.durable().await
    }

    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> io::Result<()> {
        // It only spares a restart from waiting for a quorum, so it need not be durable.
        self.tree.set_committed(committed.as_ref())
    }

    async fn read_committed(&mut self) -> io::Result<Option<RaftLogId>> {
        self.tree.committed()
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.add(entries)?;
        self.sync.when_durable(move |result| callback.io_completed(result));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> io::Result<()> {
        let witness = Arc::clone(&self.witness);
        let told = tokio::task::spawn_blocking(move || witness.before_truncation(last)).await;
        told.map_err(io::Error::other)??;
        self.tree.truncate_after(last.map(|id| id.index))?;
        self.durable().await
    }

    async fn purge(&mut self, upto: RaftLogId) -> io::Result<()> {
        // Should it be lost, the entries come back and are purged again.
        self.tree.purge(&upto)?;
        self.witness.purged(upto);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use bytes::Bytes;
    use openraft::EntryPayload;

    use super::*;
    use crate::raft::types::{EntryData, RaftLeaderId, StorageError};
    use crate::raft::witness::{Holdings, WITNESS_FILE, testimony};

    /// The files of a log as they are at one moment.
    #[derive(Clone, PartialEq, Eq)]
    struct Files {
        database: BTreeMap<PathBuf, Vec<u8>>,
        witness: Option<Vec<u8>>,
    }

    impl Files {
        /// Files that are being written to are read again: at no one moment have they been what was read.
        fn of(dir: &Path) -> Self {
            let mut files = Self::read(dir);
            loop {
                let again = Self::read(dir);
                if again == files {
                    return files;
                }
                files = again;
            }
        }

        fn read(dir: &Path) -> Self {
            let witness = fs::read(dir.join(WITNESS_FILE)).ok();
            // sled keeps large pages in files of their own.
            let found = [dir.to_owned(), dir.join("blobs")].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
            let paths = found.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
            let database = paths.filter(|path| !path.ends_with(WITNESS_FILE));
            let database = database
                .filter_map(|path| Some((path.strip_prefix(dir).unwrap().to_owned(), fs::read(path).ok()?)))
                .collect();
            Self { database, witness }
        }

        fn with_witness_of(&self, other: &Self) -> Self {
            Self { database: self.database.clone(), witness: other.witness.clone() }
        }

        /// Lays them down as a process finds them that is started anew, and opens the log.
        fn open(&self) -> Result<Holdings, StorageError> {
            let dir = tempfile::tempdir().unwrap();
            let log = dir.path().join("log");
            fs::create_dir_all(log.join("blobs")).unwrap();
            for (name, bytes) in &self.database {
                fs::write(log.join(name), bytes).unwrap();
            }
            if let Some(witness) = &self.witness {
                fs::write(log.join(WITNESS_FILE), witness).unwrap();
            }
            let opened = LogTree::open(&log, 1).map(|tree| tree.holdings().unwrap());
            if opened.is_err() {
                assert!(Self::of(&log).database == self.database, "what is refused stays as it is");
            }
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no copy is left");
            opened
        }

        fn testimony(&self) -> Holdings {
            let dir = tempfile::tempdir().unwrap();
            if let Some(witness) = &self.witness {
                fs::write(dir.path().join(WITNESS_FILE), witness).unwrap();
            }
            testimony(dir.path()).unwrap().unwrap_or_default()
        }
    }

    /// Numbers that look drawn and are the same each time.
    struct Drawn(u64);

    impl Drawn {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    fn store(dir: &Path) -> LogStore {
        let tree = LogTree::open(dir, 1).unwrap();
        let reserve = Arc::new(Reserve::of(tree.path()).unwrap());
        LogStore::new(tree, reserve).unwrap()
    }

    fn log_id(term: u64, index: u64) -> RaftLogId {
        RaftLogId { leader_id: RaftLeaderId { term, node_id: 1 }, index }
    }

    fn entry(term: u64, index: u64, len: usize) -> RaftEntry {
        let payload = EntryPayload::Normal(EntryData(Bytes::from(vec![index as u8; len])));
        RaftEntry { log_id: log_id(term, index), payload }
    }

    /// What Raft may do to a log.
    struct Life {
        store: LogStore,
        drawn: Drawn,
        term: u64,
        /// The terms of the entries that there are, the first of which has index `first`.
        first: u64,
        terms: Vec<u64>,
    }

    /// What a step means for what a loss of power may leave.
    #[derive(PartialEq, Eq)]
    enum Step {
        Written,
        Synced,
        /// Synced, and the witness too, before it.
        Truncated,
    }

    impl Life {
        async fn step(&mut self) -> Step {
            let next = self.first + self.terms.len() as u64;
            match self.drawn.below(8) {
                0 => {
                    self.term += 1;
                    self.store.save_vote(&RaftVote::new(self.term, 1)).await.unwrap();
                    return Step::Synced;
                }
                1..=4 => {
                    let count = 1 + self.drawn.below(4);
                    let len = usize::try_from(self.drawn.below(40_000)).unwrap();
                    self.store.add((next..next + count).map(|index| entry(self.term, index, len))).unwrap();
                    self.terms.extend((0..count).map(|_| self.term));
                }
                5 if !self.terms.is_empty() => {
                    let kept = usize::try_from(self.drawn.below(self.terms.len() as u64)).unwrap();
                    self.terms.truncate(kept);
                    let last = self.terms.last().map(|term| log_id(*term, self.first + kept as u64 - 1));
                    // Before what was purged there is nothing that could be named.
                    if last.is_some() || self.first == 0 {
                        self.store.truncate_after(last).await.unwrap();
                        return Step::Truncated;
                    }
                    self.terms.push(self.term);
                    self.store.truncate_after(None).await.unwrap();
                    self.store.add([entry(self.term, self.first, 10)]).unwrap();
                    return Step::Truncated;
                }
                6 if !self.terms.is_empty() => {
                    let gone = usize::try_from(self.drawn.below(self.terms.len() as u64)).unwrap();
                    let upto = log_id(self.terms[gone], self.first + gone as u64);
                    self.store.purge(upto).await.unwrap();
                    self.first += gone as u64 + 1;
                    self.terms.drain(..=gone);
                }
                // A snapshot of the leader has come, from beyond the end of the log.
                6 => {
                    self.first += 20;
                    self.store.purge(log_id(self.term, self.first - 1)).await.unwrap();
                }
                _ => {
                    self.store.durable().await.unwrap();
                    return Step::Synced;
                }
            }
            Step::Written
        }
    }

    #[tokio::test]
    async fn no_crash_makes_a_witness_refuse_a_log_and_none_that_forgot_something_is_let_in() {
        let mut refused = 0;
        for seed in 1..=6 {
            let dir = tempfile::tempdir().unwrap();
            let mut life = Life { store: store(dir.path()), drawn: Drawn(seed), term: 1, first: 0, terms: Vec::new() };
            let beginning = Files::of(dir.path());
            let nothing = beginning.open().unwrap();
            // What a loss of power may find on the disk: the log as it was at the last sync or any time after, and the
            // witness as it was when it was synced or any time after.
            let (mut logs, mut witnesses) = (vec![beginning.clone()], vec![beginning.clone()]);
            for number in 0..30 {
                let step = life.step().await;
                let now = Files::of(dir.path());
                if step != Step::Written {
                    logs.clear();
                }
                if step == Step::Truncated {
                    witnesses.clear();
                }
                logs.push(now.clone());
                witnesses.push(now.clone());
                if number % 3 != 0 {
                    continue;
                }
                now.open().unwrap_or_else(|error| panic!("killed, seed {seed}, step {number}: {error}"));
                let log = &logs[usize::try_from(life.drawn.below(logs.len() as u64)).unwrap()];
                let witness = &witnesses[usize::try_from(life.drawn.below(witnesses.len() as u64)).unwrap()];
                log.with_witness_of(witness)
                    .open()
                    .unwrap_or_else(|error| panic!("without power, seed {seed}, step {number}: {error}"));

                // It forgets everything.
                let known = now.testimony();
                let opened = beginning.with_witness_of(&now).open();
                if known.vote > nothing.vote || known.last > nothing.last {
                    assert!(
                        matches!(opened, Err(StorageError::Damaged { .. })),
                        "seed {seed}, step {number}: {known:?}"
                    );
                    refused += 1;
                } else {
                    opened.unwrap();
                }
            }
        }
        assert!(refused > 20, "{refused} times something was forgotten");
    }

    #[tokio::test]
    async fn a_truncation_that_a_crash_has_cut_short_is_none_or_a_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        store.add((0..5).map(|index| entry(1, index, 10))).unwrap();
        store.durable().await.unwrap();
        let before = Files::of(dir.path());
        store.witness.before_truncation(Some(log_id(1, 2))).unwrap();
        let told = Files::of(dir.path());
        assert_eq!(told.open().unwrap().last, Some(log_id(1, 4)));
        // On the disk before anybody has asked for a sync.
        store.tree.truncate_after(Some(2)).unwrap();
        store.tree.db().flush().unwrap();
        let truncated = Files::of(dir.path());
        assert_eq!(truncated.open().unwrap().last, Some(log_id(1, 2)));
        assert!(truncated.with_witness_of(&before).open().is_err(), "an untold one");
    }

    #[tokio::test]
    async fn an_entry_of_another_term_in_the_place_of_one_that_was_synced_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        store.add((0..5).map(|index| entry(1, index, 10))).unwrap();
        store.durable().await.unwrap();
        let before = Files::of(dir.path());
        store.truncate_after(Some(log_id(1, 2))).await.unwrap();
        store.add((3..5).map(|index| entry(2, index, 10))).unwrap();
        store.durable().await.unwrap();
        let after = Files::of(dir.path());
        assert_eq!(after.open().unwrap().last, Some(log_id(2, 4)));
        assert!(matches!(before.with_witness_of(&after).open(), Err(StorageError::Damaged { .. })));
    }
}
