//! What a client needs to know of a topic in order to route to its leaders.

use std::collections::HashMap;

use levada_proto::v1;
use levada_types::{LeaderEpoch, TopicId};

use crate::ClientError;
use crate::error::LeaderHint;

/// A topic and who leads its partitions, as one broker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicMetadata {
    pub(crate) name: String,
    pub(crate) id: TopicId,
    /// By partition number, from 0.
    pub(crate) partitions: Vec<PartitionLeader>,
}

/// Who leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionLeader {
    /// The leader's `host:port`; `None` if there is no leader, or it does not serve gRPC.
    pub(crate) address: Option<String>,
    pub(crate) epoch: LeaderEpoch,
}

impl TopicMetadata {
    /// Reads what `address` answered.
    pub(crate) fn read(address: &str, answer: v1::DescribeTopicResponse) -> Result<Self, ClientError> {
        let id = TopicId::parse(&answer.topic_id).ok_or_else(|| ClientError::Protocol {
            address: address.to_owned(),
            reason: format!("{:?} is not a topic id", answer.topic_id),
        })?;
        let brokers: HashMap<i32, String> =
            answer.brokers.into_iter().map(|broker| (broker.broker_id, broker.grpc_address)).collect();
        let leader = |partition: v1::PartitionDescription| PartitionLeader {
            address: partition.leader_id.and_then(|id| brokers.get(&id)).filter(|a| !a.is_empty()).cloned(),
            epoch: LeaderEpoch(partition.leader_epoch),
        };
        Ok(Self { name: answer.name, id, partitions: answer.partitions.into_iter().map(leader).collect() })
    }

    /// This, but with the newer leader of each partition where `known` has one: the broker that was asked may not have
    /// heard of it yet. Of another topic of the same name nothing is taken over.
    pub(crate) fn with_newer_leaders(mut self, known: &Self) -> Self {
        if self.id == known.id {
            for (leader, known) in self.partitions.iter_mut().zip(&known.partitions) {
                if known.epoch > leader.epoch {
                    *leader = known.clone();
                }
            }
        }
        self
    }

    /// Takes over who leads `partition` if that is news.
    pub(crate) fn follow(&mut self, partition: i32, hint: &LeaderHint) {
        let leader = usize::try_from(partition).ok().and_then(|index| self.partitions.get_mut(index));
        if let Some(leader) = leader.filter(|leader| hint.epoch > leader.epoch) {
            *leader = PartitionLeader { address: hint.address.clone(), epoch: hint.epoch };
        }
    }

    pub(crate) fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    pub(crate) fn leader(&self, partition: i32) -> Option<&PartitionLeader> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }

    /// The partitions that have a leader, for records that may go anywhere.
    pub(crate) fn available(&self) -> Vec<i32> {
        (0..).zip(&self.partitions).filter(|(_, leader)| leader.address.is_some()).map(|(index, _)| index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_without_an_address_is_no_leader_to_a_client() {
        let partition = |partition, leader_id| v1::PartitionDescription {
            partition,
            leader_id,
            leader_epoch: 7,
            ..v1::PartitionDescription::default()
        };
        let broker = |broker_id, grpc_address: &str| v1::Broker {
            broker_id,
            grpc_address: grpc_address.to_owned(),
            ..v1::Broker::default()
        };
        let metadata = TopicMetadata::read(
            "a:1",
            v1::DescribeTopicResponse {
                name: "t".to_owned(),
                topic_id: TopicId::ZERO.to_string(),
                internal: false,
                partitions: vec![
                    partition(0, Some(1)),
                    partition(1, Some(2)),
                    partition(2, None),
                    partition(3, Some(9)),
                ],
                brokers: vec![broker(1, "a:1"), broker(2, "")],
            },
        )
        .expect("it is well-formed");
        assert_eq!(metadata.available(), [0]);
        assert_eq!(metadata.partition_count(), 4);
        assert_eq!(metadata.leader(0).and_then(|leader| leader.address.as_deref()), Some("a:1"));
        assert_eq!(metadata.leader(4), None);
        assert_eq!(metadata.leader(-1), None);
    }

    #[test]
    fn a_leader_never_gives_way_to_an_older_one() {
        let topic = |id: &str, leaders: &[(&str, i32)]| TopicMetadata {
            name: "t".to_owned(),
            id: TopicId::parse(id).expect("22 characters"),
            partitions: leaders
                .iter()
                .map(|(address, epoch)| PartitionLeader {
                    address: Some((*address).to_owned()),
                    epoch: LeaderEpoch(*epoch),
                })
                .collect(),
        };
        let addresses = |topic: &TopicMetadata| -> Vec<String> {
            topic.partitions.iter().filter_map(|leader| leader.address.clone()).collect()
        };
        let known = topic("AAAAAAAAAAAAAAAAAAAAAQ", &[("a:1", 5), ("a:1", 2)]);
        let asked =
            topic("AAAAAAAAAAAAAAAAAAAAAQ", &[("old:1", 4), ("new:1", 3), ("more:1", 0)]).with_newer_leaders(&known);
        assert_eq!(addresses(&asked), ["a:1", "new:1", "more:1"]);
        let other = topic("AAAAAAAAAAAAAAAAAAAAAg", &[("b:1", 0)]).with_newer_leaders(&known);
        assert_eq!(addresses(&other), ["b:1"], "another topic has the name now");

        let mut told = known;
        let hint = |address: &str, epoch| LeaderHint { address: Some(address.to_owned()), epoch: LeaderEpoch(epoch) };
        told.follow(0, &hint("old:1", 5));
        told.follow(1, &hint("new:1", 3));
        told.follow(9, &hint("new:1", 3));
        told.follow(-1, &hint("new:1", 3));
        assert_eq!(addresses(&told), ["a:1", "new:1"]);
    }

    #[test]
    fn an_answer_without_an_id_is_refused() {
        assert!(TopicMetadata::read("a:1", v1::DescribeTopicResponse::default()).is_err());
    }
}
