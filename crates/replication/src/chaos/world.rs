//! The world: nodes, the controller, the network, the clock.

use std::collections::BTreeSet;

use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

use super::controller::Controller;
use super::node::{DiskJob, Node};
use super::random::Random;
use crate::invariants::{Batch, Checker, Leading, ReplicaState, Violation, World};
use crate::toy::ToyRecord;
use crate::{
    Ack, Attach, AttachAnswer, Due, Effect, Event, Frame, Proposal, ProposalAnswer, ProposalId, Replica, ReplicaConfig,
    Rules, SendWindow, Session,
};

/// On its way.
#[derive(Debug, Clone)]
pub(super) enum Packet {
    Attach(Attach),
    Answer(AttachAnswer),
    Frame(Frame, Vec<ToyRecord>),
    Ack(Ack),
    /// The leader has ended a session, or the stream broke: to the follower.
    Detached(LeaderEpoch, Session),
    /// The stream broke: to the leader.
    StreamEnded(BrokerId, Session),
    Proposal(BrokerEpoch, Proposal),
    ProposalAnswer(ProposalId, ProposalAnswer),
}

/// Address of the controller.
pub(super) const CONTROLLER: BrokerId = BrokerId(0);

/// Credit that is never used up: what a window does with credit is shown beside it.
const CREDIT: usize = 1 << 30;

/// Short enough for every run to see a follower fall out of sync.
const LAG_TIME_MAX_MS: i64 = 1_000;

/// Several tries within the lag time.
const RETRY_MS: i64 = 100;

#[derive(Debug)]
pub(super) struct Universe {
    pub(super) random: Random,
    /// How many of a thousand steps are faults: some worlds are calm enough to get far, others never come to rest.
    pub(super) wildness: usize,
    pub(super) now_ms: i64,
    pub(super) nodes: Vec<Node>,
    pub(super) controller: Controller,
    pub(super) network: Vec<(BrokerId, BrokerId, Packet)>,
    /// Messages, and copies of messages, that arrive when nobody expects them any more.
    pub(super) late: Vec<(BrokerId, BrokerId, Packet)>,
    /// Directions in which nothing gets through.
    pub(super) cut: BTreeSet<(BrokerId, BrokerId)>,
    pub(super) healed: bool,
    pub(super) checker: Checker,
    pub(super) values: u64,
    /// What has happened, for reading after a failure and for comparing runs.
    pub(super) trace: Vec<String>,
    rules: Rules,
    sessions: u64,
}

impl Universe {
    pub(super) fn new(seed: u64, rules: Rules) -> Self {
        let mut random = Random::new(seed);
        let count = if random.one_in(4) { 5 } else { 3 };
        let brokers: Vec<BrokerId> = (1..=count).map(BrokerId).collect();
        let minimum = [1, 2, 2, 2, 3][random.below(5)];
        let fsync = random.one_in(3);
        let controller = Controller::new(&brokers, minimum, fsync);
        let nodes = brokers.iter().map(|id| Node::new(*id, controller.epoch(*id))).collect();
        Self {
            wildness: 3 + random.below(50),
            random,
            now_ms: 1_000,
            nodes,
            controller,
            network: Vec::new(),
            late: Vec::new(),
            cut: BTreeSet::new(),
            healed: false,
            checker: Checker::new(),
            values: 0,
            trace: Vec::new(),
            rules,
            sessions: 0,
        }
    }

    /// Hands an event to the replica of node `at`, does what it wants done, and looks at the world.
    pub(super) fn tell(&mut self, at: usize, event: Event, records: Vec<ToyRecord>) -> Result<(), Violation> {
        let now_ms = self.now_ms;
        let Some(node) = self.nodes.get_mut(at) else { return Ok(()) };
        let id = node.id;
        if event != Event::Tick {
            self.trace.push(format!("{now_ms} {id} <- {event:?}"));
        }
        let effects = node.handle(event, now_ms);
        let mut records = Some(records);
        let mut acknowledged = None;
        for effect in effects {
            self.trace.push(format!("{now_ms} {id} -> {effect:?}"));
            let node = &mut self.nodes[at];
            match effect {
                Effect::Lead { epoch, .. } => node.leading_since = Some(epoch),
                Effect::Follow { .. } | Effect::Wait => node.leading_since = None,
                Effect::HighWatermark { .. } | Effect::LowWatermark { .. } | Effect::FailAwaited { .. } => {}
                Effect::Acknowledge { end } => acknowledged = Some(end),
                Effect::Flush => node.disk.push_back(DiskJob::Flush),
                Effect::Append { .. } => node.disk.push_back(DiskJob::Append(records.take().unwrap_or_default())),
                Effect::Truncate { to, .. } => node.disk.push_back(DiskJob::Truncate(to)),
                Effect::StartAt { offset, .. } => node.disk.push_back(DiskJob::StartAt(offset)),
                Effect::AdvanceLogStart { to } => node.disk.push_back(DiskJob::AdvanceStart(to)),
                Effect::Propose(proposal) => {
                    node.proposals.push(proposal.clone());
                    let epoch = node.epoch;
                    self.send(id, CONTROLLER, Packet::Proposal(epoch, proposal));
                }
                Effect::Answer { follower, answer } => self.send(id, follower, Packet::Answer(answer)),
                Effect::StartStream { follower, session, from, .. } => {
                    if let Some(epoch) = node.replica.as_ref().and_then(Replica::leading_epoch) {
                        node.streams.insert(follower, SendWindow::new(epoch, session, from, CREDIT));
                    }
                }
                Effect::EndStream { follower, session } => {
                    if node.streams.get(&follower).is_some_and(|stream| stream.session() == session) {
                        node.streams.remove(&follower);
                    }
                    let epoch = node.replica.as_ref().and_then(Replica::leading_epoch);
                    if let Some(epoch) = epoch {
                        self.send(id, follower, Packet::Detached(epoch, session));
                    }
                }
                Effect::Attach { leader, attach } => self.send(id, leader, Packet::Attach(attach)),
                Effect::Ack { leader, ack } => self.send(id, leader, Packet::Ack(ack)),
            }
        }
        self.look(acknowledged.map(|end| (id, end)))
    }

    pub(super) fn send(&mut self, from: BrokerId, to: BrokerId, packet: Packet) {
        if !self.healed && self.random.one_in(40) {
            self.trace.push(format!("{} {from} -> {to} lost {packet:?}", self.now_ms));
            self.lose(packet, to);
            return;
        }
        // A question to the controller is doubled where it is asked.
        let is_question = matches!(packet, Packet::Proposal(..));
        // Acknowledgements most of all, since a leader believes them.
        let rarity = if matches!(packet, Packet::Ack(_)) { 2 } else { 8 };
        if !self.healed && self.random.one_in(rarity) && !is_question {
            let doubles = if self.random.one_in(6) { &mut self.network } else { &mut self.late };
            doubles.push((from, to, packet.clone()));
        }
        if !self.healed && self.random.one_in(12) {
            self.late.push((from, to, packet));
            return;
        }
        self.network.push((from, to, packet));
    }

    /// A lost question or answer of the controller is an unknown outcome, which the asker comes to know.
    fn lose(&mut self, packet: Packet, to: BrokerId) {
        match packet {
            Packet::Proposal(_, proposal) => {
                let asker = self.nodes.iter().find(|node| node.proposals.iter().any(|p| p.id == proposal.id));
                if let Some(asker) = asker.map(|node| node.id) {
                    let answer = Packet::ProposalAnswer(proposal.id, ProposalAnswer::Unknown);
                    self.network.push((CONTROLLER, asker, answer));
                }
            }
            Packet::ProposalAnswer(id, _) => {
                self.network.push((CONTROLLER, to, Packet::ProposalAnswer(id, ProposalAnswer::Unknown)));
            }
            // A connection loses nothing silently: it breaks, and both ends come to know.
            Packet::Frame(frame, _) => {
                let from =
                    self.nodes.iter().find(|node| node.streams.get(&to).is_some_and(|s| s.session() == frame.session));
                if let Some(from) = from.map(|node| node.id) {
                    self.network.push((to, from, Packet::StreamEnded(to, frame.session)));
                    self.network.push((from, to, Packet::Detached(frame.leader_epoch, frame.session)));
                }
            }
            _ => {}
        }
    }

    /// Something arrives late, or once more.
    pub(super) fn arrive_late(&mut self) {
        if let Some(last) = self.late.len().checked_sub(1) {
            let back = self.random.below(last.min(20) + 1);
            self.network.push(self.late.remove(last - back));
        }
    }

    /// Delivers the packet at `index` of those under way.
    pub(super) fn deliver(&mut self, index: usize) -> Result<(), Violation> {
        let (from, to, packet) = self.network.swap_remove(index);
        if self.cut.contains(&(from, to)) {
            self.lose(packet, to);
            return Ok(());
        }
        if let Packet::Proposal(epoch, proposal) = packet {
            // The asker gives up waiting, and the question arrives all the same, now or much later.
            if !self.healed && self.random.one_in(4) {
                let unknown = Packet::ProposalAnswer(proposal.id, ProposalAnswer::Unknown);
                self.network.push((CONTROLLER, from, unknown));
                self.network.push((from, to, Packet::Proposal(epoch, proposal)));
                return Ok(());
            }
            let answer = self.controller.alter(from, epoch, &proposal);
            self.trace.push(format!("{} controller: {proposal:?} {answer:?}", self.now_ms));
            self.send(CONTROLLER, from, Packet::ProposalAnswer(proposal.id, answer));
            return self.look(None);
        }
        let Some(at) = self.nodes.iter().position(|node| node.id == to && node.up) else { return Ok(()) };
        let (event, records) = match packet {
            Packet::Attach(attach) => (Event::Attach(attach), Vec::new()),
            Packet::Answer(answer) => (Event::Answer(answer), Vec::new()),
            Packet::Frame(frame, records) => (Event::Frame(frame), records),
            Packet::Ack(ack) => (Event::Ack(ack), Vec::new()),
            Packet::Detached(leader_epoch, session) => (Event::Detached { leader_epoch, session }, Vec::new()),
            Packet::StreamEnded(follower, session) => {
                self.nodes[at].streams.retain(|_, stream| stream.session() != session);
                (Event::StreamEnded { follower, session }, Vec::new())
            }
            Packet::ProposalAnswer(id, answer) => {
                if answer == ProposalAnswer::NotApplied {
                    self.nodes[at].proposals.retain(|proposal| proposal.id != id);
                }
                (Event::ProposalAnswered { id, answer }, Vec::new())
            }
            Packet::Proposal(..) => return Ok(()),
        };
        self.tell(at, event, records)
    }

    /// Shows node `at` a newer image, one of those that it has not seen.
    pub(super) fn show_image(&mut self, at: usize) -> Result<(), Violation> {
        let latest = self.controller.images.len();
        let healed = self.healed;
        let node = &mut self.nodes[at];
        if !node.up || self.cut.contains(&(CONTROLLER, node.id)) {
            return Ok(());
        }
        let newest = latest.saturating_sub(1);
        // A replica is opened by an image that holds its broker's registration.
        let least = if node.replica.is_some() { node.seen } else { node.registered_at };
        if least > newest {
            return Ok(());
        }
        let skips = if healed { newest - least } else { self.random.below(newest - least + 1) };
        let image = self.controller.images[least + skips].clone();
        node.seen = least + skips + 1;
        if node.replica.is_none() {
            self.sessions += 1;
            let config = ReplicaConfig {
                broker: node.id,
                broker_epoch: node.epoch,
                first_session: self.sessions << 32,
                lag_time_max_ms: LAG_TIME_MAX_MS,
                retry_ms: RETRY_MS,
                rules: self.rules,
            };
            node.replica = Some(Replica::new(config, node.log.ends(), node.checkpoint));
        }
        let partition_epoch = image.partition_epoch;
        node.proposals.retain(|proposal| proposal.partition_epoch >= partition_epoch);
        self.tell(at, Event::Image(image), Vec::new())
    }

    /// A client appends a record at node `at`, which may lead.
    pub(super) fn produce(&mut self, at: usize, acks_all: bool) -> Result<(), Violation> {
        let value = self.values;
        self.values += 1;
        let node = &mut self.nodes[at];
        let Some(Ok(epoch)) = node.replica.as_ref().map(|replica| replica.admit(acks_all)) else { return Ok(()) };
        node.log.records.push(ToyRecord { epoch, value });
        let end = node.log.end();
        self.tell(at, Event::Appended { end }, Vec::new())?;
        if acks_all { self.tell(at, Event::Awaited { end }, Vec::new()) } else { Ok(()) }
    }

    /// Sends what is due on the stream of node `at` to `follower`.
    pub(super) fn stream(&mut self, at: usize, follower: BrokerId) -> Result<(), Violation> {
        let take = 1 + self.random.below(4) as Offset;
        let node = &mut self.nodes[at];
        let (id, ends) = (node.id, node.ends());
        let Some(high_watermark) = node.replica.as_ref().map(Replica::high_watermark) else { return Ok(()) };
        let Some(window) = node.streams.get_mut(&follower) else { return Ok(()) };
        let session = window.session();
        match window.due(ends, high_watermark) {
            Due::Nothing => Ok(()),
            Due::Gone => {
                node.streams.remove(&follower);
                self.tell(at, Event::StreamEnded { follower, session }, Vec::new())?;
                let epoch = self.nodes[at].replica.as_ref().and_then(Replica::leading_epoch);
                if let Some(epoch) = epoch {
                    self.send(id, follower, Packet::Detached(epoch, session));
                }
                Ok(())
            }
            Due::Marks => {
                let frame = window.frame(window.next(), 0, high_watermark, ends.start);
                self.send(id, follower, Packet::Frame(frame, Vec::new()));
                Ok(())
            }
            Due::Records { from, .. } => {
                let end = ends.end.min(from + take);
                let records: Vec<ToyRecord> = (from..end).filter_map(|offset| node.log.get(offset)).collect();
                let frame = window.frame(end, records.len(), high_watermark, ends.start);
                self.send(id, follower, Packet::Frame(frame, records));
                Ok(())
            }
        }
    }

    /// Checks the invariants.
    pub(super) fn look(&mut self, acknowledged: Option<(BrokerId, Offset)>) -> Result<(), Violation> {
        for node in &mut self.nodes {
            let is_member = self.controller.now.member(node.id).is_some_and(|member| member.epoch == node.epoch);
            if is_member && node.log.end() >= self.checker.committed_end() {
                node.damaged = false;
            }
        }
        let world = World {
            committed: self.controller.now.clone(),
            replicas: self.nodes.iter().map(|node| self.state(node)).collect(),
        };
        self.checker.check(&world)?;
        match acknowledged {
            Some((leader, end)) => self.checker.acknowledged(&world, leader, end),
            None => Ok(()),
        }
    }

    fn state(&self, node: &Node) -> ReplicaState {
        let at = |(index, record): (usize, &ToyRecord)| {
            let base = node.log.start + index as Offset;
            Batch { base, end: base + 1, epoch: record.epoch, fingerprint: record.value }
        };
        let batches: Vec<Batch> = node.log.records.iter().enumerate().map(at).collect();
        let mut epochs: Vec<(LeaderEpoch, Offset)> = batches.iter().map(|batch| (batch.epoch, batch.base)).collect();
        epochs.dedup_by_key(|(epoch, _)| *epoch);
        let leading = node.replica.as_ref().and_then(|replica| {
            let image = self.controller.images.get(node.seen.checked_sub(1)?)?.clone();
            let proposals = node.proposals.iter().filter(|p| p.partition_epoch == image.partition_epoch);
            Some(Leading {
                epoch: replica.leading_epoch()?,
                start: replica.epoch_start()?,
                proposed: proposals.flat_map(|proposal| proposal.isr.iter().copied()).collect(),
                image,
                acts_on: replica.in_sync().to_vec(),
                latest: replica.latest_offset().ok(),
            })
        });
        ReplicaState {
            broker: node.id,
            broker_epoch: node.epoch,
            lost: node.lost,
            damaged: node.damaged,
            ends: node.log.ends(),
            batches,
            epochs,
            high_watermark: node.replica.as_ref().map(Replica::high_watermark),
            leading,
        }
    }
}
