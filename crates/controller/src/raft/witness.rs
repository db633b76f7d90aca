//! The witness of the metadata log: what the log is known to hold, in a file beside it.
//!
//! sled takes damage for the torn end of its last write and drops what lies behind it: a vote and committed entries, forgotten
//! in silence. Of a log that was closed in good order, [`super::seal`] tells. Of any other, its witness does: after each sync
//! of the log it says which vote and which newest entry are durable. A log with less than that has lost them.
//!
//! It must never accuse a log that is sound, however this node ended. So it is written after the log was synced, and what a
//! loss of power leaves of it, since it is not synced itself, is older than the log, or torn and then not believed. And a
//! truncation, the only thing that takes from a log what its witness may know, is told to it first, and synced.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crc_fast::{CrcAlgorithm, checksum};
use levada_proto::internal as pb;
use prost::Message;

use super::types::{RaftLogId, RaftVote, is_full};
use super::wire::{log_id_to, optional_log_id, vote_from, vote_to};

/// The witness, beside the database's file.
pub(super) const WITNESS_FILE: &str = "db.witness";

/// Bytes before the message: its length and its CRC-32C, both big-endian.
const HEAD_BYTES: usize = 8;

/// What a log holds, as far as a witness cares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Holdings {
    /// The vote.
    pub(super) vote: Option<RaftVote>,
    /// The newest entry, or the newest that was purged if there is none after it.
    pub(super) last: Option<RaftLogId>,
}

/// What is durable once a sync that begins now has succeeded.
#[derive(Debug)]
pub(super) struct Testimony {
    holdings: Holdings,
    truncations: u64,
}

/// The witness of an open log.
#[derive(Debug)]
pub(super) struct Witness {
    /// `None` if there was no space for it; then a crash goes without.
    file: Option<File>,
    known: Mutex<Known>,
}

/// What the witness knows.
#[derive(Debug, Default)]
struct Known {
    /// What the log holds, durable or not.
    held: Holdings,
    /// The most that the file may say.
    written: Holdings,
    /// How often the log was truncated.
    truncations: u64,
}

impl Witness {
    /// The witness of the log in `dir`, which holds `held` and has been compared with what its witness said.
    pub(super) fn open(dir: &Path, held: Holdings) -> io::Result<Self> {
        let written = testimony(dir)?.unwrap_or_default();
        let path = dir.join(WITNESS_FILE);
        let file = match File::options().create(true).truncate(false).write(true).open(&path) {
            Err(error) if is_full(&error) => {
                tracing::warn!(path = %path.display(), "the disk has no space for the witness of the metadata log");
                None
            }
            opened => Some(opened?),
        };
        Ok(Self { file, known: Mutex::new(Known { held, written, truncations: 0 }) })
    }

    /// The log holds this vote.
    pub(super) fn voted(&self, vote: RaftVote) {
        self.known().held.vote = Some(vote);
    }

    /// The log holds entries up to this one.
    pub(super) fn appended(&self, last: RaftLogId) {
        self.known().held.last = Some(last);
    }

    /// The log holds nothing up to this entry any more, and needs nothing of it.
    pub(super) fn purged(&self, upto: RaftLogId) {
        let held = &mut self.known().held;
        if held.last.is_none_or(|last| last.index < upto.index) {
            held.last = Some(upto);
        }
    }

    /// The log is about to be truncated after `last`. Blocks until the witness says nothing of what goes, not even after a
    /// loss of power.
    ///
    /// # Errors
    /// That cannot be had, and the log must stay as it is.
    pub(super) fn before_truncation(&self, last: Option<RaftLogId>) -> io::Result<()> {
        let mut known = self.known();
        let goes = |held: &Holdings| held.last.is_some_and(|held| last.is_none_or(|last| last.index < held.index));
        known.truncations += 1;
        if goes(&known.held) {
            known.held.last = last;
        }
        if goes(&known.written) {
            known.written.last = last;
            if let Some(file) = &self.file {
                // An empty one says nothing, and takes no space.
                write(file, &known.written).or_else(|_| file.set_len(0))?;
                file.sync_all()?;
            }
        }
        Ok(())
    }

    /// What is durable once a sync that begins after this call has succeeded.
    pub(super) fn before_sync(&self) -> Testimony {
        let known = self.known();
        Testimony { holdings: known.held.clone(), truncations: known.truncations }
    }

    /// The sync has succeeded.
    pub(super) fn synced(&self, testimony: Testimony) {
        let mut known = self.known();
        // Some of it may have gone since. The truncation is synced too, and what is left is told then.
        if known.truncations != testimony.truncations || known.written == testimony.holdings {
            return;
        }
        known.written = testimony.holdings;
        if let Some(file) = &self.file
            && let Err(error) = write(file, &known.written)
        {
            // It is as good as an older one.
            tracing::debug!(%error, "the witness of the metadata log cannot be written");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the witness of the log in `dir` says; `None` if there is none, or a torn one.
pub(super) fn testimony(dir: &Path) -> io::Result<Option<Holdings>> {
    match fs::read(dir.join(WITNESS_FILE)) {
        Ok(bytes) => Ok(read(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// In one write, over what was there: a process that is killed leaves the one or the other.
fn write(file: &File, holdings: &Holdings) -> io::Result<()> {
    let message = pb::RaftWitness {
        vote: holdings.vote.as_ref().map(vote_to),
        last_log_id: holdings.last.as_ref().map(log_id_to),
    };
    let message = message.encode_to_vec();
    let len = u32::try_from(message.len()).map_err(io::Error::other)?;
    let bytes = [&len.to_be_bytes()[..], &crc(&message).to_be_bytes(), &message].concat();
    file.write_all_at(&bytes, 0)
}

fn read(bytes: &[u8]) -> Option<Holdings> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let [a, b, c, d, e, f, g, h] = *head;
    let message = rest.get(..usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?)?;
    if crc(message) != u32::from_be_bytes([e, f, g, h]) {
        return None;
    }
    let pb::RaftWitness { vote, last_log_id } = pb::RaftWitness::decode(message).ok()?;
    let vote = vote.map(|vote| vote_from(Some(vote))).transpose().ok()?;
    Some(Holdings { vote, last: optional_log_id(last_log_id).ok()? })
}

fn crc(message: &[u8]) -> u32 {
    // A 32-bit algorithm gives 32 bits.
    checksum(CrcAlgorithm::Crc32Iscsi, message) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::RaftLeaderId;

    fn log_id(term: u64, index: u64) -> RaftLogId {
        RaftLogId { leader_id: RaftLeaderId { term, node_id: 1 }, index }
    }

    fn vote(term: u64) -> RaftVote {
        RaftVote { leader_id: RaftLeaderId { term, node_id: 1 }, committed: false }
    }

    fn opened(dir: &Path) -> Witness {
        Witness::open(dir, Holdings::default()).unwrap()
    }

    fn says(dir: &Path) -> Holdings {
        testimony(dir).unwrap().unwrap_or_default()
    }

    #[test]
    fn it_says_what_a_sync_has_made_durable_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let witness = opened(dir.path());
        witness.voted(vote(3));
        witness.appended(log_id(3, 7));
        assert_eq!(testimony(dir.path()).unwrap(), None, "nothing is synced");
        let before = witness.before_sync();
        witness.appended(log_id(3, 8));
        witness.synced(before);
        assert_eq!(says(dir.path()), Holdings { vote: Some(vote(3)), last: Some(log_id(3, 7)) });
    }

    #[test]
    fn a_truncation_is_told_before_it_is_made_and_outlives_a_sync_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let witness = opened(dir.path());
        witness.appended(log_id(3, 7));
        witness.synced(witness.before_sync());
        witness.appended(log_id(3, 9));
        let under_way = witness.before_sync();
        witness.before_truncation(Some(log_id(2, 5))).unwrap();
        assert_eq!(says(dir.path()).last, Some(log_id(2, 5)));
        witness.synced(under_way);
        assert_eq!(says(dir.path()).last, Some(log_id(2, 5)));
        witness.appended(log_id(4, 6));
        witness.synced(witness.before_sync());
        assert_eq!(says(dir.path()).last, Some(log_id(4, 6)));
        witness.before_truncation(None).unwrap();
        assert_eq!(says(dir.path()).last, None);
    }

    #[test]
    fn what_was_purged_is_not_missing() {
        let dir = tempfile::tempdir().unwrap();
        let witness = opened(dir.path());
        witness.appended(log_id(3, 7));
        witness.purged(log_id(3, 5));
        assert_eq!(witness.before_sync().holdings.last, Some(log_id(3, 7)));
        witness.purged(log_id(4, 50));
        assert_eq!(witness.before_sync().holdings.last, Some(log_id(4, 50)));
    }

    #[test]
    fn a_torn_one_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let witness = opened(dir.path());
        witness.voted(vote(3));
        witness.appended(log_id(3, 7));
        witness.synced(witness.before_sync());
        let whole = fs::read(dir.path().join(WITNESS_FILE)).unwrap();
        for at in 0..whole.len() {
            assert_eq!(read(&whole[..at]), None);
            let mut other = whole.clone();
            other[at] ^= 0x5a;
            assert_eq!(read(&other), None, "byte {at}");
        }
        assert!(read(&[&whole[..], b"the end of a longer one"].concat()).is_some());
    }
}
