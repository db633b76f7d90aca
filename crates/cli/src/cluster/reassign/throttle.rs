//! Limits for the copying of replicas, by the settings that Kafka has for them.
//!
//! A rate holds at every broker; it applies to the replicas that a topic's settings name, and to nothing else.

use std::collections::{BTreeMap, BTreeSet};

use levada_client::{Admin, ConfigChange, ConfigResource, NewReassignment};

use crate::CliError;

/// Bytes per second, as a sender and as a receiver.
const RATES: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

/// Whose replicas the rates apply to, `partition:broker` pairs: those that are read from, and those that are written.
const LEADERS: &str = "leader.replication.throttled.replicas";
const FOLLOWERS: &str = "follower.replication.throttled.replicas";

/// Limits the copying that `moves` will cause, before it begins.
pub(super) async fn set(admin: &Admin, moves: &[NewReassignment], rate: u64) -> Result<(), CliError> {
    let mut by_topic: BTreeMap<&str, Vec<&NewReassignment>> = BTreeMap::new();
    for new in moves {
        by_topic.entry(new.partition.topic.as_str()).or_default().push(new);
    }
    for (topic, moves) in by_topic {
        let described = admin.describe_topic(topic).await?;
        let (mut leaders, mut followers) = (BTreeSet::new(), BTreeSet::new());
        for new in moves {
            let number = new.partition.partition;
            let Some(now) = described.partitions.iter().find(|found| found.partition == number) else { continue };
            leaders.extend(now.replicas.iter().map(|id| format!("{number}:{id}")));
            let coming = new.replicas.iter().filter(|id| !now.replicas.contains(id));
            followers.extend(coming.map(|id| format!("{number}:{id}")));
        }
        let append = |name: &str, pairs: BTreeSet<String>| {
            (!pairs.is_empty()).then(|| ConfigChange::append(name, pairs.into_iter().collect::<Vec<_>>().join(",")))
        };
        let changes: Vec<ConfigChange> =
            append(LEADERS, leaders).into_iter().chain(append(FOLLOWERS, followers)).collect();
        if !changes.is_empty() {
            admin.alter_configs(&ConfigResource::Topic(topic.to_owned()), &changes, false).await?;
        }
    }
    let rates = RATES.map(|name| ConfigChange::set(name, rate.to_string()));
    Ok(admin.alter_configs(&ConfigResource::AllBrokers, &rates, false).await?)
}

/// Takes the limits away, of all topics.
pub(super) async fn clear(admin: &Admin) -> Result<(), CliError> {
    let rates = RATES.map(ConfigChange::delete);
    admin.alter_configs(&ConfigResource::AllBrokers, &rates, false).await?;
    for resource in admin.list_config_resources(true).await? {
        if !matches!(resource, ConfigResource::Topic(_)) {
            continue;
        }
        let set = admin.describe_configs(&resource, &[LEADERS, FOLLOWERS]).await?;
        let own = set.iter().filter(|entry| entry.source == levada_client::ConfigSource::Topic);
        let changes: Vec<ConfigChange> = own.map(|entry| ConfigChange::delete(entry.name.as_str())).collect();
        if !changes.is_empty() {
            admin.alter_configs(&resource, &changes, false).await?;
        }
    }
    Ok(())
}
