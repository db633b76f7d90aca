//! One replica of one partition: events in, effects out.

use crate::IsrMember;
use levada_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, TimestampMs};

use crate::follower::Follower;
use crate::leader::Leader;
use crate::own::{Own, Step};
use crate::{Effect, EpochHistory, Event, LogEnds, PartitionView, Rules};

/// What a replica is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// The broker that holds it.
    pub broker: BrokerId,
    /// That broker's registration.
    pub broker_epoch: BrokerEpoch,
    /// The session counter to begin behind: not less than any that an earlier replica of the same partition has used
    /// under the same registration.
    pub first_session: u64,
    /// How long a follower may stay behind and be in sync (`replica.lag.time.max.ms`).
    pub lag_time_max_ms: i64,
    /// How long to wait before something that went unanswered or was refused is tried again.
    pub retry_ms: i64,
    /// The rules: `Rules::default()`, but in a simulation.
    pub rules: Rules,
}

/// One replica of one partition as a state machine.
///
/// Whoever owns it owns the log too, feeds it every [`Event`] and carries out the [`Effect`]s in order before the next
/// one. The replica never sees a record: it deals in offsets and leader epochs.
#[derive(Debug, Clone)]
pub struct Replica {
    own: Own,
    role: Role,
    view: Option<PartitionView>,
    /// An image that came while the log was being changed on a leader's behalf; it is taken in when that is done, since
    /// a leader has to know where its epoch starts.
    deferred: Option<PartitionView>,
}

#[derive(Debug, Clone)]
enum Role {
    Waiting,
    Leader(Box<Leader>),
    Follower(Follower),
}

/// Why a replica does not take an append or a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The replica does not lead.
    #[error("this replica does not lead the partition; refresh the metadata")]
    NotLeader,
    /// `acks=all` asks for more replicas in sync than there are.
    #[error("fewer replicas are in sync than min.insync.replicas asks for; nothing was appended")]
    NotEnoughReplicas,
    /// The leader epoch that the caller knows is older (KIP-320).
    #[error("the leader epoch of the request is older than this replica's; refresh the metadata")]
    FencedLeaderEpoch,
    /// The leader epoch that the caller knows is newer (KIP-320).
    #[error("the leader epoch of the request is newer than this replica's; try again")]
    UnknownLeaderEpoch,
    /// The end of what is committed is not known yet (KIP-207).
    #[error("the new leader's high watermark has not reached the start of its epoch yet; try again")]
    OffsetNotAvailable,
}

impl Refusal {
    /// Kafka's code for it.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::NotEnoughReplicas => ErrorCode::NotEnoughReplicas,
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            Self::OffsetNotAvailable => ErrorCode::OffsetNotAvailable,
        }
    }
}

impl Replica {
    /// A replica over an open log that stands at `log`, with the high watermark of the last checkpoint. It waits for an
    /// image.
    #[must_use]
    pub fn new(config: ReplicaConfig, log: LogEnds, high_watermark: Offset) -> Self {
        Self { own: Own::new(config, log, high_watermark), role: Role::Waiting, view: None, deferred: None }
    }

    /// Says whether the broker's lease from the controller is good: asked by the clock, before each event. A leader that is
    /// alone in sync while there are other replicas commits nothing without it. It is good until something else is said.
    pub fn hold_lease(&mut self, is_good: bool) {
        self.own.lapsed = !is_good;
    }

    /// At a leader: whether it would commit something if its lease were good. It is told of time then (ticks).
    #[must_use]
    pub fn waits_for_lease(&self) -> bool {
        self.leader().is_some_and(|leader| leader.waits_for_lease(&self.own))
    }

    /// Takes in an event; what is to be done is added to `effects`, in order. `epochs` are those of the log right now.
    pub fn handle(&mut self, event: Event, now_ms: TimestampMs, epochs: &dyn EpochHistory, effects: &mut Vec<Effect>) {
        let mut step = Step { now_ms, epochs, effects };
        match event {
            Event::Image(view) if self.is_busy() => self.deferred = Some(view),
            Event::Image(view) => self.take_image(view, &mut step),
            event => self.dispatch(&event, &mut step),
        }
        if !self.is_busy()
            && let Some(view) = self.deferred.take()
        {
            self.take_image(view, &mut step);
        }
    }

    fn dispatch(&mut self, event: &Event, step: &mut Step<'_>) {
        let own = &mut self.own;
        match event {
            Event::Appended { end } => own.appended(*end),
            Event::Flushed { end } => own.flushed(*end),
            Event::LogStartMoved { start } => own.log_start_moved(*start, step),
            Event::Truncated { ends } | Event::LogFailed { ends } => own.replace_log(*ends, step),
            _ => {}
        }
        match &mut self.role {
            Role::Waiting => {}
            Role::Leader(leader) => leader.handle(event, own, step),
            // What an older leader sends while its successor is known is of no use.
            Role::Follower(_) if self.deferred.is_some() && matches!(event, Event::Frame(_) | Event::Answer(_)) => {}
            Role::Follower(follower) => follower.handle(event, own, step),
        }
    }

    fn is_busy(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.is_busy())
    }

    fn take_image(&mut self, view: PartitionView, step: &mut Step<'_>) {
        if self.view.as_ref().is_some_and(|known| view.partition_epoch < known.partition_epoch) {
            return;
        }
        self.view = Some(view.clone());
        let is_replica = view.replica(self.own.broker()).is_some();
        match view.leader.filter(|_| is_replica) {
            Some(leader) if leader == self.own.broker() => self.lead(view, step),
            Some(leader) => self.follow(leader, &view, step),
            None => {
                if !matches!(self.role, Role::Waiting) {
                    self.step_down(step);
                    step.effects.push(Effect::Wait);
                }
            }
        }
    }

    fn lead(&mut self, view: PartitionView, step: &mut Step<'_>) {
        match &mut self.role {
            Role::Leader(leader) if leader.epoch() == view.leader_epoch => {
                leader.change_image(view, &mut self.own, step);
            }
            Role::Leader(leader) => leader.begin_epoch(view, &mut self.own, step),
            Role::Waiting | Role::Follower(_) => {
                self.role = Role::Leader(Box::new(Leader::begin(view, &mut self.own, step)));
            }
        }
    }

    fn follow(&mut self, leader: BrokerId, view: &PartitionView, step: &mut Step<'_>) {
        if let Role::Follower(follower) = &mut self.role
            && follower.follows(leader, view.leader_epoch)
        {
            follower.change_image(view, &self.own, step);
            return;
        }
        self.step_down(step);
        self.role = Role::Follower(Follower::begin(leader, view, &mut self.own, step));
    }

    fn step_down(&mut self, step: &mut Step<'_>) {
        if let Role::Leader(leader) = std::mem::replace(&mut self.role, Role::Waiting) {
            leader.step_down(step);
        }
    }

    /// Whether an append may be made, and in which leader epoch: asked before each.
    ///
    /// # Errors
    /// [`Refusal::NotLeader`]; for `acks=all` [`Refusal::NotEnoughReplicas`].
    pub fn admit(&self, acks_all: bool) -> Result<LeaderEpoch, Refusal> {
        let leader = self.leader().ok_or(Refusal::NotLeader)?;
        if acks_all && !leader.view().has_minimum() {
            return Err(Refusal::NotEnoughReplicas);
        }
        Ok(leader.epoch())
    }

    /// Whether a request that was made for `epoch`, if it says so, is for the epoch that this replica is in (KIP-320).
    ///
    /// # Errors
    /// [`Refusal::FencedLeaderEpoch`], [`Refusal::UnknownLeaderEpoch`].
    pub fn check_leader_epoch(&self, epoch: Option<LeaderEpoch>) -> Result<(), Refusal> {
        match (epoch, self.view.as_ref().map(|view| view.leader_epoch)) {
            (Some(asked), Some(current)) if asked < current => Err(Refusal::FencedLeaderEpoch),
            (Some(asked), current) if current.is_none_or(|current| asked > current) => Err(Refusal::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// The end of what is committed, as "latest" of ListOffsets means it (KIP-207).
    ///
    /// # Errors
    /// [`Refusal::NotLeader`]; [`Refusal::OffsetNotAvailable`] while a new leader cannot know it.
    pub fn latest_offset(&self) -> Result<Offset, Refusal> {
        let leader = self.leader().ok_or(Refusal::NotLeader)?;
        if self.own.high_watermark < leader.epoch_start() && !self.own.breaks(crate::Defect::LatestBeforeEpochStart) {
            return Err(Refusal::OffsetNotAvailable);
        }
        Ok(self.own.high_watermark)
    }

    /// Everything below it is committed; no consumer reads past it.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.own.high_watermark
    }

    /// Where the log stands.
    #[must_use]
    pub fn log_ends(&self) -> LogEnds {
        self.own.log
    }

    /// The last image that was taken in.
    #[must_use]
    pub fn view(&self) -> Option<&PartitionView> {
        self.view.as_ref()
    }

    /// Whether it leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader().is_some()
    }

    /// The epoch that it leads in.
    #[must_use]
    pub fn leading_epoch(&self) -> Option<LeaderEpoch> {
        self.leader().map(Leader::epoch)
    }

    /// At a leader: the start of its epoch.
    #[must_use]
    pub fn epoch_start(&self) -> Option<Offset> {
        self.leader().map(Leader::epoch_start)
    }

    /// At a leader: the in-sync set that it acts on. The controller's, as of its last image.
    #[must_use]
    pub fn in_sync(&self) -> &[IsrMember] {
        self.leader().map_or(&[], |leader| leader.view().isr.as_slice())
    }

    /// At a leader of a topic with the fsync option: whether every in-sync replica has flushed up to the high watermark.
    /// From then on everything that is committed is fsynced on all of them.
    #[must_use]
    pub fn is_fsync_effective(&self) -> bool {
        self.leader().is_some_and(|leader| leader.is_fsync_effective(&self.own))
    }

    /// At a leader: the least log start offset of all live replicas, once all have told theirs (DeleteRecords).
    #[must_use]
    pub fn low_watermark(&self) -> Option<Offset> {
        self.leader().and_then(|leader| leader.low_watermark(&self.own))
    }

    /// At a leader: how far `follower` is known to have come.
    #[must_use]
    pub fn position_of(&self, follower: BrokerId) -> Option<Offset> {
        self.leader().and_then(|leader| leader.position_of(follower))
    }

    /// Whether there is a proposal whose outcome is not known. Whoever replaces this replica by another in the same leader
    /// epoch would forget whom it has to count for the high watermark.
    #[must_use]
    pub fn awaits_controller(&self) -> bool {
        self.leader().is_some_and(Leader::awaits_controller)
    }

    /// At a follower: whether it has asked its leader where to go on and has no answer that lets it, or was told to come
    /// again. It is told of time then (ticks), or it would wait for ever.
    #[must_use]
    pub fn awaits_leader(&self) -> bool {
        matches!(&self.role, Role::Follower(follower) if follower.awaits_leader())
    }

    /// At a leader: which of these brokers a consumer may read from at `offset` (KIP-392): in sync, and known to hold that
    /// offset. The one that has come furthest, the lowest number of equals.
    #[must_use]
    pub fn reading_replica(&self, among: &[BrokerId], offset: Offset) -> Option<BrokerId> {
        self.leader().and_then(|leader| leader.reading_replica(among, offset))
    }

    fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Waiting | Role::Follower(_) => None,
        }
    }
}
