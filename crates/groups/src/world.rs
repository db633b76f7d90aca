//! A shard with a log, a clock and metadata, for tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use levada_metadata::{Delta, Entry, Image, Partition, Replica};
use levada_shard::{Context, Core, KeyValue, Output, Replayed, Token, TransactionalProducer};
use levada_types::{BrokerId, DirectoryId, MetadataOffset, PartitionIndex, TimestampMs, TopicId, TopicName};
use uuid::Uuid;

use crate::{
    GroupConfig, Groups,
    api::{Request, Response},
    groups::Hard,
};

/// What the log holds: records, and how transactions ended.
#[derive(Debug, Clone)]
pub(crate) enum Logged {
    Record(KeyValue, Option<TransactionalProducer>),
    Marker(i64, bool),
}

/// A shard as its runtime keeps it, where every write is committed at once.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) groups: Groups,
    pub(crate) log: Vec<Logged>,
    pub(crate) now: TimestampMs,
    pub(crate) image: Image,
    /// What was answered and not looked at yet.
    pub(crate) answers: BTreeMap<Token, Response>,
    answered: BTreeSet<Token>,
    /// Asked before the shard was set back: the runtime has answered them with an error.
    failed: BTreeSet<Token>,
    ids: u128,
    tokens: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub(crate) fn with(config: GroupConfig) -> Self {
        let mut world = Self {
            groups: Groups::new(Arc::new(config)),
            log: Vec::new(),
            now: 1_000_000,
            image: Image::new(),
            answers: BTreeMap::new(),
            answered: BTreeSet::new(),
            failed: BTreeSet::new(),
            ids: 0,
            tokens: 0,
        };
        world.call(|groups, context| groups.resume(context));
        world
    }

    /// Runs something on the shard and commits what it writes.
    pub(crate) fn call(&mut self, act: impl FnOnce(&mut Groups, &mut Context<'_>) -> Output<Response>) {
        let mut ids = self.ids;
        let mut fresh = || {
            ids += 1;
            Uuid::from_u128(ids)
        };
        let output = act(&mut self.groups, &mut Context { now: self.now, image: &self.image, fresh: &mut fresh });
        self.ids = ids;
        for write in output.writes {
            assert!(!write.records.is_empty(), "an empty batch");
            self.log.extend(write.records.into_iter().map(|record| Logged::Record(record, write.producer)));
        }
        for (token, response) in output.answers {
            if self.failed.contains(&token) {
                continue;
            }
            assert!(self.answered.insert(token), "{token:?} was answered twice, now with {response:?}");
            self.answers.insert(token, response);
        }
    }

    /// Asks; the answer may come later.
    pub(crate) fn ask(&mut self, request: Request) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.call(|groups, context| groups.handle(token, request, context));
        token
    }

    /// The answer, if it has come.
    pub(crate) fn take(&mut self, token: Token) -> Option<Response> {
        self.answers.remove(&token)
    }

    /// Asks for something that is answered at once.
    pub(crate) fn answer(&mut self, request: Request) -> Response {
        let token = self.ask(request);
        self.take(token).expect("it was not answered at once")
    }

    /// Lets time go by, with everything that becomes due in it.
    pub(crate) fn pass(&mut self, ms: i64) {
        let end = self.now + ms;
        let mut ticks = 0;
        while let Some(due) = self.groups.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.call(|groups, context| groups.tick(context));
            ticks += 1;
            assert!(ticks < 100_000, "time stands still");
        }
        self.now = end;
    }

    /// Another process takes the shard over; what nobody has answered never is.
    pub(crate) fn take_over(&mut self) {
        self.groups = self.replayed();
        self.fail_all();
        self.call(|groups, context| groups.resume(context));
    }

    /// The shard as it is before a write that may be refused.
    pub(crate) fn keep(&self) -> Kept {
        Kept { groups: self.groups.clone(), log: self.log.len(), tokens: self.tokens, answered: self.answered.clone() }
    }

    /// What was written since then is refused, and whoever has asked since then is answered with an error. What had been
    /// answered by then, though it rested on it, goes unanswered.
    pub(crate) fn set_back(&mut self, kept: Kept) {
        self.groups = kept.groups;
        self.log.truncate(kept.log);
        self.failed.extend((kept.tokens + 1..=self.tokens).map(Token));
        let goes_out = |token: &Token| token.0 > kept.tokens || kept.answered.contains(token);
        self.answered.retain(goes_out);
        self.answers.retain(|token, _| goes_out(token));
        self.call(|groups, context| groups.set_back(context));
    }

    /// Whoever still waits is answered with an error by the runtime; another answer to anybody does no harm.
    fn fail_all(&mut self) {
        self.failed.extend((1..=self.tokens).map(Token));
    }

    /// Whether the runtime has answered this request with an error, in place of the shard.
    pub(crate) fn has_failed(&self, token: Token) -> bool {
        self.failed.contains(&token)
    }

    /// What the log adds up to.
    pub(crate) fn replayed(&self) -> Groups {
        let mut groups = self.groups.emptied();
        for (offset, logged) in (0..).zip(&self.log) {
            groups.replay(match logged {
                Logged::Record(record, producer) => Replayed::Record {
                    offset,
                    timestamp: record.timestamp,
                    producer: *producer,
                    key: &record.key,
                    value: record.value.as_deref(),
                },
                Logged::Marker(producer_id, commit) => {
                    Replayed::Marker { offset, producer_id: *producer_id, producer_epoch: 0, commit: *commit }
                }
            });
        }
        groups
    }

    /// A record or marker that somebody else wrote, which the shard is shown.
    pub(crate) fn log(&mut self, logged: Logged) {
        self.log.push(logged);
        self.take_over();
    }

    /// What is hard must be what the log adds up to.
    pub(crate) fn check(&self) -> Hard {
        let hard = self.groups.hard();
        assert_eq!(hard, self.replayed().hard());
        hard
    }

    fn metadata(&mut self, deltas: Vec<Delta>) {
        let position = match self.image.next_position() {
            Some(position) => position,
            None => {
                self.image.apply(MetadataOffset(1), &Entry::Barrier).unwrap();
                self.image.next_position().unwrap()
            }
        };
        let offset = MetadataOffset(self.image.offset().0 + 1);
        self.image.apply(offset, &Entry::Deltas { position, deltas }).unwrap();
    }

    /// Creates a topic.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: PartitionIndex) -> TopicId {
        self.ids += 1;
        let topic = TopicId(Uuid::from_u128(self.ids << 64));
        let mut deltas = vec![Delta::TopicCreated { id: topic, name: TopicName::new(name).unwrap() }];
        deltas.extend((0..partitions).map(|index| partition(topic, index)));
        self.metadata(deltas);
        topic
    }

    /// Gives a topic these partitions more.
    pub(crate) fn add_partitions(&mut self, topic: TopicId, new: Range<PartitionIndex>) {
        self.metadata(new.map(|index| partition(topic, index)).collect());
    }

    /// Deletes a topic.
    pub(crate) fn delete_topic(&mut self, id: TopicId) {
        self.metadata(vec![Delta::TopicDeleted { id }]);
    }
}

/// A shard as it was.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    groups: Groups,
    log: usize,
    tokens: u64,
    answered: BTreeSet<Token>,
}

fn partition(topic: TopicId, index: PartitionIndex) -> Delta {
    let replicas = vec![Replica { broker: BrokerId(1), directory: DirectoryId(Uuid::from_u128(1)) }];
    Delta::PartitionSet { topic, index, partition: Arc::new(Partition::new(replicas, Vec::new(), BrokerId(1))) }
}
