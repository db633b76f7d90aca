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
}

impl LogStore {
    pub(super) fn new(tree: LogTree, reserve: Arc<Reserve>) -> io::Result<Self> {
        let sync = LogSync::start(tree.db(), reserve)?;
        Ok(Self { tree, sync: Arc::new(sync) })
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
        let last_purged_log_id = self.tree.purged()?;
        let last_log_id = self.tree.last()?.or(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> io::Result<()> {
        self.tree.set_vote(vote)?;
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
        self.tree.append(entries)?;
        self.sync.when_durable(move |result| callback.io_completed(result));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> io::Result<()> {
        self.tree.truncate_after(last.map(|id| id.index))?;
        self.durable().await
    }

    async fn purge(&mut self, upto: RaftLogId) -> io::Result<()> {
        // Should it be lost, the entries come back and are purged again.
        self.tree.purge(&upto)
    }
}
