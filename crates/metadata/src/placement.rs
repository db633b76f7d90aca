//! Placing replicas: evenly, and over as many racks as there are.

use std::collections::BTreeMap;

use levada_types::{BrokerId, DirectoryId, ErrorCode, PartitionIndex};

use crate::{BrokerRegistration, IsrMember, ItemError, Partition, Replica, State};

/// Places the partitions of one topic.
///
/// Leaders go to whoever leads fewest of this topic, then fewest at all, so that a topic is spread even while a new broker
/// is still empty, and many small topics are too. Followers go to racks that the partition is not in yet, as long as there
/// are any, then to whoever holds fewest of this topic and follows the same leader least, so that the leaderships of a
/// broker that fails fall to many. Every choice is by number where all else is equal, so that it can be foretold.
pub(crate) struct Placement<'a> {
    state: &'a State,
    brokers: Vec<Candidate<'a>>,
    /// How many partitions of this topic the second follows the first in.
    pairs: BTreeMap<(BrokerId, BrokerId), u32>,
}

struct Candidate<'a> {
    broker: &'a BrokerRegistration,
    /// Partitions of this topic that it is the preferred leader of.
    leads: u32,
    /// Partitions of any topic that it is the preferred leader of.
    leads_at_all: u32,
    /// Replicas of this topic that it holds.
    holds: u32,
    /// Replicas of other topics that it holds.
    elsewhere: u32,
}

impl<'a> Placement<'a> {
    /// For a topic without partitions, over the live brokers.
    pub(crate) fn new(state: &'a State) -> Self {
        let candidate = |broker: &'a std::sync::Arc<BrokerRegistration>| Candidate {
            broker,
            leads: 0,
            leads_at_all: state.preferred_count(broker.id),
            holds: 0,
            elsewhere: state.replica_count(broker.id),
        };
        Self {
            state,
            pairs: BTreeMap::new(),
            brokers: state.live_brokers().filter(|b| can_hold(b)).map(candidate).collect(),
        }
    }

    /// How many brokers there are to choose from.
    pub(crate) fn broker_count(&self) -> usize {
        self.brokers.len()
    }

    /// Takes a partition into account that the topic has already.
    pub(crate) fn count(&mut self, partition: &Partition) {
        let brokers: Vec<BrokerId> = partition.replicas.iter().map(|r| r.broker).collect();
        self.pair(&brokers);
        for (i, replica) in partition.replicas.iter().enumerate() {
            if let Some(candidate) = self.brokers.iter_mut().find(|c| c.broker.id == replica.broker) {
                candidate.holds += 1;
                candidate.leads += u32::from(i == 0);
                candidate.elsewhere = candidate.elsewhere.saturating_sub(1);
            }
        }
    }

    /// Places the next partition.
    pub(crate) fn place(&mut self, factor: usize) -> Result<Partition, ItemError> {
        if factor > self.brokers.len() {
            return Err(ItemError::new(
                ErrorCode::InvalidReplicationFactor,
                format!("the replication factor is {factor}; brokers that are live: {}", self.brokers.len()),
            ));
        }
        let mut chosen: Vec<usize> = Vec::with_capacity(factor);
        while chosen.len() < factor {
            let next = self.next(&chosen).ok_or_else(|| ItemError::of(ErrorCode::InvalidReplicationFactor))?;
            self.brokers[next].leads += u32::from(chosen.is_empty());
            self.brokers[next].leads_at_all += u32::from(chosen.is_empty());
            self.brokers[next].holds += 1;
            chosen.push(next);
        }
        let brokers: Vec<BrokerId> = chosen.iter().map(|i| self.brokers[*i].broker.id).collect();
        self.pair(&brokers);
        new_partition(self.state, &brokers)
    }

    fn pair(&mut self, brokers: &[BrokerId]) {
        if let [leader, followers @ ..] = brokers {
            followers.iter().for_each(|follower| *self.pairs.entry((*leader, *follower)).or_default() += 1);
        }
    }

    fn next(&self, chosen: &[usize]) -> Option<usize> {
        let mut racks: BTreeMap<Option<&str>, u32> = BTreeMap::new();
        for i in chosen {
            *racks.entry(self.brokers[*i].broker.rack.as_deref()).or_default() += 1;
        }
        let weight = |candidate: &Candidate<'_>| {
            let rack = candidate.broker.rack.as_deref();
            let in_rack = rack.map_or(0, |_| racks.get(&rack).copied().unwrap_or(0));
            let holds_at_all = candidate.holds + candidate.elsewhere;
            let id = candidate.broker.id;
            match chosen.first().map(|first| self.brokers[*first].broker.id) {
                None => (in_rack, candidate.leads, candidate.leads_at_all, holds_at_all, id),
                Some(leader) => {
                    let paired = self.pairs.get(&(leader, id)).copied().unwrap_or(0);
                    (in_rack, candidate.holds, paired, holds_at_all, id)
                }
            }
        };
        (0..self.brokers.len()).filter(|i| !chosen.contains(i)).min_by_key(|i| weight(&self.brokers[*i]))
    }
}

/// Checks an assignment that the caller made: registered brokers, none twice.
pub(crate) fn check_manual(state: &State, partition: PartitionIndex, brokers: &[BrokerId]) -> Result<(), ItemError> {
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    if brokers.is_empty() {
        return invalid(format!("partition {partition} is assigned to no broker"));
    }
    for (i, broker) in brokers.iter().enumerate() {
        if brokers[..i].contains(broker) {
            return invalid(format!("partition {partition} names broker {broker} more than once"));
        }
        if state.broker(*broker).is_none() {
            return invalid(format!("partition {partition} names broker {broker}, which is not registered"));
        }
    }
    Ok(())
}

/// A new partition on these registered brokers, in sync on those that are live and led by the first of them.
pub(crate) fn new_partition(state: &State, brokers: &[BrokerId]) -> Result<Partition, ItemError> {
    let registrations = brokers.iter().filter_map(|id| state.broker(*id));
    if let Some(draining) = registrations.clone().find(|b| b.draining) {
        let message = format!("broker {} is being emptied; choose another", draining.id);
        return Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    let isr: Vec<IsrMember> =
        registrations.clone().filter(|b| can_hold(b)).map(|b| IsrMember { broker: b.id, epoch: b.epoch }).collect();
    let Some(leader) = isr.first() else {
        let message = format!("none of the brokers {brokers:?} is live", brokers = numbers(brokers));
        return Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    };
    let replicas = registrations.map(|b| Replica { broker: b.id, directory: only_directory(b) }).collect();
    let leader = leader.broker;
    Ok(Partition::new(replicas, isr, leader))
}

/// Whether a new replica can live there now.
fn can_hold(broker: &BrokerRegistration) -> bool {
    broker.is_live() && !broker.draining && !broker.directories.is_empty()
}

/// Where a broker with one data directory will put a replica is known beforehand (KIP-858).
pub(crate) fn only_directory(broker: &BrokerRegistration) -> DirectoryId {
    match broker.directories[..] {
        [only] => only,
        _ => DirectoryId::UNASSIGNED,
    }
}

fn numbers(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|b| b.0).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use levada_types::BrokerEpoch;
    use uuid::Uuid;

    use super::*;
    use crate::{Delta, LevelRange};

    fn cluster(racks: &[Option<&str>]) -> State {
        let mut state = State::new();
        for (id, rack) in (1..).zip(racks) {
            let broker = Arc::new(BrokerRegistration {
                id: BrokerId(id),
                epoch: BrokerEpoch(i64::from(id)),
                incarnation: Uuid::from_u128(id as u128),
                boot_id: None,
                directories: vec![DirectoryId(Uuid::from_u128(100 + id as u128))],
                endpoints: Vec::new(),
                internal_address: String::new(),
                rack: rack.map(str::to_owned),
                levels: LevelRange::SUPPORTED,
                fenced: false,
                stopping: false,
                draining: false,
            });
            state.apply(&Delta::BrokerRegistered { broker }).unwrap();
        }
        state
    }

    fn place(state: &State, partitions: usize, factor: usize) -> Vec<Partition> {
        let mut placement = Placement::new(state);
        (0..partitions).map(|_| placement.place(factor).unwrap()).collect()
    }

    #[test]
    fn leaders_and_replicas_are_even() {
        let partitions = place(&cluster(&[None, None, None]), 9, 2);
        for broker in [1, 2, 3].map(BrokerId) {
            assert_eq!(partitions.iter().filter(|p| p.leader == Some(broker)).count(), 3);
            assert_eq!(partitions.iter().filter(|p| p.has_replica(broker)).count(), 6);
        }
    }

    #[test]
    fn the_leaderships_of_a_broker_that_fails_fall_to_all_others() {
        let partitions = place(&cluster(&[None; 4]), 48, 2);
        for (leader, follower) in [1, 2, 3, 4].into_iter().flat_map(|l| [1, 2, 3, 4].map(|f| (l, f))) {
            let together = |p: &&Partition| p.replicas[0].broker.0 == leader && p.replicas[1].broker.0 == follower;
            let expected = if leader == follower { 0 } else { 4 };
            assert_eq!(partitions.iter().filter(together).count(), expected, "{leader} and {follower}");
        }
    }

    #[test]
    fn many_small_topics_are_led_by_all() {
        let mut state = cluster(&[None, None, None]);
        for n in 0..30u128 {
            let topic = levada_types::TopicId(Uuid::from_u128(0x7000 + n));
            let name = levada_types::TopicName::new(&format!("t{n}")).unwrap();
            let partition = Arc::new(Placement::new(&state).place(3).unwrap());
            state.apply(&Delta::TopicCreated { id: topic, name }).unwrap();
            state.apply(&Delta::PartitionSet { topic, index: 0, partition }).unwrap();
        }
        assert_eq!([1, 2, 3].map(|id| state.preferred_count(BrokerId(id))), [10, 10, 10]);
    }

    #[test]
    fn replicas_stand_in_different_racks() {
        let state = cluster(&[Some("a"), Some("a"), Some("b"), Some("b"), Some("c"), Some("c")]);
        for partition in place(&state, 12, 3) {
            let rack = |r: &Replica| state.broker(r.broker).and_then(|b| b.rack.clone());
            let racks: BTreeSet<_> = partition.replicas.iter().map(rack).collect();
            assert_eq!(racks.len(), 3, "{partition:?}");
        }
    }

    #[test]
    fn there_may_be_more_replicas_than_racks() {
        let state = cluster(&[Some("a"), Some("a"), Some("b")]);
        for partition in place(&state, 3, 3) {
            let brokers: BTreeSet<_> = partition.replicas.iter().map(|r| r.broker).collect();
            assert_eq!(brokers.len(), 3);
        }
    }

    #[test]
    fn the_directory_of_a_broker_with_one_is_known() {
        let partition = place(&cluster(&[None]), 1, 1).remove(0);
        assert_eq!(partition.replicas[0].directory, DirectoryId(Uuid::from_u128(101)));
    }
}
