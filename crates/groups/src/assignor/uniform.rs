//! The assignor `uniform`: even loads first, then stickiness, then racks.

use std::collections::BTreeMap;

use super::deal::{Hand, Style, deal};
use super::level::{Class, level};
use super::spec::NOBODY;
use super::{Slot, Spec};

/// What each member is to own.
pub(super) fn assign(spec: &Spec) -> Vec<Vec<Slot>> {
    let mut classes = classes_of(spec);
    let mut class_of = vec![usize::MAX; spec.topics.len()];
    for (number, class) in classes.iter().enumerate() {
        for &topic in &class.topics {
            class_of[topic as usize] = number;
        }
    }
    let mut owners: Vec<Vec<u32>> = spec.topics.iter().map(|topic| vec![NOBODY; topic.partitions as usize]).collect();
    let mut loads = vec![0u32; spec.members.len()];
    keep(spec, &class_of, &mut classes, &mut owners, &mut loads);
    level(&mut classes, &mut loads);
    for class in &classes {
        settle(spec, class, &mut owners);
    }
    let mut assignment: Vec<Vec<Slot>> = loads.iter().map(|&load| Vec::with_capacity(load as usize)).collect();
    for (of_topic, topic) in owners.iter().zip(0u32..) {
        for (&owner, partition) in of_topic.iter().zip(0u32..) {
            if let Some(of_member) = assignment.get_mut(owner as usize) {
                of_member.push(Slot { topic, partition });
            }
        }
    }
    assignment
}

/// The topics that have subscribers, by who subscribes.
fn classes_of(spec: &Spec) -> Vec<Class> {
    let mut classes: BTreeMap<Vec<u32>, Vec<u32>> = BTreeMap::new();
    for (subscribers, topic) in spec.subscribers().into_iter().zip(0u32..) {
        if !subscribers.is_empty() {
            classes.entry(subscribers).or_default().push(topic);
        }
    }
    classes
        .into_iter()
        .map(|(subscribers, topics)| Class {
            counts: vec![0; subscribers.len()],
            free: topics.iter().map(|&topic| spec.topics[topic as usize].partitions).sum(),
            topics,
            subscribers,
        })
        .collect()
}

/// Leaves everything where it is, as far as the partition exists and its owner still subscribes.
fn keep(spec: &Spec, class_of: &[usize], classes: &mut [Class], owners: &mut [Vec<u32>], loads: &mut [u32]) {
    for (member, number) in spec.members.iter().zip(0u32..) {
        // Partitions come topic by topic.
        let mut last = None;
        for slot in &member.owned {
            let position = match last {
                Some((topic, position)) if topic == slot.topic => position,
                _ => class_of
                    .get(slot.topic as usize)
                    .and_then(|&class| Some((class, classes.get(class)?.position(number)?))),
            };
            last = Some((slot.topic, position));
            let Some((class, at)) = position else { continue };
            let owner =
                owners.get_mut(slot.topic as usize).and_then(|of_topic| of_topic.get_mut(slot.partition as usize));
            if let Some(owner) = owner
                && *owner == NOBODY
            {
                *owner = number;
                classes[class].counts[at] += 1;
                classes[class].free -= 1;
                loads[number as usize] += 1;
            }
        }
    }
}

/// Takes from each subscriber what it has too much and gives it with what is free to those who have too little.
fn settle(spec: &Spec, class: &Class, owners: &mut [Vec<u32>]) {
    let mut kept: Vec<Vec<Slot>> = vec![Vec::new(); class.subscribers.len()];
    let mut free = Vec::new();
    for &topic in &class.topics {
        for (&owner, partition) in owners[topic as usize].iter().zip(0u32..) {
            let slot = Slot { topic, partition };
            match class.position(owner) {
                Some(at) => kept[at].push(slot),
                None => free.push(slot),
            }
        }
    }
    let knows_racks = spec.knows_racks();
    let mut hands = Vec::new();
    for ((mut kept, &count), &member) in kept.into_iter().zip(&class.counts).zip(&class.subscribers) {
        let count = count as usize;
        if kept.len() > count {
            if knows_racks {
                // What is far from the member goes first.
                kept.sort_by_key(|&slot| !spec.is_near(member, slot));
            }
            free.extend(kept.drain(count..));
        } else if kept.len() < count {
            hands.push(Hand { member, want: (count - kept.len()) as u32 });
        }
    }
    free.sort_unstable();
    let dealt = deal(spec, free.len(), |thing| spec.racks_of(free[thing]), hands, Style::InTurn);
    for (slot, owner) in free.iter().zip(dealt) {
        owners[slot.topic as usize][slot.partition as usize] = owner.unwrap_or(NOBODY);
    }
}
