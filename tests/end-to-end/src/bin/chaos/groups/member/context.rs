//! What a member's client is told by librdkafka: partitions, errors, and in its log the generations of commits.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};

use super::telling::Telling;
use crate::groups::event::{Answer, Event};

/// How many lines of the client's log are kept.
const KEPT_LINES: usize = 100;

/// What a member knows of itself.
pub(super) struct Context {
    topic: String,
    telling: Arc<Telling>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    owned: BTreeSet<i32>,
    /// The newest generation that it was told of, -1 for none.
    generation: i32,
    /// What it is to commit next.
    due: BTreeMap<i32, i64>,
    /// The generations under which commits were sent since the last that were told.
    sent_under: Vec<i32>,
    /// Whether a commit was sent since, of which the log may not have been read yet.
    waits_for_lines: bool,
    /// Whether its last heartbeat of the next-generation protocol was to join, and did not say to what it subscribes.
    joined_for_nothing: bool,
    said: VecDeque<String>,
}

impl Context {
    /// A member of which nothing is known yet.
    pub(super) fn new(topic: String, telling: Arc<Telling>) -> Self {
        let known = Known { generation: -1, ..Known::default() };
        Self { topic, telling, known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record was processed, so that the offset after it is to be committed.
    pub(super) fn processed(&self, partition: i32, offset: i64) {
        self.known().due.insert(partition, offset + 1);
    }

    /// Whether it is not known yet under which generation the last commit was sent.
    pub(super) fn waits_for_lines(&self) -> bool {
        self.known().waits_for_lines
    }

    /// The log was read as far as it goes: tells under which generations commits were sent.
    pub(super) fn tell_generations(&self) {
        let mut known = self.known();
        if known.waits_for_lines && !known.sent_under.is_empty() {
            known.waits_for_lines = false;
            let generations = std::mem::take(&mut known.sent_under);
            drop(known);
            self.telling.tell(Event::SentUnder(generations));
        }
    }

    /// Whether its last heartbeat was to join, and did not say to what it subscribes, which nobody lets in.
    pub(super) fn joined_for_nothing(&self) -> bool {
        self.known().joined_for_nothing
    }

    /// What the client said of itself last.
    pub(super) fn said(&self) -> Vec<String> {
        self.known().said.iter().cloned().collect()
    }

    /// Commits what was processed and not committed yet, and waits for the answer. What was processed has been told before.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Self>) {
        let due = self.known().due.clone();
        if due.is_empty() {
            return;
        }
        self.telling.tell(Event::Commits(due.clone()));
        self.telling.flush();
        self.known().waits_for_lines = true;
        let answer = self.answer(consumer, &due);
        if answer == Answer::Accepted {
            self.known().due.retain(|partition, offset| due.get(partition) != Some(offset));
        }
        self.telling.tell(Event::Committed(answer));
    }

    fn answer(&self, consumer: &BaseConsumer<Self>, due: &BTreeMap<i32, i64>) -> Answer {
        let mut list = TopicPartitionList::new();
        let added = due.iter().try_for_each(|(partition, offset)| {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
        });
        match added.and_then(|()| consumer.commit(&list, CommitMode::Sync)) {
            Ok(()) => Answer::Accepted,
            Err(error) if refuses(&error) => Answer::Refused(error.to_string()),
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.log(RDKafkaLogLevel::Error, "ERROR", &format!("{error}: {reason}"));
    }

    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        let mut known = self.known();
        // A commit says under which generation it goes; a join, or a heartbeat of the next-generation protocol, which is new.
        if let Some(generation) = number_after(message, "with generation-id ") {
            known.sent_under.push(generation);
        }
        let new = number_after(message, "JoinGroup response: GenerationId ");
        if let Some(generation) = new.or_else(|| number_after(message, "\" with epoch ")) {
            known.generation = generation;
        }
        if message.contains("ConsumerGroupHeartbeat of member id") {
            known.joined_for_nothing = joins_for_nothing(message);
        }
        // What is not needed to tell how a group stands, and would push out what is.
        let is_noise = facility.starts_with("DUMP")
            || ["BrokerTransportFailure", "AllBrokersDown"].iter().any(|noise| message.contains(noise));
        if is_noise {
            return;
        }
        if known.said.len() >= KEPT_LINES {
            known.said.pop_front();
        }
        known.said.push_back(format!("{} {facility} {message}", crate::groups::event::now() / 1000));
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let assigned = partitions(list);
                let mut known = self.known();
                known.owned.extend(&assigned);
                let generation = known.generation;
                drop(known);
                self.telling.tell(Event::Assigned { generation, partitions: assigned });
            }
            Rebalance::Revoke(list) => {
                // Lost or asked for: whoever is not a member any more must not be able to commit.
                self.commit(consumer);
                let revoked = partitions(list);
                let mut known = self.known();
                known.owned.retain(|owned| !revoked.contains(owned));
                known.due.retain(|partition, _| !revoked.contains(partition));
                drop(known);
                self.telling.tell(Event::Revoked { partitions: revoked });
            }
            Rebalance::Error(error) => self.telling.tell(Event::Met(format!("rebalance: {error}"))),
        }
        self.telling.flush();
    }

    fn commit_callback(&self, _result: KafkaResult<()>, _offsets: &TopicPartitionList) {}
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}

/// The number in `message` that stands behind `text`.
fn number_after(message: &str, text: &str) -> Option<i32> {
    let (_, rest) = message.split_once(text)?;
    let end = rest.find(|one: char| !one.is_ascii_digit() && one != '-').unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// Whether what librdkafka says of a heartbeat tells of one that joins and does not say to what it subscribes.
fn joins_for_nothing(heartbeat: &str) -> bool {
    number_after(heartbeat, ", generation id ") == Some(0)
        && heartbeat.contains("subscribed topics \"NULL\", subscribed topic regex \"NULL\"")
}

/// Whether the coordinator said that it does not take the offsets from this member.
fn refuses(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::FencedInstanceId
                | RDKafkaErrorCode::FencedMemberEpoch
                | RDKafkaErrorCode::StaleMemberEpoch
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_read_from_what_librdkafka_says() {
        let commit = "[thrd:main]: GroupCoordinator/1: Committing offsets for 3 partition(s) with generation-id 17 in join-state steady: manual";
        assert_eq!(number_after(commit, "with generation-id "), Some(17));
        let without = "Committing offsets for 1 partition(s) with generation-id -1 in join-state init: manual";
        assert_eq!(number_after(without, "with generation-id "), Some(-1));
        let join = "JoinGroup response: GenerationId 4, Protocol range, LeaderId x (me), my MemberId x, member metadata count 1: (no error)";
        assert_eq!(number_after(join, "JoinGroup response: GenerationId "), Some(4));
        let beat = "ConsumerGroupHeartbeat response received for member id \"abc\" with epoch 9";
        assert_eq!(number_after(beat, "\" with epoch "), Some(9));
        assert_eq!(number_after("nothing of the kind", "with generation-id "), None);
    }

    #[test]
    fn a_join_that_says_nothing_is_read_from_what_librdkafka_says() {
        let beat = |epoch: i32, topics: &str| {
            format!(
                "[thrd:main]: GroupCoordinator/1: ConsumerGroupHeartbeat of member id \"a\", group id \"g\", generation id {epoch}, \
                 group instance id \"NULL\", current assignment \"NULL\", subscribed topics \"{topics}\", subscribed topic regex \
                 \"NULL\", remote assignor \"NULL\""
            )
        };
        assert!(joins_for_nothing(&beat(0, "NULL")));
        assert!(!joins_for_nothing(&beat(0, "synced [-1]")));
        assert!(!joins_for_nothing(&beat(7, "NULL")));
    }
}
