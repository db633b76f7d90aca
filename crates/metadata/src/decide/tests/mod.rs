//! What decisions come to, and what holds whatever is asked.

mod brokers;
mod configs;
mod directories;
mod elections;
mod in_sync;
mod membership;
mod properties;
mod reassignments;
mod shards;
mod topics;

use levada_types::{BrokerEpoch, BrokerId, ClusterId, DirectoryId, ErrorCode, TopicId};
use uuid::Uuid;

use super::{Context, decide};
use crate::config::StaticConfigs;
use crate::{Command, Delta, ItemError, LevelRange, MetadataLevel, NewBroker, NewTopic, Partition, Response, State};

/// A cluster under test: decides and applies, with ids that count up.
struct Cluster {
    state: State,
    statics: StaticConfigs,
    next_id: u128,
}

impl Cluster {
    fn new() -> Self {
        Self::at_level(MetadataLevel::LATEST)
    }

    fn at_level(level: MetadataLevel) -> Self {
        let mut state = State::new();
        state.apply(&Delta::ClusterCreated { cluster_id: ClusterId(Uuid::from_u128(1)) }).unwrap();
        state.apply(&Delta::LevelFinalized { level }).unwrap();
        Self { state, statics: StaticConfigs::default(), next_id: 1_000 }
    }

    /// With live brokers of these numbers.
    fn with_brokers(ids: impl IntoIterator<Item = i32>) -> Self {
        let mut cluster = Self::new();
        ids.into_iter().for_each(|id| cluster.join(id, |_| ()));
        cluster
    }

    fn run(&mut self, command: &Command) -> Response {
        self.run_with_deltas(command).0
    }

    fn run_with_deltas(&mut self, command: &Command) -> (Response, Vec<Delta>) {
        let ids: Vec<Uuid> = (0..command.fresh_ids()).map(|_| self.fresh()).collect();
        let context = Context { now_ms: 0, ids: &ids, configs: &self.statics, rules: crate::Rules::default() };
        let (response, deltas) = decide(&self.state, command, &context);
        for delta in &deltas {
            self.state.apply(delta).unwrap();
        }
        (response, deltas)
    }

    fn fresh(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128(self.next_id)
    }

    fn register(&mut self, id: i32, change: impl FnOnce(&mut NewBroker)) -> Result<BrokerEpoch, ItemError> {
        let mut new = NewBroker {
            id: BrokerId(id),
            incarnation: self.fresh(),
            cluster_id: None,
            replaces: self.state.broker(BrokerId(id)).map(|known| known.epoch),
            boot_id: Some("boot".to_owned()),
            clean_shutdown_epoch: None,
            closed_directories: Vec::new(),
            directories: vec![directory(id)],
            endpoints: Vec::new(),
            internal_address: format!("b{id}:1"),
            rack: None,
            has_offline_directory: false,
            has_lost_bytes: false,
            levels: LevelRange::SUPPORTED,
        };
        change(&mut new);
        match self.run(&Command::RegisterBroker(new)) {
            Response::RegisterBroker(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Registers and unfences.
    fn join(&mut self, id: i32, change: impl FnOnce(&mut NewBroker)) {
        let epoch = self.register(id, change).unwrap();
        assert_eq!(self.run(&Command::UnfenceBroker { id: BrokerId(id), epoch }), Response::UnfenceBroker(Ok(())));
    }

    fn epoch(&self, id: i32) -> BrokerEpoch {
        self.state.broker(BrokerId(id)).unwrap().epoch
    }

    fn fence(&mut self, id: i32) {
        let command = Command::FenceBroker { id: BrokerId(id), epoch: self.epoch(id) };
        assert_eq!(self.run(&command), Response::FenceBroker(Ok(())));
    }

    fn create(&mut self, topic: NewTopic) -> Result<TopicId, ItemError> {
        match self.run(&Command::CreateTopics { topics: vec![topic], validate_only: false }) {
            Response::CreateTopics(mut topics) => topics.remove(0).result.map(|created| created.id),
            other => panic!("{other:?}"),
        }
    }

    fn partition(&self, topic: TopicId) -> &Partition {
        self.state.partition(topic, 0).unwrap()
    }

    fn leader(&self, topic: TopicId) -> Option<i32> {
        self.partition(topic).leader.map(|leader| leader.0)
    }

    fn isr(&self, topic: TopicId) -> Vec<i32> {
        self.partition(topic).isr.iter().map(|member| member.broker.0).collect()
    }

    fn elr(&self, topic: TopicId) -> Vec<i32> {
        self.partition(topic).elr.iter().map(|id| id.0).collect()
    }
}

fn directory(id: i32) -> DirectoryId {
    DirectoryId(Uuid::from_u128(0xd000 + id as u128))
}

fn topic(name: &str, partitions: i32, factor: i16) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(factor),
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, ItemError>) -> ErrorCode {
    result.unwrap_err().code
}
