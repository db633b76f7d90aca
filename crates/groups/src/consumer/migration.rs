//! A group moves from one protocol to the other while it has members (`group.consumer.migration.policy`).

use std::{collections::BTreeSet, sync::Arc};

use levada_types::{ErrorCode, PartitionIndex, TopicId};

use super::{
    ConsumerGroup, after,
    classic::told_to_classic,
    embedded,
    refused::{Refused, unknown_member},
};
use crate::{
    GroupConfig,
    api::ConsumerGroupHeartbeat,
    classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, ClassicMember as MemberOfClassic},
    draft::Draft,
    group::Group,
    records::{
        Change, ClassicMember, ConsumerMember, CurrentAssignment, GroupEpoch, MemberMetadata, MemberState,
        OwnedPartitions, RecordError, TargetEpoch,
    },
};

/// Before a member of the next-generation protocol joins: makes the group one of that protocol, if it is not.
///
/// # Errors
/// GROUP_ID_NOT_FOUND if it may not become one, as in Kafka, and what would keep this member from joining afterwards: it
/// must not be converted for somebody who is refused.
pub(super) fn upgrade(
    group: &mut Option<Group>,
    request: &ConsumerGroupHeartbeat,
    draft: &mut Draft<'_>,
) -> Result<(), Refused> {
    let upgraded = match group {
        Some(Group::Consumer(_)) => return Ok(()),
        None => {
            check_room(0, draft)?;
            ConsumerGroup::default()
        }
        Some(Group::Classic(classic)) if classic.is_empty() => {
            check_room(0, draft)?;
            classic.write_tombstone(draft);
            ConsumerGroup::default()
        }
        Some(Group::Classic(classic)) => {
            let members = check_upgrade(classic, request, draft)?;
            classic.fail_waiting(ErrorCode::RebalanceInProgress, draft);
            let generation = classic.generation();
            classic.write_tombstone(draft);
            ConsumerGroup::of_classic(generation, members, draft)
        }
    };
    *group = Some(Group::Consumer(upgraded));
    Ok(())
}

/// A member of a classic group, as it will be in one of the next-generation protocol.
struct Upgraded {
    id: Arc<str>,
    told: ConsumerMember,
    /// What the newest generation gave it.
    assigned: embedded::NamedPartitions,
    /// What it had when it joined. It joins again once it has given anything up, so what it was not given again it may not
    /// have heard of yet.
    held: embedded::NamedPartitions,
}

fn check_room(members: usize, draft: &Draft<'_>) -> Result<(), Refused> {
    let max = draft.config.group_consumer_max_size;
    if members >= usize::try_from(max).unwrap_or(0) {
        let message = format!("the group has {members} members, and {max} is the most (group.consumer.max.size)");
        return Err(Refused::new(ErrorCode::GroupMaxSizeReached, message));
    }
    Ok(())
}

fn check_upgrade(
    classic: &ClassicGroup,
    request: &ConsumerGroupHeartbeat,
    draft: &Draft<'_>,
) -> Result<Vec<Upgraded>, Refused> {
    let cannot =
        |why: &str| Refused::new(ErrorCode::GroupIdNotFound, format!("the group is of the classic protocol, {why}"));
    if !draft.config.group_consumer_migration_policy.upgrades() {
        return Err(cannot("and group.consumer.migration.policy keeps it so"));
    }
    if !classic.is_of_consumers() {
        return Err(cannot("and its members are no consumers"));
    }
    let replaces = |member: &MemberOfClassic| {
        member.instance_id.is_some() && member.instance_id.as_deref() == request.instance_id.as_deref()
    };
    if !classic.members().any(replaces) {
        check_room(classic.members().len(), draft)?;
    }
    if classic.members().any(|member| *member.member_id == *request.member_id && !replaces(member)) {
        return Err(unknown_member(&request.member_id));
    }
    let upgraded: Result<Vec<Upgraded>, RecordError> =
        classic.members().map(|member| upgrade_member(member, classic)).collect();
    upgraded.map_err(|error| cannot(&format!("and what a member says cannot be read: {error}")))
}

fn upgrade_member(member: &MemberOfClassic, classic: &ClassicGroup) -> Result<Upgraded, RecordError> {
    // All protocols say the same of a consumer.
    let chosen = member.protocols.iter().find(|known| Some(known.name.as_str()) == classic.protocol_name());
    let metadata = chosen.or(member.protocols.first()).map(|protocol| protocol.metadata.clone()).unwrap_or_default();
    let subscription = embedded::Subscription::read(&metadata)?;
    let told = ConsumerMember {
        instance_id: member.instance_id.as_deref().map(str::to_owned),
        rack_id: subscription.rack,
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        topic_names: subscription.topics.into_iter().collect(),
        topic_regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMember {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.to_vec(),
        }),
    };
    let assigned = embedded::read_assignment(&member.assignment)?;
    Ok(Upgraded { id: Arc::clone(&member.member_id), told, assigned, held: subscription.owned })
}

impl ConsumerGroup {
    /// A group of members that have what the classic group's last generation gave them, and what they had before. Whoever
    /// waited for a generation is asked to join again, and then speaks to this group.
    fn of_classic(generation: i32, members: Vec<Upgraded>, draft: &mut Draft<'_>) -> Self {
        let mut group = Self::default();
        // The epoch first: whoever loads these records sees a group from its first record on.
        group.write(Change::Group(Some(GroupEpoch { epoch: generation, metadata_hash: 0 })), draft);
        // An assignor of the clients may have given a partition to two of them; nobody has what another one was given.
        let mut given: BTreeSet<(TopicId, PartitionIndex)> = BTreeSet::new();
        let mut assignments: Vec<(Arc<str>, OwnedPartitions)> = Vec::new();
        for member in &members {
            let mut owned = OwnedPartitions::default();
            take(&member.assigned, &mut owned, &mut given, generation, draft);
            assignments.push((Arc::clone(&member.id), owned));
        }
        for (member, (_, owned)) in members.iter().zip(&mut assignments) {
            take(&member.held, owned, &mut given, generation, draft);
        }
        let mut sessions = Vec::new();
        for Upgraded { id, told, .. } in members {
            sessions.push((Arc::clone(&id), told.classic.as_ref().map_or(0, |classic| classic.session_timeout_ms)));
            group.tell(&id, told, draft);
        }
        for (id, assigned) in assignments {
            let target = Arc::new(assigned.partitions());
            group.write(Change::Target(Arc::clone(&id), Some(target)), draft);
            let current = CurrentAssignment {
                epoch: generation,
                previous_epoch: generation,
                state: MemberState::Stable,
                assigned,
                revoking: OwnedPartitions::default(),
            };
            group.write(Change::Current(id, Some(Arc::new(current))), draft);
        }
        group.write(Change::TargetEpoch(Some(TargetEpoch { epoch: generation, timestamp: 0 })), draft);
        for (id, session_timeout_ms) in sessions {
            let deadline = after(draft.now, session_timeout_ms);
            group.clocks.set(&id, |clock| clock.session = Some(deadline));
        }
        group
    }
}

/// Adds the partitions that nobody was given so far.
fn take(
    named: &embedded::NamedPartitions,
    owned: &mut OwnedPartitions,
    given: &mut BTreeSet<(TopicId, PartitionIndex)>,
    generation: i32,
    draft: &Draft<'_>,
) {
    for (topic, partitions) in named {
        let Some(topic) = draft.image.topic_id(topic) else { continue };
        for &partition in partitions {
            if given.insert((topic, partition)) {
                owned.insert(topic, partition, generation);
            }
        }
    }
}

impl ConsumerGroup {
    /// Whether only members of the classic protocol are left, and the group may become a classic one.
    pub(super) fn becomes_classic(&self, config: &GroupConfig) -> bool {
        let members = self.hard.members.len();
        members > 0 && members == self.hard.classic_members as usize && self.may_become_classic(config)
    }

    /// Whether its members of the classic protocol may be a classic group.
    pub(super) fn may_become_classic(&self, config: &GroupConfig) -> bool {
        config.group_consumer_migration_policy.downgrades()
            && self.hard.classic_members <= u32::try_from(config.group_max_size).unwrap_or(0)
    }
}

/// After a member has left: makes the group a classic one if only members of that protocol are left. Its generation is the
/// group's epoch, under which they go on until they are asked to join again.
pub(super) fn downgrade(group: &mut Option<Group>, draft: &mut Draft<'_>) {
    let Some(Group::Consumer(consumer)) = group else { return };
    if !consumer.becomes_classic(draft.config) {
        return;
    }
    consumer.write_tombstones(&Arc::clone(&draft.group_id), draft);
    let members = consumer.hard.members.iter().filter_map(|(id, member)| {
        let classic = member.told.classic.as_ref()?;
        let metadata = MemberMetadata {
            member_id: id.to_string(),
            group_instance_id: member.told.instance_id.clone(),
            client_id: member.told.client_id.clone(),
            client_host: member.told.client_host.clone(),
            rebalance_timeout_ms: member.told.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            subscription: classic.protocols.first().map(|protocol| protocol.metadata.clone()).unwrap_or_default(),
            assignment: told_to_classic(&member.current, classic, draft),
        };
        Some(MemberOfClassic::new(&metadata, CONSUMER_PROTOCOL_TYPE, classic.protocols.clone().into()))
    });
    let members = members.collect();
    let mut classic = ClassicGroup::from_members(consumer.hard.group_epoch(), CONSUMER_PROTOCOL_TYPE, members, draft);
    // What the others had is to be given out again.
    classic.rebalance(draft);
    *group = Some(Group::Classic(classic));
}
