//! The hard state of a group: what its records add up to.

use std::sync::Arc;

use imbl::OrdMap;
use levada_types::{PartitionIndex, TopicId};

use crate::records::{
    Change, ConsumerMember, CurrentAssignment, GroupEpoch, MemberState, Partitions, ResolvedRegex, TargetEpoch,
};

/// What the records of a group add up to. Every change goes through [`Hard::apply`], while loading and afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hard {
    /// The group's epoch; `None` before its first record.
    pub(super) epoch: Option<GroupEpoch>,
    /// The epoch of the target assignment; `None` before there is one.
    pub(super) target_epoch: Option<TargetEpoch>,
    /// Whether there is a record of a kind that is not written any more, to be forgotten.
    pub(super) has_subscription_metadata: bool,
    /// The members.
    pub(super) members: OrdMap<Arc<str>, Member>,
    /// What each member is to own.
    pub(super) targets: OrdMap<Arc<str>, Arc<Partitions>>,
    /// The topics that each regular expression matches.
    pub(super) regexes: OrdMap<Arc<str>, Arc<ResolvedRegex>>,
    /// Derived: the members that have names.
    pub(super) instances: OrdMap<Arc<str>, Arc<str>>,
    /// Derived: how many members subscribe to a topic by name.
    pub(super) names: OrdMap<Arc<str>, u32>,
    /// Derived: how many members subscribe by a regular expression.
    pub(super) expressions: OrdMap<Arc<str>, u32>,
    /// Derived: how many members want an assignor.
    pub(super) assignors: OrdMap<Arc<str>, u32>,
    /// Derived: how many members speak the classic protocol.
    pub(super) classic_members: u32,
    /// Derived: how many of those support a protocol.
    pub(super) classic_protocols: OrdMap<Arc<str>, u32>,
    /// Derived: who owns a partition, those included that it shall give up. No partition is given to anybody else before it
    /// is gone from here.
    pub(super) owners: OrdMap<(TopicId, PartitionIndex), Arc<str>>,
}

/// A member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// What it has told of itself.
    pub(super) told: Arc<ConsumerMember>,
    /// What it owns.
    pub(super) current: Arc<CurrentAssignment>,
}

impl Member {
    /// Whether it speaks the classic protocol.
    pub(super) fn is_classic(&self) -> bool {
        self.told.classic.is_some()
    }

    /// Whether it owns what it is to own as of `target_epoch`.
    pub(super) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == target_epoch
    }
}

impl Hard {
    /// The group's epoch; 0 before the first.
    pub(super) fn group_epoch(&self) -> i32 {
        self.epoch.map_or(0, |epoch| epoch.epoch)
    }

    /// The epoch of the target assignment; 0 before the first.
    pub(super) fn assignment_epoch(&self) -> i32 {
        self.target_epoch.map_or(0, |target| target.epoch)
    }

    /// Whether nothing is left of the group.
    pub(super) fn is_gone(&self) -> bool {
        self.epoch.is_none() && self.members.is_empty()
    }

    /// Whether the topic is subscribed to.
    pub(super) fn subscribes_to(&self, name: &str) -> bool {
        self.names.contains_key(name) || self.regexes.values().any(|resolved| resolved.topics.contains(name))
    }

    /// Takes a record in. Loading may show records whose like was compacted away, so nothing is taken for granted.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Group(epoch) => self.epoch = *epoch,
            Change::SubscriptionMetadata(metadata) => self.has_subscription_metadata = metadata.is_some(),
            Change::TargetEpoch(epoch) => self.target_epoch = *epoch,
            Change::Member(id, Some(told)) => self.tell(id, told),
            Change::Member(id, None) => self.forget(id),
            Change::Current(id, current) => self.own(id, current.clone().unwrap_or_default()),
            Change::Target(id, Some(target)) => _ = self.targets.insert(Arc::clone(id), Arc::clone(target)),
            Change::Target(id, None) => _ = self.targets.remove(id),
            Change::Regex(regex, Some(resolved)) => _ = self.regexes.insert(Arc::clone(regex), Arc::clone(resolved)),
            Change::Regex(regex, None) => _ = self.regexes.remove(regex),
        }
    }

    fn tell(&mut self, id: &Arc<str>, told: &Arc<ConsumerMember>) {
        let old = self.members.get(id).map(|member| Arc::clone(&member.told));
        if let Some(old) = &old {
            self.count(id, old, false);
        }
        self.count(id, told, true);
        self.members.entry(Arc::clone(id)).or_default().told = Arc::clone(told);
    }

    fn forget(&mut self, id: &Arc<str>) {
        self.own(id, Arc::default());
        if let Some(member) = self.members.remove(id) {
            self.count(id, &member.told, false);
        }
    }

    /// Counts what a member has told in or out.
    fn count(&mut self, id: &Arc<str>, told: &ConsumerMember, comes: bool) {
        for name in &told.topic_names {
            step(&mut self.names, name, comes);
        }
        if let Some(regex) = &told.topic_regex {
            step(&mut self.expressions, regex, comes);
        }
        if let Some(assignor) = &told.server_assignor {
            step(&mut self.assignors, assignor, comes);
        }
        if let Some(classic) = &told.classic {
            self.classic_members =
                if comes { self.classic_members.saturating_add(1) } else { self.classic_members.saturating_sub(1) };
            for protocol in &classic.protocols {
                step(&mut self.classic_protocols, &protocol.name, comes);
            }
        }
        if let Some(instance) = &told.instance_id {
            if comes {
                self.instances.insert(instance.as_str().into(), Arc::clone(id));
            } else if self.instances.get(instance.as_str()) == Some(id) {
                self.instances.remove(instance.as_str());
            }
        }
    }

    fn own(&mut self, id: &Arc<str>, current: Arc<CurrentAssignment>) {
        let Some(member) = self.members.get(id) else {
            // A tombstone of somebody who is not there, or the owner's other record was compacted away and comes later.
            if current.assigned.is_empty() && current.revoking.is_empty() && *current == CurrentAssignment::default() {
                return;
            }
            self.claim(id, &CurrentAssignment::default(), &current);
            self.members.insert(Arc::clone(id), Member { told: Arc::default(), current });
            return;
        };
        let old = Arc::clone(&member.current);
        self.claim(id, &old, &current);
        if let Some(member) = self.members.get_mut(id) {
            member.current = current;
        }
    }

    /// Moves the ownership of what differs.
    fn claim(&mut self, id: &Arc<str>, old: &CurrentAssignment, new: &CurrentAssignment) {
        let owns = |current: &CurrentAssignment, topic, partition| {
            current.assigned.contains(topic, partition) || current.revoking.contains(topic, partition)
        };
        for (topic, partition, _) in old.assigned.iter().chain(old.revoking.iter()) {
            if !owns(new, topic, partition) && self.owners.get(&(topic, partition)) == Some(id) {
                self.owners.remove(&(topic, partition));
            }
        }
        for (topic, partition, _) in new.assigned.iter().chain(new.revoking.iter()) {
            if !owns(old, topic, partition) {
                self.owners.insert((topic, partition), Arc::clone(id));
            }
        }
    }
}

/// One more of `key`, or one less; none are not kept.
fn step(counts: &mut OrdMap<Arc<str>, u32>, key: &str, more: bool) {
    match (counts.get_mut(key), more) {
        (Some(count), true) => *count += 1,
        (Some(count), false) if *count > 1 => *count -= 1,
        (Some(_), false) => _ = counts.remove(key),
        (None, true) => _ = counts.insert(key.into(), 1),
        (None, false) => {}
    }
}
