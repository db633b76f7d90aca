//! Proposals of who is in sync.

use levada_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicId};

use super::{Cluster, code, topic};
use crate::{
    AlteredPartition, Command, Delta, Election, IsrMember, IsrProposal, ItemError, LeaderRecovery, NamedPartition,
    NewTopic, Response,
};

/// A topic of one partition on brokers 1, 2 and 3, led by 1.
pub(super) fn on_three(min_insync: &str) -> (Cluster, TopicId) {
    let mut cluster = Cluster::with_brokers([1, 2, 3]);
    let configs = vec![("min.insync.replicas".to_owned(), min_insync.to_owned())];
    let id = cluster.create(NewTopic { configs, ..topic("orders", 1, 3) }).unwrap();
    assert_eq!(cluster.leader(id), Some(1));
    (cluster, id)
}

/// What the leader would propose now, with these in sync.
pub(super) fn proposal(cluster: &Cluster, topic: TopicId, in_sync: &[i32]) -> IsrProposal {
    let partition = cluster.partition(topic);
    IsrProposal {
        topic,
        partition: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: in_sync.iter().map(|id| IsrMember { broker: BrokerId(*id), epoch: cluster.epoch(*id) }).collect(),
        incomplete: Vec::new(),
        recovery: LeaderRecovery::Recovered,
    }
}

pub(super) fn propose(
    leader: i32,
    proposal: IsrProposal,
    cluster: &mut Cluster,
) -> Result<AlteredPartition, ItemError> {
    let epoch = cluster.epoch(leader);
    let command = Command::AlterPartition { broker: BrokerId(leader), epoch, partitions: vec![proposal] };
    match cluster.run(&command) {
        Response::AlterPartition(Ok(mut results)) => results.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_set_shrinks_and_grows_as_the_leader_says() {
    let (mut cluster, id) = on_three("1");
    let altered = propose(1, proposal(&cluster, id, &[1, 2]), &mut cluster).unwrap();
    assert_eq!((altered.leader, altered.leader_epoch), (Some(BrokerId(1)), LeaderEpoch::INITIAL));
    assert_eq!((cluster.isr(id), altered.partition_epoch), (vec![1, 2], PartitionEpoch(1)));
    propose(1, proposal(&cluster, id, &[3, 2, 1]), &mut cluster).unwrap();
    assert_eq!(cluster.isr(id), [1, 2, 3], "in the order of the assignment");
}

#[test]
fn what_is_proposed_as_it_is_rules_out_what_got_lost_on_its_way() {
    let (mut cluster, id) = on_three("1");
    propose(1, proposal(&cluster, id, &[1, 2]), &mut cluster).unwrap();
    let lost = proposal(&cluster, id, &[1, 2, 3]);
    let again = propose(1, proposal(&cluster, id, &[2, 1]), &mut cluster).unwrap();
    assert_eq!((cluster.isr(id), again.partition_epoch), (vec![1, 2], PartitionEpoch(2)));
    assert_eq!(code(propose(1, lost, &mut cluster)), ErrorCode::InvalidUpdateVersion);
    assert_eq!(cluster.isr(id), [1, 2]);
}

#[test]
fn who_falls_behind_stays_eligible_while_the_set_is_too_small() {
    let (mut cluster, id) = on_three("2");
    propose(1, proposal(&cluster, id, &[1, 2]), &mut cluster).unwrap();
    assert_eq!(cluster.elr(id), Vec::<i32>::new(), "records are committed without the third from now on");
    propose(1, proposal(&cluster, id, &[1]), &mut cluster).unwrap();
    assert_eq!(cluster.elr(id), [2]);
    propose(1, proposal(&cluster, id, &[1, 3]), &mut cluster).unwrap();
    assert_eq!((cluster.isr(id), cluster.elr(id)), (vec![1, 3], vec![]));
}

#[test]
fn who_lacks_committed_records_is_not_eligible() {
    let (mut cluster, id) = on_three("2");
    let incomplete = IsrProposal { incomplete: vec![BrokerId(2)], ..proposal(&cluster, id, &[1]) };
    propose(1, incomplete, &mut cluster).unwrap();
    assert_eq!((cluster.isr(id), cluster.elr(id)), (vec![1], vec![3]));
    let incomplete = IsrProposal { incomplete: vec![BrokerId(3)], ..proposal(&cluster, id, &[1]) };
    propose(1, incomplete, &mut cluster).unwrap();
    assert_eq!(cluster.elr(id), Vec::<i32>::new(), "one that was eligible is so no more");
}

#[test]
fn a_proposal_of_the_past_is_refused() {
    let (mut cluster, id) = on_three("1");
    let old = proposal(&cluster, id, &[1, 2]);
    propose(1, proposal(&cluster, id, &[1, 3]), &mut cluster).unwrap();
    assert_eq!(code(propose(1, old.clone(), &mut cluster)), ErrorCode::InvalidUpdateVersion);
    let ahead = IsrProposal { partition_epoch: PartitionEpoch(9), ..old.clone() };
    assert_eq!(code(propose(1, ahead, &mut cluster)), ErrorCode::NotController);
    cluster.fence(1);
    assert_eq!(code(propose(1, old.clone(), &mut cluster)), ErrorCode::FencedLeaderEpoch);
    let usurped = proposal(&cluster, id, &[2]);
    assert_eq!(code(propose(2, usurped, &mut cluster)), ErrorCode::InvalidRequest, "it does not lead");
    let command = Command::AlterPartition { broker: BrokerId(1), epoch: BrokerEpoch(0), partitions: vec![old] };
    let Response::AlterPartition(refused) = cluster.run(&command) else { panic!() };
    assert_eq!(code(refused), ErrorCode::StaleBrokerEpoch);
    let unknown = IsrProposal { topic: TopicId::ZERO, ..proposal(&cluster, id, &[3]) };
    assert_eq!(code(propose(3, unknown, &mut cluster)), ErrorCode::UnknownTopicId);
}

#[test]
fn who_may_not_be_in_sync_is_refused() {
    let (mut cluster, id) = on_three("1");
    propose(1, proposal(&cluster, id, &[1]), &mut cluster).unwrap();
    let mut stale = proposal(&cluster, id, &[1, 2]);
    stale.isr[1].epoch = BrokerEpoch(cluster.epoch(2).0 - 1);
    assert_eq!(code(propose(1, stale, &mut cluster)), ErrorCode::IneligibleReplica, "an earlier registration");
    cluster.fence(2);
    let fenced = proposal(&cluster, id, &[1, 2]);
    assert_eq!(code(propose(1, fenced, &mut cluster)), ErrorCode::IneligibleReplica);
    let invalid = ErrorCode::InvalidRequest;
    for isr in [&[3][..], &[1, 1], &[1, 3, 3]] {
        let refused = proposal(&cluster, id, isr);
        assert_eq!(code(propose(1, refused, &mut cluster)), invalid, "{isr:?}");
    }
    cluster.join(4, |_| ());
    let stranger = proposal(&cluster, id, &[1, 4]);
    assert_eq!(code(propose(1, stranger, &mut cluster)), invalid);
    assert_eq!(cluster.isr(id), [1]);
}

/// Broker `id` has given notice, and what it holds has yet to be handed over.
fn give_notice(cluster: &mut Cluster, id: i32) {
    let (id, epoch) = (BrokerId(id), cluster.epoch(id));
    cluster.state.apply(&Delta::BrokerChanged { id, epoch, fenced: false, stopping: true }).unwrap();
}

#[test]
fn a_member_that_is_stopping_does_not_keep_a_dead_one_in_sync() {
    let (mut cluster, id) = on_three("2");
    give_notice(&mut cluster, 2);
    propose(1, proposal(&cluster, id, &[1, 2]), &mut cluster).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id), cluster.elr(id)), (Some(1), vec![1, 2], vec![]));
    // Handed over, it counts as one that may come back, and comes in no more.
    let stop = Command::StopBroker { id: BrokerId(2), epoch: cluster.epoch(2) };
    assert_eq!(cluster.run(&stop), Response::StopBroker(Ok(0)));
    assert_eq!((cluster.isr(id), cluster.elr(id)), (vec![1], vec![2]));
    let back = proposal(&cluster, id, &[1, 2]);
    assert_eq!(code(propose(1, back, &mut cluster)), ErrorCode::IneligibleReplica);
}

#[test]
fn who_is_stopping_does_not_come_in() {
    let (mut cluster, id) = on_three("1");
    propose(1, proposal(&cluster, id, &[1, 3]), &mut cluster).unwrap();
    give_notice(&mut cluster, 2);
    let entering = proposal(&cluster, id, &[1, 2, 3]);
    assert_eq!(code(propose(1, entering, &mut cluster)), ErrorCode::IneligibleReplica);
    assert_eq!(cluster.isr(id), [1, 3]);
}

#[test]
fn a_leader_that_is_stopping_hands_over_with_what_it_proposes() {
    let (mut cluster, id) = on_three("2");
    give_notice(&mut cluster, 1);
    let altered = propose(1, proposal(&cluster, id, &[1, 3]), &mut cluster).unwrap();
    assert_eq!((altered.leader, altered.leader_epoch), (Some(BrokerId(3)), LeaderEpoch(1)));
    assert_eq!(cluster.isr(id), [3]);
    assert_eq!(cluster.elr(id), [2, 1], "everything that was acknowledged is on both");

    // One that it has seen to lack acknowledged records does not lead in its place.
    let (mut cluster, id) = on_three("2");
    propose(1, proposal(&cluster, id, &[1, 2]), &mut cluster).unwrap();
    give_notice(&mut cluster, 1);
    let alone = IsrProposal { incomplete: vec![BrokerId(2)], ..proposal(&cluster, id, &[1]) };
    propose(1, alone, &mut cluster).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id), cluster.elr(id)), (None, vec![1], vec![]));
}

#[test]
fn nobody_joins_a_leader_that_has_yet_to_recover() {
    let (mut cluster, id) = on_three("1");
    propose(1, proposal(&cluster, id, &[1]), &mut cluster).unwrap();
    cluster.fence(1);
    assert_eq!((cluster.leader(id), cluster.isr(id)), (None, vec![1]));
    let partition = NamedPartition { topic: "orders".to_owned(), partition: 0 };
    let command = Command::ElectLeaders { election: Election::Unclean, partitions: Some(vec![partition]) };
    let Response::ElectLeaders(elected) = cluster.run(&command) else { panic!() };
    assert_eq!(elected[0].result, Ok(BrokerId(2)));
    let partition = cluster.partition(id);
    assert_eq!((partition.recovery, partition.possible_losses), (LeaderRecovery::Recovering, 1));
    let recovering = |isr: &[i32], cluster: &Cluster| IsrProposal {
        recovery: LeaderRecovery::Recovering,
        ..proposal(cluster, id, isr)
    };
    let too_early = recovering(&[2, 3], &cluster);
    assert_eq!(code(propose(2, too_early, &mut cluster)), ErrorCode::InvalidRequest);
    propose(2, proposal(&cluster, id, &[2]), &mut cluster).unwrap();
    let backwards = recovering(&[2], &cluster);
    assert_eq!(code(propose(2, backwards, &mut cluster)), ErrorCode::InvalidRequest);
    propose(2, proposal(&cluster, id, &[2, 3]), &mut cluster).unwrap();
    assert_eq!((cluster.isr(id), cluster.partition(id).recovery), (vec![2, 3], LeaderRecovery::Recovered));
}
