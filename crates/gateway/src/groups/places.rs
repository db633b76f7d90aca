//! Which partitions a request is about, and what is committed of a group.

use std::collections::BTreeMap;

use levada_broker::api::PartitionError;
use levada_groups::api::{FetchOffsets, FetchedPartition, Request, Response};
use levada_metadata::Image;
use levada_proto::v1;
use levada_types::{PartitionIndex, TopicId};

use super::{ask, check, unexpected};
use crate::gateway::Gateway;
use crate::refusal::invalid;
use crate::topics::{self, Wanted};

/// A partition of a topic, by name.
pub(super) type NamedPartition = (String, PartitionIndex);

/// What is committed of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Committed {
    /// `None` if the topic is not there any more.
    pub(super) topic_id: Option<TopicId>,
    pub(super) fetched: FetchedPartition,
}

/// Everything that a group has committed.
pub(super) async fn committed(
    gateway: &Gateway,
    group_id: &str,
) -> Result<BTreeMap<NamedPartition, Committed>, PartitionError> {
    let request = FetchOffsets {
        group_id: group_id.to_owned(),
        member_id: None,
        member_epoch: -1,
        topics: None,
        require_stable: false,
    };
    let Response::FetchOffsets(answer) = ask(gateway, Request::FetchOffsets(request)).await? else {
        return Err(unexpected());
    };
    check(answer.error, None)?;
    let image = gateway.broker.image();
    let mut offsets = BTreeMap::new();
    for topic in answer.topics {
        let topic_id = topic.topic_id.or_else(|| image.topic_by_name(&topic.name).map(levada_metadata::Topic::id));
        for fetched in topic.partitions.into_iter().filter(|partition| partition.offset.is_some()) {
            offsets.insert((topic.name.clone(), fetched.partition), Committed { topic_id, fetched });
        }
    }
    Ok(offsets)
}

/// The partitions that a request names, each once; all of a topic where it names none.
pub(super) fn named(
    image: &Image,
    topics: Vec<v1::ResetTopic>,
) -> Result<BTreeMap<NamedPartition, TopicId>, PartitionError> {
    let mut named = BTreeMap::new();
    for asked in topics {
        let wanted = Wanted::read(asked.topic)?;
        let topic = wanted.find(image)?;
        let indexes: Vec<PartitionIndex> = match asked.partitions.is_empty() {
            true => (0..topic.partition_count()).collect(),
            false => asked.partitions,
        };
        for index in indexes {
            topics::partition(topic, index)?;
            let name = topic.name().to_string();
            if named.insert((name, index), topic.id()).is_some() {
                return Err(invalid(format!("{}-{index} occurs twice", topic.name())));
            }
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use levada_types::ErrorCode;

    use super::*;
    use crate::fixtures;

    fn asked(topic: &str, partitions: &[i32]) -> v1::ResetTopic {
        let topic = Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(topic.to_owned())) });
        v1::ResetTopic { topic, partitions: partitions.to_vec() }
    }

    #[test]
    fn a_topic_stands_for_all_its_partitions() {
        let image = fixtures::image(&[("t", 2), ("u", 3)]);
        let found = named(&image, vec![asked("u", &[2, 0]), asked("t", &[])]).expect("they exist");
        let found: Vec<_> = found.into_keys().collect();
        let name = |topic: &str, index| (topic.to_owned(), index);
        assert_eq!(found, [name("t", 0), name("t", 1), name("u", 0), name("u", 2)]);
    }

    #[test]
    fn what_does_not_exist_or_comes_twice_is_refused() {
        let image = fixtures::image(&[("t", 2)]);
        let code = |topics| named(&image, topics).map_err(|error| error.code).err();
        assert_eq!(code(vec![asked("t", &[2])]), Some(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(code(vec![asked("u", &[])]), Some(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(code(vec![asked("t", &[1]), asked("t", &[])]), Some(ErrorCode::InvalidRequest));
    }
}
