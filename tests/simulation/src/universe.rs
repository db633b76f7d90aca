//! The universe: the clock, the queue of what is to happen, the seed, and everybody in it.

use std::collections::{BTreeMap, BTreeSet};

use levada_metadata::{Command, NewTopic};
use levada_replication::Rules;
use levada_replication::invariants::Checker;
use levada_types::{BrokerId, TopicIdPartition};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::broker::Broker;
use crate::controller::Controller;
use crate::happening::{Happening, Message, Party};
use crate::raft::Raft;
use crate::run::Failure;

/// When the world begins, in milliseconds since 1970: a time that records may bear.
const BEGINNING_MS: i64 = 1_700_000_000_000;

/// How many controller nodes there are.
const CONTROLLERS: usize = 3;

/// The topic of the run.
pub(crate) const TOPIC: &str = "orders";

pub(crate) struct Universe {
    random: StdRng,
    pub(crate) now_ms: i64,
    queue: BTreeMap<(i64, u64), Happening>,
    happenings: u64,
    pub(crate) raft: Raft,
    pub(crate) controllers: Vec<Controller>,
    pub(crate) brokers: Vec<Broker>,
    pub(crate) cut: BTreeSet<(Party, Party)>,
    pub(crate) healed: bool,
    /// Whether an acknowledgement means fsynced.
    pub(crate) fsync: bool,
    pub(crate) minimum: usize,
    /// How often something goes wrong, in milliseconds.
    pub(crate) fault_ms: i64,
    pub(crate) checker: Checker,
    pub(crate) rules: Rules,
    pub(crate) values: u64,
    pub(crate) acknowledged: u64,
    pub(crate) trace: Vec<String>,
    next_id: u128,
    pub(crate) next_number: u64,
}

impl Universe {
    pub(crate) fn new(seed: u64, rules: Rules) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let minimum = [1, 2, 2, 2, 3][random.random_range(0..5)];
        let fsync = random.random_range(0..3) == 0;
        let fault_ms = random.random_range(150..1_500);
        let mut universe = Self {
            random,
            now_ms: BEGINNING_MS,
            queue: BTreeMap::new(),
            happenings: 0,
            raft: Raft::new(),
            controllers: (0..CONTROLLERS).map(|_| Controller::new()).collect(),
            brokers: Vec::new(),
            cut: BTreeSet::new(),
            healed: false,
            fsync,
            minimum,
            fault_ms,
            checker: Checker::new(),
            rules,
            values: 0,
            acknowledged: 0,
            trace: Vec::new(),
            next_id: 0x1000,
            next_number: 0,
        };
        universe.brokers = (1..=3).map(|id| Broker::new(BrokerId(id))).collect();
        universe.elect(0);
        for node in 0..CONTROLLERS {
            universe.after(1, Happening::Supervision { node });
        }
        for index in 0..universe.brokers.len() {
            universe.start(index);
        }
        universe
    }

    /// The next thing that happens, if it does before `until_ms`.
    pub(crate) fn step(&mut self, until_ms: i64) -> Result<bool, Failure> {
        let Some(((at_ms, _), happening)) = self.queue.pop_first() else { return Ok(false) };
        if at_ms > until_ms {
            self.queue.insert((at_ms, 0), happening);
            return Ok(false);
        }
        self.now_ms = self.now_ms.max(at_ms);
        // What happens at a replica is looked at there, event by event.
        let changes_the_world = matches!(happening, Happening::RaftWrite { .. } | Happening::Fault);
        match happening {
            Happening::Arrival { from, to, message } => self.arrive(from, to, *message)?,
            Happening::RaftWrite { node } => self.raft_write(node)?,
            Happening::RaftNews { node, leads } => self.raft_news(node, leads),
            Happening::Retry { node } => self.retry(node),
            Happening::Supervision { node } => self.supervise(node),
            Happening::Round { broker, life } => self.round(broker, life)?,
            Happening::Flush { broker, life } => self.flush(broker, life)?,
            Happening::ProposalTimeout { broker, life, proposal } => self.proposal_timeout(broker, life, proposal)?,
            Happening::Produce => self.produce_somewhere()?,
            Happening::Fault => self.fault()?,
        }
        if changes_the_world {
            self.look(None)?;
        }
        Ok(true)
    }

    fn arrive(&mut self, from: Party, to: Party, message: Message) -> Result<(), Failure> {
        match (to, message) {
            (Party::Controller(node), Message::Submit { number, command }) => {
                self.submitted_at(node, Some((from, number)), command);
                Ok(())
            }
            (Party::Controller(node), Message::Heartbeat { broker, epoch, applied, ready }) => {
                self.heard(node, (broker, epoch), applied, ready);
                Ok(())
            }
            (Party::Broker(index), message) => self.received(index, message),
            (Party::Controller(_), _) => Ok(()),
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

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.now_ms - BEGINNING_MS, line());
        self.trace.push(line);
    }

    /// The one partition of the run, once it exists.
    pub(crate) fn partition(&self) -> Option<TopicIdPartition> {
        let topic = self.raft.image.topics().next()?;
        Some(TopicIdPartition { topic_id: topic.id(), partition: 0 })
    }

    pub(crate) fn create_topic(&mut self) {
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(1),
            replication_factor: Some(3),
            assignments: Vec::new(),
            configs: vec![("min.insync.replicas".to_owned(), self.minimum.to_string())],
        };
        let node = self.raft.leader;
        self.submitted_at(node, None, Command::CreateTopics { topics: vec![topic], validate_only: false });
    }
}
