//! Creating, deleting and extending topics; producer ids; directories.

use levada_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, TopicId};
use uuid::Uuid;

use super::{Cluster, code, directory, topic};
use crate::config::StaticConfigs;
use crate::limits::{MAX_PARTITIONS_PER_REQUEST, MAX_PARTITIONS_PER_TOPIC, MAX_TOPICS_PER_REQUEST};
use crate::{
    Command, Context, CreatedTopic, DeletedTopic, ManualAssignment, MorePartitions, NewTopic, ProducerIdBlock,
    ReplicaDirectory, Response, TopicRef, decide,
};

fn creations(
    cluster: &mut Cluster,
    topics: Vec<NewTopic>,
    validate_only: bool,
) -> Vec<Result<CreatedTopic, ErrorCode>> {
    match cluster.run(&Command::CreateTopics { topics, validate_only }) {
        Response::CreateTopics(results) => results.into_iter().map(|t| t.result.map_err(|e| e.code)).collect(),
        other => panic!("{other:?}"),
    }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignment = |(partition, brokers): &(i32, &[i32])| ManualAssignment {
        partition: *partition,
        brokers: brokers.iter().map(|id| BrokerId(*id)).collect(),
    };
    NewTopic { assignments: assignments.iter().map(assignment).collect(), ..topic(name, 0, 0) }
}

#[test]
fn a_creation_that_comes_again_is_answered_again() {
    let mut cluster = Cluster::with_brokers([1]);
    let command = Command::CreateTopics { topics: vec![topic("orders", 2, 1)], validate_only: false };
    let (statics, ids) = (StaticConfigs::default(), [Uuid::from_u128(77)]);
    let context = Context { now_ms: 0, ids: &ids, configs: &statics, rules: crate::Rules::default() };
    let (first, deltas) = decide(&cluster.state, &command, &context);
    deltas.iter().for_each(|delta| cluster.state.apply(delta).unwrap());
    let (again, deltas) = decide(&cluster.state, &command, &context);
    assert_eq!((again, deltas), (first, vec![]));
    let other = Context { ids: &[Uuid::from_u128(78)], ..context };
    let (Response::CreateTopics(refused), _) = decide(&cluster.state, &command, &other) else { panic!() };
    assert_eq!(refused[0].result.as_ref().unwrap_err().code, ErrorCode::TopicAlreadyExists, "another request");

    // What somebody has deleted since does not come back with it.
    let deletion = Command::DeleteTopics { topics: vec![TopicRef::Name("orders".to_owned())] };
    cluster.run(&deletion);
    let (Response::CreateTopics(refused), deltas) = decide(&cluster.state, &command, &context) else { panic!() };
    assert_eq!(refused[0].result.as_ref().unwrap_err().code, ErrorCode::InvalidRequest);
    assert_eq!((deltas, cluster.state.topic_count()), (vec![], 0));
    assert_ne!(decide(&cluster.state, &command, &other).1, [], "another request may take the name");
}

#[test]
fn a_topic_is_created_with_its_partitions_led() {
    let mut cluster = Cluster::with_brokers([1, 2, 3]);
    let id = cluster.create(topic("orders", 6, 2)).unwrap();
    let created = cluster.state.topic_by_name("orders").unwrap();
    assert_eq!((created.id(), created.partition_count()), (id, 6));
    for (_, partition) in created.partitions() {
        assert_eq!((partition.replicas.len(), partition.isr.len()), (2, 2));
        assert_eq!(partition.leader, partition.preferred_leader());
    }
}

#[test]
fn refusals_bear_kafkas_codes() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    cluster.create(topic("a.b", 1, 1)).unwrap();
    let with_config = |name: &str, value: &str| NewTopic {
        configs: vec![(name.to_owned(), value.to_owned())],
        ..topic("fresh", 1, 1)
    };
    for (new, expected) in [
        (topic("", 1, 1), ErrorCode::InvalidTopicException),
        (topic("no/slash", 1, 1), ErrorCode::InvalidTopicException),
        (topic(&"x".repeat(250), 1, 1), ErrorCode::InvalidTopicException),
        (topic("a_b", 1, 1), ErrorCode::InvalidTopicException),
        (topic("a.b", 1, 1), ErrorCode::TopicAlreadyExists),
        (topic("fresh", 0, 1), ErrorCode::InvalidPartitions),
        (topic("fresh", -5, 1), ErrorCode::InvalidPartitions),
        (topic("fresh", MAX_PARTITIONS_PER_TOPIC + 1, 1), ErrorCode::InvalidPartitions),
        (topic("fresh", 1, 0), ErrorCode::InvalidReplicationFactor),
        (topic("fresh", 1, 3), ErrorCode::InvalidReplicationFactor),
        (topic("fresh", 1, i16::MAX), ErrorCode::InvalidReplicationFactor),
        (with_config("no.such.setting", "1"), ErrorCode::InvalidConfig),
        (with_config("retention.ms", "-2"), ErrorCode::InvalidConfig),
        (with_config("retention.ms", "soon"), ErrorCode::InvalidConfig),
        (with_config("cleanup.policy", "burn"), ErrorCode::InvalidConfig),
        (assigned("fresh", &[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("fresh", &[(0, &[9])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("fresh", &[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("fresh", &[(1, &[1])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("fresh", &[(0, &[1]), (0, &[2])]), ErrorCode::InvalidReplicaAssignment),
        (assigned("fresh", &[(0, &[1]), (1, &[1, 2])]), ErrorCode::InvalidReplicaAssignment),
    ] {
        let name = new.name.clone();
        let (response, deltas) =
            cluster.run_with_deltas(&Command::CreateTopics { topics: vec![new.clone()], validate_only: false });
        let Response::CreateTopics(mut results) = response else { panic!("{response:?}") };
        assert_eq!(code(results.remove(0).result), expected, "{new:?}");
        assert_eq!(deltas, [], "{name}");
    }
}

#[test]
fn an_assignment_by_hand_is_kept_in_its_order() {
    let mut cluster = Cluster::with_brokers([1, 2, 3]);
    let id = cluster.create(assigned("orders", &[(1, &[3, 1]), (0, &[2, 3])])).unwrap();
    let brokers = |partition| {
        let replicas = &cluster.state.partition(id, partition).unwrap().replicas;
        replicas.iter().map(|r| r.broker.0).collect::<Vec<_>>()
    };
    assert_eq!((brokers(0), brokers(1)), (vec![2, 3], vec![3, 1]));
}

#[test]
fn a_fenced_replica_assigned_by_hand_is_not_in_sync() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    cluster.fence(1);
    let id = cluster.create(assigned("orders", &[(0, &[1, 2])])).unwrap();
    assert_eq!((cluster.leader(id), cluster.isr(id)), (Some(2), vec![2]));
    cluster.fence(2);
    assert_eq!(code(cluster.create(assigned("late", &[(0, &[1])]))), ErrorCode::InvalidReplicaAssignment);
    assert_eq!(code(cluster.create(topic("late", 1, 1))), ErrorCode::InvalidReplicationFactor);
}

#[test]
fn defaults_come_from_the_settings() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    cluster.statics = StaticConfigs::new([
        ("num.partitions".to_owned(), "4".to_owned()),
        ("default.replication.factor".to_owned(), "2".to_owned()),
    ])
    .unwrap();
    let unsaid = NewTopic { partitions: None, replication_factor: None, ..topic("orders", 0, 0) };
    let created = creations(&mut cluster, vec![unsaid], false).remove(0).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 2));
}

#[test]
fn internal_topics_take_the_brokers_that_there_are() {
    let mut cluster = Cluster::with_brokers([1]);
    let created = creations(&mut cluster, vec![topic("__consumer_offsets", 2, 3)], false).remove(0).unwrap();
    assert_eq!(created.replication_factor, 1);
    let refused = creations(&mut cluster, vec![topic("__mine", 2, 3)], false).remove(0);
    assert_eq!(refused, Err(ErrorCode::InvalidReplicationFactor));
}

#[test]
fn a_batch_is_decided_item_by_item() {
    let mut cluster = Cluster::with_brokers([1]);
    let topics =
        vec![topic("a", 1, 1), topic("twice", 1, 1), topic("b/", 1, 1), topic("twice", 1, 1), topic("c", 1, 1)];
    let codes: Vec<_> = creations(&mut cluster, topics, false).into_iter().map(|r| r.err()).collect();
    let (bad, twice) = (Some(ErrorCode::InvalidTopicException), Some(ErrorCode::InvalidRequest));
    assert_eq!(codes, [None, twice, bad, twice, None]);
    assert_eq!(cluster.state.topics().map(|t| t.name().to_string()).collect::<Vec<_>>(), ["a", "c"]);
    let colliding = vec![topic("x.y", 1, 1), topic("x_y", 1, 1)];
    assert_eq!(creations(&mut cluster, colliding, true)[1], Err(ErrorCode::InvalidTopicException));
}

#[test]
fn validating_changes_nothing_and_answers_the_same() {
    let mut cluster = Cluster::with_brokers([1]);
    let before = cluster.state.clone();
    let results = creations(&mut cluster, vec![topic("a", 3, 1), topic("b", 1, 2)], true);
    let created = CreatedTopic { id: TopicId::ZERO, partitions: 3, replication_factor: 1 };
    assert_eq!(results, [Ok(created), Err(ErrorCode::InvalidReplicationFactor)]);
    assert_eq!(cluster.state, before);
}

#[test]
fn one_request_is_bounded() {
    let mut cluster = Cluster::with_brokers([1]);
    let many = (0..=MAX_TOPICS_PER_REQUEST).map(|n| topic(&format!("t{n}"), 1, 1)).collect();
    assert!(creations(&mut cluster, many, false).iter().all(|r| *r == Err(ErrorCode::InvalidRequest)));
    let half = i32::try_from(MAX_PARTITIONS_PER_REQUEST / 2 + 1).unwrap();
    let wide = creations(&mut cluster, vec![topic("a", half, 1), topic("b", half, 1)], false);
    assert!(wide[0].is_ok());
    assert_eq!(wide[1], Err(ErrorCode::InvalidRequest));
}

#[test]
fn a_topic_created_again_is_another() {
    let mut cluster = Cluster::with_brokers([1]);
    let first = cluster.create(topic("orders", 2, 1)).unwrap();
    let by_name = Command::DeleteTopics { topics: vec![TopicRef::Name("orders".into())] };
    let Response::DeleteTopics(deleted) = cluster.run(&by_name) else { panic!() };
    assert_eq!(deleted, [DeletedTopic { name: Some("orders".into()), id: first, result: Ok(()) }]);
    assert_eq!((cluster.state.topic(first), cluster.state.topic_by_name("orders")), (None, None));
    assert_eq!(cluster.state.replica_count(BrokerId(1)), 0);
    let second = cluster.create(topic("orders", 1, 1)).unwrap();
    assert_ne!(first, second);
    let by_old_id = Command::DeleteTopics { topics: vec![TopicRef::Id(first)] };
    let Response::DeleteTopics(mut deleted) = cluster.run(&by_old_id) else { panic!() };
    assert_eq!(code(deleted.remove(0).result), ErrorCode::UnknownTopicId);
    assert!(cluster.state.topic(second).is_some());
}

#[test]
fn deleting_twice_or_nothing_or_where_it_is_forbidden_is_refused() {
    let mut cluster = Cluster::with_brokers([1]);
    let id = cluster.create(topic("orders", 1, 1)).unwrap();
    let name = || TopicRef::Name("orders".into());
    cluster.statics = StaticConfigs::new([("delete.topic.enable".to_owned(), "false".to_owned())]).unwrap();
    let Response::DeleteTopics(mut deleted) = cluster.run(&Command::DeleteTopics { topics: vec![name()] }) else {
        panic!()
    };
    assert_eq!(code(deleted.remove(0).result), ErrorCode::TopicDeletionDisabled);
    cluster.statics = StaticConfigs::default();
    let topics = vec![name(), TopicRef::Id(id), TopicRef::Name("none".into())];
    let Response::DeleteTopics(deleted) = cluster.run(&Command::DeleteTopics { topics }) else { panic!() };
    let codes: Vec<_> = deleted.into_iter().map(|d| d.result.err().map(|e| e.code)).collect();
    assert_eq!(codes, [None, Some(ErrorCode::InvalidRequest), Some(ErrorCode::UnknownTopicOrPartition)]);
}

#[test]
fn partitions_are_only_added() {
    let mut cluster = Cluster::with_brokers([1, 2]);
    let id = cluster.create(topic("orders", 3, 2)).unwrap();
    let mut ask = |name: &str, count, assignments: &[&[i32]]| {
        let brokers = |ids: &&[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
        let assignments = assignments.iter().map(brokers).collect();
        let topics = vec![MorePartitions { name: name.to_owned(), count, assignments }];
        let Response::CreatePartitions(mut results) =
            cluster.run(&Command::CreatePartitions { topics, validate_only: false })
        else {
            panic!()
        };
        results.remove(0).result.map_err(|e| e.code)
    };
    assert_eq!(ask("none", 4, &[]), Err(ErrorCode::UnknownTopicOrPartition));
    for count in [-1, 0, 2, 3, MAX_PARTITIONS_PER_TOPIC + 1] {
        assert_eq!(ask("orders", count, &[]), Err(ErrorCode::InvalidPartitions), "{count}");
    }
    assert_eq!(ask("orders", 5, &[&[1, 2]]), Err(ErrorCode::InvalidReplicaAssignment), "too few assignments");
    assert_eq!(ask("orders", 4, &[&[1]]), Err(ErrorCode::InvalidReplicaAssignment), "another width");
    assert_eq!(ask("orders", 4, &[&[2, 1]]), Ok(()));
    assert_eq!(ask("orders", 6, &[]), Ok(()));
    let topic = cluster.state.topic(id).unwrap();
    assert_eq!(topic.partition_count(), 6);
    assert_eq!(topic.partition(3).unwrap().leader, Some(BrokerId(2)));
    assert!(topic.partitions().all(|(_, p)| p.replicas.len() == 2));
}

#[test]
fn producer_ids_are_handed_out_once_and_to_registered_brokers() {
    let mut cluster = Cluster::with_brokers([1]);
    let epoch = cluster.epoch(1);
    let mut ask = |epoch| {
        let command = Command::AllocateProducerIds { broker: BrokerId(1), epoch };
        let Response::AllocateProducerIds(result) = cluster.run(&command) else { panic!() };
        result.map_err(|e| e.code)
    };
    assert_eq!(ask(epoch), Ok(ProducerIdBlock { first: 0, len: 1_000 }));
    assert_eq!(ask(epoch), Ok(ProducerIdBlock { first: 1_000, len: 1_000 }));
    assert_eq!(ask(BrokerEpoch(epoch.0 - 1)), Err(ErrorCode::StaleBrokerEpoch));
}

#[test]
fn replicas_are_told_their_directories() {
    let mut cluster = Cluster::new();
    let second = DirectoryId(Uuid::from_u128(0xeeee));
    cluster.join(1, |new| new.directories.push(second));
    let id = cluster.create(topic("orders", 1, 1)).unwrap();
    assert_eq!(cluster.partition(id).directory_of(BrokerId(1)), Some(DirectoryId::UNASSIGNED));
    let epoch = cluster.epoch(1);
    let mut assign = |topic, partition, directory| {
        let assignments = vec![ReplicaDirectory { topic, partition, directory }];
        let command = Command::AssignReplicasToDirs { broker: BrokerId(1), epoch, assignments };
        let Response::AssignReplicasToDirs(Ok(mut results)) = cluster.run(&command) else { panic!() };
        results.remove(0).map_err(|e| e.code)
    };
    assert_eq!(assign(id, 0, second), Ok(()));
    assert_eq!(assign(id, 0, second), Ok(()), "it is so already");
    assert_eq!(assign(id, 1, second), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(assign(TopicId::ZERO, 0, second), Err(ErrorCode::UnknownTopicId));
    assert_eq!(assign(id, 0, directory(5)), Err(ErrorCode::LogDirNotFound));
    assert_eq!(cluster.partition(id).directory_of(BrokerId(1)), Some(second));
}
