//! Finding the topic that a request means.

use levada_broker::api::PartitionError;
use levada_metadata::{Image, Topic};
use levada_proto::v1;
use levada_proto::v1::topic_ref;
use levada_types::{ErrorCode, PartitionIndex, TopicId, TopicIdPartition};

use crate::refusal::invalid;

/// Which topic a request means, before anybody looks whether there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The topic that has this name now.
    Name(String),
    /// The topic of this identity.
    Id(TopicId),
}

impl Wanted {
    /// Reads a request's topic.
    pub(crate) fn read(topic: Option<v1::TopicRef>) -> Result<Self, PartitionError> {
        match topic.and_then(|topic| topic.topic) {
            Some(topic_ref::Topic::Name(name)) => Ok(Self::Name(name)),
            Some(topic_ref::Topic::Id(text)) => {
                let id = TopicId::parse(&text).ok_or_else(|| invalid(format!("{text:?} is not a topic id")))?;
                Ok(Self::Id(id))
            }
            None => Err(invalid("the request names no topic")),
        }
    }

    /// The topic in `image`.
    pub(crate) fn find<'a>(&self, image: &'a Image) -> Result<&'a Topic, PartitionError> {
        match self {
            Self::Name(name) => image.topic_by_name(name).ok_or_else(|| {
                PartitionError::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name:?}"))
            }),
            Self::Id(id) => image.topic(*id).ok_or_else(|| {
                PartitionError::new(ErrorCode::UnknownTopicId, format!("there is no topic of the id {id}"))
            }),
        }
    }
}

/// The partition of this number in `topic`.
pub(crate) fn partition(topic: &Topic, partition: PartitionIndex) -> Result<TopicIdPartition, PartitionError> {
    match topic.partition(partition) {
        Some(_) => Ok(TopicIdPartition { topic_id: topic.id(), partition }),
        None => {
            let count = topic.partition_count();
            let plural = if count == 1 { "" } else { "s" };
            let message =
                format!("topic {} has {count} partition{plural}; there is no partition {partition}", topic.name());
            Err(PartitionError::new(ErrorCode::UnknownTopicOrPartition, message))
        }
    }
}
