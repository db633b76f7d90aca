//! One replica of a partition, as every part of this broker sees it.
//!
//! The replica's log is written by its actor alone (`threads`), which is reached through [`Partition::post`]. What
//! readers need is here and takes no lock: the role, the high watermark, the log's reader.

mod role;
mod table;
mod waiter;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};

use arc_swap::ArcSwap;
use levada_log::{LogConfig, LogReader};
use levada_types::{DirectoryId, ErrorCode, Isolation, LeaderEpoch, Offset, TopicIdPartition, TopicPartition};
use parking_lot::Mutex;

use crate::api::PartitionError;
use crate::threads::{Job, Mailbox, Posted, ReadyQueue, Sight};

pub(crate) use role::Role;
pub(crate) use table::PartitionTable;
pub(crate) use waiter::{WaitList, Waiter};

/// One replica that this broker hosts.
pub(crate) struct Partition {
    id: TopicIdPartition,
    name: TopicPartition,
    directory: DirectoryId,
    reader: LogReader,
    role: ArcSwap<Role>,
    high_watermark: AtomicI64,
    health: AtomicU8,
    flushes_by_time: AtomicBool,
    compacted: AtomicBool,
    /// Whether the topic has what it sends to replicas that catch up throttled, and what it gets while it does.
    throttled: [AtomicBool; 2],
    /// The leader's high watermark, as a follower was told last.
    told_high_watermark: AtomicI64,
    /// What the replica leads, if its actor has begun to.
    leading: Mutex<Option<Leading>>,
    /// It is to get a tick soon.
    restless: AtomicBool,
    /// What the actor was told of the metadata last. The reconciler's.
    sight: Mutex<Option<Sight>>,
    mailbox: Mailbox<Job>,
    queue: Arc<ReadyQueue<Arc<Partition>>>,
    waiters: WaitList,
}

/// An epoch that a replica leads in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leading {
    epoch: LeaderEpoch,
    /// Where the epoch starts.
    start: Offset,
}

/// What those who mind all logs have to know of one: its topic's settings, as far as they choose by them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Care {
    flushes_by_time: bool,
    compacted: bool,
}

impl Care {
    pub(crate) fn of(config: &LogConfig) -> Self {
        Self { flushes_by_time: config.flush_ms.is_some(), compacted: config.compacted }
    }
}

/// Whether a replica can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Health {
    /// It serves.
    Good = 0,
    /// Its log moves to another directory just now, where another takes its place at once: clients ask again.
    Moving = 1,
    /// A change of its log failed half-way, which is therefore opened anew, until another takes its place: clients get
    /// KAFKA_STORAGE_ERROR.
    Closed = 2,
    /// Its directory failed, or a defect stopped it: clients get KAFKA_STORAGE_ERROR.
    Failed = 3,
    /// It is no longer hosted here: its topic was deleted, or its replica moved away.
    Gone = 4,
}

impl Partition {
    pub(crate) fn new(
        id: TopicIdPartition,
        name: TopicPartition,
        directory: DirectoryId,
        reader: LogReader,
        role: Role,
        high_watermark: Offset,
        queue: Arc<ReadyQueue<Arc<Partition>>>,
    ) -> Self {
        Self {
            id,
            name,
            directory,
            reader,
            role: ArcSwap::from_pointee(role),
            high_watermark: AtomicI64::new(high_watermark),
            health: AtomicU8::new(Health::Good as u8),
            flushes_by_time: AtomicBool::new(false),
            compacted: AtomicBool::new(false),
            throttled: [AtomicBool::new(false), AtomicBool::new(false)],
            told_high_watermark: AtomicI64::new(high_watermark),
            leading: Mutex::new(None),
            restless: AtomicBool::new(false),
            sight: Mutex::new(None),
            mailbox: Mailbox::default(),
            queue,
            waiters: WaitList::default(),
        }
    }

    pub(crate) fn id(&self) -> TopicIdPartition {
        self.id
    }

    pub(crate) fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// The data directory that holds it.
    pub(crate) fn directory(&self) -> DirectoryId {
        self.directory
    }

    pub(crate) fn reader(&self) -> &LogReader {
        &self.reader
    }

    pub(crate) fn role(&self) -> Role {
        **self.role.load()
    }

    /// Everything below it is committed; consumers see no further. Its own value, not derived from the log end, since
    /// with several replicas it follows the slowest one in sync. Never moves backwards while this broker leads.
    pub(crate) fn high_watermark(&self) -> Offset {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Every transaction below it is decided.
    pub(crate) fn last_stable_offset(&self) -> Offset {
        let high_watermark = self.high_watermark();
        self.reader.first_open_transaction().map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// How far a reader of this isolation sees.
    pub(crate) fn visible_end(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark(),
            Isolation::ReadCommitted => self.last_stable_offset(),
        }
    }

    /// Fetches that sleep until there is more to read here.
    pub(crate) fn waiters(&self) -> &WaitList {
        &self.waiters
    }

    /// Takes a new role. Whoever sleeps here looks again, since what it believes may be outdated.
    pub(crate) fn take_role(&self, role: Role) {
        self.role.store(Arc::new(role));
        self.waiters.look_again();
    }

    /// The replica leads from here on, in an epoch that starts at `start`. The actor's, but for a replica that is known
    /// to be the only one in sync when it is opened.
    pub(crate) fn begin_to_lead(&self, epoch: LeaderEpoch, start: Offset) {
        *self.leading.lock() = Some(Leading { epoch, start });
    }

    /// It leads no more.
    pub(crate) fn stop_leading(&self) {
        *self.leading.lock() = None;
    }

    /// Refuses who asks for the end of what is committed while a new leader cannot know it: its predecessor's high
    /// watermark may have been further on than its own, until that has reached the start of its epoch (KIP-207).
    pub(crate) fn check_end_known(&self) -> Result<(), PartitionError> {
        let role = self.role();
        let leading = *self.leading.lock();
        let is_known =
            leading.is_some_and(|known| known.epoch == role.leader_epoch && self.high_watermark() >= known.start);
        if !role.leads || is_known { Ok(()) } else { Err(ErrorCode::OffsetNotAvailable.into()) }
    }

    /// Moves the high watermark to `to`, which makes `bytes` more visible (0 if unknown), and tells those who sleep here.
    /// The actor's: it moves back only at a follower that truncates.
    pub(crate) fn set_high_watermark(&self, to: Offset, bytes: u64) {
        let before = self.high_watermark.swap(to, Ordering::AcqRel);
        match bytes {
            _ if before == to => {}
            0 => self.waiters.look_again(),
            bytes => self.waiters.gain(bytes),
        }
    }

    /// Says whether the replica is to get a tick soon; gives what was so before.
    pub(crate) fn set_restless(&self, restless: bool) -> bool {
        self.restless.swap(restless, Ordering::AcqRel)
    }

    /// Tells the actor what the metadata says, unless it was told the same last time.
    pub(crate) fn see(self: &Arc<Self>, sight: Sight) {
        {
            let mut known = self.sight.lock();
            if known.as_ref() == Some(&sight) {
                return;
            }
            *known = Some(sight.clone());
        }
        self.post(Job::See(Box::new(sight)));
    }

    pub(crate) fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            0 => Health::Good,
            1 => Health::Moving,
            2 => Health::Closed,
            3 => Health::Failed,
            _ => Health::Gone,
        }
    }

    /// Records that the replica can no longer be used, and wakes those who sleep on it.
    pub(crate) fn turn(&self, health: Health) {
        self.health.fetch_max(health as u8, Ordering::AcqRel);
        self.waiters.look_again();
    }

    /// Refuses everybody unless the replica can be used.
    pub(crate) fn check_usable(&self) -> Result<(), PartitionError> {
        match self.health() {
            Health::Good => Ok(()),
            Health::Moving => Err(PartitionError::with_leader(ErrorCode::NotLeaderOrFollower, self.role().hint())),
            Health::Closed => Err(PartitionError::new(
                ErrorCode::KafkaStorageError,
                format!("the log of {} takes nothing before it is opened anew; see the broker's log", self.name),
            )),
            Health::Failed => Err(PartitionError::new(
                ErrorCode::KafkaStorageError,
                format!("the data directory that holds {} has failed; see the broker's log", self.name),
            )),
            Health::Gone => Err(ErrorCode::UnknownTopicOrPartition.into()),
        }
    }

    /// Whether the topic asks for a flush after some time (`flush.ms`).
    pub(crate) fn flushes_by_time(&self) -> bool {
        self.flushes_by_time.load(Ordering::Relaxed)
    }

    /// Whether the topic is compacted (`cleanup.policy`).
    pub(crate) fn is_compacted(&self) -> bool {
        self.compacted.load(Ordering::Relaxed)
    }

    pub(crate) fn take_care(&self, care: Care) {
        self.flushes_by_time.store(care.flushes_by_time, Ordering::Relaxed);
        self.compacted.store(care.compacted, Ordering::Relaxed);
    }

    /// Whether what it sends to replicas that catch up is throttled.
    pub(crate) fn is_throttled_as_leader(&self) -> bool {
        self.throttled[0].load(Ordering::Relaxed)
    }

    /// Whether what it gets while it catches up is throttled.
    pub(crate) fn is_throttled_as_follower(&self) -> bool {
        self.throttled[1].load(Ordering::Relaxed)
    }

    pub(crate) fn set_throttled(&self, as_leader: bool, as_follower: bool) {
        self.throttled[0].store(as_leader, Ordering::Relaxed);
        self.throttled[1].store(as_follower, Ordering::Relaxed);
    }

    /// The leader has told its high watermark.
    pub(crate) fn hear_high_watermark(&self, told: Offset) {
        self.told_high_watermark.store(told, Ordering::Relaxed);
    }

    /// How many offsets a follower lacks of what its leader says is committed. As in Kafka's MaxLag.
    pub(crate) fn lag(&self) -> u64 {
        let lacks = self.told_high_watermark.load(Ordering::Relaxed) - self.reader.log_end_offset();
        if self.role().leads { 0 } else { u64::try_from(lacks).unwrap_or(0) }
    }

    /// Gives a job to the replica's actor; jobs are done in the order in which they are posted. A job that comes after
    /// the last one is dropped, which answers whoever waits for it.
    pub(crate) fn post(self: &Arc<Self>, job: Job) {
        match self.mailbox.post(job) {
            Posted::Schedule => self.queue.push(Arc::clone(self)),
            Posted::Scheduled => {}
            Posted::Closed(job) => drop(job),
        }
    }

    pub(crate) fn mailbox(&self) -> &Mailbox<Job> {
        &self.mailbox
    }

    /// Puts the actor behind the others of its thread. Only its thread calls this, instead of looking for more jobs.
    pub(crate) fn reschedule(self: Arc<Self>) {
        let queue = Arc::clone(&self.queue);
        queue.push(self);
    }
}
