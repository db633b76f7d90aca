//! What an operator does to a cluster of several brokers.

use levada_client::{
    Admin, ClientError, ConfigChange, ConfigResource, Election, FeatureUpdate, NewReassignment, NewTopic,
    PartitionOutcome, ProducerRecord,
};
use levada_types::{BrokerId, ErrorCode};

use crate::world::{LIMIT, World, at, ids};

/// The codes of the outcomes; none for success.
fn codes<T>(outcomes: &[PartitionOutcome<T>]) -> Vec<Option<ErrorCode>> {
    outcomes.iter().map(|outcome| outcome.result.as_ref().err().map(ClientError::code)).collect()
}

async fn replicas(admin: &Admin, topic: &str) -> Vec<Vec<BrokerId>> {
    let described = admin.describe_topic(topic).await.unwrap();
    described.partitions.into_iter().map(|partition| partition.replicas).collect()
}

#[tokio::test]
async fn partitions_stand_where_they_are_put_and_move_where_they_are_told() {
    let world = World::start(3).await;
    let (client, admin) = (world.client(), world.client().admin());
    admin.create_topic(NewTopic::new("t").assign(&ids(&[1, 2])).assign(&ids(&[2, 1]))).await.unwrap();
    assert_eq!(admin.assign_partitions("t", &[ids(&[2, 3])]).await.unwrap(), 3);
    assert_eq!(replicas(&admin, "t").await, [ids(&[1, 2]), ids(&[2, 1]), ids(&[2, 3])]);
    let producer = client.producer().build().await.unwrap();
    producer.send(ProducerRecord::to("t").partition(0).value("x")).await.unwrap().await.unwrap();

    let moves = [
        NewReassignment { partition: at("t", 0), replicas: ids(&[3, 2]) },
        NewReassignment { partition: at("t", 1), replicas: ids(&[9]) },
        NewReassignment { partition: at("t", 7), replicas: ids(&[1]) },
        NewReassignment { partition: at("t", 2), replicas: ids(&[2]) },
    ];
    let outcomes = admin.alter_partition_reassignments(&moves, true).await.unwrap();
    let expected = [
        None,
        Some(ErrorCode::InvalidReplicaAssignment),
        Some(ErrorCode::UnknownTopicOrPartition),
        Some(ErrorCode::InvalidReplicationFactor),
    ];
    assert_eq!(codes(&outcomes), expected);
    world.until(async || admin.list_partition_reassignments(&[]).await.unwrap().is_empty()).await;
    assert_eq!(replicas(&admin, "t").await[0], ids(&[3, 2]));
    let cancelled = admin.cancel_partition_reassignments(&[at("t", 0)]).await.unwrap();
    assert_eq!(codes(&cancelled), [Some(ErrorCode::NoReassignmentInProgress)]);
    assert!(admin.cancel_partition_reassignments(&[]).await.unwrap().is_empty(), "nothing is being moved");

    let shrunk = [NewReassignment { partition: at("t", 2), replicas: ids(&[2]) }];
    assert_eq!(codes(&admin.alter_partition_reassignments(&shrunk, false).await.unwrap()), [None]);
    world.until(async || replicas(&admin, "t").await[2] == ids(&[2])).await;
    world.stop().await;
}

#[tokio::test]
async fn a_move_to_a_broker_that_is_down_is_told_to_be_stuck_and_can_be_cancelled() {
    let mut world = World::start(3).await;
    world.stop_broker(3).await;
    let (client, admin) = (world.client(), world.client().admin());
    admin.create_topic(NewTopic::new("t").assign(&ids(&[1, 2]))).await.unwrap();
    let producer = client.producer().build().await.unwrap();
    producer.send(ProducerRecord::to("t").partition(0).value(vec![b'x'; 1_000])).await.unwrap().await.unwrap();

    let moves = [NewReassignment { partition: at("t", 0), replicas: ids(&[3, 2]) }];
    let begun = admin.alter_partition_reassignments(&moves, false).await.unwrap();
    assert_eq!(codes(&begun), [None]);
    let moving = admin.list_partition_reassignments(&[]).await.unwrap().remove(0);
    assert_eq!((moving.adding.as_slice(), moving.removing.as_slice()), (&ids(&[3])[..], &ids(&[1])[..]));
    assert!(moving.stuck_because.unwrap().contains("broker 3 is down"));
    let progress = moving.progress[0];
    assert!(progress.total_bytes.unwrap() > 1_000, "the leader tells");
    assert_eq!((progress.broker, progress.in_sync, progress.copied_bytes), (BrokerId(3), false, None));
    assert!(admin.list_partition_reassignments(&[at("t", 1)]).await.unwrap().is_empty(), "another partition");

    assert_eq!(codes(&admin.cancel_partition_reassignments(&[]).await.unwrap()), [None]);
    let mut held = replicas(&admin, "t").await.remove(0);
    held.sort_unstable();
    assert_eq!(held, ids(&[1, 2]), "by those who held it before, as in Kafka in the order of the new assignment");
    world.stop().await;
}

#[tokio::test]
async fn a_broker_is_emptied_unless_its_replicas_have_nowhere_to_go_and_is_then_forgotten() {
    let mut world = World::start(3).await;
    let admin = world.client().admin();
    let three = BrokerId(3);
    admin.create_topic(NewTopic::new("wide").assign(&ids(&[1, 2, 3]))).await.unwrap();
    admin.create_topic(NewTopic::new("narrow").assign(&ids(&[3]))).await.unwrap();
    admin.start_decommission(three).await.unwrap();
    let mut stands = None;
    world
        .until(async || {
            stands = admin.describe_decommissions(&[]).await.unwrap().pop();
            stands.as_ref().is_some_and(|stands| stands.replicas == 1)
        })
        .await;
    let stands = stands.unwrap();
    assert_eq!((stands.broker, stands.draining, stands.stuck_count), (three, true, 1));
    assert_eq!(stands.stuck[0].partition, at("wide", 0));
    assert!(stands.stuck[0].reason.contains("start another broker"), "{}", stands.stuck[0].reason);

    // With one replica less it goes.
    let fewer = [NewReassignment { partition: at("wide", 0), replicas: ids(&[1, 2]) }];
    admin.alter_partition_reassignments(&fewer, false).await.unwrap();
    world.until(async || admin.describe_decommissions(&[three]).await.unwrap()[0].replicas == 0).await;
    let running = admin.unregister_broker(three).await.unwrap_err();
    assert_eq!(running.code(), ErrorCode::InvalidRequest, "{running}");
    world.stop_broker(3).await;
    world.until(async || admin.unregister_broker(three).await.is_ok()).await;
    let left: Vec<i32> = admin.describe_cluster().await.unwrap().brokers.iter().map(|broker| broker.id.0).collect();
    assert_eq!(left, [1, 2]);
    let unknown = admin.start_decommission(three).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::BrokerIdNotRegistered);
    world.stop().await;
}

#[tokio::test]
async fn a_rebalance_gives_every_broker_its_part() {
    let world = World::start(2).await;
    let admin = world.client().admin();
    let mut topic = NewTopic::new("t");
    for _ in 0..4 {
        topic = topic.assign(&ids(&[1]));
    }
    admin.create_topic(topic).await.unwrap();
    assert_eq!(admin.start_rebalance(None, true).await.unwrap(), 2);
    assert!(!admin.describe_rebalance().await.unwrap().active, "that was only a question");
    admin.start_rebalance(Some(100 << 20), false).await.unwrap();
    let even = async || {
        let stands = admin.describe_rebalance().await.unwrap();
        stands.moving == 0 && stands.brokers.iter().all(|load| (load.replicas, load.preferred_leaderships) == (2, 2))
    };
    world.until(even).await;
    assert_eq!(admin.describe_rebalance().await.unwrap().planned_moves, 0);
    admin.cancel_rebalance().await.unwrap();
    assert!(!admin.describe_rebalance().await.unwrap().active);
    world.stop().await;
}

#[tokio::test]
async fn the_cluster_tells_of_its_controllers_its_features_its_disks_and_what_was_set() {
    let world = World::start(2).await;
    let admin = world.client().admin();
    admin.create_topic(NewTopic::new("t").assign(&ids(&[2]))).await.unwrap();

    let quorum = admin.describe_quorum().await.unwrap();
    assert_eq!((quorum.leader, quorum.voters.len(), quorum.voters[0].id), (100, 1, 100));
    assert_eq!(quorum.voters[0].lag, Some(0));
    let unknown = admin.add_voter(7, None, LIMIT).await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::ResourceNotFound, "{unknown}");
    let last = admin.remove_voter(100, None, LIMIT).await.unwrap_err();
    assert_eq!(last.code(), ErrorCode::InvalidRequest, "{last}");

    let feature = admin.describe_features().await.unwrap().remove(0);
    assert_eq!((feature.name.as_str(), feature.finalized_level), ("metadata.level", Some(feature.max_supported_level)));
    let update = |name: &str, level| FeatureUpdate { name: name.to_owned(), level, allow_downgrade: true };
    for refused in [update("metadata.level", 1), update("metadata.level", 99), update("no.such", 1)] {
        let error = admin.update_features(&[refused], false).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidUpdateVersion, "{error}");
    }
    admin.update_features(&[update("metadata.level", feature.max_supported_level)], false).await.unwrap();

    // Asked of broker 1, which asks broker 2.
    let dirs = admin.describe_log_dirs(&[], &[]).await.unwrap();
    let replicas: Vec<usize> = dirs
        .iter()
        .map(|broker| broker.log_dirs.as_ref().unwrap().iter().map(|dir| dir.replicas.len()).sum())
        .collect();
    assert_eq!(replicas, [0, 1]);
    let nobody = admin.describe_log_dirs(&ids(&[9]), &[]).await.unwrap().remove(0);
    assert_eq!(nobody.log_dirs.unwrap_err().code(), ErrorCode::BrokerNotAvailable);
    let nowhere = [(at("t", 0), "/nowhere".to_owned())];
    let outcome = admin.alter_replica_log_dirs(BrokerId(2), &nowhere).await.unwrap();
    assert_eq!(codes(&outcome), [Some(ErrorCode::LogDirNotFound)]);

    let not_needed = admin.elect_leaders(Election::Preferred, &[at("t", 0)]).await.unwrap();
    assert_eq!(codes(&not_needed), [Some(ErrorCode::ElectionNotNeeded)]);
    assert!(admin.elect_leaders(Election::Unclean, &[]).await.unwrap().is_empty(), "every partition has its leader");

    assert!(admin.list_config_resources(true).await.unwrap().is_empty());
    let topic = ConfigResource::Topic("t".to_owned());
    admin.alter_configs(&topic, &[ConfigChange::set("retention.ms", "1000")], false).await.unwrap();
    assert_eq!(admin.list_config_resources(true).await.unwrap(), std::slice::from_ref(&topic));
    let everything = admin.list_config_resources(false).await.unwrap();
    let brokers = [ConfigResource::Broker(BrokerId(1)), ConfigResource::Broker(BrokerId(2))];
    assert_eq!(everything, [&[ConfigResource::AllBrokers], &brokers[..], &[topic]].concat());

    let cluster = admin.describe_cluster().await.unwrap();
    let holds: Vec<_> = cluster.brokers.iter().map(|broker| (broker.replicas, broker.leaderships)).collect();
    assert_eq!(holds, [(0, 0), (1, 1)]);
    assert_eq!((cluster.health.partitions, cluster.health.under_replicated), (1, 0));
    world.stop().await;
}
