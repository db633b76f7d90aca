//! Elections: preferred, unclean, by what the logs hold.

use levada_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, TopicId, TopicIdPartition};

use super::in_sync::{on_three, proposal, propose};
use super::{Cluster, code, topic};
use crate::{
    AlterConfigsMode, BalancedLeaders, Command, ConfigAlteration, ConfigChange, ConfigTarget, ElectedLeader, Election,
    ItemError, LogElection, NamedPartition, NewTopic, ReplicaEnd, Response, Waiting, WaitingFor, Waiver,
};

fn named(topic: &str) -> NamedPartition {
    NamedPartition { topic: topic.to_owned(), partition: 0 }
}

fn elect(cluster: &mut Cluster, election: Election, topic: &str) -> Result<BrokerId, ItemError> {
    let command = Command::ElectLeaders { election, partitions: Some(vec![named(topic)]) };
    let Response::ElectLeaders(mut elected) = cluster.run(&command) else { panic!() };
    elected.remove(0).result
}

fn elect_all(cluster: &mut Cluster, election: Election) -> Vec<ElectedLeader> {
    match cluster.run(&Command::ElectLeaders { election, partitions: None }) {
        Response::ElectLeaders(elected) => elected,
        other => panic!("{other:?}"),
    }
}

fn unfence(cluster: &mut Cluster, id: i32) {
    let command = Command::UnfenceBroker { id: BrokerId(id), epoch: cluster.epoch(id) };
    assert_eq!(cluster.run(&command), Response::UnfenceBroker(Ok(())));
}

/// Comes back after a power loss.
fn return_damaged(cluster: &mut Cluster, id: i32) {
    cluster.join(id, |new| new.boot_id = Some(format!("{:?}", new.incarnation)));
}

fn ends(cluster: &Cluster, ends: &[(i32, i32, i64)]) -> Vec<ReplicaEnd> {
    let end = |&(id, last_epoch, log_end): &(i32, i32, i64)| ReplicaEnd {
        broker: BrokerId(id),
        broker_epoch: cluster.epoch(id),
        last_epoch: LeaderEpoch(last_epoch),
        log_end,
    };
    ends.iter().map(end).collect()
}

fn from_logs(
    cluster: &mut Cluster,
    topic: TopicId,
    ends: Vec<ReplicaEnd>,
    waiver: Waiver,
) -> Result<BrokerId, ItemError> {
    let leader_epoch = cluster.partition(topic).leader_epoch;
    let election = LogElection { topic, partition: 0, leader_epoch, ends, waiver };
    match cluster.run(&Command::ElectFromLogs { elections: vec![election] }) {
        Response::ElectFromLogs(mut elected) => elected.remove(0),
        other => panic!("{other:?}"),
    }
}

fn waiting_for(cluster: &Cluster) -> Vec<WaitingFor> {
    cluster.state.waiting().map(|waiting| waiting.waiting_for).collect()
}

#[test]
fn the_preferred_leader_leads_again_by_hand() {
    let (mut cluster, id) = on_three("1");
    let preferred = Election::Preferred;
    assert_eq!(code(elect(&mut cluster, preferred, "orders")), ErrorCode::ElectionNotNeeded);
    assert_eq!(code(elect(&mut cluster, preferred, "none")), ErrorCode::UnknownTopicOrPartition);
    cluster.fence(1);
    assert_eq!(code(elect(&mut cluster, preferred, "orders")), ErrorCode::PreferredLeaderNotAvailable);
    unfence(&mut cluster, 1);
    assert_eq!(code(elect(&mut cluster, preferred, "orders")), ErrorCode::PreferredLeaderNotAvailable, "not in sync");
    assert_eq!(elect_all(&mut cluster, preferred).len(), 1);
    propose(2, proposal(&cluster, id, &[1, 2, 3]), &mut cluster).unwrap();
    let epoch = cluster.partition(id).leader_epoch;
    assert_eq!(elect(&mut cluster, preferred, "orders"), Ok(BrokerId(1)));
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(1), vec![1, 2, 3]));
    assert_eq!(cluster.partition(id).leader_epoch, epoch.next());
    assert_eq!(elect_all(&mut cluster, preferred), vec![], "those that need none are not told");
}

#[test]
fn leaderships_go_back_where_too_many_are_away() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let topics: Vec<TopicId> = (0..8).map(|n| cluster.create(topic(&format!("t{n}"), 1, 2)).unwrap()).collect();
    cluster.fence(1);
    unfence(&mut cluster, 1);
    let away: Vec<TopicId> =
        topics.iter().copied().filter(|id| cluster.partition(*id).preferred_leader() == Some(BrokerId(1))).collect();
    assert_eq!(away.len(), 4);
    for id in &away {
        propose(2, proposal(&cluster, *id, &[1, 2]), &mut cluster).unwrap();
    }
    let balance = |percentage| Command::BalanceLeaders { allowed_percentage: percentage };
    let none = BalancedLeaders::default();
    assert_eq!(cluster.run(&balance(100)), Response::BalanceLeaders(none), "as many as are allowed");
    assert_eq!(cluster.run(&balance(10)), Response::BalanceLeaders(BalancedLeaders { moved: 4, left: 0 }));
    assert!(away.iter().all(|id| cluster.leader(*id) == Some(1)));
    assert_eq!(cluster.run(&balance(10)), Response::BalanceLeaders(none));
}

#[test]
fn who_was_complete_is_waited_for_without_bound() {
    let (mut cluster, id) = on_three("1");
    propose(1, proposal(&cluster, id, &[1, 2]), &mut cluster).unwrap();
    cluster.fence(1);
    cluster.fence(2);
    assert_eq!((cluster.leader(id), waiting_for(&cluster)), (None, vec![WaitingFor::AnyOf(vec![BrokerId(2)])]));
    let answers = ends(&cluster, &[(3, 0, 50)]);
    let refused = from_logs(&mut cluster, id, answers.clone(), Waiver::AllReturned);
    assert_eq!(code(refused), ErrorCode::EligibleLeadersNotAvailable);
    let refused = from_logs(&mut cluster, id, answers, Waiver::UncleanByConfig);
    assert_eq!(code(refused), ErrorCode::EligibleLeadersNotAvailable, "the setting is false");
    unfence(&mut cluster, 2);
    assert_eq!((cluster.leader(id), cluster.partition(id).possible_losses), (Some(2), 0));
}

#[test]
fn when_all_have_returned_damaged_the_longest_log_leads() {
    let (mut cluster, id) = on_three("2");
    propose(1, proposal(&cluster, id, &[1, 2]), &mut cluster).unwrap();
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!((cluster.leader(id), cluster.elr(id)), (None, vec![2]));
    return_damaged(&mut cluster, 1);
    assert_eq!(waiting_for(&cluster), [WaitingFor::AnyOf(vec![BrokerId(2)])], "the other may be intact");
    cluster.register(2, |new| new.boot_id = None).unwrap();
    assert_eq!(waiting_for(&cluster), [WaitingFor::AllOf(vec![BrokerId(2)])]);
    let of_one = ends(&cluster, &[(1, 0, 90)]);
    assert_eq!(code(from_logs(&mut cluster, id, of_one, Waiver::AllReturned)), ErrorCode::EligibleLeadersNotAvailable);
    unfence(&mut cluster, 2);
    assert_eq!(waiting_for(&cluster), [WaitingFor::Logs]);
    // The answer of an earlier registration does not count.
    let mut stale = ends(&cluster, &[(1, 0, 90), (2, 1, 80)]);
    stale[1].broker_epoch = BrokerEpoch(0);
    assert_eq!(code(from_logs(&mut cluster, id, stale, Waiver::AllReturned)), ErrorCode::EligibleLeadersNotAvailable);
    // A later epoch is worth more than a longer log.
    let answers = ends(&cluster, &[(3, 0, 99), (1, 0, 90), (2, 1, 80)]);
    assert_eq!(from_logs(&mut cluster, id, answers.clone(), Waiver::AllReturned), Ok(BrokerId(2)));
    assert_eq!((cluster.isr(id), cluster.partition(id).possible_losses), (vec![2], 1));
    assert_eq!(code(from_logs(&mut cluster, id, answers, Waiver::AllReturned)), ErrorCode::ElectionNotNeeded);
    assert_eq!(waiting_for(&cluster), []);
}

#[test]
fn of_equal_logs_the_first_of_the_assignment_leads() {
    let (mut cluster, id) = on_three("1");
    for broker in [1, 2, 3] {
        cluster.fence(broker);
    }
    (1..=3).for_each(|broker| return_damaged(&mut cluster, broker));
    assert_eq!(waiting_for(&cluster), [WaitingFor::Logs]);
    let answers = ends(&cluster, &[(3, 0, 9), (2, 0, 9), (1, 0, 8)]);
    let order: Vec<i32> = cluster.partition(id).replicas.iter().map(|r| r.broker.0).collect();
    let first = order.into_iter().find(|broker| *broker != 1).unwrap();
    assert_eq!(from_logs(&mut cluster, id, answers, Waiver::AllReturned), Ok(BrokerId(first)));
}

#[test]
fn an_unclean_election_needs_leave() {
    let (mut cluster, id) = on_three("1");
    propose(1, proposal(&cluster, id, &[1]), &mut cluster).unwrap();
    assert_eq!(code(elect(&mut cluster, Election::Unclean, "orders")), ErrorCode::ElectionNotNeeded);
    cluster.fence(1);
    let partition = TopicIdPartition { topic_id: id, partition: 0 };
    let waiting_for = WaitingFor::AnyOf(vec![BrokerId(1)]);
    let waiting = |unclean_allowed| Waiting { partition, waiting_for: waiting_for.clone(), unclean_allowed };
    assert_eq!(cluster.state.waiting().collect::<Vec<_>>(), [waiting(false)]);
    let change = ConfigChange::Set("true".to_owned());
    cluster.run(&Command::AlterConfigs {
        resources: vec![ConfigAlteration {
            target: ConfigTarget::Topic("orders".to_owned()),
            changes: vec![("unclean.leader.election.enable".to_owned(), change)],
        }],
        mode: AlterConfigsMode::Incremental,
        validate_only: false,
    });
    assert_eq!(cluster.state.waiting().collect::<Vec<_>>(), [waiting(true)]);
    let stale = LogElection {
        topic: id,
        partition: 0,
        leader_epoch: LeaderEpoch(0),
        ends: ends(&cluster, &[(2, 0, 1)]),
        waiver: Waiver::UncleanByConfig,
    };
    let Response::ElectFromLogs(refused) = cluster.run(&Command::ElectFromLogs { elections: vec![stale] }) else {
        panic!()
    };
    assert_eq!(code(refused[0].clone()), ErrorCode::FencedLeaderEpoch);
    let answers = ends(&cluster, &[(2, 0, 1), (3, 0, 2)]);
    assert_eq!(from_logs(&mut cluster, id, answers, Waiver::UncleanByConfig), Ok(BrokerId(3)));
    assert_eq!((cluster.isr(id), cluster.partition(id).possible_losses), (vec![3], 1));
    assert!(cluster.partition(id).last_complete.is_empty());
}

#[test]
fn without_logs_those_who_were_complete_come_first() {
    let (mut cluster, _) = on_three("1");
    let manual = |brokers: &[i32]| NewTopic {
        assignments: vec![crate::ManualAssignment {
            partition: 0,
            brokers: brokers.iter().map(|id| BrokerId(*id)).collect(),
        }],
        ..topic("by-hand", 1, 1)
    };
    let id = cluster.create(manual(&[3, 2, 1])).unwrap();
    propose(3, proposal(&cluster, id, &[3, 1]), &mut cluster).unwrap();
    cluster.fence(3);
    cluster.fence(1);
    cluster.register(1, |new| new.boot_id = None).unwrap();
    unfence(&mut cluster, 1);
    assert_eq!(cluster.leader(id), None, "it was complete and is damaged; the second never was since");
    let elected = elect_all(&mut cluster, Election::Unclean);
    assert!(
        elected.iter().any(|one| one.partition == named("by-hand") && one.result == Ok(BrokerId(1))),
        "{elected:?}"
    );
    for broker in [1, 2, 3] {
        if cluster.state.broker(BrokerId(broker)).unwrap().is_live() {
            cluster.fence(broker);
        }
    }
    assert_eq!(code(elect(&mut cluster, Election::Unclean, "by-hand")), ErrorCode::EligibleLeadersNotAvailable);
}
