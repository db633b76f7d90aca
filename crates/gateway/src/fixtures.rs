//! Images for tests.

use std::sync::Arc;

use levada_metadata::{Delta, Image, Partition, Replica};
use levada_types::{BrokerId, DirectoryId, LeaderEpoch, MetadataOffset, TopicId, TopicName};

/// The identity of the topic of this name in every image made here.
pub(crate) fn topic_id(name: &str) -> TopicId {
    let bits = name.bytes().fold(0u128, |bits, byte| bits.wrapping_mul(257).wrapping_add(byte.into()));
    TopicId(uuid::Uuid::from_u128(bits))
}

/// An image with these topics and so many partitions each, all led by broker 1 in epoch 4.
pub(crate) fn image(topics: &[(&str, i32)]) -> Image {
    let mut deltas = Vec::new();
    for &(name, partitions) in topics {
        let id = topic_id(name);
        deltas.push(Delta::TopicCreated { id, name: TopicName::new(name).expect("a valid name") });
        deltas.extend((0..partitions).map(|index| Delta::PartitionSet {
            topic: id,
            index,
            partition: Arc::new(Partition {
                replicas: vec![Replica { broker: BrokerId(1), directory: DirectoryId::UNASSIGNED }],
                leader_epoch: LeaderEpoch(4),
                ..Partition::new(Vec::new(), Vec::new(), BrokerId(1))
            }),
        }));
    }
    Image::restore(MetadataOffset(9), None, &deltas).expect("the deltas build upon each other")
}
