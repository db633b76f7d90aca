//! Changing settings.

use levada_types::{BrokerId, ErrorCode};

use super::{Cluster, topic};
use crate::limits::MAX_CONFIG_VALUE_BYTES;
use crate::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigResource, ConfigTarget, NewTopic, Response,
};

fn set(value: &str) -> ConfigChange {
    ConfigChange::Set(value.to_owned())
}

fn alter(
    cluster: &mut Cluster,
    target: ConfigTarget,
    mode: AlterConfigsMode,
    changes: &[(&str, ConfigChange)],
) -> Result<(), ErrorCode> {
    let changes = changes.iter().map(|(name, change)| ((*name).to_owned(), change.clone())).collect();
    let resources = vec![ConfigAlteration { target, changes }];
    match cluster.run(&Command::AlterConfigs { resources, mode, validate_only: false }) {
        Response::AlterConfigs(mut results) => results.remove(0).result.map_err(|e| e.code),
        other => panic!("{other:?}"),
    }
}

fn increment(cluster: &mut Cluster, changes: &[(&str, ConfigChange)]) -> Result<(), ErrorCode> {
    alter(cluster, ConfigTarget::Topic("orders".into()), AlterConfigsMode::Incremental, changes)
}

fn cluster() -> Cluster {
    let mut cluster = Cluster::with_brokers([1]);
    cluster.create(topic("orders", 1, 1)).unwrap();
    cluster
}

fn overrides(cluster: &Cluster) -> Vec<(String, String)> {
    let id = cluster.state.topic_id("orders").unwrap();
    let own = cluster.state.overrides(ConfigResource::Topic(id));
    own.into_iter().flat_map(|o| o.iter()).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn increments_leave_the_rest_alone_and_full_changes_do_not() {
    let mut cluster = cluster();
    assert_eq!(increment(&mut cluster, &[("retention.ms", set("10")), ("segment.ms", set("20"))]), Ok(()));
    assert_eq!(increment(&mut cluster, &[("retention.ms", ConfigChange::Delete), ("flush.ms", set("5"))]), Ok(()));
    assert_eq!(overrides(&cluster), pairs(&[("flush.ms", "5"), ("segment.ms", "20")]));
    let orders = ConfigTarget::Topic("orders".into());
    let full = alter(&mut cluster, orders, AlterConfigsMode::Full, &[("retention.ms", set("7"))]);
    assert_eq!((full, overrides(&cluster)), (Ok(()), pairs(&[("retention.ms", "7")])));
}

#[test]
fn lists_grow_and_shrink_from_the_value_that_counts() {
    let mut cluster = cluster();
    let append = |text: &str| [("cleanup.policy", ConfigChange::Append(text.into()))];
    assert_eq!(increment(&mut cluster, &append("compact")), Ok(()));
    assert_eq!(overrides(&cluster), pairs(&[("cleanup.policy", "delete,compact")]));
    assert_eq!(increment(&mut cluster, &append("delete")), Ok(()), "it is there already");
    let subtract = [("cleanup.policy", ConfigChange::Subtract("delete, compact".into()))];
    assert_eq!(increment(&mut cluster, &subtract), Ok(()));
    assert_eq!(overrides(&cluster), pairs(&[("cleanup.policy", "")]), "keeps everything for ever");
    let number = [("retention.ms", ConfigChange::Append("1".into()))];
    assert_eq!(increment(&mut cluster, &number), Err(ErrorCode::InvalidConfig));
}

#[test]
fn a_record_cannot_stay_uncompacted_for_longer_than_it_may() {
    let mut cluster = cluster();
    let lags = |least: &str, most: &str| [("min.compaction.lag.ms", set(least)), ("max.compaction.lag.ms", set(most))];
    assert_eq!(increment(&mut cluster, &lags("11", "10")), Err(ErrorCode::InvalidConfig));
    assert_eq!(increment(&mut cluster, &lags("10", "10")), Ok(()));
    assert_eq!(increment(&mut cluster, &[("min.compaction.lag.ms", set("11"))]), Err(ErrorCode::InvalidConfig));
    let with =
        |name: &str, least: &str| NewTopic { configs: pairs(&[("min.compaction.lag.ms", least)]), ..topic(name, 1, 1) };
    // A topic that says nothing of the one has the cluster's.
    assert_eq!(cluster.create(with("payments", "11")).map(drop), Ok(()));
    let of_all = [("log.cleaner.max.compaction.lag.ms", set("10"))];
    assert_eq!(alter(&mut cluster, ConfigTarget::DefaultBroker, AlterConfigsMode::Incremental, &of_all), Ok(()));
    assert_eq!(cluster.create(with("refunds", "11")).map(drop).map_err(|e| e.code), Err(ErrorCode::InvalidConfig));
    assert_eq!(cluster.create(with("refunds", "10")).map(drop), Ok(()));
}

#[test]
fn one_bad_change_refuses_the_resource_whole() {
    let mut cluster = cluster();
    let long = "0:1,".repeat(MAX_CONFIG_VALUE_BYTES);
    for (changes, expected) in [
        (vec![("flush.ms", set("5")), ("no.such", set("5"))], ErrorCode::InvalidConfig),
        (vec![("flush.ms", set("5")), ("retention.ms", set("-7"))], ErrorCode::InvalidConfig),
        (vec![("flush.ms", set("5")), ("flush.ms", set("6"))], ErrorCode::InvalidRequest),
        (vec![("leader.replication.throttled.replicas", set(&long))], ErrorCode::InvalidConfig),
        (vec![("remote.storage.enable", set("true"))], ErrorCode::InvalidConfig),
    ] {
        assert_eq!(increment(&mut cluster, &changes), Err(expected), "{:?}", changes[0].0);
        assert_eq!(overrides(&cluster), []);
    }
    let target = ConfigTarget::Topic("orders".into());
    let full = alter(&mut cluster, target, AlterConfigsMode::Full, &[("flush.ms", ConfigChange::Delete)]);
    assert_eq!(full, Err(ErrorCode::InvalidRequest));
}

#[test]
fn brokers_take_what_may_change_while_they_run() {
    let mut cluster = cluster();
    let mut ask =
        |target, name, value| alter(&mut cluster, target, AlterConfigsMode::Incremental, &[(name, set(value))]);
    assert_eq!(ask(ConfigTarget::DefaultBroker, "log.retention.ms", "5"), Ok(()));
    assert_eq!(ask(ConfigTarget::Broker(BrokerId(1)), "log.cleaner.threads", "2"), Ok(()));
    assert_eq!(ask(ConfigTarget::DefaultBroker, "num.partitions", "5"), Err(ErrorCode::InvalidRequest));
    assert_eq!(ask(ConfigTarget::DefaultBroker, "retention.ms", "5"), Err(ErrorCode::InvalidConfig));
    assert_eq!(ask(ConfigTarget::Broker(BrokerId(9)), "log.retention.ms", "5"), Err(ErrorCode::BrokerIdNotRegistered));
    let unknown = ConfigTarget::Topic("none".into());
    assert_eq!(ask(unknown, "retention.ms", "5"), Err(ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn a_resource_named_twice_is_refused_and_validating_changes_nothing() {
    let mut cluster = cluster();
    let alteration = |value: &str| ConfigAlteration {
        target: ConfigTarget::Topic("orders".into()),
        changes: vec![("flush.ms".to_owned(), set(value))],
    };
    let mode = AlterConfigsMode::Incremental;
    let twice = Command::AlterConfigs { resources: vec![alteration("1"), alteration("2")], mode, validate_only: false };
    let Response::AlterConfigs(results) = cluster.run(&twice) else { panic!() };
    assert!(results.iter().all(|r| r.result.as_ref().is_err_and(|e| e.code == ErrorCode::InvalidRequest)));
    let only = Command::AlterConfigs { resources: vec![alteration("1")], mode, validate_only: true };
    let Response::AlterConfigs(results) = cluster.run(&only) else { panic!() };
    assert!(results[0].result.is_ok());
    assert_eq!(overrides(&cluster), []);
}
