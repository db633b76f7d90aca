//! Moving a log to another data directory (KIP-113). A copy of it, the future log, grows there under a name of its own
//! until it takes the log's place.
//!
//! Two directories cannot be changed at once, so between one rename and the other there are two logs of one name, with the
//! same records, and nobody may write to either. A crash just then leaves both: whichever is opened then is whole, and the
//! other is out of the way before the first write.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use levada_types::{DirectoryId, Offset, TopicId, TopicIdPartition, TopicPartition};
use tracing::{info, warn};

use super::dir_name::{Suffix, name_with_suffix};
use super::discovery::{EntryState, LogEntry, Occupied};
use super::open::{Reserved, judged};
use super::{LogStore, OpenLog, OpenedLog};
use crate::directory::{Directory, DirectoryState};
use crate::{OpenError, PromotionError, RecoveryProgress};

/// A log that is being moved to another directory, as far as it is there.
#[derive(Debug)]
pub(super) struct Future {
    pub(super) partition: TopicPartition,
    pub(super) entry: LogEntry,
    /// It is complete and about to take the log's place, so the checkpoints of its directory tell of it.
    pub(super) is_ripe: bool,
}

impl LogStore {
    /// Opens the future log of `request.partition` in the directory that the request names, or creates it. One that an
    /// earlier process has begun there goes on: whether it still is a copy of the log is the caller's to see. One that was
    /// begun elsewhere is given up.
    ///
    /// # Errors
    /// [`OpenError`]; NotFound if there is no log to move, AlreadyOpen if it lies in that directory.
    pub fn open_future(&self, request: OpenLog, now_ms: i64) -> Result<OpenedLog, OpenError> {
        let OpenLog { partition: id, topic, config, directory } = request;
        let partition = TopicPartition { topic, partition: id.partition };
        let home = self.choose_other(&partition, directory, now_ms)?;
        if self.futures.lock().get(&id).is_some_and(|future| future.entry.directory.id != home.id) {
            self.discard_future(id, now_ms)?;
        }
        let reserved = self.reserve_future(id, &partition, &home, now_ms)?;
        let progress = RecoveryProgress::default();
        let opened = self.open_reserved(&partition, id.topic_id, &reserved, config, now_ms, &progress);
        let mut futures = self.futures.lock();
        match opened {
            Ok(writer) => {
                if let Some(future) = futures.get_mut(&id) {
                    future.entry.state = EntryState::Opened(Arc::clone(writer.state()));
                }
                let reader = writer.reader();
                Ok(OpenedLog { writer, reader, directory: home.id, created: reserved.is_new })
            }
            Err(error) => {
                if let Some(future) = futures.get_mut(&id) {
                    future.entry.state = EntryState::Found;
                }
                Err(judged(&home, error))
            }
        }
    }

    fn choose_other(
        &self,
        partition: &TopicPartition,
        wanted: Option<DirectoryId>,
        now_ms: i64,
    ) -> Result<Arc<Directory>, OpenError> {
        let wanted = wanted.ok_or(OpenError::NoDirectory)?;
        let here = self.logs.lock().get(partition).map(|entry| entry.directory.id);
        if here.ok_or_else(|| OpenError::NotFound(partition.to_string()))? == wanted {
            return Err(OpenError::AlreadyOpen(partition.to_string()));
        }
        self.choose(Some(wanted), now_ms)
    }

    fn reserve_future(
        &self,
        id: TopicIdPartition,
        partition: &TopicPartition,
        home: &Arc<Directory>,
        now_ms: i64,
    ) -> Result<Reserved, OpenError> {
        let mut futures = self.futures.lock();
        let is_new = !futures.contains_key(&id);
        let future = match futures.entry(id) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(vacant) => {
                let name = name_with_suffix(partition, unique(Some(id.topic_id), now_ms), Suffix::Future);
                let entry = LogEntry::unknown(Some(id.topic_id), Arc::clone(home), home.path.join(name));
                home.logs.fetch_add(1, Ordering::Relaxed);
                vacant.insert(Future { partition: partition.clone(), entry, is_ripe: false })
            }
        };
        if future.entry.is_open() {
            return Err(OpenError::AlreadyOpen(partition.to_string()));
        }
        future.partition = partition.clone();
        future.is_ripe = false;
        future.entry.state = EntryState::Busy;
        // Nothing but the records themselves is trusted.
        Ok(Reserved {
            path: future.entry.path.clone(),
            directory: Arc::clone(home),
            recovery_point: 0,
            log_start: None,
            cleaned_to: None,
            clean: false,
            durable: false,
            is_new,
            lacks_id: is_new,
        })
    }

    /// Puts the future log in the place of the log, which is deleted. Both have to be closed; the future log has to hold
    /// what the log holds, flushed. `high_watermark` is the partition's, for the checkpoint of the directory.
    ///
    /// # Errors
    /// [`PromotionError::NotDone`]: the log is where it was, and may be opened again. [`PromotionError::Stuck`]: nobody
    /// can tell which of the two a crash would leave. Neither can be opened before the store is opened anew.
    pub fn promote_future(
        &self,
        id: TopicIdPartition,
        high_watermark: Offset,
        now_ms: i64,
    ) -> Result<(), PromotionError> {
        let home = self.ripen(id, high_watermark).map_err(PromotionError::NotDone)?;
        let written = self
            .taken()
            .find(|taken| taken.directory.id == home.id)
            .map_or(Ok(()), |taken| self.write_checkpoints(taken, &HashMap::new()));
        let switched = match written {
            Ok(()) => self.switch(id, now_ms),
            Err(error) => Err(PromotionError::NotDone(home.failure(&home.path, error).into())),
        };
        if let (Err(_), Some(future)) = (&switched, self.futures.lock().get_mut(&id)) {
            future.is_ripe = false;
        }
        switched
    }

    /// Has the checkpoints of the future log's directory tell of it.
    fn ripen(&self, id: TopicIdPartition, high_watermark: Offset) -> Result<Arc<Directory>, OpenError> {
        let mut futures = self.futures.lock();
        let future = futures.get_mut(&id).ok_or_else(|| OpenError::NotFound(id.to_string()))?;
        if future.entry.is_open() {
            return Err(OpenError::AlreadyOpen(future.partition.to_string()));
        }
        future.is_ripe = true;
        future.entry.high_watermark = Some(high_watermark);
        Ok(Arc::clone(&future.entry.directory))
    }

    fn switch(&self, id: TopicIdPartition, now_ms: i64) -> Result<(), PromotionError> {
        let (partition, log, copy) = self.occupy_both(id).map_err(PromotionError::NotDone)?;
        let (from, to) = (&log.directory, &copy.directory);
        let path = to.path.join(partition.to_string());
        if let Err(error) = self.disk().rename(&copy.path, &path) {
            let failure = to.failure(&copy.path, error);
            self.vacate_both(id, &partition, log.before, copy.before);
            return Err(PromotionError::NotDone(failure.into()));
        }
        let doomed = from.path.join(name_with_suffix(&partition, unique(Some(id.topic_id), now_ms), Suffix::Delete));
        let renamed = self.disk().sync_dir(&to.path).map_err(|error| to.sync_failure(&to.path, error)).and_then(|()| {
            self.disk().rename(&log.path, &doomed).map_err(|error| from.failure(&log.path, error))?;
            self.disk().sync_dir(&from.path).map_err(|error| from.sync_failure(&from.path, error))
        });
        // They stay occupied: neither may be written any more.
        renamed.map_err(|failure| PromotionError::Stuck(failure.into()))?;
        let mut logs = self.logs.lock();
        let future = self.futures.lock().remove(&id);
        let (Some(current), Some(Future { entry, .. })) = (logs.get_mut(&partition), future) else { return Ok(()) };
        from.logs.fetch_sub(1, Ordering::Relaxed);
        from.graveyard.add_dir(now_ms.saturating_add(put_away(&log.before)), doomed);
        *current = LogEntry { path, state: copy.before, ..entry };
        info!(%partition, from = %from.path.display(), to = %to.path.display(), "moved a log to another data directory");
        Ok(())
    }

    /// Keeps everybody away from a log and its copy while one takes the other's place. No lock is held meanwhile: whoever
    /// wants another log does not wait for these disks.
    fn occupy_both(&self, id: TopicIdPartition) -> Result<(TopicPartition, Occupied, Occupied), OpenError> {
        let mut logs = self.logs.lock();
        let mut futures = self.futures.lock();
        let not_found = || OpenError::NotFound(id.to_string());
        let future = futures.get_mut(&id).ok_or_else(not_found)?;
        let partition = future.partition.clone();
        let current = logs.get_mut(&partition).filter(|log| log.topic_id == Some(id.topic_id)).ok_or_else(not_found)?;
        if current.is_open() || future.entry.is_open() {
            return Err(OpenError::AlreadyOpen(partition.to_string()));
        }
        let is_offline = |entry: &LogEntry| entry.directory.state() == DirectoryState::Offline;
        if is_offline(current) || is_offline(&future.entry) {
            return Err(OpenError::DirectoryOffline);
        }
        Ok((partition, current.occupy(), future.entry.occupy()))
    }

    /// Nothing has become of it.
    fn vacate_both(&self, id: TopicIdPartition, partition: &TopicPartition, log: EntryState, copy: EntryState) {
        if let Some(current) = self.logs.lock().get_mut(partition) {
            current.state = log;
        }
        if let Some(future) = self.futures.lock().get_mut(&id) {
            future.entry.state = copy;
        }
    }

    /// Gives a future log up, be it open (its writer has to be gone) or only found; nothing if there is none.
    ///
    /// # Errors
    /// [`OpenError`]. Where it lies stays as it is then, to be found at the next start.
    pub fn discard_future(&self, id: TopicIdPartition, now_ms: i64) -> Result<(), OpenError> {
        let (partition, Occupied { directory, path, before }) = {
            let mut futures = self.futures.lock();
            let Some(future) = futures.get_mut(&id) else { return Ok(()) };
            if future.entry.is_open() {
                return Err(OpenError::AlreadyOpen(future.partition.to_string()));
            }
            (future.partition.clone(), future.entry.occupy())
        };
        if directory.state() != DirectoryState::Offline {
            let name = name_with_suffix(&partition, unique(Some(id.topic_id), now_ms), Suffix::Delete);
            let doomed = directory.path.join(name);
            put_away(&before);
            match self.disk().rename(&path, &doomed) {
                Ok(()) => directory.graveyard.add_dir(now_ms, doomed),
                // One whose creation failed has no directory.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    if let Some(future) = self.futures.lock().get_mut(&id) {
                        future.entry.state = before;
                    }
                    return Err(directory.failure(&path, error).into());
                }
            }
        }
        directory.logs.fetch_sub(1, Ordering::Relaxed);
        self.futures.lock().remove(&id);
        Ok(())
    }

    /// The future logs in the data directories that nobody has opened, and where they lie.
    #[must_use]
    pub fn found_futures(&self) -> Vec<(TopicIdPartition, DirectoryId)> {
        let futures = self.futures.lock();
        let found = futures.iter().filter(|(_, future)| matches!(future.entry.state, EntryState::Found));
        found.map(|(id, future)| (*id, future.entry.directory.id)).collect()
    }

    /// Takes note of a future log in a directory.
    pub(super) fn find_future(&self, partition: TopicPartition, entry: LogEntry) {
        let directory = Arc::clone(&entry.directory);
        let path = entry.path.clone();
        if let Some(topic_id) = entry.topic_id
            && let Entry::Vacant(vacant) =
                self.futures.lock().entry(TopicIdPartition { topic_id, partition: partition.partition })
        {
            directory.logs.fetch_add(1, Ordering::Relaxed);
            vacant.insert(Future { partition, entry, is_ripe: false });
            return;
        }
        info!(path = %path.display(), "a move that cannot go on is given up");
        directory.graveyard.add_dir(i64::MIN, path);
    }

    /// Chooses one of the logs of this name that lie in several directories, and sets the others aside: the one in the
    /// directory that the metadata names, which is as good as any other after a move that a crash has interrupted.
    pub(super) fn settle_doubles(
        &self,
        logs: &mut HashMap<TopicPartition, LogEntry>,
        partition: &TopicPartition,
        topic_id: TopicId,
        wanted: Option<DirectoryId>,
        now_ms: i64,
    ) -> Result<(), OpenError> {
        let mut doubles = self.doubles.lock();
        let (Some(others), Some(first)) = (doubles.get_mut(partition), logs.get_mut(partition)) else { return Ok(()) };
        let merit = |entry: &LogEntry| (entry.topic_id == Some(topic_id), Some(entry.directory.id) == wanted);
        for other in others.iter_mut() {
            if merit(other) > merit(first) {
                std::mem::swap(first, other);
            }
        }
        while let Some(other) = others.last() {
            let directory = &other.directory;
            let name = name_with_suffix(partition, unique(other.topic_id, now_ms), Suffix::Stray);
            let aside: PathBuf = directory.path.join(name);
            self.disk().rename(&other.path, &aside).map_err(|error| directory.failure(&other.path, error))?;
            let synced = self.disk().sync_dir(&directory.path);
            synced.map_err(|error| directory.sync_failure(&directory.path, error))?;
            directory.logs.fetch_sub(1, Ordering::Relaxed);
            warn!(%partition, used = %first.path.display(), set_aside = %aside.display(),
                "two data directories held this log; one of them is used");
            others.pop();
        }
        doubles.remove(partition);
        Ok(())
    }
}

/// Ends the use of a log that was open; gives the delay before its files may go.
fn put_away(state: &EntryState) -> i64 {
    let EntryState::Opened(state) = state else { return 0 };
    state.deleted.store(true, Ordering::Release);
    for segment in state.segments.load().iter() {
        segment.close();
    }
    state.file_delete_delay_ms.load(Ordering::Relaxed)
}

/// What makes a name another one for each log, and each time.
fn unique(topic_id: Option<TopicId>, now_ms: i64) -> u128 {
    static NAMED: AtomicU64 = AtomicU64::new(1);
    let number = u128::from(NAMED.fetch_add(1, Ordering::Relaxed)) << 64;
    topic_id.map_or(0, |id| id.0.as_u128()) ^ u128::from(now_ms.unsigned_abs()) ^ number
}
