//! ConsumerGroupDescribe.

use levada_metadata::Image;
use levada_types::ErrorCode;

use super::{ConsumerGroup, hard::Member};
use crate::{
    GroupConfig,
    api::{ConsumerGroupDescribeAnswer, DescribedConsumerMember, MemberKind, NamedTopicPartitions},
    records::Partitions,
};

impl ConsumerGroup {
    /// The state's name, as in [`ConsumerGroupDescribeAnswer::state`].
    pub(crate) fn state_name(&self) -> &'static str {
        let target = self.hard.assignment_epoch();
        if self.is_empty() {
            "Empty"
        } else if self.hard.group_epoch() > target {
            "Assigning"
        } else if self.hard.members.values().all(|member| member.is_reconciled_to(target)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Describes it.
    pub(crate) fn describe(&self, image: &Image, config: &GroupConfig) -> ConsumerGroupDescribeAnswer {
        ConsumerGroupDescribeAnswer {
            error: ErrorCode::None,
            error_message: None,
            state: self.state_name().to_owned(),
            group_epoch: self.hard.group_epoch(),
            assignment_epoch: self.hard.assignment_epoch(),
            assignor: self.assignor(config).name().to_owned(),
            members: self.hard.members.iter().map(|(id, member)| self.describe_member(id, member, image)).collect(),
        }
    }

    fn describe_member(&self, id: &str, member: &Member, image: &Image) -> DescribedConsumerMember {
        let told = &member.told;
        DescribedConsumerMember {
            member_id: id.to_owned(),
            instance_id: told.instance_id.clone(),
            rack_id: told.rack_id.clone(),
            member_epoch: member.current.epoch,
            client_id: told.client_id.clone(),
            client_host: told.client_host.clone(),
            subscribed_topic_names: told.topic_names.iter().cloned().collect(),
            subscribed_topic_regex: told.topic_regex.clone(),
            assignment: named(&member.current.assigned.partitions(), image),
            target_assignment: self.hard.targets.get(id).map(|target| named(target, image)).unwrap_or_default(),
            kind: if member.is_classic() { MemberKind::Classic } else { MemberKind::Consumer },
        }
    }
}

/// The partitions of topics that exist, with the topics' names.
fn named(partitions: &Partitions, image: &Image) -> Vec<NamedTopicPartitions> {
    partitions
        .topics()
        .filter_map(|(topic_id, partitions)| {
            let name = image.topic(topic_id)?.name().as_str().to_owned();
            Some(NamedTopicPartitions { topic_id, name, partitions: partitions.to_vec() })
        })
        .collect()
}
