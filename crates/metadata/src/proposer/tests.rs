//! Proposers over a model of Raft that refuses writes, loses outcomes, changes terms, and lets old writes in late.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use levada_types::{BrokerId, ClusterId, DirectoryId, ErrorCode, MetadataOffset, TopicId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{Applied, Image, LevelRange, NewBroker, NewTopic, TopicCreation};

const NODES: usize = 2;

/// What the model does next.
#[derive(Debug, Clone)]
enum Step {
    /// A client submits at a node.
    Submit { node: usize, what: u8 },
    /// The node's oldest write reaches Raft, which appends and commits it if the node leads in its term.
    Append { node: usize },
    /// Raft refuses the node's oldest write although the node leads, as when its lease has lapsed, and may accept the next.
    Refuse { node: usize },
    /// The node's oldest write is committed, but the node hears that it is lost.
    LoseOutcome { node: usize },
    /// The node's oldest write is committed in whatever term, as if Raft did not check.
    LetInLate { node: usize },
    /// The node becomes leader in a new term; the others hear of it later.
    Elect { node: usize },
    /// A node that does not lead any more hears so.
    Depose { node: usize },
    /// The pause after a refusal is over.
    Retry { node: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    prop_oneof![
        8 => (node.clone(), any::<u8>()).prop_map(|(node, what)| Step::Submit { node, what }),
        12 => node.clone().prop_map(|node| Step::Append { node }),
        2 => node.clone().prop_map(|node| Step::Refuse { node }),
        1 => node.clone().prop_map(|node| Step::LoseOutcome { node }),
        1 => node.clone().prop_map(|node| Step::LetInLate { node }),
        2 => node.clone().prop_map(|node| Step::Elect { node }),
        2 => node.clone().prop_map(|node| Step::Depose { node }),
        3 => node.prop_map(|node| Step::Retry { node }),
    ]
}

struct Node {
    proposer: Proposer,
    writes: VecDeque<(WriteId, u64, Entry)>,
    pauses: u32,
}

struct Model {
    nodes: Vec<Node>,
    leader: usize,
    term: u64,
    image: Image,
    /// The image as of each offset.
    history: BTreeMap<MetadataOffset, Image>,
    next_ticket: u64,
    next_id: u128,
    open: BTreeSet<Ticket>,
    answers: Vec<(Response, MetadataOffset)>,
}

impl Model {
    fn new() -> Self {
        let node = |n: u128| {
            let genesis = Genesis { cluster_id: ClusterId(Uuid::from_u128(n)), level: MetadataLevel::FIRST };
            let proposer = Proposer::new(genesis, StaticConfigs::default());
            Node { proposer, writes: VecDeque::new(), pauses: 0 }
        };
        Self {
            nodes: (0..NODES as u128).map(node).collect(),
            leader: 0,
            term: 0,
            image: Image::new(),
            history: BTreeMap::new(),
            next_ticket: 0,
            next_id: 100,
            open: BTreeSet::new(),
            answers: Vec::new(),
        }
    }

    fn handle(&mut self, node: usize, event: Event) {
        let mut effects = Vec::new();
        self.nodes[node].proposer.handle(event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Propose { write, term, entry } => self.nodes[node].writes.push_back((write, term, entry)),
                Effect::Answer { ticket, result } => {
                    assert!(self.open.remove(&ticket), "{ticket:?} is answered twice");
                    self.answers.extend(result.ok());
                }
                Effect::Pause => self.nodes[node].pauses += 1,
            }
        }
    }

    fn submit(&mut self, node: usize, what: u8) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.open.insert(ticket);
        let command = self.command(what);
        let ids = (0..command.fresh_ids()).map(|_| self.fresh()).collect();
        self.handle(node, Event::Submitted { ticket, command, now_ms: 0, ids });
    }

    fn command(&mut self, what: u8) -> Command {
        let epoch = self.image.broker(BrokerId(1)).map_or(levada_types::BrokerEpoch(1), |b| b.epoch);
        let incarnation = if what.is_multiple_of(2) { Uuid::from_u128(1) } else { self.fresh() };
        match what % 8 {
            0 | 1 => Command::RegisterBroker(NewBroker {
                id: BrokerId(1),
                incarnation,
                cluster_id: None,
                replaces: self.image.broker(BrokerId(1)).map(|known| known.epoch),
                boot_id: None,
                clean_shutdown_epoch: None,
                closed_directories: Vec::new(),
                directories: vec![DirectoryId(Uuid::from_u128(7))],
                endpoints: Vec::new(),
                internal_address: String::new(),
                rack: None,
                has_offline_directory: false,
                has_lost_bytes: false,
                levels: LevelRange::SUPPORTED,
            }),
            2 => Command::UnfenceBroker { id: BrokerId(1), epoch },
            3 => Command::AllocateProducerIds { broker: BrokerId(1), epoch },
            _ => {
                let topic = NewTopic {
                    name: format!("topic-{}", what / 8 % 4),
                    partitions: Some(1),
                    replication_factor: Some(1),
                    assignments: Vec::new(),
                    configs: Vec::new(),
                };
                Command::CreateTopics { topics: vec![topic], validate_only: false }
            }
        }
    }

    fn fresh(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128(self.next_id)
    }

    fn commit(&mut self, entry: &Entry) -> Outcome {
        let offset = MetadataOffset(self.image.offset().0 + 1);
        // An entry that does not fit would be an error here: that is the property.
        let applied = self.image.apply(offset, entry).unwrap();
        self.history.insert(offset, self.image.clone());
        match applied {
            Applied::Skipped => Outcome::Skipped,
            Applied::Applied => Outcome::Applied {
                offset,
                state: (*entry == Entry::Barrier).then(|| Box::new(self.image.state().clone())),
            },
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Submit { node, what } => self.submit(node, what),
            Step::Append { node } => {
                let Some((write, term, entry)) = self.nodes[node].writes.pop_front() else { return };
                let leads = self.leader == node && self.term == term;
                let outcome = if leads { self.commit(&entry) } else { Outcome::Refused };
                self.handle(node, Event::Written { write, outcome });
            }
            Step::Refuse { node } => {
                let Some((write, ..)) = self.nodes[node].writes.pop_front() else { return };
                self.handle(node, Event::Written { write, outcome: Outcome::Refused });
            }
            Step::LoseOutcome { node } | Step::LetInLate { node } => {
                let late = matches!(step, Step::LetInLate { .. });
                let Some((write, term, entry)) = self.nodes[node].writes.pop_front() else { return };
                if late || (self.leader == node && self.term == term) {
                    self.commit(&entry);
                }
                self.handle(node, Event::Written { write, outcome: Outcome::Refused });
            }
            Step::Elect { node } => {
                self.term += 1;
                self.leader = node;
                let term = self.term;
                self.handle(node, Event::Leading { term });
            }
            Step::Depose { node } => {
                if self.leader != node {
                    self.handle(node, Event::NotLeading);
                }
            }
            Step::Retry { node } => {
                if self.nodes[node].pauses > 0 {
                    self.nodes[node].pauses -= 1;
                    self.handle(node, Event::Retry);
                }
            }
        }
    }

    /// Lets everything come to rest under one leader.
    fn settle(&mut self) {
        self.take(&Step::Elect { node: 0 });
        (1..NODES).for_each(|node| self.take(&Step::Depose { node }));
        while self.nodes.iter().any(|n| !n.writes.is_empty() || n.pauses > 0) {
            for node in 0..NODES {
                self.take(&Step::Append { node });
                self.take(&Step::Retry { node });
            }
        }
    }

    /// Every answer is true of the committed state that it names.
    fn check_answers(&self) {
        let mut producer_ids = BTreeSet::new();
        let mut epochs: BTreeMap<i64, Uuid> = BTreeMap::new();
        for (response, offset) in &self.answers {
            let image = &self.history[offset];
            match response {
                Response::CreateTopics(topics) => {
                    let [TopicCreation { name, result }] = &topics[..] else { panic!("{topics:?}") };
                    let there = image.topic_id(name);
                    match result {
                        Ok(created) => assert_eq!(there, Some(created.id)),
                        Err(error) if error.code == ErrorCode::TopicAlreadyExists => assert!(there.is_some()),
                        Err(error) => {
                            assert_eq!(error.code, ErrorCode::InvalidReplicationFactor);
                            assert_eq!(image.live_brokers().count(), 0);
                        }
                    }
                }
                Response::AllocateProducerIds(Ok(block)) => {
                    assert!(image.next_producer_id() >= block.first + block.len);
                    assert!(producer_ids.insert(block.first), "{block:?} is handed out twice");
                }
                Response::RegisterBroker(Ok(epoch)) => {
                    let broker = image.broker(BrokerId(1)).unwrap();
                    assert_eq!(broker.epoch, *epoch);
                    let incarnation = *epochs.entry(epoch.0).or_insert(broker.incarnation);
                    assert_eq!(incarnation, broker.incarnation, "an epoch belongs to one incarnation");
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_true_whatever_raft_does(steps in prop::collection::vec(step(), 1..150)) {
        let mut model = Model::new();
        for step in &steps {
            model.take(step);
        }
        model.settle();
        model.check_answers();
        prop_assert!(model.open.is_empty(), "unanswered: {:?}", model.open);
        prop_assert!(model.image.level().is_some() && model.image.cluster_id().is_some());
    }
}

fn running() -> Model {
    let mut model = Model::new();
    model.take(&Step::Elect { node: 0 });
    for _ in 0..2 {
        model.take(&Step::Append { node: 0 });
    }
    assert!(model.nodes[0].proposer.is_running());
    model
}

#[test]
fn the_first_entry_of_a_cluster_bears_its_identity_and_level() {
    let model = running();
    assert_eq!(model.image.cluster_id(), Some(ClusterId(Uuid::from_u128(0))));
    assert_eq!(model.image.level(), Some(MetadataLevel::FIRST));
}

#[test]
fn many_writes_are_under_way_at_once_and_each_builds_on_the_one_before() {
    let mut model = running();
    // Register, unfence, create a topic: each needs what the one before it did.
    [0, 2, 4].into_iter().for_each(|what| model.submit(0, what));
    assert_eq!((model.nodes[0].writes.len(), model.answers.len()), (3, 0));
    for _ in 0..3 {
        model.take(&Step::Append { node: 0 });
    }
    let Some((Response::CreateTopics(topics), _)) = model.answers.last() else { panic!() };
    assert!(topics[0].result.is_ok(), "{topics:?}");
}

#[test]
fn a_refusal_that_rests_on_an_open_write_waits_for_it() {
    let mut model = running();
    [0, 2].into_iter().for_each(|what| model.submit(0, what));
    model.take(&Step::Append { node: 0 });
    model.take(&Step::Append { node: 0 });
    let answered = model.answers.len();
    // The second creation is refused because of the first, which may yet be lost.
    [4, 4].into_iter().for_each(|what| model.submit(0, what));
    assert_eq!(model.answers.len(), answered);
    model.take(&Step::Refuse { node: 0 });
    assert_eq!(model.answers.len(), answered, "both are unknown now");
    assert!(model.open.is_empty());
}

#[test]
fn what_was_built_on_a_refused_write_is_skipped_everywhere() {
    let mut model = running();
    [0, 2, 4, 12].into_iter().for_each(|what| model.submit(0, what));
    model.take(&Step::Append { node: 0 });
    model.take(&Step::Refuse { node: 0 });
    // Raft accepts the next ones all the same.
    model.take(&Step::Append { node: 0 });
    model.take(&Step::Append { node: 0 });
    assert_eq!(model.image.topic_count(), 0);
    model.take(&Step::Retry { node: 0 });
    model.take(&Step::Append { node: 0 });
    assert!(model.nodes[0].proposer.is_running(), "a new run has begun");
}

#[test]
fn a_node_that_does_not_lead_decides_nothing() {
    let mut model = Model::new();
    model.submit(1, 4);
    assert!(model.open.is_empty() && model.nodes[1].writes.is_empty());
}

#[test]
fn too_many_waiting_commands_are_refused() {
    let mut model = Model::new();
    model.take(&Step::Elect { node: 0 });
    (0..MAX_WAITING_COMMANDS).for_each(|_| model.submit(0, 4));
    assert_eq!(model.open.len(), MAX_WAITING_COMMANDS);
    model.submit(0, 4);
    assert_eq!(model.open.len(), MAX_WAITING_COMMANDS, "the last one is busy, not waiting");
}

#[test]
fn topic_ids_come_from_outside() {
    let mut model = running();
    [0, 2, 4].into_iter().for_each(|what| model.submit(0, what));
    (0..3).for_each(|_| model.take(&Step::Append { node: 0 }));
    let id = model.image.topic_id("topic-0").unwrap();
    assert_eq!(id, TopicId(Uuid::from_u128(model.next_id)));
}
