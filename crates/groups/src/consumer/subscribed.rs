//! The topics that a group subscribes to, as the metadata has them: soft, found again after loading.

use std::{collections::BTreeSet, sync::Arc};

use imbl::OrdMap;
use levada_metadata::{Image, Topic};
use levada_types::TopicId;

use super::Hard;

/// The topics that the group subscribes to and that exist, with a hash of what an assignment depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscribed {
    topics: OrdMap<Arc<str>, (TopicId, i64)>,
    names: OrdMap<TopicId, Arc<str>>,
    /// The sum of the hashes of all topics, so that one topic's change costs that topic alone.
    hash: i64,
}

impl Subscribed {
    /// A hash over all of them: equal as long as an assignment is good. 0 if there is none.
    pub(super) fn hash(&self) -> i64 {
        self.hash
    }

    /// The topics, by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = TopicId> + '_ {
        self.names.keys().copied()
    }

    /// The name of a topic, as it was when it was looked at.
    pub(super) fn name_of(&self, topic: TopicId) -> Option<&Arc<str>> {
        self.names.get(&topic)
    }

    /// The id of a topic, if it exists and is subscribed to.
    pub(super) fn id_of(&self, name: &str) -> Option<TopicId> {
        self.topics.get(name).map(|(id, _)| *id)
    }

    /// Looks at a topic if it has come to be subscribed to, or is not any more.
    pub(super) fn follow(&mut self, name: &str, hard: &Hard, image: &Image) {
        if hard.subscribes_to(name) != self.topics.contains_key(name) {
            self.look(name, hard, image);
        }
    }

    /// Looks at a topic again: is it subscribed to, does it exist, and how?
    pub(super) fn look(&mut self, name: &str, hard: &Hard, image: &Image) {
        let now = image
            .topic_by_name(name)
            .filter(|_| hard.subscribes_to(name))
            .map(|topic| (topic.id(), hash_of(topic, image)));
        let old = match now {
            Some(now) => {
                let name: Arc<str> = name.into();
                self.names.insert(now.0, Arc::clone(&name));
                self.topics.insert(name, now)
            }
            None => self.topics.remove(name),
        };
        if let Some((id, hash)) = old {
            self.hash = self.hash.wrapping_sub(hash);
            if now.is_none_or(|(now, _)| now != id) {
                self.names.remove(&id);
            }
        }
        if let Some((_, hash)) = now {
            self.hash = self.hash.wrapping_add(hash);
        }
    }
}

/// A hash of what an assignment depends on: the topic's identity, its partitions, and the racks of their replicas.
fn hash_of(topic: &Topic, image: &Image) -> i64 {
    let mut hash = Fnv::default();
    hash.add(topic.id().0.as_bytes());
    hash.add(topic.name().as_str().as_bytes());
    hash.add(&topic.partition_count().to_be_bytes());
    for (_, partition) in topic.partitions() {
        let racks: BTreeSet<&str> = partition
            .replicas
            .iter()
            .filter_map(|replica| image.broker(replica.broker).and_then(|broker| broker.rack.as_deref()))
            .collect();
        hash.add(&(racks.len() as u64).to_be_bytes());
        for rack in racks {
            hash.add(rack.as_bytes());
            hash.add(&[0]);
        }
    }
    hash.finish()
}

/// FNV-1a with 64 bits: the hash is written down, so it has to be the same in every release.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Stirred once more, since the hashes of several topics are added up.
    fn finish(self) -> i64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed ^ (mixed >> 32)).cast_signed()
    }
}
