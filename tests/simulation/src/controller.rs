//! A controller node: the shipped proposer, and the sessions that the active one keeps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use levada_metadata::config::StaticConfigs;
use levada_metadata::{
    Command, Effect, Event, Genesis, LogElection, MetadataLevel, Outcome, Proposer, ReplicaEnd, Ticket, WaitingFor,
    Waiver,
};
use levada_types::{BrokerEpoch, BrokerId, ClusterId, LeaderEpoch, MetadataOffset};
use uuid::Uuid;

use crate::happening::{Happening, Message, Party, Write};
use crate::run::Failure;
use crate::universe::Universe;

/// After how long a silence a broker is fenced. Shorter than in the product, so that runs are short.
const SESSION_MS: i64 = 900;

/// How often sessions are looked at.
const SUPERVISION_MS: i64 = 200;

/// How long a proposer pauses after a refusal.
const PAUSE_MS: i64 = 20;

pub(crate) struct Controller {
    proposer: Proposer,
    pub(crate) writes: VecDeque<Write>,
    /// Who waits for an answer; `None` is the node itself.
    open: BTreeMap<Ticket, Option<(Party, u64)>>,
    next_ticket: u64,
    heard: BTreeMap<BrokerId, Heard>,
    /// Brokers, and partitions, about which a decision of the node's own is under way.
    busy: BTreeSet<Ticket>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    epoch: BrokerEpoch,
    applied: MetadataOffset,
    ready: bool,
    at_ms: i64,
}

impl Controller {
    pub(crate) fn new() -> Self {
        let genesis = Genesis { cluster_id: ClusterId(Uuid::from_u128(0xc1)), level: MetadataLevel::LATEST };
        Self {
            proposer: Proposer::new(genesis, StaticConfigs::default()),
            writes: VecDeque::new(),
            open: BTreeMap::new(),
            next_ticket: 0,
            heard: BTreeMap::new(),
            busy: BTreeSet::new(),
        }
    }
}

impl Universe {
    /// Hands an event to a node's proposer and does what it wants done.
    pub(crate) fn propose(&mut self, node: usize, event: Event) {
        let mut effects = Vec::new();
        self.controllers[node].proposer.handle(event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Propose { write, term, entry } => {
                    self.controllers[node].writes.push_back(Write { write, term, entry });
                    let delay = self.between(1, 8);
                    self.after(delay, Happening::RaftWrite { node });
                }
                Effect::Pause => self.after(PAUSE_MS, Happening::Retry { node }),
                Effect::Answer { ticket, result } => {
                    self.controllers[node].busy.remove(&ticket);
                    if let Some(Some((asker, number))) = self.controllers[node].open.remove(&ticket) {
                        let result = result.map(|(response, _)| response);
                        self.send(Party::Controller(node), asker, Message::Submitted { number, result });
                    }
                }
            }
        }
    }

    pub(crate) fn submitted_at(&mut self, node: usize, asker: Option<(Party, u64)>, command: Command) {
        let ticket = Ticket(self.controllers[node].next_ticket);
        self.controllers[node].next_ticket += 1;
        self.controllers[node].open.insert(ticket, asker);
        if asker.is_none() {
            self.controllers[node].busy.insert(ticket);
        }
        let ids = (0..command.fresh_ids()).map(|_| self.fresh_id()).collect();
        let now_ms = self.now_ms;
        self.propose(node, Event::Submitted { ticket, command, now_ms, ids });
    }

    /// Raft looks at the oldest write of a node.
    pub(crate) fn raft_write(&mut self, node: usize) -> Result<(), Failure> {
        let Some(Write { write, term, entry }) = self.controllers[node].writes.pop_front() else { return Ok(()) };
        let is_refused = !self.healed && self.one_in(40);
        let outcome = if self.raft.accepts(node, term) && !is_refused {
            let outcome = self.raft.commit(&entry).map_err(Failure::Metadata)?;
            self.committed();
            // It is in, and whoever wrote it does not come to know.
            if !self.healed && self.one_in(40) { Outcome::Refused } else { outcome }
        } else {
            Outcome::Refused
        };
        self.propose(node, Event::Written { write, outcome });
        Ok(())
    }

    /// The new image goes out to every broker.
    fn committed(&mut self) {
        let from = Party::Controller(self.raft.leader);
        for index in 0..self.brokers.len() {
            let image = self.raft.image.clone();
            self.send(from, Party::Broker(index), Message::Image(image));
        }
    }

    pub(crate) fn elect(&mut self, node: usize) {
        let before = self.raft.leader;
        let term = self.raft.elect(node);
        self.note(|| format!("controller {node} leads in term {term}"));
        let delay = self.between(1, 30);
        self.after(delay, Happening::RaftNews { node, leads: Some(term) });
        if before != node {
            let delay = self.between(1, 400);
            self.after(delay, Happening::RaftNews { node: before, leads: None });
        }
    }

    pub(crate) fn raft_news(&mut self, node: usize, leads: Option<u64>) {
        match leads {
            Some(term) if self.raft.accepts(node, term) => {
                // It has not seen the sessions of its predecessor: everybody gets the whole time to come.
                let now_ms = self.now_ms;
                let known = self.raft.image.brokers().map(|broker| (broker.id, broker.epoch));
                let heard =
                    |(id, epoch)| (id, Heard { epoch, applied: MetadataOffset(0), ready: false, at_ms: now_ms });
                self.controllers[node].heard = known.map(heard).collect();
                self.propose(node, Event::Leading { term });
            }
            None if self.raft.leader != node => self.propose(node, Event::NotLeading),
            _ => {}
        }
    }

    pub(crate) fn retry(&mut self, node: usize) {
        self.propose(node, Event::Retry);
    }

    pub(crate) fn heard(
        &mut self,
        node: usize,
        (id, epoch): (BrokerId, BrokerEpoch),
        applied: MetadataOffset,
        ready: bool,
    ) {
        let at_ms = self.now_ms;
        self.controllers[node].heard.insert(id, Heard { epoch, applied, ready, at_ms });
    }

    /// The active node fences who is silent, unfences who is ready, and elects from logs where nobody complete is left.
    pub(crate) fn supervise(&mut self, node: usize) {
        self.after(SUPERVISION_MS, Happening::Supervision { node });
        if self.raft.leader != node || !self.controllers[node].proposer.is_running() {
            return;
        }
        if !self.controllers[node].busy.is_empty() {
            return;
        }
        if self.raft.image.topic_count() == 0 && self.raft.image.live_brokers().count() == self.brokers.len() {
            self.create_topic();
            return;
        }
        let mut commands = Vec::new();
        for broker in self.raft.image.brokers() {
            let (id, epoch) = (broker.id, broker.epoch);
            let Some(heard) = self.controllers[node].heard.get(&id) else { continue };
            let is_silent = heard.epoch != epoch || self.now_ms - heard.at_ms > SESSION_MS;
            if is_silent && !broker.fenced && self.now_ms - heard.at_ms > SESSION_MS {
                commands.push(Command::FenceBroker { id, epoch });
            } else if !is_silent && broker.fenced && heard.ready && heard.applied.0 > 0 {
                commands.push(Command::UnfenceBroker { id, epoch });
            }
        }
        let logs: Vec<_> = self.raft.image.waiting().filter(|w| w.waiting_for == WaitingFor::Logs).collect();
        for waiting in logs {
            let at = waiting.partition;
            let Some(partition) = self.raft.image.partition(at.topic_id, at.partition) else { continue };
            let live: Vec<BrokerId> = self.raft.image.live_replicas(partition).collect();
            let ends: Vec<ReplicaEnd> = live.iter().filter_map(|id| self.replica_end(*id)).collect();
            if ends.len() == live.len() {
                let election = LogElection {
                    topic: at.topic_id,
                    partition: at.partition,
                    leader_epoch: partition.leader_epoch,
                    ends,
                    waiver: Waiver::AllReturned,
                };
                commands.push(Command::ElectFromLogs { elections: vec![election] });
            }
        }
        for command in commands {
            self.note(|| format!("controller {node} decides {command:?}"));
            self.submitted_at(node, None, command);
        }
    }

    fn replica_end(&self, id: BrokerId) -> Option<ReplicaEnd> {
        let broker = self.brokers.iter().find(|broker| broker.id == id && broker.up)?;
        let (_, reader) = broker.log.as_ref()?;
        Some(ReplicaEnd {
            broker: id,
            broker_epoch: broker.epoch?,
            last_epoch: reader.latest_epoch().unwrap_or(LeaderEpoch(-1)),
            log_end: reader.log_end_offset(),
        })
    }
}
