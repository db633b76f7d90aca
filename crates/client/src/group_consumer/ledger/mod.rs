//! What a member has and owes: a state machine without I/O. The link feeds it what the broker says and sends what it wants to
//! say; the consumer takes records and news out of it.
//!
//! Nothing to be said is kept as a message: what a stream has not been told yet is the difference between what is and what it
//! was told. So a stream that breaks loses nothing, and nothing piles up.

mod buffer;
mod commit;
mod held;
mod inbound;
mod news;
mod outbound;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use levada_proto::v1;
use levada_proto::v1::seek_subscription::Start;
use levada_types::{Offset, TopicPartition};
use tokio::sync::oneshot;

use crate::{ClientError, ConsumedRecord, OffsetToCommit};
use buffer::Buffer;
use commit::{Commit, taken_out};
use held::{Held, Seek, Standing};
use news::{News, Revocation};

pub(super) use commit::Committed;
pub(super) use held::{Key, not_assigned};
pub(super) use inbound::Heard;
pub(super) use news::Change;

/// Who the member is, for the stream after this one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    member_id: String,
    member_epoch: i32,
    stream_number: u64,
}

/// How far the member is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The program wants to leave; `true` once the present stream was told.
    Wanted(bool),
    Left,
}

/// What the consumer does next.
#[derive(Debug)]
pub(super) enum Step {
    /// Tell the program, then come back with [`Ledger::told`].
    Tell(Change, Vec<TopicPartition>),
    /// Records for the program.
    Records(Vec<ConsumedRecord>),
    /// It is over.
    Failed(ClientError),
    /// Nothing yet.
    Wait,
}

/// What a member has and owes.
#[derive(Debug)]
pub(super) struct Ledger {
    identity: Option<Identity>,
    /// Whether the present stream has been joined.
    joined: bool,
    partitions: BTreeMap<Key, Held>,
    /// How much memory may be filled with what is received and not handed out.
    max_bytes: usize,
    /// Received and not handed out.
    buffer: Buffer,
    news: VecDeque<News>,
    /// What the program knows to be its own.
    known: BTreeMap<Key, TopicPartition>,
    revocations: Vec<Revocation>,
    commits: BTreeMap<u64, Commit>,
    last_request: u64,
    /// The program has shown that it lives.
    progress: bool,
    leaving: Leaving,
    failed: Option<ClientError>,
    /// Why the last stream broke, until another one is joined.
    trouble: Option<ClientError>,
    /// Something may have to be said.
    dirty: bool,
}

impl Ledger {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            identity: None,
            joined: false,
            partitions: BTreeMap::new(),
            max_bytes,
            buffer: Buffer::default(),
            news: VecDeque::new(),
            known: BTreeMap::new(),
            revocations: Vec::new(),
            commits: BTreeMap::new(),
            last_request: 0,
            progress: false,
            leaving: Leaving::No,
            failed: None,
            trouble: None,
            dirty: false,
        }
    }

    /// The program comes for more: what it got before is dealt with.
    pub(super) fn polled(&mut self) {
        self.partitions.values_mut().for_each(Held::process_all);
        self.show_progress();
    }

    /// The program lives.
    pub(super) fn show_progress(&mut self) {
        self.progress = true;
        self.dirty = true;
    }

    /// The program has dealt with this record and those before it in its partition.
    pub(super) fn processed(&mut self, record: &ConsumedRecord) -> Result<(), ClientError> {
        let held = self.held_mut(&record.topic, record.partition)?;
        held.processed = held.processed.max(Some(record.offset.saturating_add(1)).min(held.handed_out));
        self.show_progress();
        Ok(())
    }

    /// What the consumer does next, where one poll may return `max` records.
    pub(super) fn next_step(&mut self, max: usize) -> Step {
        while let Some(news) = self.news.front() {
            let news: Vec<TopicPartition> = self.still_true(news).map(|(_, name)| name.clone()).collect();
            match self.news.front() {
                Some(front) if !news.is_empty() => return Step::Tell(front.change, news),
                _ => self.told(),
            }
        }
        let records = self.hand_out(max);
        if !records.is_empty() {
            return Step::Records(records);
        }
        match &self.failed {
            Some(error) => Step::Failed(error.clone()),
            None => Step::Wait,
        }
    }

    /// What of it still makes sense to a program that knows what it knows: what is lost meanwhile is not revoked first, and
    /// what was never told of is not taken back.
    fn still_true<'a>(&'a self, news: &'a News) -> impl Iterator<Item = &'a (Key, TopicPartition)> {
        let standing = |key: &Key| self.partitions.get(key).map(|held| held.standing);
        news.partitions.iter().filter(move |(key, _)| match news.change {
            Change::Assigned => standing(key) == Some(Standing::Owned) && !self.known.contains_key(key),
            Change::Revoked => standing(key).is_some() && self.known.contains_key(key),
            Change::Lost => self.known.contains_key(key),
        })
    }

    /// The program has been told the oldest news.
    pub(super) fn told(&mut self) {
        let Some(news) = self.news.front() else { return };
        let told: Vec<(Key, TopicPartition)> = self.still_true(news).cloned().collect();
        let Some(news) = self.news.pop_front() else { return };
        match news.change {
            Change::Assigned => self.known.extend(told),
            Change::Lost => told.iter().for_each(|(key, _)| drop(self.known.remove(key))),
            Change::Revoked => {
                told.iter().for_each(|(key, _)| drop(self.known.remove(key)));
                for (key, _) in &news.partitions {
                    let revoked = self.partitions.get_mut(key).filter(|held| held.standing == Standing::Revoking);
                    if let Some(held) = revoked {
                        held.process_all();
                        held.standing = Standing::GivenUp;
                    }
                }
            }
        }
        self.dirty = true;
    }

    fn hand_out(&mut self, max: usize) -> Vec<ConsumedRecord> {
        let mut records = Vec::new();
        while records.len() < max {
            let Some(taken) = self.buffer.take() else { break };
            if let Some(held) = self.partitions.get_mut(&taken.key) {
                held.handed_out = held.handed_out.max(Some(taken.next_offset));
            }
            records.extend(taken.record);
        }
        records
    }

    /// Whether nothing more should be heard until the program has taken something. Whoever waits for an answer has to hear.
    pub(super) fn is_full(&self) -> bool {
        let waits = !self.commits.is_empty()
            || self.leaving != Leaving::No
            || self.partitions.values().any(|held| held.seek.is_some());
        self.buffer.bytes() > self.max_bytes && !waits
    }

    /// What the program knows to be its own.
    pub(super) fn assignment(&self) -> Vec<TopicPartition> {
        self.known.values().cloned().collect()
    }

    /// The next record that the program will get of a partition, once it is known.
    pub(super) fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.partitions.values().find(|held| held.name == *partition)?.handed_out
    }

    pub(super) fn member_id(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| identity.member_id.as_str())
    }

    /// The member's epoch; `None` while it is joining anew.
    pub(super) fn member_epoch(&self) -> Option<i32> {
        self.identity.as_ref().map(|identity| identity.member_epoch)
    }

    /// Everything that is dealt with, to be committed.
    pub(super) fn processed_offsets(&self) -> Vec<OffsetToCommit> {
        let committable =
            self.partitions.values().filter(|held| held.standing != Standing::GivenUp && held.seek.is_none());
        committable.filter_map(|held| Some(OffsetToCommit::new(held.name.clone(), held.processed?))).collect()
    }

    /// Wants these offsets to be committed; the answer comes to the receiver.
    pub(super) fn commit(&mut self, offsets: &[OffsetToCommit]) -> (u64, oneshot::Receiver<Committed>) {
        let key = |offset: &OffsetToCommit| self.find(offset.partition.topic.as_str(), offset.partition.partition);
        let keys = offsets.iter().filter_map(key).collect();
        let offsets = offsets.iter().map(OffsetToCommit::to_message).collect();
        let (waiter, answer) = oneshot::channel();
        let request_id = self.next_request();
        self.commits.insert(request_id, Commit { offsets, keys, sent: false, waiter });
        (request_id, answer)
    }

    /// Nobody waits for this commit any more.
    pub(super) fn forget_commit(&mut self, request_id: u64) {
        self.commits.remove(&request_id);
    }

    /// Wants to go on somewhere else in a partition; the answer comes to the receiver. What was buffered of it is dropped.
    pub(super) fn seek(
        &mut self,
        partition: &TopicPartition,
        start: Start,
    ) -> Result<oneshot::Receiver<Result<Offset, ClientError>>, ClientError> {
        let request_id = self.next_request();
        let (waiter, answer) = oneshot::channel();
        let held = self.held_mut(partition.topic.as_str(), partition.partition)?;
        let seek = Seek { request_id, start, sent: false, waiter };
        if let Some(earlier) = held.seek.replace(seek) {
            earlier.fail(partition);
        }
        if let Some(key) = self.find(partition.topic.as_str(), partition.partition) {
            self.buffer.drop_all_of(key);
        }
        Ok(answer)
    }

    fn next_request(&mut self) -> u64 {
        self.last_request += 1;
        self.dirty = true;
        self.last_request
    }

    /// Wants to leave. Who is no member at the moment has left already.
    pub(super) fn leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = if self.identity.is_some() { Leaving::Wanted(false) } else { Leaving::Left };
            self.dirty = true;
        }
    }

    /// Whether there is nothing more to come: the member has left, or something failed for good.
    pub(super) fn is_over(&self) -> bool {
        self.leaving == Leaving::Left || self.failed.is_some()
    }

    pub(super) const fn failed(&self) -> Option<&ClientError> {
        self.failed.as_ref()
    }

    /// A stream broke, or could not be opened.
    pub(super) fn note_trouble(&mut self, error: ClientError) {
        self.trouble = Some(error);
    }

    /// Why there is no stream at the moment, if there is none.
    pub(super) fn trouble(&self) -> Option<ClientError> {
        self.trouble.clone()
    }

    /// Something failed for good.
    pub(super) fn fail(&mut self, error: ClientError) {
        self.lose_all();
        self.failed = Some(error);
    }

    /// The member was taken out of the group: nothing is its own any more, and it has to join anew.
    pub(super) fn lose_all(&mut self) {
        self.identity = None;
        let keys: Vec<Key> = self.partitions.keys().copied().collect();
        self.lose(keys);
        self.revocations.clear();
        for commit in std::mem::take(&mut self.commits).into_values() {
            commit.fail(taken_out());
        }
    }

    fn lose(&mut self, keys: Vec<Key>) {
        let mut lost = Vec::new();
        for key in keys {
            let Some(mut held) = self.partitions.remove(&key) else { continue };
            self.buffer.drop_all_of(key);
            if let Some(seek) = held.seek.take() {
                seek.fail(&held.name);
            }
            lost.push((key, held.name));
        }
        self.tell(Change::Lost, lost);
    }

    fn tell(&mut self, change: Change, partitions: Vec<(Key, TopicPartition)>) {
        if !partitions.is_empty() {
            self.news.push_back(News { change, partitions });
        }
    }

    /// The partition of this name that the member has.
    fn find(&self, topic: &str, partition: i32) -> Option<Key> {
        let is_it = |held: &Held| held.name.partition == partition && held.name.topic.as_str() == topic;
        let mut held = self.partitions.iter().filter(|(_, held)| is_it(held) && held.standing != Standing::GivenUp);
        held.next().map(|(key, _)| *key)
    }

    fn held_mut(&mut self, topic: &str, partition: i32) -> Result<&mut Held, ClientError> {
        let key = self.find(topic, partition);
        key.and_then(|key| self.partitions.get_mut(&key)).ok_or_else(|| not_assigned(topic, partition))
    }

    /// The first message of a stream: joins, or goes on where the last one broke.
    pub(super) fn open(&mut self, mut join: v1::JoinSubscription) -> v1::JoinSubscription {
        self.stream_broke();
        if let Some(identity) = &self.identity {
            join.member_id.clone_from(&identity.member_id);
            join.member_epoch = identity.member_epoch;
            join.stream_number = identity.stream_number;
            join.held = self.partitions.iter_mut().map(|(key, held)| held.carry_over(*key)).collect();
        }
        join
    }

    /// Nothing is said on this stream any more.
    fn stream_broke(&mut self) {
        self.joined = false;
        self.dirty = true;
        self.revocations.clear();
        self.commits.values_mut().for_each(|commit| commit.sent = false);
        if let Leaving::Wanted(told) = &mut self.leaving {
            *told = false;
        }
    }
}
