//! The cluster, its brokers, and how its partitions fare. Pure.

use std::collections::HashMap;

use levada_metadata::{BrokerRegistration, Image};
use levada_proto::v1;
use levada_types::BrokerId;

use crate::address;

/// What is known of the cluster here.
pub(super) fn describe(image: &Image, answered_by: BrokerId) -> v1::DescribeClusterResponse {
    let (health, leaderships) = survey(image);
    let counted = |broker: &BrokerRegistration| v1::Broker {
        replicas: image.replica_count(broker.id),
        leaderships: leaderships.get(&broker.id).copied().unwrap_or(0),
        ..of_registration(broker)
    };
    let mut brokers: Vec<v1::Broker> = image.brokers().map(|broker| counted(broker)).collect();
    brokers.sort_unstable_by_key(|broker| broker.broker_id);
    v1::DescribeClusterResponse {
        cluster_id: image.cluster_id().map(|id| id.to_string()).unwrap_or_default(),
        answered_by: answered_by.0,
        metadata_offset: image.offset().0,
        brokers,
        health: Some(health),
    }
}

/// Looks at all partitions once: how they fare, and how many each broker leads.
fn survey(image: &Image) -> (v1::ClusterHealth, HashMap<BrokerId, u32>) {
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let mut health = v1::ClusterHealth {
        topics: count(image.topic_count()),
        leaderless: count(image.leaderless().len()),
        reassigning: count(image.reassigning().len()),
        ..v1::ClusterHealth::default()
    };
    let mut leaderships: HashMap<BrokerId, u32> = HashMap::new();
    for topic in image.topics() {
        for (_, partition) in topic.partitions() {
            health.partitions += 1;
            // Without a leader `isr` holds those who may come back, and nobody is in sync.
            let in_sync = if partition.leader.is_some() { partition.isr.len() } else { 0 };
            health.under_min_isr += u32::from(in_sync < image.min_isr(topic.id(), partition));
            health.under_replicated += u32::from(in_sync < partition.replication_factor());
            health.possible_losses += u64::from(partition.possible_losses);
            if let Some(leader) = partition.leader {
                *leaderships.entry(leader).or_default() += 1;
            }
        }
    }
    (health, leaderships)
}

/// A broker as clients see it.
pub(super) fn of_registration(broker: &BrokerRegistration) -> v1::Broker {
    let kafka = broker.endpoints.iter().find(|endpoint| endpoint.protocol.is_kafka());
    v1::Broker {
        broker_id: broker.id.0,
        grpc_address: broker.grpc_endpoint().map(address::of_endpoint).unwrap_or_default(),
        kafka_address: kafka.map(address::of_endpoint).unwrap_or_default(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        stopping: broker.stopping,
        draining: broker.draining,
        ..v1::Broker::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::image;

    #[test]
    fn partitions_whose_leader_is_alone_in_no_set_are_counted_as_under_replicated() {
        let described = describe(&image(&[("a", 3), ("b", 2)]), BrokerId(1));
        let health = described.health.unwrap();
        assert_eq!((health.topics, health.partitions, health.leaderless), (2, 5, 0));
        assert_eq!((health.under_replicated, health.under_min_isr), (5, 5), "the fixture's in-sync sets are empty");
    }
}
