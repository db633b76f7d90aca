//! Which replica a consumer had better read from (KIP-392).

use std::time::Duration;

use levada_metadata::Image;
use levada_types::{BrokerId, TopicIdPartition};

use super::pass::Target;
use crate::Broker;
use crate::api::ReadFrom;
use crate::threads::{FindReader, Gather, Job};

/// How long a fetch waits to be told of a better replica: a thousand times what that takes, and nothing beside a long poll.
const PATIENCE: Duration = Duration::from_millis(100);

/// How the replica that a consumer reads from is chosen (`replica.selector.class`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplicaSelector {
    /// Everybody reads from the leader.
    Leader,
    /// A consumer reads from an in-sync replica in its own rack, if the leader stands in another.
    RackAware,
}

impl ReplicaSelector {
    /// The names that Kafka's broker has for them: those of its Java classes.
    const NAMES: [(&'static str, Self); 3] = [
        ("", Self::Leader),
        ("org.apache.kafka.common.replica.LeaderSelector", Self::Leader),
        ("org.apache.kafka.common.replica.RackAwareReplicaSelector", Self::RackAware),
    ];

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find_map(|(known, selector)| (known == name.trim()).then_some(selector))
    }
}

impl Broker {
    /// For each target, the follower that the reader had better turn to, if there is one.
    pub(super) async fn better_replicas(&self, read_from: &ReadFrom, targets: &[Target]) -> Vec<Option<BrokerId>> {
        let none = vec![None; targets.len()];
        let ReadFrom::Nearest { rack } = read_from else { return none };
        if rack.is_empty() || self.options.replica_selector() != ReplicaSelector::RackAware {
            return none;
        }
        let image = self.image();
        if image.broker(self.id()).and_then(|here| here.rack.as_ref()) == Some(rack) {
            return none;
        }
        let mut asked = Vec::new();
        let mut answers = Vec::with_capacity(targets.len());
        for (wanted, partition) in targets {
            let led = partition.as_ref().ok().filter(|partition| partition.role().leads);
            let among = led.map(|partition| in_rack(&image, partition.id(), rack)).unwrap_or_default();
            match led.filter(|_| !among.is_empty()) {
                // Only the replica's actor knows how far the others have come. A reader asks once, and then reads there.
                Some(partition) => {
                    asked.push((partition, among, wanted.offset));
                    answers.push(None);
                }
                None => answers.push(Some(None)),
            }
        }
        if asked.is_empty() {
            return none;
        }
        let (gather, slots) = Gather::new(answers, || None);
        for ((partition, among, offset), answer) in asked.into_iter().zip(slots) {
            partition.post(Job::FindReader(FindReader { among, offset, answer }));
        }
        // A disk that is stuck holds up its actors: then the leader is read, whose records may be in memory.
        drop(tokio::time::timeout(PATIENCE, &gather).await);
        gather.give_up(|| None)
    }
}

/// The live brokers in this rack that hold an in-sync replica.
fn in_rack(image: &Image, id: TopicIdPartition, rack: &String) -> Vec<BrokerId> {
    let Some(partition) = image.partition(id.topic_id, id.partition) else { return Vec::new() };
    let stands_there =
        |id: &BrokerId| image.broker(*id).is_some_and(|broker| broker.is_live() && broker.rack.as_ref() == Some(rack));
    partition.isr.iter().map(|member| member.broker).filter(stands_there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_have_the_names_of_kafkas_classes() {
        assert_eq!(ReplicaSelector::named(""), Some(ReplicaSelector::Leader));
        let class = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
        assert_eq!(ReplicaSelector::named(class), Some(ReplicaSelector::RackAware));
        assert_eq!(ReplicaSelector::named("com.example.MySelector"), None);
    }
}
