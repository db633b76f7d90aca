//! Brokers and controllers that are forgotten, voters, features, clusters.

use levada_types::{BrokerId, ClusterId, DirectoryId, ErrorCode};
use uuid::Uuid;

use super::{Cluster, code, directory, topic};
use crate::config::replication_rates;
use crate::{
    Command, ConfigResource, ControllerId, ControllerRegistration, FeatureChange, FeatureUpdate, ItemError, LevelRange,
    METADATA_FEATURE, MetadataLevel, NewTopic, Rebalance, Response, State, UpdatedFeature, Voter,
};

fn unregister(cluster: &mut Cluster, id: i32) -> Result<(), ItemError> {
    match cluster.run(&Command::UnregisterBroker { id: BrokerId(id) }) {
        Response::UnregisterBroker(result) => result,
        other => panic!("{other:?}"),
    }
}

fn restored(state: &State) -> State {
    let mut restored = State::new();
    state.to_deltas().for_each(|delta| restored.apply(&delta).unwrap());
    restored
}

#[test]
fn a_broker_is_forgotten_once_it_is_away() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = cluster.create(topic("orders", 1, 2)).unwrap();
    assert_eq!(code(unregister(&mut cluster, 2)), ErrorCode::InvalidRequest);
    assert_eq!(code(unregister(&mut cluster, 9)), ErrorCode::BrokerIdNotRegistered);
    cluster.fence(2);
    let epoch = cluster.epoch(2);
    unregister(&mut cluster, 2).unwrap();
    assert!(cluster.state.broker(BrokerId(2)).is_none());
    assert!(cluster.partition(id).has_replica(BrokerId(2)), "its replicas are moved by a reassignment");
    assert_eq!(cluster.state.offline_replicas(cluster.partition(id)).collect::<Vec<_>>(), [BrokerId(2)]);
    // No epoch is given twice, not by a controller that starts from a snapshot either.
    assert_eq!(restored(&cluster.state), cluster.state);
    cluster.state = restored(&cluster.state);
    assert!(cluster.register(2, |_| ()).unwrap() > epoch);
}

#[test]
fn nothing_is_known_of_what_a_forgotten_broker_holds() {
    let mut cluster = Cluster::with_brokers([1]);
    let id = cluster.create(topic("orders", 1, 1)).unwrap();
    cluster.fence(1);
    unregister(&mut cluster, 1).unwrap();
    cluster.join(1, |_| ());
    assert_eq!((cluster.leader(id), cluster.partition(id).possible_losses), (Some(1), 1));
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    let mut cluster = Cluster::new();
    let other = Some(ClusterId(Uuid::from_u128(77)));
    assert_eq!(code(cluster.register(1, |new| new.cluster_id = other)), ErrorCode::InconsistentClusterId);
    let own = cluster.state.cluster_id();
    cluster.register(1, |new| new.cluster_id = own).unwrap();
}

fn controller(id: u64, max: u16) -> ControllerRegistration {
    ControllerRegistration {
        id: ControllerId(id),
        directory: directory(500 + id as i32),
        internal_address: format!("c{id}:1"),
        levels: LevelRange { min: MetadataLevel::FIRST, max: MetadataLevel(max) },
    }
}

#[test]
fn voters_are_shown_and_controllers_forgotten() {
    let mut cluster = Cluster::new();
    let voter = |id: u64| Voter { id: ControllerId(id), directory: directory(500 + id as i32) };
    let set = |voters: &[u64]| Command::SetVoters { voters: voters.iter().map(|id| voter(*id)).collect() };
    for id in [1, 2, 3] {
        let registered = cluster.run(&Command::RegisterController(controller(id, 2)));
        assert_eq!(registered, Response::RegisterController(Ok(())));
    }
    assert_eq!(cluster.run(&set(&[3, 1, 2])), Response::SetVoters(Ok(())));
    assert_eq!(cluster.state.voters().map(|v| v.id.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(restored(&cluster.state), cluster.state);
    let before = cluster.state.clone();
    cluster.run(&set(&[1, 2, 3]));
    assert_eq!(cluster.state, before);
    for voters in [&[][..], &[1, 1]] {
        let Response::SetVoters(refused) = cluster.run(&set(voters)) else { panic!() };
        assert_eq!(code(refused), ErrorCode::InvalidRequest);
    }
    let forget = |id| Command::UnregisterController { id: ControllerId(id) };
    let Response::UnregisterController(refused) = cluster.run(&forget(3)) else { panic!() };
    assert_eq!(code(refused), ErrorCode::InvalidRequest, "it votes");
    // The same node with a new directory is another voter.
    let moved = Voter { id: ControllerId(1), directory: DirectoryId(Uuid::from_u128(9)) };
    cluster.run(&Command::SetVoters { voters: vec![moved, voter(2)] });
    assert_eq!(cluster.state.voters().collect::<Vec<_>>(), [moved, voter(2)]);
    assert_eq!(cluster.run(&forget(3)), Response::UnregisterController(Ok(())));
    let Response::UnregisterController(refused) = cluster.run(&forget(3)) else { panic!() };
    assert_eq!(code(refused), ErrorCode::VoterNotFound);
}

fn feature(name: &str, level: i16, change: FeatureChange) -> FeatureUpdate {
    FeatureUpdate { name: name.to_owned(), level, change }
}

fn update(cluster: &mut Cluster, updates: &[FeatureUpdate], validate_only: bool) -> Vec<Option<ErrorCode>> {
    let command = Command::UpdateFeatures { updates: updates.to_vec(), validate_only };
    let Response::UpdateFeatures(features) = cluster.run(&command) else { panic!() };
    features.into_iter().map(|UpdatedFeature { result, .. }| result.err().map(|error| error.code)).collect()
}

#[test]
fn the_level_rises_once_every_node_supports_it() {
    let mut cluster = Cluster::at_level(MetadataLevel::FIRST);
    let old = LevelRange { min: MetadataLevel::FIRST, max: MetadataLevel::FIRST };
    cluster.join(1, |new| new.levels = old);
    cluster.run(&Command::RegisterController(controller(1, 1)));
    let to_second = [feature(METADATA_FEATURE, 2, FeatureChange::Upgrade)];
    let refused = [Some(ErrorCode::InvalidUpdateVersion)];
    assert_eq!(update(&mut cluster, &to_second, false), refused, "the broker");
    cluster.fence(1);
    assert_eq!(update(&mut cluster, &to_second, false), refused, "one that is away may come back");
    cluster.join(1, |_| ());
    assert_eq!(update(&mut cluster, &to_second, false), refused, "the controller");
    cluster.run(&Command::RegisterController(controller(1, 2)));
    assert_eq!(update(&mut cluster, &to_second, true), [None]);
    assert_eq!(cluster.state.level(), Some(MetadataLevel::FIRST), "it was only asked");
    assert_eq!(update(&mut cluster, &to_second, false), [None]);
    assert_eq!(cluster.state.level(), Some(MetadataLevel::SECOND));
    assert_eq!(update(&mut cluster, &to_second, false), [None], "as it is already");
    assert_eq!(code(cluster.register(2, |new| new.levels = old)), ErrorCode::UnsupportedVersion);
}

#[test]
fn the_level_of_group_coordinators_is_that_of_the_metadata() {
    let group = |level| [feature(crate::GROUP_FEATURE, level, FeatureChange::Upgrade)];
    let invalid = [Some(ErrorCode::InvalidUpdateVersion)];
    let mut cluster = Cluster::at_level(MetadataLevel::FIRST);
    assert_eq!(update(&mut cluster, &group(1), false), invalid);
    let mut cluster = Cluster::new();
    let before = cluster.state.clone();
    assert_eq!(update(&mut cluster, &group(1), false), [None], "as it is already");
    for level in [0, 2, -1] {
        assert_eq!(update(&mut cluster, &group(level), false), invalid);
    }
    assert_eq!(cluster.state, before);
}

#[test]
fn features_that_cannot_be_are_refused_all_together() {
    let mut cluster = Cluster::with_brokers([1]);
    let invalid = Some(ErrorCode::InvalidUpdateVersion);
    for (level, change) in [
        (1, FeatureChange::Upgrade),
        (1, FeatureChange::SafeDowngrade),
        (1, FeatureChange::UnsafeDowngrade),
        (3, FeatureChange::Upgrade),
        (-1, FeatureChange::Upgrade),
    ] {
        assert_eq!(update(&mut cluster, &[feature(METADATA_FEATURE, level, change)], false), [invalid], "{level}");
    }
    let good = feature(METADATA_FEATURE, 2, FeatureChange::Upgrade);
    let unknown = feature("share.version", 1, FeatureChange::Upgrade);
    let failed = Some(ErrorCode::FeatureUpdateFailed);
    assert_eq!(update(&mut cluster, &[good.clone(), unknown], false), [failed, invalid]);
    let twice = [good.clone(), good];
    assert_eq!(update(&mut cluster, &twice, false), [failed, Some(ErrorCode::InvalidRequest)]);
    assert_eq!(cluster.state.level(), Some(MetadataLevel::LATEST));
}

#[test]
fn a_rebalance_is_remembered_until_it_ends() {
    let mut cluster = Cluster::with_brokers([1]);
    let limits = Rebalance { throttle: Some(1_000_000) };
    let set = |rebalance| Command::SetRebalance { rebalance };
    assert_eq!(cluster.run(&set(Some(limits))), Response::SetRebalance(Ok(())));
    let mut restored = State::new();
    cluster.state.to_deltas().for_each(|delta| restored.apply(&delta).unwrap());
    assert_eq!(restored.rebalance(), Some(limits), "by a new active controller too");
    let Response::SetRebalance(refused) = cluster.run(&set(Some(Rebalance { throttle: Some(0) }))) else { panic!() };
    assert_eq!(code(refused), ErrorCode::InvalidRequest);
    assert_eq!(cluster.run(&set(None)), Response::SetRebalance(Ok(())));
    assert_eq!(cluster.state.rebalance(), None);
}

#[test]
fn the_throttle_of_a_rebalance_comes_and_goes_with_it() {
    let mut cluster = Cluster::with_brokers([1]);
    let throttled = ("leader.replication.throttled.replicas".to_owned(), "0:1".to_owned());
    let id = cluster.create(NewTopic { configs: vec![throttled], ..topic("orders", 1, 1) }).unwrap();
    let rates = |cluster: &Cluster| {
        let set = cluster.state.overrides(ConfigResource::DefaultBroker).cloned().unwrap_or_default();
        replication_rates().map(|name| set.get(name).cloned())
    };
    for rate in [7, 9] {
        cluster.run(&Command::SetRebalance { rebalance: Some(Rebalance { throttle: Some(rate) }) });
        assert_eq!(rates(&cluster), [Some(rate.to_string()), Some(rate.to_string())]);
    }
    cluster.run(&Command::SetRebalance { rebalance: Some(Rebalance::default()) });
    assert_eq!(rates(&cluster), [None, None]);
    assert_eq!(cluster.state.overrides(ConfigResource::Topic(id)), None);
}
