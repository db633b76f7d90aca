//! Commits: of its own accord what the client has processed, and what the client asks for.

use std::collections::BTreeMap;

use levada_groups::api::{CommitPartition, CommitTopic, CommittedTopic, OffsetCommit, Request};
use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicIdPartition};

use super::ending::Ending;
use super::{Asked, FIRST_PAUSE, Member, Refusal, World};

/// How often a commit is tried that fails for a reason that may pass. Each time the coordinator is looked for for some
/// seconds.
const ATTEMPTS: u32 = 4;

/// A commit that waits or is under way.
#[derive(Debug)]
pub(super) struct Commit {
    /// The number of the client's request; `None` for one of its own accord.
    request_id: Option<u64>,
    /// What to commit; `None` for everything that is processed when it is sent.
    asked: Option<Vec<Item>>,
    /// What was sent.
    sent: Vec<Item>,
    attempts: u32,
}

/// One offset.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) topic: String,
    /// `None` if there is no such topic.
    pub(super) topic_id: Option<TopicId>,
    pub(super) partition: PartitionIndex,
    pub(super) offset: Offset,
    pub(super) leader_epoch: Option<LeaderEpoch>,
    pub(super) metadata: String,
}

impl Member {
    /// Commits what is processed by and by, unless the client does it.
    pub(super) fn commit_by_time(&mut self, now: i64) {
        let Some(interval) = self.settings.auto_commit_interval else { return };
        if now >= self.auto_commit_at && self.partitions.values().any(|owned| owned.uncommitted().is_some()) {
            self.auto_commit_at = now + interval;
            self.commit_processed();
        }
    }

    /// Commits what is processed when its turn comes.
    pub(super) fn commit_processed(&mut self) {
        if !self.commits.iter().any(|commit| commit.request_id.is_none()) {
            self.commits.push_back(Commit { request_id: None, asked: None, sent: Vec::new(), attempts: 0 });
        }
    }

    /// Commits what the client asks for.
    pub(super) fn commit_for_client(&mut self, request_id: u64, asked: Vec<Item>) {
        let asked = Some(asked).filter(|items| !items.is_empty());
        self.commits.push_back(Commit { request_id: Some(request_id), asked, sent: Vec::new(), attempts: 0 });
    }

    /// The next commit to be sent.
    pub(super) fn next_commit(&mut self) -> Option<(Asked, Request)> {
        self.answer_empty_commits();
        let mut commit = self.commits.pop_front()?;
        commit.sent = commit.asked.clone().unwrap_or_else(|| self.uncommitted());
        commit.attempts += 1;
        let request = Request::OffsetCommit(OffsetCommit {
            group_id: self.settings.group_id.clone(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.member_id.clone(),
            group_instance_id: self.settings.instance_id.clone(),
            retention_time_ms: None,
            topics: by_topic(&commit.sent),
            stream_number: Some(self.stream_number),
        });
        Some((Asked::Commit(commit), request))
    }

    /// Answers the next commits that have nothing to commit.
    pub(super) fn answer_empty_commits(&mut self) {
        let is_empty = |member: &Self| {
            let next = member.commits.front();
            next.is_some_and(|commit| commit.asked.is_none() && member.uncommitted().is_empty())
        };
        while is_empty(self) {
            if let Some(commit) = self.commits.pop_front() {
                self.answer_commit(&commit, |_| ErrorCode::None);
            }
        }
    }

    fn uncommitted(&self) -> Vec<Item> {
        let items = self.partitions.iter().filter_map(|(id, owned)| {
            let processed = owned.uncommitted()?;
            Some(Item {
                topic: owned.topic.clone(),
                topic_id: Some(id.topic_id),
                partition: id.partition,
                offset: processed.offset,
                leader_epoch: processed.leader_epoch,
                metadata: String::new(),
            })
        });
        items.collect()
    }

    /// The coordinator has answered a commit.
    pub(super) fn committed(&mut self, commit: Commit, topics: &[CommittedTopic], world: &mut World<'_>) {
        let errors = Errors::of(topics);
        let mut codes = commit.sent.iter().map(|item| errors.of_item(item));
        let telling = codes.clone().find(|&code| speaks_of_member(code));
        match telling {
            Some(code) => self.uncommittable(commit, code, world),
            None if codes.any(may_pass) && commit.attempts < ATTEMPTS => self.try_again(commit, world.now),
            None => {
                self.pause = FIRST_PAUSE;
                for item in commit.sent.iter().filter(|item| errors.of_item(item).is_none()) {
                    let id = item.topic_id.map(|topic_id| TopicIdPartition { topic_id, partition: item.partition });
                    if let Some(owned) = id.and_then(|id| self.partitions.get_mut(&id)) {
                        owned.set_committed(item.offset);
                    }
                }
                self.answer_commit(&commit, |item| errors.of_item(item));
            }
        }
    }

    /// A commit was refused as a whole, or not answered.
    pub(super) fn not_committed(&mut self, commit: Commit, refusal: &Refusal, world: &mut World<'_>) {
        let code = refusal.code;
        if speaks_of_member(code) {
            self.uncommittable(commit, code, world);
        } else if code.is_retriable() && commit.attempts < ATTEMPTS {
            self.try_again(commit, world.now);
        } else {
            self.answer_commit(&commit, |_| code);
        }
    }

    fn try_again(&mut self, commit: Commit, now: i64) {
        self.hold_back(now);
        self.commits.push_front(commit);
    }

    /// The coordinator says that the member is not what it takes itself for.
    fn uncommittable(&mut self, commit: Commit, code: ErrorCode, world: &mut World<'_>) {
        match code {
            // A heartbeat tells the epoch.
            ErrorCode::StaleMemberEpoch if commit.attempts < ATTEMPTS => {
                self.heartbeat_at = world.now;
                self.full = true;
                self.try_again(commit, world.now);
            }
            ErrorCode::FencedInstanceId => {
                self.answer_commit(&commit, |_| code);
                self.end(Ending::replaced());
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch => {
                self.answer_commit(&commit, |_| code);
                self.fenced(code, world);
            }
            _ => self.answer_commit(&commit, |_| code),
        }
    }

    /// Nothing of what waits can be committed any more.
    pub(super) fn fail_commits(&mut self, code: ErrorCode) {
        for mut commit in std::mem::take(&mut self.commits) {
            commit.sent = commit.asked.take().unwrap_or_default();
            self.answer_commit(&commit, |_| code);
        }
    }

    fn answer_commit(&mut self, commit: &Commit, code: impl Fn(&Item) -> ErrorCode) {
        let Some(request_id) = commit.request_id else { return };
        let result = |item: &Item| v1::CommittedOffset {
            topic: item.topic.clone(),
            partition: item.partition,
            error: Some(code(item)).filter(|code| !code.is_none()).map(|code| status::error(code, "")),
        };
        let results = commit.sent.iter().map(result).collect();
        self.tell(Told::Committed(v1::SubscriptionCommitted { request_id, results }));
    }
}

/// What came of each offset of a commit.
struct Errors<'a>(BTreeMap<(&'a str, PartitionIndex), ErrorCode>);

impl<'a> Errors<'a> {
    fn of(topics: &'a [CommittedTopic]) -> Self {
        let of_topic = |topic: &'a CommittedTopic| {
            topic.partitions.iter().map(|partition| ((topic.name.as_str(), partition.partition), partition.error))
        };
        Self(topics.iter().flat_map(of_topic).collect())
    }

    fn of_item(&self, item: &Item) -> ErrorCode {
        self.0.get(&(item.topic.as_str(), item.partition)).copied().unwrap_or(ErrorCode::UnknownServerError)
    }
}

fn speaks_of_member(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::StaleMemberEpoch
            | ErrorCode::FencedInstanceId
            | ErrorCode::UnknownMemberId
            | ErrorCode::FencedMemberEpoch
    )
}

/// Whether an offset may be committed yet. A topic that is unknown is so for good here: its offsets were resolved.
fn may_pass(code: ErrorCode) -> bool {
    code.is_retriable() && code != ErrorCode::UnknownTopicOrPartition && code != ErrorCode::UnknownTopicId
}

fn by_topic(items: &[Item]) -> Vec<CommitTopic> {
    let mut topics: Vec<CommitTopic> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for item in items {
        let place = *places.entry(&item.topic).or_insert(topics.len());
        if place == topics.len() {
            topics.push(CommitTopic { name: item.topic.clone(), topic_id: item.topic_id, partitions: Vec::new() });
        }
        if let Some(topic) = topics.get_mut(place) {
            topic.partitions.push(CommitPartition {
                partition: item.partition,
                offset: item.offset,
                leader_epoch: item.leader_epoch,
                metadata: Some(item.metadata.clone()).filter(|text| !text.is_empty()),
            });
        }
    }
    topics
}
