//! What holds whatever is asked, in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use levada_types::{
    BrokerEpoch, BrokerId, CoordinatorEpoch, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Cluster, directory};
use crate::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigTarget, ControllerId, CoordinatorKind, Delta,
    Election, IsrMember, IsrProposal, LeaderRecovery, LevelRange, LogElection, ManualAssignment, MorePartitions,
    NamedPartition, NewBroker, NewCoordinator, NewShards, NewTopic, Partition, Reassignment, Replica, ReplicaDirectory,
    ReplicaEnd, State, Topic, TopicRef, Voter, Waiver, shards,
};

/// A command in the making: epochs and topic ids are filled in from the state at its turn, so that most of them are
/// current and some are not.
#[derive(Debug, Clone)]
enum Step {
    Register { id: i32, incarnation: u8, boot: u8, clean: bool, online: u8, closed: u8, offline: bool },
    Unfence { id: i32, stale: bool },
    Fence { id: i32, stale: bool },
    Stop { id: i32 },
    Report { id: i32, online: u8, offline: bool },
    Drain { id: i32, drain: bool },
    Unregister { id: i32 },
    Propose { name: u8, in_sync: u8, incomplete: u8, recovered: bool, stale: bool },
    Elect { name: Option<u8>, unclean: bool },
    Balance,
    ElectFromLogs { name: u8, answers: u8, ends: [i64; 3], waiver: u8 },
    Reassign { name: u8, brokers: Option<Vec<i32>>, any_factor: bool },
    Voters { first: u64, second: u64 },
    Come { incarnation: u8, transaction: bool },
    Go { which: u8 },
    Shards { transaction: bool, count: i32, factor: i16 },
    Create { names: Vec<u8>, partitions: Option<i32>, factor: Option<i16>, validate_only: bool },
    CreateByHand { name: u8, brokers: Vec<i32> },
    Delete { names: Vec<u8>, by_id: bool },
    MorePartitions { name: u8, count: i32 },
    Alter { name: Option<u8>, setting: usize, value: usize },
    Allocate { id: i32 },
    Assign { id: i32, name: u8, second_directory: bool },
}

const NAMES: [&str; 6] = ["a", "b", "c.d", "c_d", "__consumer_offsets", "bad/name"];
const SETTINGS: [&str; 5] =
    ["min.insync.replicas", "retention.ms", "cleanup.policy", "no.such.setting", "unclean.leader.election.enable"];
const VALUES: [Option<&str>; 6] = [Some("1"), Some("2"), Some("3"), Some("compact"), Some("true"), None];

fn step() -> impl Strategy<Value = Step> {
    let id = 1..4i32;
    let name = 0..NAMES.len() as u8;
    prop_oneof![
        3 => (id.clone(), 0..3u8, 0..2u8, any::<bool>(), (0..8u8, 0..8u8), any::<bool>()).prop_map(
            |(id, incarnation, boot, clean, (online, closed), offline)| {
                Step::Register { id, incarnation, boot, clean, online, closed, offline }
            }
        ),
        3 => (id.clone(), 0..8u8, any::<bool>()).prop_map(|(id, online, offline)| Step::Report { id, online, offline }),
        4 => (id.clone(), prop::bool::weighted(0.1)).prop_map(|(id, stale)| Step::Unfence { id, stale }),
        3 => (id.clone(), prop::bool::weighted(0.1)).prop_map(|(id, stale)| Step::Fence { id, stale }),
        1 => id.clone().prop_map(|id| Step::Stop { id }),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, drain)| Step::Drain { id, drain }),
        1 => id.clone().prop_map(|id| Step::Unregister { id }),
        8 => (name.clone(), 0..16u8, prop_oneof![4 => Just(0u8), 1 => 0..16u8], prop::bool::weighted(0.9), prop::bool::weighted(0.1))
            .prop_map(|(name, in_sync, incomplete, recovered, stale)| Step::Propose { name, in_sync, incomplete, recovered, stale }),
        2 => (prop::option::of(name.clone()), any::<bool>()).prop_map(|(name, unclean)| Step::Elect { name, unclean }),
        1 => Just(Step::Balance),
        3 => (name.clone(), 0..16u8, [0..4i64, 0..4i64, 0..4i64], 0..3u8)
            .prop_map(|(name, answers, ends, waiver)| Step::ElectFromLogs { name, answers, ends, waiver }),
        3 => (name.clone(), prop::option::of(prop::collection::vec(1..4i32, 1..4)), any::<bool>())
            .prop_map(|(name, brokers, any_factor)| Step::Reassign { name, brokers, any_factor }),
        1 => (0..3u64, 0..3u64).prop_map(|(first, second)| Step::Voters { first, second }),
        3 => (0..5u8, prop::bool::weighted(0.2)).prop_map(|(incarnation, transaction)| Step::Come { incarnation, transaction }),
        2 => (0..8u8).prop_map(|which| Step::Go { which }),
        2 => (prop::bool::weighted(0.2), 0..6i32, 1..4i16)
            .prop_map(|(transaction, count, factor)| Step::Shards { transaction, count, factor }),
        4 => (prop::collection::vec(name.clone(), 1..3), prop::option::of(-1..4i32), prop::option::of(0..4i16), prop::bool::weighted(0.2))
            .prop_map(|(names, partitions, factor, validate_only)| Step::Create { names, partitions, factor, validate_only }),
        1 => (name.clone(), prop::collection::vec(0..5i32, 0..4)).prop_map(|(name, brokers)| Step::CreateByHand { name, brokers }),
        2 => (prop::collection::vec(name.clone(), 1..3), any::<bool>()).prop_map(|(names, by_id)| Step::Delete { names, by_id }),
        2 => (name.clone(), 0..8i32).prop_map(|(name, count)| Step::MorePartitions { name, count }),
        3 => (prop::option::of(name.clone()), 0..SETTINGS.len(), 0..VALUES.len())
            .prop_map(|(name, setting, value)| Step::Alter { name, setting, value }),
        1 => id.clone().prop_map(|id| Step::Allocate { id }),
        1 => (id, name, any::<bool>()).prop_map(|(id, name, second_directory)| Step::Assign { id, name, second_directory }),
    ]
}

fn name(index: u8) -> String {
    NAMES[usize::from(index)].to_owned()
}

fn command(state: &State, step: &Step) -> Command {
    let known = |id: i32| state.broker(BrokerId(id)).map_or(BrokerEpoch(0), |b| b.epoch);
    let epoch = |id: i32, stale: bool| BrokerEpoch(known(id).0 - i64::from(stale));
    let new_topic = |index: &u8, partitions, replication_factor| NewTopic {
        name: name(*index),
        partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let second = |id| directory(id + 50);
    match step.clone() {
        Step::Register { id, incarnation, boot, clean, online, closed, offline } => {
            Command::RegisterBroker(NewBroker {
                id: BrokerId(id),
                incarnation: Uuid::from_u128(u128::from(incarnation) + 1),
                cluster_id: None,
                replaces: state.broker(BrokerId(id)).map(|known| known.epoch),
                boot_id: (boot > 0).then(|| format!("boot-{boot}")),
                clean_shutdown_epoch: clean.then(|| known(id)),
                closed_directories: directories(id, online & closed)
                    .into_iter()
                    .map(|closed| (closed, known(id)))
                    .collect(),
                directories: directories(id, online),
                endpoints: Vec::new(),
                internal_address: String::new(),
                rack: (id == 1).then(|| "r".to_owned()),
                has_offline_directory: offline,
                has_lost_bytes: false,
                levels: LevelRange::SUPPORTED,
            })
        }
        Step::Unfence { id, stale } => Command::UnfenceBroker { id: BrokerId(id), epoch: epoch(id, stale) },
        Step::Fence { id, stale } => Command::FenceBroker { id: BrokerId(id), epoch: epoch(id, stale) },
        Step::Stop { id } => Command::StopBroker { id: BrokerId(id), epoch: known(id) },
        Step::Report { id, online, offline } => Command::ReportDirectories {
            id: BrokerId(id),
            epoch: known(id),
            online: directories(id, online),
            has_offline_directory: offline,
        },
        Step::Drain { id, drain } => Command::DrainBroker { id: BrokerId(id), drain },
        Step::Unregister { id } => Command::UnregisterBroker { id: BrokerId(id) },
        Step::Propose { name: index, in_sync, incomplete, recovered, stale } => {
            let topic = state.topic_id(&name(index)).unwrap_or(TopicId::ZERO);
            let partition = state.partition(topic, 0).cloned();
            let leader = partition.as_ref().and_then(|p| p.leader).unwrap_or(BrokerId(1));
            let chosen = |bits: u8| (1..4).filter(move |id| bits & (1 << id) != 0).map(BrokerId);
            let member = |id: BrokerId| IsrMember { broker: id, epoch: known(id.0) };
            let proposal = IsrProposal {
                topic,
                partition: 0,
                leader_epoch: partition.as_ref().map_or(LeaderEpoch(0), |p| p.leader_epoch),
                partition_epoch: PartitionEpoch(
                    partition.as_ref().map_or(0, |p| p.partition_epoch.0) - i32::from(stale),
                ),
                isr: std::iter::once(leader).chain(chosen(in_sync).filter(|id| *id != leader)).map(member).collect(),
                incomplete: chosen(incomplete & !in_sync).filter(|id| *id != leader).collect(),
                recovery: if recovered { LeaderRecovery::Recovered } else { LeaderRecovery::Recovering },
            };
            Command::AlterPartition { broker: leader, epoch: known(leader.0), partitions: vec![proposal] }
        }
        Step::Elect { name: index, unclean } => {
            let partitions = index.map(|index| vec![NamedPartition { topic: name(index), partition: 0 }]);
            let election = if unclean { Election::Unclean } else { Election::Preferred };
            Command::ElectLeaders { election, partitions }
        }
        Step::Balance => Command::BalanceLeaders { allowed_percentage: 10 },
        Step::ElectFromLogs { name: index, answers, ends, waiver } => {
            let topic = state.topic_id(&name(index)).unwrap_or(TopicId::ZERO);
            let end = |id: i32, log_end: i64| ReplicaEnd {
                broker: BrokerId(id),
                broker_epoch: known(id),
                last_epoch: LeaderEpoch(0),
                log_end,
            };
            let answered = (1..4).zip(ends).filter(|(id, _)| answers & (1 << id) != 0);
            let election = LogElection {
                topic,
                partition: 0,
                leader_epoch: state.partition(topic, 0).map_or(LeaderEpoch(0), |p| p.leader_epoch),
                ends: answered.map(|(id, log_end)| end(id, log_end)).collect(),
                waiver: [Waiver::AllReturned, Waiver::UncleanByConfig, Waiver::UncleanByHand][usize::from(waiver)],
            };
            Command::ElectFromLogs { elections: vec![election] }
        }
        Step::Reassign { name: index, brokers, any_factor } => Command::AlterPartitionReassignments {
            reassignments: vec![Reassignment {
                topic: TopicRef::Name(name(index)),
                partition: 0,
                replicas: brokers.map(|brokers| brokers.into_iter().map(BrokerId).collect()),
            }],
            allow_factor_change: any_factor,
        },
        Step::Voters { first, second } => {
            let voter = |id| Voter { id: ControllerId(id), directory: directory(300) };
            Command::SetVoters { voters: vec![voter(first), voter(second)] }
        }
        Step::Come { incarnation, transaction } => Command::RegisterCoordinator(NewCoordinator {
            kind: kind(transaction),
            incarnation: Uuid::from_u128(0xc00 + u128::from(incarnation)),
            name: String::new(),
            // Two of them are at one address.
            internal_address: format!("g{}:1", incarnation.min(3)),
            levels: LevelRange::SUPPORTED,
        }),
        Step::Go { which } => {
            let epoch = state.all_coordinators().nth(usize::from(which)).map(|known| known.epoch);
            Command::RemoveCoordinator { epoch: epoch.unwrap_or(CoordinatorEpoch(i64::from(which))) }
        }
        Step::Shards { transaction, count, factor } => Command::CreateShards(NewShards {
            kind: kind(transaction),
            partitions: count,
            replication_factor: factor,
            configs: Vec::new(),
        }),
        Step::Create { names, partitions, factor, validate_only } => {
            let topics = names.iter().map(|index| new_topic(index, partitions, factor)).collect();
            Command::CreateTopics { topics, validate_only }
        }
        Step::CreateByHand { name, brokers } => {
            let brokers = brokers.into_iter().map(BrokerId).collect();
            let assignments = vec![ManualAssignment { partition: 0, brokers }];
            let topics = vec![NewTopic { assignments, ..new_topic(&name, None, None) }];
            Command::CreateTopics { topics, validate_only: false }
        }
        Step::Delete { names, by_id } => {
            let topic = |index: &u8| match state.topic_id(&name(*index)).filter(|_| by_id) {
                Some(id) => TopicRef::Id(id),
                None => TopicRef::Name(name(*index)),
            };
            Command::DeleteTopics { topics: names.iter().map(topic).collect() }
        }
        Step::MorePartitions { name: index, count } => {
            let topics = vec![MorePartitions { name: name(index), count, assignments: Vec::new() }];
            Command::CreatePartitions { topics, validate_only: false }
        }
        Step::Alter { name: index, setting, value } => {
            let target = index.map_or(ConfigTarget::DefaultBroker, |index| ConfigTarget::Topic(name(index)));
            let change = VALUES[value].map_or(ConfigChange::Delete, |value| ConfigChange::Set(value.to_owned()));
            let resources = vec![ConfigAlteration { target, changes: vec![(SETTINGS[setting].to_owned(), change)] }];
            Command::AlterConfigs { resources, mode: AlterConfigsMode::Incremental, validate_only: false }
        }
        Step::Allocate { id } => Command::AllocateProducerIds { broker: BrokerId(id), epoch: known(id) },
        Step::Assign { id, name: index, second_directory } => {
            let directory = if second_directory { second(id) } else { directory(id) };
            let topic = state.topic_id(&name(index)).unwrap_or(TopicId::ZERO);
            let assignments = vec![ReplicaDirectory { topic, partition: 0, directory }];
            Command::AssignReplicasToDirs { broker: BrokerId(id), epoch: known(id), assignments }
        }
    }
}

fn kind(transaction: bool) -> CoordinatorKind {
    if transaction { CoordinatorKind::Transaction } else { CoordinatorKind::Group }
}

/// Those of a broker's three directories whose bit is set.
fn directories(id: i32, online: u8) -> Vec<DirectoryId> {
    (0..3).filter(|n| online & (1 << n) != 0).map(|n| directory(id + 50 * n)).collect()
}

/// The invariants of [`crate::Partition`], of the derived maps and of uniqueness.
fn check(state: &State) {
    let mut counts: BTreeMap<BrokerId, u32> = BTreeMap::new();
    let leaderless: BTreeSet<_> = state.leaderless().map(|at| (at.topic_id, at.partition)).collect();
    let reassigning: BTreeSet<_> = state.reassigning().map(|at| (at.topic_id, at.partition)).collect();
    for topic in state.topics() {
        assert_eq!(state.topic_id(topic.name().as_str()), Some(topic.id()));
        assert_eq!(state.colliding_topic(topic.name()), Some(topic.name()));
        assert!(topic.partition_count() > 0);
        for (index, p) in topic.partitions() {
            assert!(!p.replicas.is_empty());
            for (i, replica) in p.replicas.iter().enumerate() {
                *counts.entry(replica.broker).or_default() += 1;
                assert!(p.replicas[..i].iter().all(|r| r.broker != replica.broker), "{p:?}");
            }
            for (i, member) in p.isr.iter().enumerate() {
                assert!(p.has_replica(member.broker) && !p.elr.contains(&member.broker), "{p:?}");
                assert!(p.isr[..i].iter().all(|m| m.broker != member.broker), "{p:?}");
            }
            assert!(p.elr.iter().all(|id| p.has_replica(*id)), "{p:?}");
            assert!(p.adding.iter().chain(&p.removing).all(|id| p.has_replica(*id)), "{p:?}");
            assert!(p.adding.iter().all(|id| !p.removing.contains(id)), "{p:?}");
            assert!(p.replicas.len() > p.removing.len() && p.replicas.len() > p.adding.len(), "{p:?}");
            assert_eq!(p.leader.is_some(), p.last_complete.is_empty(), "{p:?}");
            if let Some(leader) = p.leader {
                assert!(p.is_in_sync(leader), "{p:?}");
                for member in &p.isr {
                    let registered = state.broker(member.broker).unwrap();
                    assert!(registered.epoch == member.epoch, "{p:?} {registered:?}");
                    // One that is about to stop is in sync until its turn comes.
                    let fit = state.can_lead(p, member.broker) || (registered.stopping && !registered.fenced);
                    assert!(fit, "{p:?} {registered:?}");
                }
                assert!(p.isr.len() < state.min_isr(topic.id(), p) || p.elr.is_empty(), "{p:?}");
            } else {
                assert!(p.last_complete.iter().all(|id| p.has_replica(*id)), "{p:?}");
                let complete = p.isr.iter().map(|m| m.broker).chain(p.elr.iter().copied());
                for id in complete {
                    assert!(p.last_complete.contains(&id), "{p:?}");
                    assert!(!state.can_lead(p, id), "nobody complete is left waiting: {p:?}");
                }
                let alone = p.replicas.len() == 1 && state.can_lead(p, p.replicas[0].broker);
                assert!(!alone, "a single replica starts with what it has: {p:?}");
            }
            assert_eq!(p.leader.is_none(), leaderless.contains(&(topic.id(), index)));
            assert_eq!(p.is_reassigning(), reassigning.contains(&(topic.id(), index)));
        }
    }
    assert_eq!(state.topics().count(), state.topic_count());
    assert_eq!(shards::invariants::check(state), Ok(()));
    for broker in state.brokers() {
        assert_eq!(state.replica_count(broker.id), counts.get(&broker.id).copied().unwrap_or(0));
        let preferred = |(_, p): &(_, &Arc<Partition>)| p.preferred_leader() == Some(broker.id);
        let leads = state.topics().flat_map(Topic::partitions).filter(preferred).count();
        assert_eq!(state.preferred_count(broker.id) as usize, leads);
    }
}

/// Epochs only grow.
fn check_step(before: &State, after: &State) {
    assert!(after.next_producer_id() >= before.next_producer_id());
    assert!(after.last_broker_epoch() >= before.last_broker_epoch());
    assert!(after.last_coordinator_epoch() >= before.last_coordinator_epoch());
    assert_eq!(shards::invariants::check_step(before, after), Ok(()));
    for topic in before.topics() {
        let Some(now) = after.topic(topic.id()) else { continue };
        assert!(now.partition_count() >= topic.partition_count());
        for ((_, old), (_, new)) in topic.partitions().zip(now.partitions()) {
            assert!(new.leader_epoch >= old.leader_epoch);
            assert!(new.partition_epoch >= old.partition_epoch);
            assert!(new == old || new.partition_epoch > old.partition_epoch, "a change counts: {old:?} {new:?}");
            assert!(new.possible_losses >= old.possible_losses);
            let dropped = old.replicas.iter().any(|r| !new.has_replica(r.broker));
            assert!(!dropped || new.leader_epoch > old.leader_epoch, "who is dropped is fenced");
            assert!(new.leader == old.leader || new.leader_epoch > old.leader_epoch, "{old:?} {new:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_invariants_and_can_be_replayed(steps in prop::collection::vec(step(), 1..60)) {
        let mut cluster = Cluster::new();
        let mut log: Vec<Delta> = cluster.state.to_deltas().collect();
        for step in &steps {
            let before = cluster.state.clone();
            let (_, deltas) = cluster.run_with_deltas(&command(&before, step));
            check(&cluster.state);
            check_step(&before, &cluster.state);
            if deltas.is_empty() {
                prop_assert_eq!(&before, &cluster.state);
            }
            log.extend(deltas);
        }
        let mut replayed = State::new();
        for delta in &log {
            replayed.apply(delta).unwrap();
        }
        prop_assert_eq!(&replayed, &cluster.state);
        let mut restored = State::new();
        for delta in cluster.state.to_deltas() {
            restored.apply(&delta).unwrap();
        }
        prop_assert_eq!(&restored, &cluster.state);
    }
}

/// Which replicas hold everything that was committed, as the worst case has it: whenever the in-sync set has the minimum,
/// a record is committed that nobody else has.
#[derive(Default)]
struct Holders {
    of: BTreeMap<(TopicId, PartitionIndex), BTreeSet<BrokerId>>,
}

impl Holders {
    /// Takes away who has lost bytes by what `command` tells.
    fn lose(&mut self, before: &State, command: &Command) {
        let (id, online, offline, damaged_but) = match command {
            Command::RegisterBroker(new) => {
                let known = before.broker(new.id);
                if known.is_some_and(|known| known.incarnation == new.incarnation) {
                    return;
                }
                let is_safe = known.is_some_and(|known| {
                    new.clean_shutdown_epoch == Some(known.epoch)
                        || (new.boot_id.is_some() && new.boot_id == known.boot_id)
                });
                let epoch = known.map(|known| known.epoch);
                let closed = new.closed_directories.iter().filter(|(_, closed_in)| Some(*closed_in) == epoch);
                let closed: Vec<DirectoryId> = closed.map(|(directory, _)| *directory).collect();
                (new.id, &new.directories, new.has_offline_directory, (!is_safe).then_some(closed))
            }
            Command::ReportDirectories { id, online, has_offline_directory, .. } => {
                (*id, online, *has_offline_directory, None)
            }
            Command::AlterPartition { partitions, .. } => {
                for proposal in partitions {
                    let holders = self.of.entry((proposal.topic, proposal.partition)).or_default();
                    holders.retain(|id| !proposal.incomplete.contains(id));
                }
                return;
            }
            Command::AssignReplicasToDirs { broker, assignments, .. } => {
                for assignment in assignments {
                    let Some(partition) = before.partition(assignment.topic, assignment.partition) else { continue };
                    let replica = partition.replicas.iter().find(|r| r.broker == *broker);
                    let is_there = |r: &Replica| before.broker(*broker).is_some_and(|b| b.has_online(r.directory));
                    if !replica.is_none_or(is_there) {
                        self.of.entry((assignment.topic, assignment.partition)).or_default().remove(broker);
                    }
                }
                return;
            }
            _ => return,
        };
        for (at, partition) in before.replicas_of(id) {
            let directory = partition.directory_of(id).unwrap_or(DirectoryId::UNASSIGNED);
            let is_lost = directory != DirectoryId::UNASSIGNED && !online.contains(&directory) && !offline;
            let is_damaged = damaged_but.as_ref().is_some_and(|closed| !closed.contains(&directory));
            if is_damaged || is_lost {
                self.of.entry((at.topic_id, at.partition)).or_default().remove(&id);
            }
        }
    }

    /// Checks who leads and who counts as complete, and commits.
    fn follow(&mut self, before: &State, after: &State, may_join: bool) {
        self.of.retain(|(topic, _), _| after.topic(*topic).is_some());
        for topic in after.topics() {
            for (index, p) in topic.partitions() {
                let known = before.partition(topic.id(), index);
                let holders = self.of.entry((topic.id(), index)).or_default();
                let members: BTreeSet<BrokerId> = p.isr.iter().map(|member| member.broker).collect();
                let counted = known.is_none_or(|known| p.possible_losses > known.possible_losses);
                if counted {
                    holders.clone_from(&members);
                }
                if may_join {
                    // The leader has seen that they have caught up.
                    holders.extend(&members);
                }
                let complete = p.isr.iter().map(|member| member.broker).chain(p.elr.iter().copied());
                for id in complete {
                    assert!(
                        holders.contains(&id),
                        "broker {id} may lack committed records: {known:?} {p:?} {holders:?}"
                    );
                }
                if p.leader.is_some() && p.isr.len() >= after.min_isr(topic.id(), p) {
                    *holders = members;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nobody_leads_who_may_lack_committed_records_unless_it_is_counted(
        minimum in 1..4i64,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut cluster = Cluster::with_brokers([1, 2, 3]);
        let configs = vec![("min.insync.replicas".to_owned(), minimum.to_string())];
        cluster.create(NewTopic { configs, ..super::topic("a", 1, 3) }).unwrap();
        cluster.create(super::topic("b", 1, 2)).unwrap();
        let mut holders = Holders::default();
        holders.follow(&State::new(), &cluster.state, false);
        for step in &steps {
            let before = cluster.state.clone();
            let command = command(&before, step);
            let (_, deltas) = cluster.run_with_deltas(&command);
            if !deltas.is_empty() {
                holders.lose(&before, &command);
            }
            check(&cluster.state);
            check_step(&before, &cluster.state);
            holders.follow(&before, &cluster.state, matches!(command, Command::AlterPartition { .. }));
        }
    }
}
