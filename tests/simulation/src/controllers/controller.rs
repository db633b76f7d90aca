//! A controller node: the shipped proposer, and how what it wants gets to Raft and back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use levada_metadata::config::StaticConfigs;
use levada_metadata::shards::invariants;
use levada_metadata::{Command, Coordinator, Effect, Event, Genesis, MetadataLevel, Outcome, Proposer, Rules, Ticket};
use levada_types::{BrokerEpoch, BrokerId, ClusterId, CoordinatorEpoch, MetadataOffset};
use uuid::Uuid;

use super::SESSION_MS;
use crate::happening::{Happening, Write};
use crate::message::{Message, Party};
use crate::run::Failure;
use crate::universe::Universe;

/// How long a proposer pauses after a refusal.
const PAUSE_MS: i64 = 20;

pub(crate) struct Controller {
    pub(super) proposer: Proposer,
    pub(crate) writes: VecDeque<Write>,
    /// Who waits for an answer; `None` is the node itself.
    open: BTreeMap<Ticket, Option<(Party, u64)>>,
    next_ticket: u64,
    pub(super) heard: BTreeMap<BrokerId, Heard>,
    /// When a coordinator was heard of last.
    pub(super) heard_coordinators: BTreeMap<CoordinatorEpoch, i64>,
    /// Decisions of the node's own that are under way.
    pub(super) busy: BTreeSet<Ticket>,
}

/// What was last heard of a broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) epoch: BrokerEpoch,
    pub(crate) applied: MetadataOffset,
    pub(crate) ready: bool,
    pub(crate) at_ms: i64,
}

impl Controller {
    pub(crate) fn new(rules: Rules) -> Self {
        let genesis = Genesis { cluster_id: ClusterId(Uuid::from_u128(0xc1)), level: MetadataLevel::LATEST };
        Self {
            proposer: Proposer::new(genesis, StaticConfigs::default()).with_rules(rules),
            writes: VecDeque::new(),
            open: BTreeMap::new(),
            next_ticket: 0,
            heard: BTreeMap::new(),
            heard_coordinators: BTreeMap::new(),
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

    /// Whether a coordinator registers where another process lives, registered and on an open connection: a controller leaves
    /// that one its place. The network may bring such a registration late, of a process that has ended.
    pub(crate) fn is_taken(&self, command: &Command) -> bool {
        let Command::RegisterCoordinator(new) = command else { return false };
        let at_address = |known: &&Coordinator| known.internal_address == new.internal_address;
        let rival = self.raft.image.coordinators(new.kind).map(AsRef::as_ref).find(at_address);
        rival.is_some_and(|rival| {
            rival.incarnation != new.incarnation
                && self.coordinators.iter().any(|c| c.up && c.incarnation == rival.incarnation)
        })
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
            let before = self.raft.image.state().clone();
            let outcome = self.raft.commit(&entry).map_err(Failure::Metadata)?;
            invariants::check(self.raft.image.state())?;
            invariants::check_step(&before, self.raft.image.state())?;
            self.committed()?;
            // It is in, and whoever wrote it does not come to know.
            if !self.healed && self.one_in(40) { Outcome::Refused } else { outcome }
        } else {
            Outcome::Refused
        };
        self.propose(node, Event::Written { write, outcome });
        Ok(())
    }

    /// The new image goes out to every broker.
    fn committed(&mut self) -> Result<(), Failure> {
        self.follow_topic()?;
        self.look(None)?;
        let from = Party::Controller(self.raft.leader);
        for index in 0..self.brokers.len() {
            let image = self.raft.image.clone();
            self.send(from, Party::Broker(index), Message::Image(Box::new(image)));
        }
        for index in 0..self.coordinators.len() {
            let image = self.raft.image.clone();
            self.send(from, Party::Coordinator(index), Message::Image(Box::new(image)));
        }
        Ok(())
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
                let known = self.raft.image.all_coordinators().map(|known| (known.epoch, now_ms));
                self.controllers[node].heard_coordinators = known.collect();
                self.propose(node, Event::Leading { term });
            }
            None if self.raft.leader != node => self.propose(node, Event::NotLeading),
            _ => {}
        }
    }

    pub(crate) fn retry(&mut self, node: usize) {
        self.propose(node, Event::Retry);
    }

    /// A sign of life of a broker. In worlds with shards it hears how long it may vouch for what it leads: only from who leads,
    /// so that nobody else can have counted it out.
    pub(crate) fn heard(&mut self, node: usize, id: BrokerId, heard: Heard, sent_ms: i64) {
        self.controllers[node].heard.insert(id, heard);
        let is_current = self.raft.image.broker(id).is_some_and(|known| known.epoch == heard.epoch && known.is_live());
        let broker = self.brokers.iter().position(|broker| broker.id == id);
        if let Some(broker) = broker.filter(|_| self.settings.of_shards && is_current && self.raft.leader == node) {
            let message = Message::Mandate { epoch: heard.epoch, until_ms: sent_ms + SESSION_MS };
            self.send(Party::Controller(node), Party::Broker(broker), message);
        }
    }

    /// A sign of life of a coordinator: who leads renews its lease, unless it is counted out.
    pub(crate) fn heard_coordinator(&mut self, node: usize, from: Party, epoch: CoordinatorEpoch, sent_ms: i64) {
        if self.raft.leader != node || self.raft.image.coordinator(epoch).is_none() {
            return;
        }
        self.controllers[node].heard_coordinators.insert(epoch, self.now_ms);
        self.send(Party::Controller(node), from, Message::Lease { epoch, sent_ms });
    }
}
