//! A librdkafka consumer that is a member of a group, and notes what it is given and what is taken from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use crate::{Outcome, Seen, Tenures, client_config, fail, reader::seen};

/// How long the coordinator may take over one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a group is kept, as librdkafka's settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The classic protocol with this assignor: `range`, `roundrobin` or `cooperative-sticky`.
    Classic(&'static str),
    /// The next-generation protocol (KIP-848) with the assignor of the group's coordinator.
    Consumer,
}

impl Protocol {
    /// Whether a rebalance takes nothing away that comes back at once.
    pub fn is_cooperative(self) -> bool {
        matches!(self, Self::Classic("cooperative-sticky") | Self::Consumer)
    }
}

/// Which member of which group.
#[derive(Debug, Clone, Copy)]
pub struct MemberOptions<'a> {
    /// `group.id`.
    pub group: &'a str,
    /// The topic that it subscribes to; a regular expression if it begins with `^`.
    pub topic: &'a str,
    /// How the group is kept.
    pub protocol: Protocol,
    /// `group.instance.id` of a static member.
    pub instance: Option<&'a str>,
    /// `session.timeout.ms` of the classic protocol.
    pub session_timeout: Duration,
    /// Whether it notes in which generations it has which partitions. librdkafka tells generations in its debug log alone.
    pub notes_tenures: bool,
}

impl<'a> MemberOptions<'a> {
    /// A dynamic member of `group` that subscribes to `topic`.
    pub fn new(group: &'a str, topic: &'a str, protocol: Protocol) -> Self {
        Self { group, topic, protocol, instance: None, session_timeout: Duration::from_secs(45), notes_tenures: false }
    }
}

/// What a member was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// These partitions are its own from now on.
    Assigned(BTreeSet<i32>),
    /// These are not any more.
    Revoked(BTreeSet<i32>),
}

/// A member of a group of one topic. Dropped, it leaves the group, unless it is a static one.
pub struct Member {
    consumer: BaseConsumer<Notes>,
    topic: String,
}

#[derive(Default)]
struct Notes(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    told: Vec<Told>,
    tenures: Tenures,
}

impl Notes {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a member was told, which may be read when it is gone.
#[derive(Clone)]
pub struct Diary(Arc<Notes>);

impl Diary {
    /// In which generations or member epochs it had which partitions.
    pub fn tenures(&self) -> Tenures {
        self.0.noted().tenures.clone()
    }
}

impl ClientContext for Notes {
    // A server that is gone is what some of these tests are about; librdkafka need not report each time it notices.
    fn error(&self, _error: KafkaError, _reason: &str) {}

    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, line: &str) {
        if let Some(generation) = generation_in(line) {
            self.noted().tenures.enter(generation);
        }
    }
}

impl ConsumerContext for Notes {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut noted = self.noted();
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                noted.tenures.begin(&partitions);
                noted.told.push(Told::Assigned(partitions));
            }
            Rebalance::Revoke(list) => {
                let partitions = partitions(list);
                noted.tenures.end(&partitions);
                noted.told.push(Told::Revoked(partitions));
            }
            Rebalance::Error(_) => {}
        }
    }
}

impl Member {
    /// Connects to `bootstrap` and subscribes; what it is given comes while it polls.
    pub fn join(bootstrap: SocketAddr, options: &MemberOptions<'_>) -> Outcome<Self> {
        let mut config = client_config(bootstrap);
        config
            .set("group.id", options.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "20")
            .set("topic.metadata.refresh.interval.ms", "500");
        match options.protocol {
            Protocol::Classic(assignor) => {
                config
                    .set("partition.assignment.strategy", assignor)
                    .set("session.timeout.ms", options.session_timeout.as_millis().to_string())
                    .set("heartbeat.interval.ms", "500");
            }
            Protocol::Consumer => {
                config.set("group.protocol", "consumer");
            }
        }
        if options.notes_tenures {
            config.set("debug", "cgrp").set_log_level(RDKafkaLogLevel::Debug);
        }
        if let Some(instance) = options.instance {
            config.set("group.instance.id", instance);
        }
        let consumer: BaseConsumer<Notes> = config.create_with_context(Notes::default())?;
        consumer.subscribe(&[options.topic])?;
        Ok(Self { consumer, topic: options.topic.to_owned() })
    }

    /// The next record, if one is there or comes within `limit`. That no server answers just now is no error.
    pub fn poll(&self, limit: Duration) -> Outcome<Option<Seen>> {
        match self.consumer.poll(limit) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(seen(&message)?)),
            Some(Err(error)) if passes(&error) => Ok(None),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// The partitions that it has.
    pub fn owned(&self) -> Outcome<BTreeSet<i32>> {
        Ok(partitions(&self.consumer.assignment()?))
    }

    /// What it was told so far, in order.
    pub fn told(&self) -> Vec<Told> {
        self.consumer.context().noted().told.clone()
    }

    /// What it was told, to be read when it is gone.
    pub fn diary(&self) -> Diary {
        Diary(Arc::clone(self.consumer.context()))
    }

    /// The most partitions that it has lost at once.
    pub fn most_revoked(&self) -> usize {
        let told = self.told();
        let revoked = told.iter().filter_map(|told| match told {
            Told::Revoked(partitions) => Some(partitions.len()),
            Told::Assigned(_) => None,
        });
        revoked.max().unwrap_or(0)
    }

    /// Commits these offsets, and waits until they are.
    pub fn commit(&self, offsets: &BTreeMap<i32, i64>) -> Outcome {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        Ok(self.consumer.commit(&list, CommitMode::Sync)?)
    }

    /// What the group has committed of these partitions; those without an offset are left out.
    pub fn committed(&self, partitions: impl IntoIterator<Item = i32>) -> Outcome<BTreeMap<i32, i64>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, partition);
        }
        let answer = self.consumer.committed_offsets(list, TIMEOUT)?;
        let mut committed = BTreeMap::new();
        for element in answer.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                committed.insert(element.partition(), offset);
            }
        }
        Ok(committed)
    }

    /// The state of a group and its members, as the servers tell it; `None` if they know of no such group.
    pub fn describe(&self, group: &str) -> Outcome<Option<(String, usize)>> {
        let list = self.consumer.fetch_group_list(Some(group), TIMEOUT)?;
        let mut found: Vec<(String, usize)> = list
            .groups()
            .iter()
            .filter(|known| known.name() == group && known.state() != "Dead")
            .map(|known| (known.state().to_owned(), known.members().len()))
            .collect();
        if found.len() > 1 {
            return fail(format!("{group} is told more than once: {found:?}"));
        }
        Ok(found.pop())
    }
}

fn partitions(list: &TopicPartitionList) -> BTreeSet<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}

/// The generation or member epoch that a line of librdkafka's debug log says the member has entered.
fn generation_in(line: &str) -> Option<i32> {
    let number = match line.split_once("JoinGroup response: GenerationId ") {
        Some((_, rest)) if line.ends_with("(no error)") => rest.split_once(',')?.0,
        Some(_) => return None,
        None => line.split_once("ConsumerGroupHeartbeat response received for ")?.1.rsplit_once(" with epoch ")?.1,
    };
    number.trim().parse().ok()
}

/// Whether an error only says that no server answers just now, or that the topic is not known yet.
fn passes(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}
