//! Data directories that fail, come back, or are lost.

use levada_types::{BrokerId, DirectoryId, ErrorCode, LeaderEpoch, TopicId};

use super::{Cluster, code, directory, topic};
use crate::{Command, ItemError, MetadataLevel, NewTopic, ReplicaDirectory, Response};

const A: i32 = 0;
const B: i32 = 100;

fn both(id: i32) -> Vec<DirectoryId> {
    vec![directory(id + A), directory(id + B)]
}

/// Brokers with two directories each, and a topic whose replicas lie in the first.
fn with_topic(brokers: i32, factor: i16, min_insync: &str) -> (Cluster, TopicId) {
    let mut cluster = Cluster::new();
    (1..=brokers).for_each(|id| cluster.join(id, |new| new.directories = both(id)));
    let configs = vec![("min.insync.replicas".to_owned(), min_insync.to_owned())];
    let id = cluster.create(NewTopic { configs, ..topic("orders", 1, factor) }).unwrap();
    for broker in 1..=brokers {
        assign(&mut cluster, broker, id, directory(broker + A)).unwrap();
    }
    (cluster, id)
}

fn assign(cluster: &mut Cluster, broker: i32, topic: TopicId, directory: DirectoryId) -> Result<(), ItemError> {
    let assignments = vec![ReplicaDirectory { topic, partition: 0, directory }];
    let command = Command::AssignReplicasToDirs { broker: BrokerId(broker), epoch: cluster.epoch(broker), assignments };
    match cluster.run(&command) {
        Response::AssignReplicasToDirs(result) => result.map(|mut items| items.remove(0))?,
        other => panic!("{other:?}"),
    }
}

fn report(cluster: &mut Cluster, id: i32, online: Vec<DirectoryId>, offline: bool) -> Result<(), ItemError> {
    let epoch = cluster.epoch(id);
    match cluster.run(&Command::ReportDirectories { id: BrokerId(id), epoch, online, has_offline_directory: offline }) {
        Response::ReportDirectories(result) => result,
        other => panic!("{other:?}"),
    }
}

fn offline(cluster: &Cluster, topic: TopicId) -> Vec<i32> {
    cluster.state.offline_replicas(cluster.partition(topic)).map(|id| id.0).collect()
}

#[test]
fn a_single_replica_in_a_failed_directory_waits_for_it() {
    let (mut cluster, id) = with_topic(1, 1, "1");
    report(&mut cluster, 1, vec![directory(1 + B)], true).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id), offline(&cluster, id)), (None, vec![1], vec![1]));
    assert_eq!(cluster.partition(id).leader_epoch, LeaderEpoch(1));
    report(&mut cluster, 1, both(1), false).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id), offline(&cluster, id)), (Some(1), vec![1], vec![]));
    assert_eq!(cluster.partition(id).leader_epoch, LeaderEpoch(2));
    assert_eq!(cluster.partition(id).possible_losses, 0);
}

#[test]
fn a_restart_does_not_bring_back_a_directory_that_is_still_offline() {
    let (mut cluster, id) = with_topic(1, 1, "1");
    let with_one = |new: &mut crate::NewBroker| {
        new.directories = vec![directory(1 + B)];
        new.has_offline_directory = true;
    };
    cluster.join(1, with_one);
    assert_eq!((cluster.leader(id), offline(&cluster, id)), (None, vec![1]));
    assert_eq!(cluster.partition(id).directory_of(BrokerId(1)), Some(directory(1 + A)), "it may be behind the other");
    cluster.join(1, |new| new.directories = both(1));
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(1), vec![1]));
}

#[test]
fn a_clean_stop_with_a_failed_directory_proves_that_nothing_was_lost_in_the_others() {
    // (its directories that failed, those that were closed, who counts as complete afterwards)
    let cases: [(&[i32], &[i32], &[i32]); 4] =
        [(&[B], &[A], &[1]), (&[B], &[], &[]), (&[A], &[B], &[]), (&[], &[A], &[])];
    for (failed, closed, complete) in cases {
        let (mut cluster, id) = with_topic(1, 1, "1");
        let left: Vec<DirectoryId> =
            both(1).into_iter().filter(|d| !failed.iter().any(|f| *d == directory(1 + f))).collect();
        report(&mut cluster, 1, left, !failed.is_empty()).unwrap();
        let epoch = cluster.epoch(1);
        assert_eq!(cluster.run(&Command::StopBroker { id: BrokerId(1), epoch }), Response::StopBroker(Ok(0)));
        cluster
            .register(1, |new| {
                new.boot_id = Some("another".to_owned());
                new.directories = both(1);
                new.closed_directories = closed.iter().map(|closed| (directory(1 + closed), epoch)).collect();
            })
            .unwrap();
        let partition = cluster.partition(id);
        let found: Vec<i32> =
            partition.isr.iter().map(|m| m.broker.0).chain(partition.elr.iter().map(|id| id.0)).collect();
        assert_eq!(found, complete, "failed {failed:?}, closed {closed:?}");
    }
}

#[test]
fn a_lost_directory_leaves_a_single_replica_with_what_it_has() {
    let (mut cluster, id) = with_topic(1, 1, "1");
    let epoch = cluster.partition(id).leader_epoch;
    cluster.join(1, |new| new.directories = vec![directory(1 + B)]);
    let partition = cluster.partition(id);
    assert_eq!(partition.directory_of(BrokerId(1)), Some(directory(1 + B)), "it starts afresh in what there is");
    assert_eq!((partition.leader, partition.possible_losses), (Some(BrokerId(1)), 1));
    assert!(partition.leader_epoch > epoch);
    assert_eq!(offline(&cluster, id), Vec::<i32>::new());
}

#[test]
fn a_directory_may_turn_out_to_be_lost_later() {
    let (mut cluster, id) = with_topic(1, 1, "1");
    report(&mut cluster, 1, vec![directory(1 + B)], true).unwrap();
    // Its disk was exchanged while the broker ran.
    report(&mut cluster, 1, vec![directory(1 + B), directory(1 + 200)], false).unwrap();
    let partition = cluster.partition(id);
    assert_eq!(partition.directory_of(BrokerId(1)), Some(DirectoryId::UNASSIGNED), "the broker chooses");
    assert_eq!((partition.leader, partition.possible_losses), (Some(BrokerId(1)), 1));
}

#[test]
fn leadership_leaves_a_failed_directory() {
    let (mut cluster, id) = with_topic(3, 3, "2");
    let leader = cluster.leader(id).unwrap();
    report(&mut cluster, leader, vec![directory(leader + B)], true).unwrap();
    let next = cluster.leader(id).unwrap();
    assert_ne!(next, leader);
    assert_eq!((cluster.isr(id).len(), offline(&cluster, id)), (2, vec![leader]));
    assert_eq!(cluster.partition(id).leader_epoch, LeaderEpoch(1));
    // A follower's directory fails: the leader stays, and the failed one is not eligible, for it may have lost bytes.
    let follower = 6 - leader - next;
    report(&mut cluster, follower, vec![directory(follower + B)], true).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id), cluster.elr(id)), (Some(next), vec![next], vec![]));
    assert_eq!(cluster.partition(id).leader_epoch, LeaderEpoch(1));
    // The last one's fails too: it is the only one who may be complete.
    report(&mut cluster, next, vec![directory(next + B)], true).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id)), (None, vec![next]));
    report(&mut cluster, leader, both(leader), false).unwrap();
    assert_eq!(cluster.leader(id), None, "it lacks what was acknowledged since");
    report(&mut cluster, next, both(next), false).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(next), vec![next]));
}

#[test]
fn an_eligible_replica_is_preferred_to_one_whose_directory_failed() {
    let (mut cluster, id) = with_topic(2, 2, "2");
    cluster.fence(2);
    report(&mut cluster, 1, vec![directory(1 + B)], true).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id), cluster.elr(id)), (None, vec![], vec![2]));
    report(&mut cluster, 1, both(1), false).unwrap();
    assert_eq!(cluster.leader(id), None);
    let command = Command::UnfenceBroker { id: BrokerId(2), epoch: cluster.epoch(2) };
    cluster.run(&command);
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(2), vec![2]));
}

#[test]
fn a_report_needs_the_current_registration_and_changes_nothing_twice() {
    let (mut cluster, id) = with_topic(1, 1, "1");
    let stale = cluster.epoch(1);
    cluster.join(1, |new| new.directories = both(1));
    let command =
        Command::ReportDirectories { id: BrokerId(1), epoch: stale, online: vec![], has_offline_directory: true };
    let Response::ReportDirectories(refused) = cluster.run(&command) else { panic!() };
    assert_eq!(code(refused), ErrorCode::StaleBrokerEpoch);
    assert_eq!(cluster.leader(id), Some(1));
    assert_eq!(code(report(&mut cluster, 1, vec![DirectoryId::UNASSIGNED], true)), ErrorCode::InvalidRequest);
    let before = cluster.state.clone();
    let reversed = both(1).into_iter().rev().collect();
    report(&mut cluster, 1, reversed, false).unwrap();
    assert_eq!(cluster.state, before);
}

#[test]
fn new_replicas_go_where_a_directory_is_online() {
    let (mut cluster, _) = with_topic(2, 2, "1");
    report(&mut cluster, 2, vec![], true).unwrap();
    let id = cluster.create(topic("more", 1, 1)).unwrap();
    assert_eq!(cluster.isr(id), [1]);
    assert_eq!(code(cluster.create(topic("too-many", 1, 2))), ErrorCode::InvalidReplicationFactor);
}

#[test]
fn a_replica_that_starts_afresh_in_another_directory_is_not_complete() {
    let (mut cluster, id) = with_topic(2, 2, "1");
    let leader = cluster.leader(id).unwrap();
    let other = 3 - leader;
    assert_eq!(assign(&mut cluster, other, id, directory(other + B)), Ok(()), "moved while both are online");
    assert_eq!(cluster.isr(id).len(), 2);
    report(&mut cluster, leader, vec![directory(leader + B)], true).unwrap();
    assert_eq!(assign(&mut cluster, leader, id, directory(leader + B)), Ok(()));
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(other), vec![other]));
    assert_eq!(offline(&cluster, id), Vec::<i32>::new());
    // The only complete replica is not given up.
    report(&mut cluster, other, vec![directory(other + A)], true).unwrap();
    assert_eq!(code(assign(&mut cluster, other, id, directory(other + A))), ErrorCode::KafkaStorageError);
}

#[test]
fn a_cluster_of_the_first_level_hears_of_directories_at_registration_only() {
    let mut cluster = Cluster::at_level(MetadataLevel::FIRST);
    cluster.join(1, |new| new.directories = both(1));
    let id = cluster.create(topic("orders", 1, 1)).unwrap();
    assign(&mut cluster, 1, id, directory(1 + A)).unwrap();
    assert_eq!(code(report(&mut cluster, 1, vec![directory(1 + B)], true)), ErrorCode::UnsupportedVersion);
    assert_eq!(cluster.leader(id), Some(1));
    cluster.join(1, |new| {
        new.directories = vec![directory(1 + B)];
        new.has_offline_directory = true;
    });
    assert_eq!(cluster.leader(id), None);
    cluster.join(1, |new| new.directories = vec![directory(1 + B)]);
    assert_eq!((cluster.leader(id), cluster.partition(id).possible_losses), (Some(1), 0), "the count is of level two");
}
