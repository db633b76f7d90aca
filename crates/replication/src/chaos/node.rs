//! One broker of the world: a replica over a log in memory, and what runs around it.

use std::collections::{BTreeMap, VecDeque};

use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

use crate::toy::{ToyLog, ToyRecord};
use crate::{Effect, Event, LogEnds, Proposal, Replica, SendWindow};

/// A change of the log that the disk has not carried out yet.
#[derive(Debug, Clone)]
pub(super) enum DiskJob {
    Append(Vec<ToyRecord>),
    Truncate(Offset),
    StartAt(Offset),
    AdvanceStart(Offset),
    Flush,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: BrokerId,
    /// The registration that it runs under, or ran under last.
    pub(super) epoch: BrokerEpoch,
    pub(super) up: bool,
    /// It has lost bytes, and the controller cannot know yet.
    pub(super) lost: bool,
    /// It had lost bytes when it registered, and has not come into sync since.
    pub(super) damaged: bool,
    pub(super) log: ToyLog,
    pub(super) checkpoint: Offset,
    pub(super) replica: Option<Replica>,
    /// How many images it has seen.
    pub(super) seen: usize,
    /// The image that holds its own registration.
    pub(super) registered_at: usize,
    pub(super) disk: VecDeque<DiskJob>,
    pub(super) streams: BTreeMap<BrokerId, SendWindow>,
    /// Proposals that were not refused for certain.
    pub(super) proposals: Vec<Proposal>,
    pub(super) leading_since: Option<LeaderEpoch>,
}

impl Node {
    pub(super) fn new(id: BrokerId, epoch: BrokerEpoch) -> Self {
        Self {
            id,
            epoch,
            up: true,
            lost: false,
            damaged: false,
            log: ToyLog::default(),
            checkpoint: 0,
            replica: None,
            seen: 0,
            registered_at: 0,
            disk: VecDeque::new(),
            streams: BTreeMap::new(),
            proposals: Vec::new(),
            leading_since: None,
        }
    }

    /// The process ends. What is not flushed may go too, from `keep` on.
    pub(super) fn crash(&mut self, keep: Option<Offset>) {
        self.up = false;
        self.replica = None;
        self.disk.clear();
        self.streams.clear();
        self.proposals.clear();
        self.leading_since = None;
        if let Some(keep) = keep.filter(|keep| *keep < self.log.end()) {
            self.log.truncate(keep.max(self.log.start));
            self.lost = true;
        }
    }

    /// Carries out the oldest job of the disk. Returns what to tell the replica.
    pub(super) fn work(&mut self) -> Option<Event> {
        Some(match self.disk.pop_front()? {
            DiskJob::Append(records) => {
                self.log.records.extend(records);
                Event::Appended { end: self.log.end() }
            }
            DiskJob::Truncate(to) => {
                self.log.truncate(to);
                Event::Truncated { ends: self.log.ends() }
            }
            DiskJob::StartAt(offset) => {
                self.log.start_at(offset);
                Event::Truncated { ends: self.log.ends() }
            }
            DiskJob::AdvanceStart(to) => {
                self.log.advance_start(to);
                Event::LogStartMoved { start: self.log.start }
            }
            DiskJob::Flush => {
                self.log.flushed = self.log.end();
                Event::Flushed { end: self.log.flushed }
            }
        })
    }

    /// Hands an event to the replica.
    pub(super) fn handle(&mut self, event: Event, now_ms: i64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(replica) = &mut self.replica {
            replica.handle(event, now_ms, &self.log, &mut effects);
        }
        effects
    }

    pub(super) fn ends(&self) -> LogEnds {
        self.log.ends()
    }

    pub(super) fn is_leader(&self) -> bool {
        self.replica.as_ref().is_some_and(Replica::is_leader)
    }
}
