//! The sessions of all consumers, in a bounded number of slots (`max.incremental.fetch.session.cache.slots`).

use std::collections::HashMap;
use std::sync::Arc;

use levada_types::{ErrorCode, PartitionIndex};
use parking_lot::Mutex;

use super::fetch_session::{FetchSession, Seen, TopicKey, Wanted};

/// How long a session must have been unused to give way to any other, and how old it must be to give way to a larger
/// one, in milliseconds. Kafka's number.
const EVICTION_MS: i64 = 120_000;

/// The session epoch of a request that begins a session.
const INITIAL_EPOCH: i32 = 0;

/// The session epoch of a request that wants none, or ends one.
const FINAL_EPOCH: i32 = -1;

/// What a Fetch request says of its session.
#[derive(Debug, Clone)]
pub(crate) struct SessionRequest {
    /// The session, or 0.
    pub(crate) id: i32,
    /// The session epoch.
    pub(crate) epoch: i32,
    /// Whether topics are named by identity.
    pub(crate) by_id: bool,
    /// Partitions that are new or changed; all of them outside a session.
    pub(crate) wanted: Vec<Wanted>,
    /// Partitions to remove.
    pub(crate) forgotten: Vec<(TopicKey, PartitionIndex)>,
}

/// What one Fetch reads, and how its answer is told.
#[derive(Debug)]
pub(crate) struct Context {
    /// What to read, in order.
    pub(crate) wanted: Vec<Wanted>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Everything is told, and nothing is remembered.
    Sessionless,
    /// Everything is told, and a session begins if there is a slot.
    Begin { by_id: bool },
    /// Only what changed is told.
    Incremental { id: i32, slot: Arc<Slot> },
}

#[derive(Debug)]
struct Slot {
    session: Mutex<FetchSession>,
    created: i64,
}

#[derive(Debug, Clone)]
struct Entry {
    slot: Arc<Slot>,
    used: i64,
    size: usize,
}

/// The sessions.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots: usize,
    entries: Mutex<HashMap<i32, Entry>>,
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, entries: Mutex::default() }
    }

    /// Takes in a request at time `now`.
    ///
    /// # Errors
    /// `FetchSessionIdNotFound`, `InvalidFetchSessionEpoch` or `FetchSessionTopicIdError`: the whole request fails, and
    /// the client begins a new session.
    pub(crate) fn begin(&self, request: SessionRequest, now: i64) -> Result<Context, ErrorCode> {
        if matches!(request.epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            if request.id != 0 {
                self.entries.lock().remove(&request.id);
            }
            let by_id = request.by_id;
            let kind = if request.epoch == FINAL_EPOCH { Kind::Sessionless } else { Kind::Begin { by_id } };
            return Ok(Context { wanted: request.wanted, kind });
        }
        let slot = self.entries.lock().get(&request.id).map(|entry| Arc::clone(&entry.slot));
        let slot = slot.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let (wanted, size) = step(&slot, request.epoch, request.by_id, request.wanted, request.forgotten)?;
        let mut entries = self.entries.lock();
        if size == 0 {
            // A session of nothing is over, as in Kafka.
            entries.remove(&request.id);
            return Ok(Context { wanted, kind: Kind::Sessionless });
        }
        if let Some(entry) = entries.get_mut(&request.id) {
            (entry.used, entry.size) = (now, size);
        }
        Ok(Context { wanted, kind: Kind::Incremental { id: request.id, slot } })
    }

    /// Decides what is told of `seen`, which stands in the order of the context's `wanted`, and under which session id
    /// (0 is none). `fresh_id` makes up ids for a session that begins.
    pub(crate) fn finish(
        &self,
        context: &Context,
        seen: &[Seen],
        now: i64,
        fresh_id: impl FnMut() -> i32,
    ) -> (i32, Vec<bool>) {
        match &context.kind {
            Kind::Sessionless => (0, vec![true; seen.len()]),
            Kind::Begin { by_id } => {
                let mut session = FetchSession::new(*by_id);
                for (wanted, &seen) in context.wanted.iter().zip(seen) {
                    session.put(wanted.clone());
                    session.tell(wanted, seen, true);
                }
                let id = if session.len() == 0 { 0 } else { self.insert(session, now, fresh_id) };
                (id, vec![true; seen.len()])
            }
            Kind::Incremental { id, slot } => {
                let mut session = slot.session.lock();
                let told =
                    context.wanted.iter().zip(seen).map(|(wanted, &seen)| session.tell(wanted, seen, false)).collect();
                (*id, told)
            }
        }
    }

    fn insert(&self, session: FetchSession, now: i64, mut fresh_id: impl FnMut() -> i32) -> i32 {
        let mut entries = self.entries.lock();
        if entries.len() >= self.slots && !evict(&mut entries, session.len(), now) {
            return 0;
        }
        let id = loop {
            let id = fresh_id();
            if id > 0 && !entries.contains_key(&id) {
                break id;
            }
        };
        let size = session.len();
        let slot = Arc::new(Slot { session: Mutex::new(session), created: now });
        entries.insert(id, Entry { slot, used: now, size });
        id
    }
}

fn step(
    slot: &Slot,
    epoch: i32,
    by_id: bool,
    wanted: Vec<Wanted>,
    forgotten: Vec<(TopicKey, PartitionIndex)>,
) -> Result<(Vec<Wanted>, usize), ErrorCode> {
    let mut session = slot.session.lock();
    if session.next_epoch != epoch {
        return Err(ErrorCode::InvalidFetchSessionEpoch);
    }
    if session.by_id != by_id {
        return Err(ErrorCode::FetchSessionTopicIdError);
    }
    session.advance();
    wanted.into_iter().for_each(|wanted| session.put(wanted));
    forgotten.into_iter().for_each(|(topic, partition)| session.forget(topic, partition));
    Ok((session.wanted(), session.len()))
}

/// Makes room for a session of `size` partitions: in place of the one unused for longest if that is long enough, else
/// of the smallest old one if it is smaller. Kafka's rule for consumers.
fn evict(entries: &mut HashMap<i32, Entry>, size: usize, now: i64) -> bool {
    let stale = entries.iter().min_by_key(|(_, entry)| entry.used).filter(|(_, entry)| now - entry.used > EVICTION_MS);
    let smaller = || {
        let old = entries.iter().filter(|(_, entry)| now - entry.slot.created > EVICTION_MS);
        old.min_by_key(|(_, entry)| entry.size).filter(|(_, entry)| entry.size < size)
    };
    let victim = stale.or_else(smaller).map(|(&id, _)| id);
    victim.is_some_and(|id| entries.remove(&id).is_some())
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
