//! The universe: the clock, the queue of what is to happen, the seed, and everybody in it.

use std::collections::{BTreeMap, BTreeSet};

use levada_types::BrokerId;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::ambush::Ambush;
use crate::brokers::Broker;
use crate::clients::{Committer, Consumer, Producer};
use crate::commits::Commits;
use crate::controllers::{Controller, Heard, Raft};
use crate::coordinators::Coordinator;
use crate::happening::Happening;
use crate::message::{Acks, Message, Party};
use crate::rules::Rules;
use crate::run::Failure;
use crate::settings::Settings;
use crate::topic::Topic;

/// When the world begins, in milliseconds since 1970: a time that records may bear.
const BEGINNING_MS: i64 = 1_700_000_000_000;

/// How many controller nodes there are.
const CONTROLLERS: usize = 3;

/// How many brokers there are: one more than the topic has replicas, so that they can move.
const BROKERS: i32 = 4;

/// What the producers want: (acks, whether they are idempotent).
const PRODUCERS: [(Acks, bool); 5] =
    [(Acks::None, false), (Acks::Leader, false), (Acks::All, false), (Acks::All, true), (Acks::All, true)];

/// How many coordinators there are, in a world with shards.
const COORDINATORS: usize = 3;

/// How many clients commit offsets there.
const COMMITTERS: usize = 5;

/// How many consumers there are.
const CONSUMERS: usize = 2;

pub(crate) struct Universe {
    random: StdRng,
    pub(crate) now_ms: i64,
    queue: BTreeMap<(i64, u64), Happening>,
    happenings: u64,
    pub(crate) settings: Settings,
    pub(crate) rules: Rules,
    pub(crate) raft: Raft,
    pub(crate) controllers: Vec<Controller>,
    pub(crate) brokers: Vec<Broker>,
    pub(crate) producers: Vec<Producer>,
    pub(crate) consumers: Vec<Consumer>,
    /// None in a world without shards, as of committers.
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) committers: Vec<Committer>,
    pub(crate) commits: Commits,
    /// Ways on which nothing gets through.
    pub(crate) cut: BTreeSet<(Party, Party)>,
    /// Faults that have not struck yet.
    pub(crate) ambush: Ambush,
    /// Nothing goes wrong any more.
    pub(crate) healed: bool,
    /// Producers make nothing new.
    pub(crate) quiet: bool,
    /// The topic of the run, once it exists.
    pub(crate) topic: Option<Topic>,
    /// How many answers producers got that had asked for all replicas.
    pub(crate) acknowledged: u64,
    pub(crate) trace: Vec<String>,
    values: u64,
    pub(crate) next_id: u128,
    next_number: u64,
}

impl Universe {
    pub(crate) fn new(seed: u64, rules: Rules) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let settings = Settings::draw(&mut random);
        let of_shards = usize::from(settings.of_shards);
        let mut universe = Self {
            random,
            now_ms: BEGINNING_MS,
            queue: BTreeMap::new(),
            happenings: 0,
            settings,
            rules,
            raft: Raft::new(),
            controllers: (0..CONTROLLERS).map(|_| Controller::new(rules.metadata)).collect(),
            brokers: (1..=BROKERS).map(|id| Broker::new(BrokerId(id), settings.directories)).collect(),
            producers: PRODUCERS.iter().map(|(acks, idempotent)| Producer::new(*acks, *idempotent)).collect(),
            consumers: vec![Consumer::default(); CONSUMERS],
            coordinators: (0..of_shards * COORDINATORS).map(|_| Coordinator::new()).collect(),
            committers: (0..of_shards * COMMITTERS).map(|_| Committer::default()).collect(),
            commits: Commits::default(),
            cut: BTreeSet::new(),
            ambush: Ambush::default(),
            healed: false,
            quiet: false,
            topic: None,
            acknowledged: 0,
            trace: Vec::new(),
            values: 0,
            next_id: 0x1000,
            next_number: 0,
        };
        universe.note(|| format!("{settings:?}"));
        universe.elect(0);
        for node in 0..CONTROLLERS {
            universe.after(1, Happening::Supervision { node });
        }
        for index in 0..universe.brokers.len() {
            universe.start(index);
        }
        for index in 0..universe.coordinators.len() {
            universe.start_coordinator(index);
        }
        universe
    }

    /// The next thing that happens, if it does before `until_ms`.
    pub(crate) fn step(&mut self, until_ms: i64) -> Result<bool, Failure> {
        if self.queue.first_key_value().is_none_or(|((at_ms, _), _)| *at_ms > until_ms) {
            return Ok(false);
        }
        let Some(((at_ms, _), happening)) = self.queue.pop_first() else { return Ok(false) };
        self.now_ms = self.now_ms.max(at_ms);
        self.happen(happening)?;
        Ok(true)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Failure> {
        match happening {
            Happening::Arrival { from, to, message } => self.arrive(from, to, *message),
            Happening::RaftWrite { node } => self.raft_write(node),
            Happening::RaftNews { node, leads } => {
                self.raft_news(node, leads);
                Ok(())
            }
            Happening::Retry { node } => {
                self.retry(node);
                Ok(())
            }
            Happening::Supervision { node } => {
                self.supervise(node);
                Ok(())
            }
            Happening::Round { broker, life } => self.round(broker, life),
            Happening::Work(at) => self.work(at),
            Happening::Flush(at) => self.flush(at),
            Happening::ProposalTimeout { at, proposal } => self.proposal_timeout(at, proposal),
            Happening::Produce { producer } => {
                self.produce(producer);
                Ok(())
            }
            Happening::Consume { consumer } => self.consume(consumer),
            Happening::Operation => {
                self.operate();
                Ok(())
            }
            Happening::Fault => self.fault(),
            Happening::DiskGoesOn { broker } => {
                self.disk_goes_on(broker);
                Ok(())
            }
            Happening::DiskHasRoom { broker } => {
                self.disk_has_room(broker);
                Ok(())
            }
            Happening::CoordinatorRound { coordinator, life } => self.coordinator_round(coordinator, life),
            Happening::CoordinatorWakes { coordinator, life } => self.wake_coordinator(coordinator, life),
            Happening::CoordinatorStarts { coordinator } => {
                if !self.coordinators[coordinator].up {
                    self.start_coordinator(coordinator);
                }
                Ok(())
            }
            Happening::ShardTimer { coordinator, shard } => self.shard_timer(coordinator, shard),
            Happening::ShardFault => self.shard_fault(),
            Happening::Commit { committer } => {
                self.commit_or_fetch(committer);
                Ok(())
            }
        }
    }

    fn arrive(&mut self, from: Party, to: Party, message: Message) -> Result<(), Failure> {
        match (to, message) {
            (Party::Controller(_), Message::Submit { number, command }) if self.is_taken(&command) => {
                self.note(|| format!("submission {number} comes of a process whose place is another's now"));
                Ok(())
            }
            (Party::Controller(node), Message::Submit { number, command }) => {
                self.submitted_at(node, Some((from, number)), command);
                Ok(())
            }
            (Party::Controller(node), Message::Heartbeat { broker, epoch, applied, ready, sent_ms }) => {
                self.heard(node, broker, Heard { epoch, applied, ready, at_ms: self.now_ms }, sent_ms);
                Ok(())
            }
            (Party::Controller(node), Message::LeaseAsked { epoch, sent_ms }) => {
                self.heard_coordinator(node, from, epoch, sent_ms);
                Ok(())
            }
            (Party::Coordinator(index), message) => self.coordinator_received(index, message),
            (Party::Broker(index), message) => self.received(index, message),
            (Party::Producer(producer), Message::Produced { number, result }) => {
                self.produced(producer, number, result);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn after(&mut self, delay_ms: i64, happening: Happening) {
        self.happenings += 1;
        self.queue.insert((self.now_ms + delay_ms, self.happenings), happening);
    }

    /// From `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        self.random.random_range(least..=most)
    }

    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.random.random_range(0..n) == 0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    pub(crate) fn seed(&mut self) -> u64 {
        self.random.random()
    }

    pub(crate) fn fresh_id(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128(self.next_id)
    }

    /// A number that tells one request, or one opening of a replica, from all others.
    pub(crate) fn fresh_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// A value that no other record has.
    pub(crate) fn fresh_value(&mut self) -> String {
        self.values += 1;
        self.values.to_string()
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.now_ms - BEGINNING_MS, line());
        self.trace.push(line);
    }
}
