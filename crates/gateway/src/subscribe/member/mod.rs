//! A member of a group, as a state machine: what its client says, what the coordinator answers and what is read come in as
//! events; requests, reads and messages go out as effects. Pure: time, metadata and fresh ids come in.
//!
//! One request to the coordinator is under way at a time. So a commit never bears an epoch that a heartbeat is about to
//! change, and what is answered is always the last thing that was asked.
//!
//! Invariants:
//! 1. What is committed of its own accord was acknowledged by the client, or lies before where the member began.
//! 2. Nothing of a partition is delivered after its `revoke` or `lost`, and the coordinator is told that it was given up
//!    only once the client has said so.
//! 3. Records of a partition are delivered in order, without gaps, from where it began or was sought to.
//! 4. Nothing follows the end.

mod answers;
mod commits;
mod ending;
mod heartbeats;
mod ownership;
mod spoken;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use levada_groups::api::{Request, Response};
use levada_metadata::Image;
use levada_proto::v1;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};

use super::owned::{Owned, Stage, StartPlace};
use super::settings::{Held, Resumption, Settings};
use commits::Commit;
use ending::Ending;
use ownership::Revocation;

/// The first pause after the coordinator has not answered, in milliseconds; it doubles.
const FIRST_PAUSE: i64 = 50;

/// The longest such pause, in milliseconds.
const LONGEST_PAUSE: i64 = 1_000;

/// Commits that may wait; at the bound the client is not listened to.
const MAX_WAITING_COMMITS: usize = 64;

/// The world as it is when something happens.
pub(super) struct World<'a> {
    /// Milliseconds of a clock that never goes back.
    pub(super) now: i64,
    /// The cluster's metadata.
    pub(super) image: &'a Image,
    /// Draws a member id that nobody has had.
    pub(super) fresh: &'a mut (dyn FnMut() -> String + Send),
}

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// The client has spoken.
    Said(v1::subscribe_request::Kind),
    /// The client is not there any more, or its broker stops.
    Gone {
        /// Whether it is the broker.
        stopping: bool,
    },
    /// The coordinator has answered what was asked last.
    Answered(Result<Response, Refusal>),
    /// The offset of a place was looked for.
    Found { partition: TopicIdPartition, generation: u64, offset: Result<Offset, ErrorCode> },
    /// Something was read.
    Read { partition: TopicIdPartition, generation: u64, records: Result<Records, ErrorCode> },
    /// Time has passed, or the metadata has changed.
    Tick,
}

/// What is to be done, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Ask the coordinator; [`Event::Answered`] follows.
    Ask(Request),
    /// Look for the offset of a place; [`Event::Found`] follows.
    Find { partition: TopicIdPartition, generation: u64, place: StartPlace },
    /// Tell the client.
    Tell(Told),
    /// End the stream; nothing follows.
    End(Result<(), v1::Error>),
}

/// Why the coordinator has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

/// What was read from a partition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Records {
    pub(super) records: Vec<v1::StoredRecord>,
    pub(super) next_offset: Offset,
    /// Of the last batch.
    pub(super) leader_epoch: Option<LeaderEpoch>,
    pub(super) high_watermark: Offset,
}

/// What is to be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reading {
    pub(super) partition: TopicIdPartition,
    /// Comes back with what was read.
    pub(super) generation: u64,
    pub(super) offset: Offset,
}

/// How the member stands with its group.
#[derive(Debug)]
enum Phase {
    /// It has sent, or is about to send, its first heartbeat.
    Joining,
    Joined,
    Ending(Ending),
    Ended,
}

/// What was asked of the coordinator last.
#[derive(Debug)]
enum Asked {
    /// A heartbeat that reported these as owned.
    Heartbeat {
        owned: BTreeSet<TopicIdPartition>,
    },
    Commit(Commit),
    /// What is committed of these partitions, each in its generation.
    Offsets(BTreeMap<TopicIdPartition, u64>),
    /// To be let go.
    Leave,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Member {
    settings: Settings,
    stream_number: u64,
    member_id: String,
    epoch: i32,
    phase: Phase,
    /// It goes on after a broken stream: with what it holds.
    held: Option<Vec<Held>>,
    /// The stream is not the member's first, so that its client may speak of what came on another one.
    resumed: bool,
    asked: Option<Asked>,
    /// How often it may still be said that the member leaves which it was until it was fenced. Then it joins as another.
    farewells: u32,
    /// Nothing is asked before this time.
    ask_after: i64,
    pause: i64,
    /// When the next heartbeat is due.
    heartbeat_at: i64,
    /// The next heartbeat says everything.
    full: bool,
    /// What the coordinator was told last of what is owned.
    reported: BTreeSet<TopicIdPartition>,
    /// What the coordinator lets it own.
    target: BTreeSet<TopicIdPartition>,
    partitions: BTreeMap<TopicIdPartition, Owned>,
    /// How far partitions were delivered that are not owned now.
    delivered_before: BTreeMap<TopicIdPartition, Offset>,
    generations: u64,
    revocation: Option<Revocation>,
    revocations: u64,
    commits: VecDeque<Commit>,
    auto_commit_at: i64,
    /// When the client spoke last, or was given something while nothing was with it.
    progress_at: i64,
    effects: Vec<Effect>,
}

impl Member {
    /// A member that is about to join, or to go on.
    pub(super) fn new(
        settings: Settings,
        resumption: Option<Resumption>,
        stream_number: u64,
        world: &mut World<'_>,
    ) -> Self {
        let resumed = resumption.is_some();
        let (member_id, epoch, held) = match resumption {
            Some(resumption) => (resumption.member_id, resumption.epoch, Some(resumption.held)),
            None => ((world.fresh)(), 0, None),
        };
        Self {
            auto_commit_at: settings.auto_commit_interval.map_or(i64::MAX, |interval| world.now + interval),
            settings,
            stream_number,
            member_id,
            epoch,
            phase: Phase::Joining,
            held,
            resumed,
            asked: None,
            farewells: 0,
            ask_after: i64::MIN,
            pause: FIRST_PAUSE,
            heartbeat_at: world.now,
            full: true,
            reported: BTreeSet::new(),
            target: BTreeSet::new(),
            partitions: BTreeMap::new(),
            delivered_before: BTreeMap::new(),
            generations: 0,
            revocation: None,
            revocations: 0,
            commits: VecDeque::new(),
            progress_at: world.now,
            effects: Vec::new(),
        }
    }

    /// What comes of an event.
    pub(super) fn handle(&mut self, event: Event, world: &mut World<'_>) -> Vec<Effect> {
        if matches!(self.phase, Phase::Ended) {
            return Vec::new();
        }
        // Nothing else changes what may be owned.
        let unsettles = matches!(event, Event::Answered(_) | Event::Tick);
        match event {
            Event::Said(kind) => self.said(kind, world),
            Event::Gone { stopping } => self.end(Ending::gone(stopping)),
            Event::Answered(answer) => self.answered(answer, world),
            Event::Found { partition, generation, offset } => self.found(partition, generation, offset, world),
            Event::Read { partition, generation, records } => self.read(partition, generation, records, world),
            Event::Tick => {}
        }
        if unsettles && matches!(self.phase, Phase::Joined) {
            self.reconcile(world);
        }
        self.advance(world);
        std::mem::take(&mut self.effects)
    }

    /// What is to be read now.
    pub(super) fn readings(&self, now: i64) -> Vec<Reading> {
        if !matches!(self.phase, Phase::Joined) || self.unprocessed() >= self.settings.max_unprocessed {
            return Vec::new();
        }
        let ready = self.partitions.iter().filter(|(_, owned)| {
            owned.stage == Stage::Records && !owned.revoked && owned.is_announced && owned.paused_until <= now
        });
        ready
            .map(|(&partition, owned)| Reading { partition, generation: owned.generation, offset: owned.position() })
            .collect()
    }

    /// Whether the client is listened to.
    pub(super) fn listens(&self) -> bool {
        matches!(self.phase, Phase::Joining | Phase::Joined) && self.commits.len() < MAX_WAITING_COMMITS
    }

    /// When something is due by time, seen from `now`.
    pub(super) fn next_deadline(&self, now: i64) -> i64 {
        let mut next = i64::MAX;
        if self.asked.is_none() {
            next = next.min(self.heartbeat_at.max(self.ask_after));
            let is_busy = !self.commits.is_empty() || matches!(self.phase, Phase::Ending(_));
            let is_waiting = |owned: &Owned| owned.stage == Stage::Committed && !owned.revoked;
            if is_busy || self.partitions.values().any(is_waiting) {
                next = next.min(self.ask_after);
            }
        }
        if matches!(self.phase, Phase::Joined) {
            next = next.min(self.patience_ends());
            if self.partitions.values().any(|owned| owned.uncommitted().is_some()) {
                next = next.min(self.auto_commit_at);
            }
        }
        let paused = self.partitions.values().map(|owned| owned.paused_until).filter(|&until| until > now);
        next.min(paused.min().unwrap_or(i64::MAX))
    }

    /// The bytes of one response at most.
    pub(super) fn max_response_bytes(&self) -> u32 {
        self.settings.max_response_bytes
    }

    /// Records that are with the client.
    fn unprocessed(&self) -> usize {
        self.partitions.values().map(Owned::unprocessed).sum()
    }

    /// Does what can be done now.
    fn advance(&mut self, world: &mut World<'_>) {
        if matches!(self.phase, Phase::Joined) {
            self.finish_revocation(world);
            self.look_for_starts(world.now);
            self.mind_patience(world.now);
            self.commit_by_time(world.now);
        }
        if self.asked.is_none() && world.now >= self.ask_after {
            self.ask_next(world);
        }
    }

    fn ask_next(&mut self, world: &World<'_>) {
        let (asked, request) = match &self.phase {
            Phase::Joining => match self.farewell_before_joining().or_else(|| self.heartbeat(world)) {
                Some(next) => next,
                None => return,
            },
            Phase::Joined => {
                let next = self.heartbeat(world).or_else(|| self.next_commit()).or_else(|| self.offsets_request());
                match next {
                    Some(next) => next,
                    None => return,
                }
            }
            Phase::Ending(_) => match self.next_commit().or_else(|| self.farewell()) {
                Some(next) => next,
                None => return self.finish(),
            },
            Phase::Ended => return,
        };
        self.asked = Some(asked);
        self.effects.push(Effect::Ask(request));
    }

    /// Waits before anything is asked again, longer each time.
    fn hold_back(&mut self, now: i64) {
        self.ask_after = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn tell(&mut self, told: Told) {
        self.effects.push(Effect::Tell(told));
    }

    fn next_generation(&mut self) -> u64 {
        self.generations += 1;
        self.generations
    }
}
