//! What must hold of every assignment.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Assignor, MemberSpec, Slot, Spec, TopicSpec};

/// Members that all subscribe to all topics.
fn alike(partitions: &[u32], members: usize) -> Spec {
    let topics = partitions.iter().map(|&partitions| TopicSpec { partitions, racks: Vec::new() }).collect();
    let subscriptions: Vec<u32> = (0..partitions.len() as u32).collect();
    let member = MemberSpec { topics: subscriptions, ..MemberSpec::default() };
    Spec { topics, members: vec![member; members] }
}

/// The same, once `assignment` is what they own.
fn owning(mut spec: Spec, assignment: &[Vec<Slot>]) -> Spec {
    for (member, owned) in spec.members.iter_mut().zip(assignment) {
        member.owned.clone_from(owned);
    }
    spec
}

/// Every partition with its owner; fails if one has two.
fn owners(assignment: &[Vec<Slot>]) -> BTreeMap<Slot, usize> {
    let mut owners = BTreeMap::new();
    for (member, slots) in assignment.iter().enumerate() {
        assert!(slots.is_sorted(), "an assignment is in ascending order");
        for slot in slots {
            assert_eq!(owners.insert(*slot, member), None, "{slot:?} has two owners");
        }
    }
    owners
}

/// Exactly the partitions of topics with subscribers, each at one of them.
fn is_complete(spec: &Spec, assignment: &[Vec<Slot>]) {
    assert_eq!(assignment.len(), spec.members.len());
    let owners = owners(assignment);
    let mut expected = BTreeSet::new();
    for (topic, number) in spec.topics.iter().zip(0u32..) {
        if spec.members.iter().any(|member| member.topics.contains(&number)) {
            expected.extend((0..topic.partitions).map(|partition| Slot { topic: number, partition }));
        }
    }
    assert_eq!(owners.keys().copied().collect::<BTreeSet<_>>(), expected);
    for (slot, member) in owners {
        assert!(spec.members[member].topics.contains(&slot.topic), "{member} does not subscribe to {slot:?}");
    }
}

fn spread(counts: impl Iterator<Item = usize> + Clone) -> usize {
    counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
}

/// How many partitions are at another member than before, among those that had one.
fn moved(before: &[Vec<Slot>], after: &[Vec<Slot>]) -> usize {
    let after = owners(after);
    owners(before).into_iter().filter(|(slot, member)| after.get(slot).is_some_and(|now| now != member)).count()
}

/// Whether what one member has too much could reach another through partitions that may be exchanged.
fn can_be_evened(spec: &Spec, assignment: &[Vec<Slot>]) -> bool {
    (0..assignment.len()).any(|source| {
        let mut reached = BTreeSet::from([source]);
        let mut queue = vec![source];
        while let Some(member) = queue.pop() {
            for topic in assignment[member].iter().map(|slot| slot.topic).collect::<BTreeSet<_>>() {
                for next in (0..spec.members.len()).filter(|&next| spec.members[next].topics.contains(&topic)) {
                    if reached.insert(next) {
                        queue.push(next);
                    }
                }
            }
        }
        reached.iter().any(|&member| assignment[member].len() + 2 <= assignment[source].len())
    })
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let topics =
        prop::collection::vec((0u32..12, prop::collection::vec(prop::collection::vec(0u32..3, 0..3), 12)), 1..6);
    topics.prop_flat_map(|topics| {
        let count = topics.len() as u32;
        let owned = prop::collection::vec((0..count + 1, 0u32..14), 0..12);
        let subscriptions = prop::collection::btree_set(0..count, 0..=count as usize);
        let member = (prop::option::of(0u32..4), subscriptions, owned).prop_map(|(rack, topics, owned)| MemberSpec {
            rack,
            topics: topics.into_iter().collect(),
            owned: owned.into_iter().map(|(topic, partition)| Slot { topic, partition }).collect(),
        });
        let topics: Vec<TopicSpec> = topics
            .into_iter()
            .map(|(partitions, mut racks)| {
                racks.truncate(partitions as usize);
                TopicSpec { partitions, racks }
            })
            .collect();
        prop::collection::vec(member, 0..9).prop_map(move |members| Spec { topics: topics.clone(), members })
    })
}

proptest! {
    #[test]
    fn every_partition_of_a_subscribed_topic_has_one_owner_who_subscribes(spec in any_spec()) {
        for assignor in Assignor::ALL {
            is_complete(&spec, &assignor.assign(&spec));
        }
    }

    #[test]
    fn an_assignment_stays_as_it_is_while_nothing_changes(spec in any_spec()) {
        for assignor in Assignor::ALL {
            let assignment = assignor.assign(&spec);
            let again = assignor.assign(&owning(spec.clone(), &assignment));
            prop_assert_eq!(moved(&assignment, &again), 0);
            prop_assert_eq!(assignor.assign(&spec), assignment);
        }
    }

    #[test]
    fn uniform_is_as_even_as_the_subscriptions_allow(spec in any_spec()) {
        let assignment = Assignor::Uniform.assign(&spec);
        prop_assert!(!can_be_evened(&spec, &assignment), "{assignment:?}");
    }

    #[test]
    fn uniform_counts_differ_by_one_at_most(partitions in prop::collection::vec(0u32..40, 1..8), members in 1usize..30) {
        let assignment = Assignor::Uniform.assign(&alike(&partitions, members));
        prop_assert!(spread(assignment.iter().map(Vec::len)) <= 1);
    }

    #[test]
    fn one_member_more_takes_its_share_and_moves_nothing_else(
        partitions in prop::collection::vec(0u32..40, 1..8),
        members in 1usize..30,
        at in any::<prop::sample::Index>(),
    ) {
        for assignor in Assignor::ALL {
            let before = assignor.assign(&alike(&partitions, members));
            let at = at.index(members + 1);
            let mut spec = alike(&partitions, members + 1);
            let mut with_new = before.clone();
            with_new.insert(at, Vec::new());
            spec = owning(spec, &with_new);
            let after = assignor.assign(&spec);
            is_complete(&spec, &after);
            prop_assert_eq!(moved(&before_with(&before, at), &after), after[at].len(), "{:?}", assignor);
            if assignor == Assignor::Uniform {
                prop_assert!(spread(after.iter().map(Vec::len)) <= 1);
            }
        }
    }

    #[test]
    fn one_member_less_moves_only_what_it_had(
        partitions in prop::collection::vec(0u32..40, 1..8),
        members in 2usize..30,
        at in any::<prop::sample::Index>(),
    ) {
        for assignor in Assignor::ALL {
            let mut left = assignor.assign(&alike(&partitions, members));
            left.remove(at.index(members));
            let after = assignor.assign(&owning(alike(&partitions, members - 1), &left));
            prop_assert_eq!(moved(&left, &after), 0, "{:?}", assignor);
            if assignor == Assignor::Uniform {
                prop_assert!(spread(after.iter().map(Vec::len)) <= 1);
            }
        }
    }

    #[test]
    fn range_gives_everybody_a_fair_part_of_each_topic(spec in any_spec()) {
        let assignment = Assignor::Range.assign(&spec);
        for topic in 0..spec.topics.len() as u32 {
            let of_topic = |member: usize| assignment[member].iter().filter(|slot| slot.topic == topic).count();
            let subscribers = (0..spec.members.len()).filter(|&member| spec.members[member].topics.contains(&topic));
            prop_assert!(spread(subscribers.map(of_topic)) <= 1);
        }
    }

    #[test]
    fn range_gives_topics_that_are_alike_to_the_same_members(spec in any_spec(), partitions in 1u32..12) {
        let mut spec = spec;
        let all: Vec<u32> = (0..spec.topics.len() as u32).collect();
        for topic in &mut spec.topics {
            topic.partitions = partitions;
        }
        for member in &mut spec.members {
            member.topics.clone_from(&all);
        }
        for slots in Assignor::Range.assign(&spec) {
            let of_first: Vec<u32> = slots.iter().filter(|slot| slot.topic == 0).map(|slot| slot.partition).collect();
            for &topic in &all {
                let of_topic = slots.iter().filter(|slot| slot.topic == topic).map(|slot| slot.partition);
                prop_assert_eq!(of_topic.collect::<Vec<_>>(), of_first.clone());
            }
        }
    }
}

/// `before`, numbered as if somebody without partitions stood at `at`.
fn before_with(before: &[Vec<Slot>], at: usize) -> Vec<Vec<Slot>> {
    let mut before = before.to_vec();
    before.insert(at, Vec::new());
    before
}

#[test]
fn range_gives_runs_and_what_is_over_to_the_first() {
    let assignment = Assignor::Range.assign(&alike(&[7, 7], 3));
    let of_first: Vec<Vec<u32>> = assignment
        .iter()
        .map(|slots| slots.iter().filter(|slot| slot.topic == 0).map(|slot| slot.partition).collect())
        .collect();
    assert_eq!(of_first, [vec![0, 1, 2], vec![3, 4], vec![5, 6]]);
}

#[test]
fn range_joins_a_new_topic_to_those_that_are_alike() {
    let before = Assignor::Range.assign(&alike(&[6], 2));
    // The first member has moved to the end, so that a fresh start would give it the other run.
    let swapped = [before[1].clone(), before[0].clone()];
    let after = Assignor::Range.assign(&owning(alike(&[6, 6], 2), &swapped));
    let both = |partition| [Slot { topic: 0, partition }, Slot { topic: 1, partition }];
    let mut expected: Vec<Slot> = (3..6).flat_map(both).collect();
    expected.sort();
    assert_eq!(after[0], expected);
}

#[test]
fn what_is_free_goes_where_a_replica_stands() {
    for assignor in Assignor::ALL {
        let mut spec = alike(&[12], 6);
        spec.topics[0].racks = (0..12).map(|partition| vec![partition % 3]).collect();
        for (member, rack) in spec.members.iter_mut().zip([2, 2, 1, 1, 0, 0]) {
            member.rack = Some(rack);
        }
        let assignment = assignor.assign(&spec);
        is_complete(&spec, &assignment);
        for (member, slots) in spec.members.iter().zip(&assignment) {
            assert_eq!(slots.len(), 2);
            assert!(slots.iter().all(|slot| member.rack == Some(slot.partition % 3)), "{assignor:?}: {slots:?}");
        }
    }
}

#[test]
fn a_member_keeps_what_is_near_when_it_has_to_give_something_up() {
    let mut spec = alike(&[4], 2);
    spec.topics[0].racks = vec![vec![1], vec![1], vec![0], vec![0]];
    spec.members[0].rack = Some(0);
    spec.members[1].rack = Some(1);
    spec.members[0].owned = (0..4).map(|partition| Slot { topic: 0, partition }).collect();
    let assignment = Assignor::Uniform.assign(&spec);
    assert_eq!(assignment[0].iter().map(|slot| slot.partition).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_surplus_reaches_those_who_share_no_topic_with_its_owner() {
    // Six partitions that the first two may have, none of which the third may: the second passes on what it had.
    let mut spec = alike(&[6, 3], 3);
    spec.members[0].topics = vec![0];
    spec.members[2].topics = vec![1];
    let owned = |topic, partitions: std::ops::Range<u32>| partitions.map(move |partition| Slot { topic, partition });
    spec.members[0].owned = owned(0, 0..4).collect();
    spec.members[1].owned = owned(0, 4..6).chain(owned(1, 0..1)).collect();
    spec.members[2].owned = owned(1, 1..3).collect();
    let assignment = Assignor::Uniform.assign(&spec);
    assert_eq!(assignment.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
}

#[test]
fn nobody_is_given_nothing() {
    for assignor in Assignor::ALL {
        assert_eq!(assignor.assign(&alike(&[4], 0)), Vec::<Vec<Slot>>::new());
        assert_eq!(assignor.assign(&alike(&[], 2)), [Vec::new(), Vec::new()]);
        assert_eq!(assignor.assign(&alike(&[0], 2)), [Vec::new(), Vec::new()]);
    }
}
