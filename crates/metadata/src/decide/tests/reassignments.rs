//! Partitions that move to other brokers.

use levada_types::{BrokerId, ErrorCode, LeaderEpoch, TopicId};

use super::in_sync::{proposal, propose};
use super::{Cluster, code, topic};
use crate::{Command, ItemError, ManualAssignment, NewTopic, Reassignment, Response, TopicRef};

/// A topic of one partition on these of five brokers.
fn on(brokers: &[i32], min_insync: &str) -> (Cluster, TopicId) {
    let mut cluster = Cluster::with_brokers(1..=5);
    let assignment = ManualAssignment { partition: 0, brokers: brokers.iter().map(|id| BrokerId(*id)).collect() };
    let configs = vec![("min.insync.replicas".to_owned(), min_insync.to_owned())];
    let id = cluster.create(NewTopic { configs, assignments: vec![assignment], ..topic("orders", 1, 1) }).unwrap();
    (cluster, id)
}

fn alter(cluster: &mut Cluster, targets: Option<&[i32]>, any_factor: bool) -> Result<(), ItemError> {
    let replicas = targets.map(|targets| targets.iter().map(|id| BrokerId(*id)).collect());
    let reassignment = Reassignment { topic: TopicRef::Name("orders".to_owned()), partition: 0, replicas };
    let command =
        Command::AlterPartitionReassignments { reassignments: vec![reassignment], allow_factor_change: any_factor };
    match cluster.run(&command) {
        Response::AlterPartitionReassignments(mut results) => results.remove(0).result,
        other => panic!("{other:?}"),
    }
}

fn in_sync(cluster: &mut Cluster, topic: TopicId, brokers: &[i32]) {
    let leader = cluster.leader(topic).unwrap();
    propose(leader, proposal(cluster, topic, brokers), cluster).unwrap();
}

fn numbers(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|id| id.0).collect()
}

/// (replicas, adding, removing)
fn held(cluster: &Cluster, topic: TopicId) -> (Vec<i32>, Vec<i32>, Vec<i32>) {
    let partition = cluster.partition(topic);
    let replicas = partition.replicas.iter().map(|r| r.broker.0).collect();
    (replicas, numbers(&partition.adding), numbers(&partition.removing))
}

#[test]
fn a_partition_moves_when_all_that_come_are_in_sync() {
    let (mut cluster, id) = on(&[1, 2], "1");
    alter(&mut cluster, Some(&[3, 4]), false).unwrap();
    assert_eq!(held(&cluster, id), (vec![3, 4, 1, 2], vec![3, 4], vec![1, 2]));
    assert_eq!((cluster.leader(id), cluster.state.reassigning().len()), (Some(1), 1));
    assert_eq!(cluster.partition(id).leader_epoch, LeaderEpoch(0), "nobody has gone yet");
    in_sync(&mut cluster, id, &[1, 2, 3]);
    assert_eq!(held(&cluster, id).0.len(), 4, "one is missing");
    in_sync(&mut cluster, id, &[1, 3, 4]);
    assert_eq!(held(&cluster, id), (vec![3, 4], vec![], vec![]));
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(3), vec![3, 4]));
    assert_eq!((cluster.partition(id).leader_epoch, cluster.state.reassigning().len()), (LeaderEpoch(1), 0));
}

#[test]
fn a_partition_does_not_move_below_its_minimum() {
    let (mut cluster, id) = on(&[1, 2, 3], "2");
    alter(&mut cluster, Some(&[2, 3, 4]), false).unwrap();
    in_sync(&mut cluster, id, &[1, 4]);
    assert_eq!(held(&cluster, id), (vec![2, 3, 4, 1], vec![4], vec![1]), "only one of the targets is in sync");
    in_sync(&mut cluster, id, &[1, 4, 2]);
    assert_eq!((held(&cluster, id).0, cluster.isr(id)), (vec![2, 3, 4], vec![2, 4]));
}

#[test]
fn a_leader_that_stays_gets_a_new_epoch_when_another_replica_goes() {
    let (mut cluster, id) = on(&[1, 2], "1");
    alter(&mut cluster, Some(&[1, 3]), false).unwrap();
    in_sync(&mut cluster, id, &[1, 2, 3]);
    assert_eq!((held(&cluster, id).0, cluster.leader(id)), (vec![1, 3], Some(1)));
    assert_eq!(cluster.partition(id).leader_epoch, LeaderEpoch(1));
}

#[test]
fn an_order_is_changed_at_once_and_a_factor_only_where_that_is_allowed() {
    let (mut cluster, id) = on(&[1, 2], "2");
    alter(&mut cluster, Some(&[2, 1]), false).unwrap();
    assert_eq!((held(&cluster, id).0, cluster.leader(id)), (vec![2, 1], Some(1)));
    let before = cluster.state.clone();
    alter(&mut cluster, Some(&[2, 1]), false).unwrap();
    assert_eq!(cluster.state, before, "it is so already");
    assert_eq!(code(alter(&mut cluster, Some(&[2, 1, 3]), false)), ErrorCode::InvalidReplicationFactor);
    alter(&mut cluster, Some(&[2, 1, 3]), true).unwrap();
    let partition = cluster.partition(id);
    assert_eq!((partition.replication_factor(), cluster.state.min_isr(id, partition)), (2, 2));
    in_sync(&mut cluster, id, &[1, 2, 3]);
    assert_eq!(cluster.partition(id).replication_factor(), 3);
    // Fewer replicas have a lower minimum: who was eligible under the higher one is so no more.
    in_sync(&mut cluster, id, &[1]);
    assert_eq!(cluster.elr(id).len(), 2);
    alter(&mut cluster, Some(&[1]), true).unwrap();
    assert_eq!((held(&cluster, id).0, cluster.elr(id)), (vec![1], vec![]));
}

#[test]
fn a_growing_topic_takes_writes_while_it_grows() {
    let (mut cluster, id) = on(&[1], "2");
    alter(&mut cluster, Some(&[1, 2, 3]), true).unwrap();
    assert_eq!(cluster.state.min_isr(id, cluster.partition(id)), 1);
    in_sync(&mut cluster, id, &[1, 2, 3]);
    assert_eq!(cluster.state.min_isr(id, cluster.partition(id)), 2);
}

#[test]
fn a_reassignment_is_cancelled_or_replaced() {
    let (mut cluster, id) = on(&[1, 2], "1");
    assert_eq!(code(alter(&mut cluster, None, false)), ErrorCode::NoReassignmentInProgress);
    alter(&mut cluster, Some(&[3, 4]), false).unwrap();
    in_sync(&mut cluster, id, &[1, 2, 3]);
    alter(&mut cluster, Some(&[2, 5]), false).unwrap();
    assert_eq!(held(&cluster, id), (vec![2, 5, 1], vec![5], vec![1]), "from where it stood before the first");
    assert_eq!(cluster.isr(id), [1, 2]);
    alter(&mut cluster, None, false).unwrap();
    assert_eq!(held(&cluster, id), (vec![2, 1], vec![], vec![]));
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(1), vec![1, 2]));
}

#[test]
fn what_is_in_sync_nowhere_else_is_not_given_up() {
    let (mut cluster, id) = on(&[1, 2], "1");
    alter(&mut cluster, Some(&[3, 4]), false).unwrap();
    in_sync(&mut cluster, id, &[1, 3]);
    cluster.fence(1);
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(3), vec![3]));
    let before = cluster.state.clone();
    assert_eq!(code(alter(&mut cluster, None, false)), ErrorCode::InvalidReplicaAssignment);
    cluster.fence(3);
    assert_eq!(code(alter(&mut cluster, None, false)), ErrorCode::InvalidReplicaAssignment, "nor when it is away");
    assert_eq!(before.partition(id, 0).unwrap().replicas, cluster.partition(id).replicas);
}

#[test]
fn a_single_replica_that_is_behind_does_not_take_over_from_those_that_were_to_come() {
    let (mut cluster, id) = on(&[1], "1");
    alter(&mut cluster, Some(&[4, 5]), true).unwrap();
    in_sync(&mut cluster, id, &[1, 4]);
    cluster.fence(1);
    cluster.join(1, |_| ());
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(4), vec![4]), "1 lacks what is written now");
    assert_eq!(code(alter(&mut cluster, None, false)), ErrorCode::InvalidReplicaAssignment);
    cluster.fence(4);
    assert_eq!(code(alter(&mut cluster, None, false)), ErrorCode::InvalidReplicaAssignment, "nor when it is away");
    assert_eq!((cluster.leader(id), cluster.partition(id).possible_losses), (None, 0));
}

#[test]
fn the_only_complete_one_is_not_given_up_for_one_that_has_lost_bytes() {
    let (mut cluster, id) = on(&[1, 2], "2");
    alter(&mut cluster, Some(&[4, 5]), false).unwrap();
    in_sync(&mut cluster, id, &[1, 4]);
    cluster.fence(1);
    cluster.fence(4);
    // It was complete once, and its machine has lost power.
    cluster.join(1, |new| new.boot_id = Some("after the loss".to_owned()));
    assert_eq!((cluster.leader(id), cluster.isr(id), cluster.elr(id)), (None, vec![4], vec![]));
    assert_eq!(code(alter(&mut cluster, None, false)), ErrorCode::InvalidReplicaAssignment);
    cluster.join(4, |_| ());
    assert_eq!((cluster.leader(id), cluster.partition(id).possible_losses), (Some(4), 0));
}

#[test]
fn assignments_that_cannot_be_are_refused() {
    let (mut cluster, id) = on(&[1, 2], "1");
    for targets in [&[][..], &[3, 3], &[3, 9]] {
        assert_eq!(code(alter(&mut cluster, Some(targets), true)), ErrorCode::InvalidReplicaAssignment, "{targets:?}");
    }
    assert_eq!(cluster.run(&Command::DrainBroker { id: BrokerId(3), drain: true }), Response::DrainBroker(Ok(())));
    assert_eq!(code(alter(&mut cluster, Some(&[1, 3]), false)), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(held(&cluster, id).0, [1, 2]);
    let unknown = Reassignment { topic: TopicRef::Id(TopicId::ZERO), partition: 0, replicas: None };
    let missing = Reassignment { topic: TopicRef::Id(id), partition: 7, replicas: None };
    let reassignments = vec![unknown, missing];
    let command = Command::AlterPartitionReassignments { reassignments, allow_factor_change: true };
    let Response::AlterPartitionReassignments(results) = cluster.run(&command) else { panic!() };
    for refused in results {
        assert_eq!(code(refused.result), ErrorCode::UnknownTopicOrPartition);
    }
}

#[test]
fn a_broker_that_is_emptied_gets_nothing_new_and_leads_only_what_nobody_else_can() {
    let (mut cluster, id) = on(&[1, 2, 3], "1");
    let drain = |drain| Command::DrainBroker { id: BrokerId(2), drain };
    assert_eq!(cluster.run(&drain(true)), Response::DrainBroker(Ok(())));
    cluster.fence(1);
    assert_eq!(cluster.leader(id), Some(3), "not the second, although it comes first");
    let more = cluster.create(topic("more", 20, 3)).unwrap();
    let topic = cluster.state.topic(more).unwrap();
    assert!(topic.partitions().all(|(_, p)| !p.has_replica(BrokerId(2))));
    let by_hand = ManualAssignment { partition: 0, brokers: vec![BrokerId(3), BrokerId(2)] };
    let refused = cluster.create(NewTopic { assignments: vec![by_hand], ..super::topic("by-hand", 1, 1) });
    assert_eq!(code(refused), ErrorCode::InvalidReplicaAssignment);
    // Over its registrations too.
    cluster.join(2, |_| ());
    assert!(cluster.state.broker(BrokerId(2)).unwrap().draining);
    alter(&mut cluster, Some(&[1, 4, 3]), false).unwrap();
    assert_eq!(numbers(&cluster.partition(id).removing), [2]);
    assert_eq!(cluster.run(&drain(false)), Response::DrainBroker(Ok(())));
    assert_eq!(held(&cluster, id), (vec![1, 3, 2], vec![], vec![]), "what was moving off it stays");
    let unknown = Command::DrainBroker { id: BrokerId(9), drain: true };
    let Response::DrainBroker(refused) = cluster.run(&unknown) else { panic!() };
    assert_eq!(code(refused), ErrorCode::BrokerIdNotRegistered);
}
