//! Creating the topic of a kind of coordinators, when it is needed for the first time.

use levada_types::ErrorCode;

use super::Context;
use super::coordinators::assign;
use super::create_topics::create_one;
use super::draft::Draft;
use crate::config::{CLEANUP_POLICY, COMPACT, only_compacts};
use crate::{ConfigResource, CoordinatorKind, CreatedTopic, Delta, ItemError, NewShards, NewTopic, State, Topic};

pub(super) fn decide(draft: &mut Draft, new: &NewShards, context: &Context<'_>) -> Result<CreatedTopic, ItemError> {
    if let Some(topic) = draft.state().shard_topic(new.kind) {
        return Ok(there(topic));
    }
    if let Some(topic) = draft.state().topic_by_name(new.kind.topic_name()) {
        let there = there(topic);
        adopt(draft, new, &there)?;
        return Ok(there);
    }
    let topic = NewTopic {
        name: new.kind.topic_name().to_owned(),
        partitions: Some(new.partitions),
        replication_factor: Some(new.replication_factor),
        assignments: Vec::new(),
        configs: new.configs.clone(),
    };
    create_one(draft, &topic, context)
}

/// Makes shards of the partitions of a topic that bears the name and was created before there were shards.
fn adopt(draft: &mut Draft, new: &NewShards, topic: &CreatedTopic) -> Result<(), ItemError> {
    let replication_factor = new.replication_factor.max(topic.replication_factor);
    let mut deltas = vec![Delta::ShardTopicSet { kind: new.kind, topic: topic.id, replication_factor }];
    let own = draft.state().overrides(ConfigResource::Topic(topic.id)).and_then(|own| own.get(CLEANUP_POLICY));
    if !own.is_some_and(|policy| only_compacts(policy)) {
        let (name, value) = compaction();
        deltas.push(Delta::ConfigSet { resource: ConfigResource::Topic(topic.id), name, value: Some(value) });
    }
    draft.add(deltas)?;
    assign(draft, new.kind)
}

fn there(topic: &Topic) -> CreatedTopic {
    CreatedTopic {
        id: topic.id(),
        partitions: topic.partition_count(),
        replication_factor: topic.partition(0).map_or(0, |first| first.replicas.len() as i16),
    }
}

/// What a topic of shards must be set to besides `configs`.
pub(super) fn compacted(configs: &[(String, String)]) -> Result<Option<(String, String)>, ItemError> {
    match configs.iter().find(|(name, _)| name == CLEANUP_POLICY) {
        None => Ok(Some(compaction())),
        Some((_, policy)) => check_policy(policy).map(|()| None),
    }
}

/// Refuses to let a topic of shards lose records for their age: the newest of each key are what its coordinators know.
pub(super) fn check_policy(policy: &str) -> Result<(), ItemError> {
    if only_compacts(policy) {
        return Ok(());
    }
    let message = format!("{CLEANUP_POLICY} of a coordinator's topic is {COMPACT}, and cannot be {policy:?}");
    Err(ItemError::new(ErrorCode::InvalidConfig, message))
}

fn compaction() -> (String, String) {
    (CLEANUP_POLICY.to_owned(), COMPACT.to_owned())
}

/// Why a topic of shards may neither be deleted nor get another number of partitions; `None` for any other topic.
pub(super) fn why_kept(state: &State, topic: &Topic) -> Option<String> {
    let what = match state.shard_kind(topic.id())? {
        CoordinatorKind::Group => "the committed offsets of every consumer group",
        CoordinatorKind::Transaction => "the transactions of every producer",
    };
    Some(format!("topic '{}' holds {what}, each in the partition that its name tells", topic.name()))
}
