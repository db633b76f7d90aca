//! The assignor `range`: topic by topic, and topics that belong together alike.

use std::collections::BTreeMap;

use super::deal::{Hand, Style, deal};
use super::level::{Class, level};
use super::spec::NOBODY;
use super::{Slot, Spec};

/// What each member is to own.
pub(super) fn assign(spec: &Spec) -> Vec<Vec<Slot>> {
    // Topics with the same subscribers and as many partitions are joined with each other, if any are.
    let mut alike: BTreeMap<(Vec<u32>, u32), Vec<u32>> = BTreeMap::new();
    for ((subscribers, topic), number) in spec.subscribers().into_iter().zip(&spec.topics).zip(0u32..) {
        if !subscribers.is_empty() {
            alike.entry((subscribers, topic.partitions)).or_default().push(number);
        }
    }
    let owned = Owned::of(spec);
    let mut assignment = vec![Vec::new(); spec.members.len()];
    for ((subscribers, partitions), topics) in alike {
        for (owner, partition) in owners_of(spec, &owned, subscribers, partitions, &topics).into_iter().zip(0u32..) {
            if let Some(of_member) = assignment.get_mut(owner as usize) {
                of_member.extend(topics.iter().map(|&topic| Slot { topic, partition }));
            }
        }
    }
    for of_member in &mut assignment {
        of_member.sort_unstable();
    }
    assignment
}

/// Who was to own each partition so far.
struct Owned(Vec<Vec<u32>>);

impl Owned {
    fn of(spec: &Spec) -> Self {
        let mut owners: Vec<Vec<u32>> =
            spec.topics.iter().map(|topic| vec![NOBODY; topic.partitions as usize]).collect();
        for (member, number) in spec.members.iter().zip(0u32..) {
            for slot in &member.owned {
                let owner = owners.get_mut(slot.topic as usize).and_then(|of| of.get_mut(slot.partition as usize));
                if let Some(owner) = owner
                    && *owner == NOBODY
                {
                    *owner = number;
                }
            }
        }
        Self(owners)
    }

    /// The member that had this partition of most of the topics, if it is one of `subscribers`; its position among them.
    fn most(&self, topics: &[u32], partition: u32, subscribers: &[u32]) -> Option<usize> {
        let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
        for &topic in topics {
            if let Ok(at) = subscribers.binary_search(&self.0[topic as usize][partition as usize]) {
                *votes.entry(at).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|&(at, votes)| (votes, std::cmp::Reverse(at))).map(|(at, _)| at)
    }
}

/// Who is to own each partition number of all `topics`.
fn owners_of(spec: &Spec, owned: &Owned, subscribers: Vec<u32>, partitions: u32, topics: &[u32]) -> Vec<u32> {
    let mut kept: Vec<Vec<u32>> = vec![Vec::new(); subscribers.len()];
    let mut free = Vec::new();
    for partition in 0..partitions {
        match owned.most(topics, partition, &subscribers) {
            Some(at) => kept[at].push(partition),
            None => free.push(partition),
        }
    }
    let mut loads = vec![0; spec.members.len()];
    for (of_member, &member) in kept.iter().zip(&subscribers) {
        loads[member as usize] = of_member.len() as u32;
    }
    let mut class = Class {
        topics: Vec::new(),
        counts: kept.iter().map(|of_member| of_member.len() as u32).collect(),
        free: free.len() as u32,
        subscribers,
    };
    level(std::slice::from_mut(&mut class), &mut loads);
    let mut owners = vec![NOBODY; partitions as usize];
    let mut hands = Vec::new();
    for ((mut kept, &count), &member) in kept.into_iter().zip(&class.counts).zip(&class.subscribers) {
        let count = count as usize;
        if kept.len() > count {
            free.extend(kept.drain(count..));
        } else if kept.len() < count {
            hands.push(Hand { member, want: (count - kept.len()) as u32 });
        }
        for partition in kept {
            owners[partition as usize] = member;
        }
    }
    free.sort_unstable();
    let racks = near(spec, topics, &free);
    let dealt = deal(spec, free.len(), |thing| racks.get(thing).map_or(&[], Vec::as_slice), hands, Style::InRuns);
    for (&partition, owner) in free.iter().zip(dealt) {
        owners[partition as usize] = owner.unwrap_or(NOBODY);
    }
    owners
}

/// The racks in which every one of the topics has a replica of the partition.
fn near(spec: &Spec, topics: &[u32], free: &[u32]) -> Vec<Vec<u32>> {
    if !spec.knows_racks() {
        return Vec::new();
    }
    let racks_of = |topic: u32, partition: u32| spec.racks_of(Slot { topic, partition });
    free.iter()
        .map(|&partition| {
            let Some((&first, others)) = topics.split_first() else { return Vec::new() };
            let mut racks = racks_of(first, partition).to_vec();
            racks.retain(|rack| others.iter().all(|&topic| racks_of(topic, partition).contains(rack)));
            racks
        })
        .collect()
}
