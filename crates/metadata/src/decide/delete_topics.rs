//! Deleting topics.

use levada_types::{ErrorCode, TopicId};

use super::create_shards::why_kept;
use super::draft::Draft;
use super::{Context, too_many};
use crate::config::Resolver;
use crate::limits::MAX_TOPICS_PER_REQUEST;
use crate::{DeletedTopic, Delta, ItemError, TopicRef};

pub(super) fn decide(draft: &mut Draft, topics: &[TopicRef], context: &Context<'_>) -> Vec<DeletedTopic> {
    if topics.len() > MAX_TOPICS_PER_REQUEST {
        let error = too_many("topics", topics.len(), MAX_TOPICS_PER_REQUEST);
        return topics.iter().map(|topic| refused(topic, error.clone())).collect();
    }
    let enabled = Resolver::new(draft.state(), None, context.configs).broker_bool("delete.topic.enable");
    if enabled == Some(false) {
        let error = ItemError::new(ErrorCode::TopicDeletionDisabled, "delete.topic.enable is false in this cluster");
        return topics.iter().map(|topic| refused(topic, error.clone())).collect();
    }
    // A topic named twice, be it by name and by identity, is gone when it is met again.
    let before = draft.state().clone();
    topics
        .iter()
        .map(|topic| {
            let found = match topic {
                TopicRef::Name(name) => before.topic_by_name(name),
                TopicRef::Id(id) => before.topic(*id),
            };
            let Some(found) = found else { return refused(topic, unknown(topic)) };
            if draft.state().topic(found.id()).is_none() {
                let error = ItemError::new(ErrorCode::InvalidRequest, "the request names this topic more than once");
                return refused(topic, error);
            }
            if let Some(why) = why_kept(&before, found) {
                let error = ItemError::new(ErrorCode::InvalidTopicException, format!("{why}; it cannot be deleted"));
                return DeletedTopic { result: Err(error), ..DeletedTopic::done(found.name(), found.id()) };
            }
            let result = draft.add(vec![Delta::TopicDeleted { id: found.id() }]);
            DeletedTopic { result, ..DeletedTopic::done(found.name(), found.id()) }
        })
        .collect()
}

fn unknown(topic: &TopicRef) -> ItemError {
    match topic {
        TopicRef::Name(name) => {
            ItemError::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name:?}"))
        }
        TopicRef::Id(id) => ItemError::new(ErrorCode::UnknownTopicId, format!("there is no topic with the id {id}")),
    }
}

fn refused(topic: &TopicRef, error: ItemError) -> DeletedTopic {
    let (name, id) = match topic {
        TopicRef::Name(name) => (Some(name.clone()), TopicId::ZERO),
        TopicRef::Id(id) => (None, *id),
    };
    DeletedTopic { name, id, result: Err(error) }
}
