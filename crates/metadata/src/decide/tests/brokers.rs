//! Registration, incarnations, fencing: who leads and who counts as complete.

use levada_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, LeaderEpoch, TopicId};
use uuid::Uuid;

use super::in_sync::{proposal, propose};
use super::{Cluster, code, directory, topic};
use crate::limits::MAX_PARTITIONS_PER_STOP;
use crate::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigTarget, Endpoint, EndpointProtocol, LevelRange,
    MetadataLevel, NewTopic, Partition, Response,
};

fn replicated(cluster: &mut Cluster, factor: i16, min_insync: &str) -> TopicId {
    let configs = vec![("min.insync.replicas".to_owned(), min_insync.to_owned())];
    cluster.create(NewTopic { configs, ..topic("orders", 1, factor) }).unwrap()
}

fn unfence(cluster: &mut Cluster, id: i32) {
    let command = Command::UnfenceBroker { id: BrokerId(id), epoch: cluster.epoch(id) };
    assert_eq!(cluster.run(&command), Response::UnfenceBroker(Ok(())));
}

#[test]
fn a_registration_sent_twice_is_one() {
    let mut cluster = Cluster::new();
    let incarnation = Uuid::from_u128(5);
    let first = cluster.register(1, |new| new.incarnation = incarnation).unwrap();
    unfence(&mut cluster, 1);
    let before = cluster.state.clone();
    assert_eq!(cluster.register(1, |new| new.incarnation = incarnation), Ok(first));
    assert_eq!(cluster.state, before);
    assert!(cluster.register(1, |_| ()).unwrap() > first, "another process");
    assert!(cluster.state.broker(BrokerId(1)).unwrap().fenced);
}

#[test]
fn broker_epochs_grow_over_all_brokers() {
    let mut cluster = Cluster::new();
    let epochs: Vec<BrokerEpoch> = [1, 2, 1, 3].map(|id| cluster.register(id, |_| ()).unwrap()).to_vec();
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

#[test]
fn a_registration_that_makes_no_sense_is_refused() {
    let mut cluster = Cluster::with_brokers([1]);
    let endpoint = |listener: &str, port| Endpoint {
        listener: listener.to_owned(),
        host: "h".to_owned(),
        port,
        protocol: EndpointProtocol::Plaintext,
    };
    let invalid = ErrorCode::InvalidRegistration;
    assert_eq!(code(cluster.register(2, |new| new.id = BrokerId(-1))), invalid);
    assert_eq!(code(cluster.register(2, |new| new.endpoints = vec![endpoint("A", 0)])), invalid);
    assert_eq!(code(cluster.register(2, |new| new.endpoints = vec![endpoint("A", 1), endpoint("A", 2)])), invalid);
    assert_eq!(code(cluster.register(2, |new| new.directories = vec![DirectoryId::UNASSIGNED])), invalid);
    assert_eq!(code(cluster.register(2, |new| new.directories = vec![directory(1)])), invalid, "a copied disk");
    assert_eq!(code(cluster.register(2, |new| new.rack = Some("r".repeat(256)))), invalid);
    let newer = LevelRange { min: MetadataLevel(3), max: MetadataLevel(4) };
    assert_eq!(code(cluster.register(2, |new| new.levels = newer)), ErrorCode::UnsupportedVersion);
}

#[test]
fn a_stale_epoch_moves_nothing() {
    let mut cluster = Cluster::with_brokers([1]);
    let id = BrokerId(1);
    let old = cluster.epoch(1);
    cluster.join(1, |_| ());
    let before = cluster.state.clone();
    for command in [
        Command::FenceBroker { id, epoch: old },
        Command::UnfenceBroker { id, epoch: old },
        Command::StopBroker { id, epoch: old },
    ] {
        let refused = match cluster.run(&command) {
            Response::FenceBroker(r) | Response::UnfenceBroker(r) => r,
            Response::StopBroker(r) => r.map(|_| ()),
            other => panic!("{other:?}"),
        };
        assert_eq!(code(refused), ErrorCode::StaleBrokerEpoch);
    }
    assert_eq!(cluster.state, before);
    let Response::FenceBroker(refused) = cluster.run(&Command::FenceBroker { id: BrokerId(9), epoch: old }) else {
        panic!()
    };
    assert_eq!(code(refused), ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn leadership_moves_to_an_in_sync_replica() {
    let mut cluster = Cluster::with_brokers([1, 2, 3]);
    let id = replicated(&mut cluster, 3, "1");
    let leader = cluster.leader(id).unwrap();
    cluster.fence(leader);
    let partition = cluster.partition(id);
    assert!(partition.leader.is_some_and(|next| next.0 != leader));
    assert_eq!(partition.leader_epoch, LeaderEpoch(1));
    assert_eq!((cluster.isr(id).len(), cluster.elr(id)), (2, vec![]), "enough are in sync");
}

#[test]
fn a_follower_that_goes_leaves_the_leader_alone() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = replicated(&mut cluster, 2, "1");
    let follower = 3 - cluster.leader(id).unwrap();
    cluster.fence(follower);
    assert_eq!(cluster.partition(id).leader_epoch, LeaderEpoch::INITIAL);
    assert_eq!(cluster.isr(id), [3 - follower]);
}

#[test]
fn those_without_whom_the_high_watermark_cannot_move_stay_eligible() {
    let mut cluster = Cluster::with_brokers([1, 2, 3]);
    let id = replicated(&mut cluster, 3, "2");
    let first = cluster.leader(id).unwrap();
    cluster.fence(first);
    assert_eq!(cluster.elr(id), Vec::<i32>::new());
    let second = cluster.leader(id).unwrap();
    cluster.fence(second);
    assert_eq!(cluster.elr(id), [second], "one is left of two");
    let third = cluster.leader(id).unwrap();
    cluster.fence(third);
    assert_eq!((cluster.leader(id), cluster.isr(id)), (None, vec![third]), "the last one stays in the set");
    assert_eq!(cluster.elr(id), [second]);
    // The first may lack what was acknowledged since it left; it must wait.
    unfence(&mut cluster, first);
    assert_eq!(cluster.leader(id), None);
    unfence(&mut cluster, second);
    assert_eq!((cluster.leader(id), cluster.isr(id), cluster.elr(id)), (Some(second), vec![second], vec![third]));
}

#[test]
fn a_single_replica_waits_for_its_broker_and_starts_with_what_it_has() {
    let mut cluster = Cluster::with_brokers([1]);
    let id = replicated(&mut cluster, 1, "1");
    cluster.fence(1);
    assert_eq!((cluster.leader(id), cluster.isr(id)), (None, vec![1]));
    let epoch = cluster.partition(id).leader_epoch;
    // The machine has booted anew, so bytes may be gone; nobody else could have them.
    cluster.join(1, |new| new.boot_id = Some("another".to_owned()));
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(1), vec![1]));
    assert!(cluster.partition(id).leader_epoch > epoch);
    assert_eq!(cluster.partition(id).isr[0].epoch, cluster.epoch(1));
    assert_eq!(cluster.partition(id).possible_losses, 1);
}

#[test]
fn a_new_incarnation_is_the_end_of_the_old_one() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = replicated(&mut cluster, 2, "2");
    let leader = cluster.leader(id).unwrap();
    let other = 3 - leader;
    let before = cluster.partition(id).leader_epoch;
    // Same boot: what it wrote is still there, so it stays eligible.
    cluster.register(leader, |_| ()).unwrap();
    assert!(cluster.partition(id).leader_epoch > before);
    assert_eq!((cluster.leader(id), cluster.isr(id), cluster.elr(id)), (Some(other), vec![other], vec![leader]));
    // Another boot without a clean stop: it may have lost bytes.
    cluster.register(leader, |new| new.boot_id = None).unwrap();
    assert_eq!(cluster.elr(id), Vec::<i32>::new());
}

#[test]
fn a_broker_that_found_bytes_missing_has_to_catch_up_once_and_is_believed_again_after_that() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = replicated(&mut cluster, 2, "2");
    let leader = cluster.leader(id).unwrap();
    let other = 3 - leader;
    // Whatever its boot says.
    cluster.join(leader, |new| new.has_lost_bytes = true);
    assert_eq!((cluster.isr(id), cluster.elr(id)), (vec![other], vec![]));
    let caught_up = proposal(&cluster, id, &[other, leader]);
    propose(other, caught_up, &mut cluster).unwrap();
    assert_eq!(cluster.isr(id).len(), 2);
    // Its process is killed, and its machine goes on.
    cluster.register(leader, |_| ()).unwrap();
    assert_eq!((cluster.isr(id), cluster.elr(id)), (vec![other], vec![leader]));
}

#[test]
fn a_clean_stop_proves_that_nothing_was_lost() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = replicated(&mut cluster, 2, "2");
    let leader = cluster.leader(id).unwrap();
    let epoch = cluster.epoch(leader);
    let stop = Command::StopBroker { id: BrokerId(leader), epoch };
    assert_eq!(cluster.run(&stop), Response::StopBroker(Ok(0)));
    assert_eq!(cluster.leader(id), Some(3 - leader));
    assert!(!cluster.state.broker(BrokerId(leader)).unwrap().is_live());
    let unfence = Command::UnfenceBroker { id: BrokerId(leader), epoch };
    let Response::UnfenceBroker(refused) = cluster.run(&unfence) else { panic!() };
    assert_eq!(code(refused), ErrorCode::InvalidRequest, "not under this epoch any more");
    cluster
        .register(leader, |new| {
            new.boot_id = None;
            new.clean_shutdown_epoch = Some(epoch);
        })
        .unwrap();
    assert_eq!(cluster.elr(id), [leader]);
    // The marker of an earlier stop proves nothing.
    cluster
        .register(leader, |new| {
            new.boot_id = None;
            new.clean_shutdown_epoch = Some(epoch);
        })
        .unwrap();
    assert_eq!(cluster.elr(id), Vec::<i32>::new());
}

#[test]
fn a_large_broker_stops_in_steps_its_leaderships_first() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let many = MAX_PARTITIONS_PER_STOP as i32 + 500;
    let id = cluster.create(topic("orders", many, 2)).unwrap();
    let epoch = cluster.epoch(1);
    let stop = Command::StopBroker { id: BrokerId(1), epoch };
    let led = |cluster: &Cluster| {
        let partitions = cluster.state.topic(id).unwrap().partitions();
        partitions.filter(|(_, p)| p.leader == Some(BrokerId(1))).count()
    };
    assert!(led(&cluster) > 0);
    assert_eq!(cluster.run(&stop), Response::StopBroker(Ok(500)));
    assert_eq!(led(&cluster), 0, "what it follows comes last");
    let known = cluster.state.broker(BrokerId(1)).unwrap();
    assert!(known.stopping && !known.fenced && !known.is_live(), "it serves what it still has");
    assert!(cluster.state.visible_brokers().any(|broker| broker.id == BrokerId(1)));
    assert_eq!(cluster.run(&stop), Response::StopBroker(Ok(0)));
    assert!(cluster.state.broker(BrokerId(1)).unwrap().fenced);
    assert_eq!(cluster.run(&stop), Response::StopBroker(Ok(0)), "the same again");
    let in_sync = |p: &Partition| p.isr.iter().any(|member| member.broker == BrokerId(1));
    assert!(!cluster.state.topic(id).unwrap().partitions().any(|(_, p)| in_sync(p)));
}

#[test]
fn what_nobody_else_holds_does_not_keep_a_broker_from_stopping() {
    let mut cluster = Cluster::with_brokers([1]);
    let id = cluster.create(topic("orders", 1, 1)).unwrap();
    let stop = Command::StopBroker { id: BrokerId(1), epoch: cluster.epoch(1) };
    assert_eq!(cluster.run(&stop), Response::StopBroker(Ok(0)));
    assert_eq!((cluster.leader(id), cluster.isr(id)), (None, vec![1]));
}

#[test]
fn a_registration_that_was_under_way_for_long_takes_nobodys_place() {
    let mut cluster = Cluster::with_brokers([1]);
    let seen = cluster.epoch(1);
    cluster.join(1, |_| ());
    let refused = cluster.register(1, |new| new.replaces = Some(seen)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::DuplicateBrokerRegistration);
    let refused = cluster.register(1, |new| new.replaces = None).unwrap_err();
    assert_eq!(refused.code, ErrorCode::DuplicateBrokerRegistration);
    let incarnation = cluster.state.broker(BrokerId(1)).unwrap().incarnation;
    let again = cluster.register(1, |new| {
        new.incarnation = incarnation;
        new.replaces = None;
    });
    assert_eq!(again, Ok(cluster.epoch(1)), "the process that is registered comes again");
}

#[test]
fn a_replica_whose_directory_is_gone_is_not_eligible() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = replicated(&mut cluster, 2, "2");
    let leader = cluster.leader(id).unwrap();
    cluster.register(leader, |new| new.directories = vec![DirectoryId(Uuid::from_u128(0xfeed))]).unwrap();
    assert_eq!((cluster.leader(id), cluster.elr(id)), (Some(3 - leader), vec![]));
}

#[test]
fn a_new_minimum_clears_who_was_eligible_under_the_old_one() {
    let set_minimum = |target, value: &str| Command::AlterConfigs {
        resources: vec![ConfigAlteration {
            target,
            changes: vec![("min.insync.replicas".to_owned(), ConfigChange::Set(value.to_owned()))],
        }],
        mode: AlterConfigsMode::Incremental,
        validate_only: false,
    };
    let mut cluster = Cluster::with_brokers([1, 2]);
    cluster.run(&set_minimum(ConfigTarget::DefaultBroker, "2"));
    let by_default = cluster.create(topic("by-default", 1, 2)).unwrap();
    let own = replicated(&mut cluster, 2, "2");
    cluster.fence(2);
    assert_eq!((cluster.elr(by_default), cluster.elr(own)), (vec![2], vec![2]));
    cluster.run(&set_minimum(ConfigTarget::DefaultBroker, "3"));
    assert_eq!((cluster.elr(by_default), cluster.elr(own)), (vec![], vec![2]), "it has a minimum of its own");
    cluster.run(&set_minimum(ConfigTarget::Topic("orders".into()), "1"));
    assert_eq!((cluster.leader(own), cluster.elr(own)), (Some(1), vec![]));
}
