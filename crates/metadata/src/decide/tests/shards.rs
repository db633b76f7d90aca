//! Coordinators that come and go, and the shards that pass between them.

use std::collections::BTreeMap;

use levada_types::{CoordinatorEpoch, ErrorCode, LeaderEpoch, TopicId};
use uuid::Uuid;

use super::{Cluster, code, topic};
use crate::config::{Resolver, StaticConfigs};
use crate::shards::invariants::{Broken, check, check_step};
use crate::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigResource, ConfigTarget, Context, CoordinatorKind,
    CreatedTopic, Defect, Delta, FeatureChange, FeatureUpdate, ItemError, LevelRange, METADATA_FEATURE,
    ManualAssignment, MetadataLevel, MorePartitions, NewCoordinator, NewShards, NewTopic, Reassignment, Response,
    Rules, State, TopicRef, decide,
};

const GROUP: CoordinatorKind = CoordinatorKind::Group;

fn new_coordinator(n: u128) -> NewCoordinator {
    NewCoordinator {
        kind: GROUP,
        incarnation: Uuid::from_u128(n),
        name: format!("group-{n}"),
        internal_address: format!("g{n}:1"),
        levels: LevelRange::SUPPORTED,
    }
}

fn new_shards(partitions: i32, replication_factor: i16) -> NewShards {
    NewShards { kind: GROUP, partitions, replication_factor, configs: Vec::new() }
}

impl Cluster {
    fn try_coordinator(&mut self, new: NewCoordinator) -> Result<CoordinatorEpoch, ItemError> {
        match self.run(&Command::RegisterCoordinator(new)) {
            Response::RegisterCoordinator(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn coordinator(&mut self, n: u128) -> CoordinatorEpoch {
        self.try_coordinator(new_coordinator(n)).unwrap()
    }

    fn remove(&mut self, epoch: CoordinatorEpoch) {
        let before = self.state.clone();
        assert_eq!(self.run(&Command::RemoveCoordinator { epoch }), Response::RemoveCoordinator(Ok(())));
        check_step(&before, &self.state).unwrap();
        check(&self.state).unwrap();
    }

    fn shards(&mut self, new: NewShards) -> Result<CreatedTopic, ItemError> {
        match self.run(&Command::CreateShards(new)) {
            Response::CreateShards(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn owned(&self, epoch: CoordinatorEpoch) -> Vec<i32> {
        self.state.shards_of(epoch).collect()
    }

    fn leader_epochs(&self) -> Vec<LeaderEpoch> {
        self.state.shard_topic(GROUP).unwrap().partitions().map(|(_, partition)| partition.leader_epoch).collect()
    }
}

fn restored(state: &State) -> State {
    let mut restored = State::new();
    state.to_deltas().for_each(|delta| restored.apply(&delta).unwrap());
    restored
}

#[test]
fn a_coordinator_that_registers_again_keeps_its_epoch_and_a_new_process_gets_a_greater_one() {
    let mut cluster = Cluster::new();
    let first = cluster.coordinator(1);
    let (answer, deltas) = cluster.run_with_deltas(&Command::RegisterCoordinator(new_coordinator(1)));
    assert_eq!((answer, deltas), (Response::RegisterCoordinator(Ok(first)), vec![]));
    let second = cluster.coordinator(2);
    assert!(second > first);
    cluster.remove(second);
    cluster.remove(second);
    // Nobody gets that epoch again, not from a controller that starts from a snapshot either.
    assert_eq!(restored(&cluster.state), cluster.state);
    cluster.state = restored(&cluster.state);
    assert!(cluster.coordinator(2) > second);
    assert_eq!(
        cluster.state.coordinators(GROUP).map(|known| known.name.as_str()).collect::<Vec<_>>(),
        ["group-1", "group-2"]
    );
    assert_eq!(cluster.state.coordinators(CoordinatorKind::Transaction).count(), 0);
}

#[test]
fn a_process_at_the_address_of_another_takes_its_place() {
    let mut cluster = Cluster::with_brokers([1]);
    cluster.shards(new_shards(4, 1)).unwrap();
    let (first, other) = (cluster.coordinator(1), cluster.coordinator(2));
    let before = (cluster.owned(first), cluster.state.clone());
    let again = NewCoordinator { incarnation: Uuid::from_u128(11), ..new_coordinator(1) };
    let second = cluster.try_coordinator(again).unwrap();
    assert_eq!((cluster.state.coordinator(first), cluster.owned(second)), (None, before.0));
    check_step(&before.1, &cluster.state).unwrap();
    // One of another kind may be in the same process.
    let transactions = NewCoordinator { kind: CoordinatorKind::Transaction, ..new_coordinator(2) };
    cluster.try_coordinator(transactions).unwrap();
    assert!(cluster.state.coordinator(other).is_some());
}

#[test]
fn registrations_that_nobody_could_use_are_refused() {
    let mut cluster = Cluster::new();
    let no_address = NewCoordinator { internal_address: String::new(), ..new_coordinator(1) };
    assert_eq!(code(cluster.try_coordinator(no_address)), ErrorCode::InvalidRegistration);
    let long = NewCoordinator { name: "n".repeat(256), ..new_coordinator(1) };
    assert_eq!(code(cluster.try_coordinator(long)), ErrorCode::InvalidRegistration);
    let old = LevelRange { min: MetadataLevel::FIRST, max: MetadataLevel::FIRST };
    let old = NewCoordinator { levels: old, ..new_coordinator(1) };
    assert_eq!(code(cluster.try_coordinator(old)), ErrorCode::UnsupportedVersion);
    assert_eq!(cluster.state.all_coordinators().count(), 0);
}

#[test]
fn at_the_first_level_there_are_no_coordinators_and_one_that_cannot_follow_holds_the_level() {
    let mut cluster = Cluster::at_level(MetadataLevel::FIRST);
    cluster.join(1, |_| ());
    assert_eq!(code(cluster.try_coordinator(new_coordinator(1))), ErrorCode::UnsupportedVersion);
    assert_eq!(code(cluster.shards(new_shards(2, 1))), ErrorCode::UnsupportedVersion);
    assert_eq!((cluster.state.topic_count(), cluster.state.all_coordinators().count()), (0, 0));

    let mut cluster = Cluster::new();
    let levels = LevelRange { min: MetadataLevel::FIRST, max: MetadataLevel::SECOND };
    cluster.try_coordinator(NewCoordinator { levels, ..new_coordinator(1) }).unwrap();
    cluster.state.apply(&Delta::LevelFinalized { level: MetadataLevel::FIRST }).unwrap();
    let levels = LevelRange { min: MetadataLevel::FIRST, max: MetadataLevel::FIRST };
    let mut known = (**cluster.state.all_coordinators().next().unwrap()).clone();
    known.levels = levels;
    cluster.state.apply(&Delta::CoordinatorRegistered { coordinator: known.into() }).unwrap();
    let level = FeatureUpdate { name: METADATA_FEATURE.to_owned(), level: 2, change: FeatureChange::Upgrade };
    let update = Command::UpdateFeatures { updates: vec![level], validate_only: false };
    let Response::UpdateFeatures(updated) = cluster.run(&update) else { panic!() };
    assert_eq!(code(updated[0].result.clone()), ErrorCode::InvalidUpdateVersion);
}

#[test]
fn the_topic_is_created_once_compacted_and_its_shards_are_spread() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let (a, b) = (cluster.coordinator(1), cluster.coordinator(2));
    let created = cluster.shards(new_shards(5, 3)).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (5, 2), "as many replicas as there are brokers");
    let shards = cluster.state.shards(GROUP).unwrap();
    assert_eq!((shards.topic(), shards.replication_factor()), (created.id, 3), "and more when there are more");
    assert_eq!((cluster.owned(a), cluster.owned(b)), (vec![0, 2, 4], vec![1, 3]));
    assert_eq!(cluster.state.shard_owner(GROUP, 3).unwrap().epoch, b);
    assert_eq!(cluster.state.shard_owner(GROUP, 5), None);
    assert_eq!(cluster.state.shard_kind(created.id), Some(GROUP));
    let policy = cluster.state.overrides(ConfigResource::Topic(created.id)).and_then(|own| own.get("cleanup.policy"));
    assert_eq!(policy.map(String::as_str), Some("compact"));
    assert_eq!(restored(&cluster.state), cluster.state);

    let (answer, deltas) = cluster.run_with_deltas(&Command::CreateShards(new_shards(9, 1)));
    assert_eq!((answer, deltas), (Response::CreateShards(Ok(created)), vec![]), "it is there already");
}

#[test]
fn who_would_take_a_shard_over_is_told_beforehand() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let coordinators = [1, 2, 3].map(|n| cluster.coordinator(n));
    cluster.shards(new_shards(11, 1)).unwrap();
    for gone in coordinators {
        let left = cluster.owned(gone);
        let mut after = Cluster { state: cluster.state.clone(), ..Cluster::new() };
        after.remove(gone);
        for heir in coordinators.into_iter().filter(|heir| *heir != gone) {
            let told: Vec<i32> = cluster.state.standby_shards(heir).into_iter().filter(|s| left.contains(s)).collect();
            let taken: Vec<i32> = after.owned(heir).into_iter().filter(|shard| left.contains(shard)).collect();
            assert_eq!(told, taken, "what {heir} takes over from {gone}");
            assert!(!taken.is_empty(), "{heir} takes nothing over from {gone}");
        }
    }
    cluster.remove(coordinators[0]);
    cluster.remove(coordinators[1]);
    assert_eq!(cluster.state.standby_shards(coordinators[2]), [], "it owns everything");
    assert_eq!(cluster.state.standby_shards(coordinators[0]), [], "it is gone");
}

#[test]
fn what_the_settings_say_is_what_is_created() {
    let settings = |pairs: &[(&str, &str)]| {
        StaticConfigs::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
    };
    let state = State::new();
    let created =
        |kind, statics: &StaticConfigs| match Command::create_shards(kind, &Resolver::new(&state, None, statics)) {
            Command::CreateShards(new) => new,
            other => panic!("{other:?}"),
        };
    let usual = created(GROUP, &StaticConfigs::default());
    let configs: BTreeMap<&str, &str> = usual.configs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!((usual.partitions, usual.replication_factor), (50, 3));
    let expected = [("cleanup.policy", "compact"), ("compression.type", "producer"), ("segment.bytes", "2097152")];
    assert_eq!(configs, BTreeMap::from(expected));
    let own = settings(&[
        ("offsets.topic.num.partitions", "7"),
        ("offsets.topic.replication.factor", "2"),
        ("transaction.state.log.num.partitions", "8"),
        ("transaction.state.log.min.isr", "1"),
    ]);
    let groups = created(GROUP, &own);
    assert_eq!((groups.partitions, groups.replication_factor), (7, 2));
    let transactions = created(CoordinatorKind::Transaction, &own);
    assert_eq!((transactions.partitions, transactions.replication_factor), (8, 3));
    assert!(transactions.configs.contains(&("min.insync.replicas".to_owned(), "1".to_owned())));
    for new in [groups, transactions] {
        let mut cluster = Cluster::with_brokers([1, 2, 3]);
        cluster.shards(new).unwrap();
    }
}

#[test]
fn the_topic_is_not_created_where_it_could_not_be_used() {
    let mut cluster = Cluster::new();
    assert_eq!(code(cluster.shards(new_shards(2, 1))), ErrorCode::InvalidReplicationFactor, "there is no broker");
    cluster.join(1, |_| ());
    assert_eq!(code(cluster.shards(new_shards(0, 1))), ErrorCode::InvalidPartitions);
    for policy in ["delete", "compact,delete", ""] {
        let configs = vec![("cleanup.policy".to_owned(), policy.to_owned())];
        assert_eq!(
            code(cluster.shards(NewShards { configs, ..new_shards(2, 1) })),
            ErrorCode::InvalidConfig,
            "{policy}"
        );
    }
    assert_eq!((cluster.state.topic_count(), cluster.state.shard_topics().count()), (0, 0));
}

#[test]
fn who_comes_takes_load_off_the_others_and_who_goes_leaves_it_to_them() {
    let mut cluster = Cluster::with_brokers([1]);
    cluster.shards(new_shards(6, 1)).unwrap();
    assert_eq!(cluster.leader_epochs(), [LeaderEpoch(0); 6], "nobody owns them yet");
    let a = cluster.coordinator(1);
    assert_eq!((cluster.owned(a).len(), cluster.leader_epochs()), (6, vec![LeaderEpoch(1); 6]));
    let b = cluster.coordinator(2);
    let passed = cluster.owned(b);
    assert_eq!((cluster.owned(a).len(), passed.len()), (3, 3));
    for (shard, epoch) in (0..).zip(cluster.leader_epochs()) {
        assert_eq!(epoch, LeaderEpoch(if passed.contains(&shard) { 2 } else { 1 }), "only what moved is fenced");
    }
    cluster.remove(a);
    assert_eq!(cluster.owned(b).len(), 6);
    cluster.remove(b);
    assert!((0..6).all(|shard| cluster.state.shard_owner(GROUP, shard).is_none()));
    assert_eq!(cluster.state.shards_of(b).count(), 0);
    assert_eq!(restored(&cluster.state), cluster.state);
}

#[test]
fn a_shard_without_a_leader_passes_under_a_new_epoch_too() {
    let mut cluster = Cluster::with_brokers([1]);
    let (a, id) = (cluster.coordinator(1), cluster.shards(new_shards(1, 1)).unwrap().id);
    cluster.fence(1);
    assert_eq!(cluster.leader(id), None);
    let before = cluster.partition(id).leader_epoch;
    cluster.remove(a);
    let fenced = cluster.partition(id).leader_epoch;
    assert!(fenced > before);
    cluster.coordinator(2);
    assert!(cluster.partition(id).leader_epoch > fenced);
    assert_eq!(cluster.leader(id), None);
}

#[test]
fn a_topic_that_a_user_creates_under_the_name_holds_shards() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let a = cluster.coordinator(1);
    let by_hand = |policy: &str| NewTopic {
        configs: vec![("cleanup.policy".to_owned(), policy.to_owned())],
        ..topic("__consumer_offsets", 3, 1)
    };
    assert_eq!(code(cluster.create(by_hand("delete"))), ErrorCode::InvalidConfig);
    let id = cluster.create(by_hand("compact")).unwrap();
    assert_eq!((cluster.owned(a), cluster.state.shards(GROUP).unwrap().replication_factor()), (vec![0, 1, 2], 1));
    assert_eq!(cluster.shards(new_shards(50, 3)).unwrap().id, id);

    let mut placed = Cluster::with_brokers([1, 2]);
    let brokers = vec![levada_types::BrokerId(2), levada_types::BrokerId(1)];
    let assignments = vec![ManualAssignment { partition: 0, brokers }];
    placed.create(NewTopic { assignments, ..topic("__transaction_state", 0, 0) }).unwrap();
    assert_eq!(placed.state.shards(CoordinatorKind::Transaction).unwrap().replication_factor(), 2);
}

#[test]
fn a_topic_from_before_there_were_shards_is_taken_over() {
    let mut cluster = Cluster::with_brokers([1]);
    let id = cluster.create(topic("orders", 2, 1)).unwrap();
    let orders = cluster.state.topic(id).unwrap().clone();
    let name = levada_types::TopicName::new("__consumer_offsets").unwrap();
    let old = TopicId(Uuid::from_u128(5));
    let mut deltas = vec![Delta::TopicCreated { id: old, name }];
    let partitions =
        orders.partitions().map(|(index, p)| Delta::PartitionSet { topic: old, index, partition: p.clone() });
    deltas.extend(partitions);
    deltas.iter().for_each(|delta| cluster.state.apply(delta).unwrap());
    let a = cluster.coordinator(1);
    assert_eq!(cluster.owned(a), []);
    let created = cluster.shards(new_shards(50, 3)).unwrap();
    assert_eq!((created.id, created.partitions, cluster.owned(a)), (old, 2, vec![0, 1]));
    let policy = cluster.state.overrides(ConfigResource::Topic(old)).and_then(|own| own.get("cleanup.policy"));
    assert_eq!(policy.map(String::as_str), Some("compact"));
}

#[test]
fn users_cannot_do_what_would_lose_everything_in_it() {
    let mut cluster = Cluster::with_brokers([1]);
    let id = cluster.shards(new_shards(2, 1)).unwrap().id;
    let other = cluster.create(topic("orders", 1, 1)).unwrap();
    let before = cluster.state.clone();
    let topics = vec![TopicRef::Id(id), TopicRef::Name("__consumer_offsets".to_owned())];
    let Response::DeleteTopics(deleted) = cluster.run(&Command::DeleteTopics { topics }) else { panic!() };
    for deleted in deleted {
        assert_eq!(code(deleted.result), ErrorCode::InvalidTopicException);
    }
    let more = MorePartitions { name: "__consumer_offsets".to_owned(), count: 3, assignments: Vec::new() };
    let more = Command::CreatePartitions { topics: vec![more], validate_only: false };
    let Response::CreatePartitions(created) = cluster.run(&more) else { panic!() };
    assert_eq!(code(created[0].result.clone()), ErrorCode::InvalidTopicException);
    for (mode, change) in [
        (AlterConfigsMode::Incremental, Some(ConfigChange::Set("delete".to_owned()))),
        (AlterConfigsMode::Incremental, Some(ConfigChange::Append("delete".to_owned()))),
        (AlterConfigsMode::Incremental, Some(ConfigChange::Delete)),
        (AlterConfigsMode::Full, None),
    ] {
        let changes = change.into_iter().map(|change| ("cleanup.policy".to_owned(), change)).collect();
        let target = ConfigTarget::Topic("__consumer_offsets".to_owned());
        let resources = vec![ConfigAlteration { target, changes }];
        let altered = cluster.run(&Command::AlterConfigs { resources, mode, validate_only: false });
        let Response::AlterConfigs(altered) = altered else { panic!() };
        assert_eq!(code(altered[0].result.clone()), ErrorCode::InvalidConfig);
    }
    assert_eq!(cluster.state, before);
    assert!(cluster.state.topic(other).is_some());
}

#[test]
fn it_grows_when_brokers_come_but_not_against_the_will_of_users() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = cluster.shards(new_shards(2, 3)).unwrap().id;
    assert!(!cluster.state.has_growing_shards(), "there is no third broker");
    cluster.join(3, |_| ());
    assert!(cluster.state.has_growing_shards());
    let to = |brokers: &[i32]| Command::AlterPartitionReassignments {
        reassignments: vec![Reassignment {
            topic: TopicRef::Id(id),
            partition: 0,
            replicas: Some(brokers.iter().copied().map(levada_types::BrokerId).collect()),
        }],
        allow_factor_change: true,
    };
    cluster.run(&to(&[1, 2, 3]));
    assert!(cluster.state.has_growing_shards(), "the other partition");
    assert_eq!(cluster.state.shards(GROUP).unwrap().replication_factor(), 3);
    cluster.run(&to(&[1]));
    assert_eq!(cluster.state.shards(GROUP).unwrap().replication_factor(), 1);
    assert!(!cluster.state.has_growing_shards());
}

#[test]
fn the_invariants_see_what_is_wrong() {
    let mut cluster = Cluster::with_brokers([1]);
    cluster.shards(new_shards(4, 1)).unwrap();
    let (a, b) = (cluster.coordinator(1), cluster.coordinator(2));
    check(&cluster.state).unwrap();
    let with = |delta: Delta| {
        let mut state = cluster.state.clone();
        state.apply(&delta).unwrap();
        state
    };
    let owned = |owner| Delta::ShardOwned { kind: GROUP, shard: 0, owner };
    let first = cluster.state.shards(GROUP).unwrap().owner(0);
    let other = if first == Some(a) { b } else { a };
    assert_eq!(check(&with(owned(None))), Err(Broken::Ownerless(GROUP, 0)));
    assert_eq!(check(&with(owned(Some(other)))), Err(Broken::Uneven(GROUP, 1, 3)));
    assert_eq!(check_step(&cluster.state, &with(owned(Some(other)))), Err(Broken::NotFenced(GROUP, 0)));
    let gone = with(Delta::CoordinatorRemoved { epoch: a });
    assert!(matches!(check(&gone), Err(Broken::OwnerNotLive(GROUP, _, who)) if who == a));
    let mut known = (**cluster.state.coordinator(a).unwrap()).clone();
    known.incarnation = Uuid::from_u128(77);
    let twice = with(Delta::CoordinatorRegistered { coordinator: known.into() });
    assert_eq!(check_step(&cluster.state, &twice), Err(Broken::EpochNotNew(a)));

    let statics = StaticConfigs::default();
    let rules = Rules::breaking(Defect::ShardPassedUnfenced);
    let context = Context { now_ms: 0, ids: &[], configs: &statics, rules };
    let (_, deltas) = decide(&cluster.state, &Command::RemoveCoordinator { epoch: a }, &context);
    let mut broken = cluster.state.clone();
    deltas.iter().for_each(|delta| broken.apply(delta).unwrap());
    assert!(matches!(check_step(&cluster.state, &broken), Err(Broken::NotFenced(GROUP, _))));
}

#[test]
fn deltas_that_do_not_fit_are_refused() {
    let mut cluster = Cluster::with_brokers([1]);
    let a = cluster.coordinator(1);
    cluster.shards(new_shards(1, 1)).unwrap();
    let owned = |shard, owner| Delta::ShardOwned { kind: GROUP, shard, owner: Some(CoordinatorEpoch(owner)) };
    for delta in [
        owned(1, a.0),
        owned(-1, a.0),
        owned(0, 99),
        Delta::ShardOwned { kind: CoordinatorKind::Transaction, shard: 0, owner: None },
        Delta::CoordinatorRemoved { epoch: CoordinatorEpoch(99) },
        Delta::ShardTopicSet { kind: GROUP, topic: TopicId::ZERO, replication_factor: 1 },
    ] {
        let before = cluster.state.clone();
        assert!(cluster.state.apply(&delta).is_err(), "{delta:?}");
        assert_eq!(cluster.state, before);
    }
}
