//! A client that commits offsets of a group and fetches them, one request at a time, from whomever a broker sends it to.

use levada_groups::api::{
    CommitPartition, CommitTopic, FetchOffsets, FetchTopic, OffsetCommit, OffsetCommitAnswer, Request, Response,
};
use levada_metadata::CoordinatorKind;
use levada_shard::machine::Unserved;
use levada_types::{ErrorCode, Offset, TopicId};

use crate::commits::Operation;
use crate::happening::Happening;
use crate::message::{Ask, Message, Party};
use crate::universe::Universe;

/// After how long without an answer a client gives up; what becomes of what it asked it does not know then.
const TIMEOUT_MS: i64 = 600;

/// Groups in which offsets are committed, each of one partition.
pub(crate) const GROUPS: [&str; 2] = ["first", "second"];

#[derive(Debug, Clone, Default)]
pub(crate) struct Committer {
    /// Its request without an answer: the number, and when it was sent.
    pending: Option<(u64, i64)>,
    /// Commits and fetches that were answered as they should be since all faults healed.
    pub(crate) committed: u32,
    pub(crate) fetched: u32,
}

impl Committer {
    pub(crate) fn waits(&self) -> bool {
        self.pending.is_some()
    }
}

impl Universe {
    /// A client commits an offset that nobody has committed before, or fetches one. What was not answered it does not send again
    /// as it was: so every attempt can be told from every other.
    pub(crate) fn commit_or_fetch(&mut self, index: usize) {
        let delay = self.between(10, 100);
        self.after(delay, Happening::Commit { committer: index });
        let now_ms = self.now_ms;
        let committer = &mut self.committers[index];
        if committer.pending.is_some_and(|(_, sent_ms)| now_ms - sent_ms <= TIMEOUT_MS) {
            return;
        }
        committer.pending = None;
        let via = self.below(self.brokers.len());
        let (group, is_commit, is_confirmed) = (self.below(GROUPS.len()), self.one_in(2), !self.one_in(3));
        let Some(topic) = self.topic.as_ref().map(|topic| topic.at.topic_id) else { return };
        let broker = &self.brokers[via];
        let owner = broker.image.shard_owner(CoordinatorKind::Group, 0).map(|owner| owner.incarnation);
        let to = self.coordinators.iter().position(|coordinator| Some(coordinator.incarnation) == owner);
        let Some(to) = to.filter(|_| broker.up && !self.quiet) else { return };
        let known_at = broker.image.offset();
        let number = self.fresh_number();
        let request = if is_commit { commit(group, topic, number as Offset) } else { fetch(group, is_confirmed) };
        self.commits.begin(number, Operation { group, is_commit, is_confirmed, floor: -1 });
        self.committers[index].pending = Some((number, now_ms));
        self.note(|| format!("committer {index} asks coordinator {to} by broker {via}: {number}, {request:?}"));
        let ask = Message::Ask(Box::new(Ask { number, via, known_at, request }));
        self.send(Party::Broker(via), Party::Coordinator(to), ask);
    }

    /// A client gets an answer. One to a request that it has given up says nothing.
    pub(crate) fn committer_hears(&mut self, number: u64, answer: &Result<Response, Unserved>) {
        let healed = self.healed;
        let waits = |committer: &&mut Committer| committer.pending.is_some_and(|(pending, _)| pending == number);
        let Some(committer) = self.committers.iter_mut().find(waits) else { return };
        committer.pending = None;
        match answer {
            Ok(Response::OffsetCommit(answer)) if error_of(answer) == ErrorCode::None => {
                committer.committed += u32::from(healed);
                self.acknowledged += 1;
            }
            Ok(Response::FetchOffsets(_)) => committer.fetched += u32::from(healed),
            _ => {}
        }
    }
}

/// What came of the one offset of a commit.
pub(crate) fn error_of(answer: &OffsetCommitAnswer) -> ErrorCode {
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    partition.map_or(ErrorCode::UnknownServerError, |partition| partition.error)
}

/// The topic that offsets are committed of: it need only exist.
fn topic_name() -> String {
    CoordinatorKind::Group.topic_name().to_owned()
}

fn commit(group: usize, topic: TopicId, offset: Offset) -> Request {
    let partition = CommitPartition { partition: 0, offset, leader_epoch: None, metadata: None };
    let topic = CommitTopic { name: topic_name(), topic_id: Some(topic), partitions: vec![partition] };
    Request::OffsetCommit(OffsetCommit {
        group_id: GROUPS[group].to_owned(),
        generation_id_or_member_epoch: -1,
        member_id: String::new(),
        group_instance_id: None,
        retention_time_ms: None,
        topics: vec![topic],
        stream_number: None,
    })
}

fn fetch(group: usize, require_stable: bool) -> Request {
    let topic = FetchTopic { name: topic_name(), topic_id: None, partitions: vec![0] };
    Request::FetchOffsets(FetchOffsets {
        group_id: GROUPS[group].to_owned(),
        member_id: None,
        member_epoch: -1,
        topics: Some(vec![topic]),
        require_stable,
    })
}
