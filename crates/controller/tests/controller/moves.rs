//! Replicas that the active controller moves by itself.

use levada_controller::ControllerOptions;
use levada_metadata::config::StaticConfigs;
use levada_metadata::{Command, Image, ManualAssignment, NewTopic, Reassignment, Response, TopicRef};
use levada_peers::Controllers;
use levada_service::net::Network;
use levada_types::BrokerId;

use crate::node::{Node, Watch, controllers, live_broker, options, submit};

/// Creates a topic whose partitions have their only replicas on `broker`.
async fn create_on(controllers: &Controllers, name: &str, partitions: i32, broker: BrokerId) {
    let assign = |partition| ManualAssignment { partition, brokers: vec![broker] };
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: None,
        replication_factor: None,
        assignments: (0..partitions).map(assign).collect(),
        configs: Vec::new(),
    };
    let (response, _) = submit(controllers, Command::CreateTopics { topics: vec![topic], validate_only: false }).await;
    let Response::CreateTopics(created) = response else { panic!("{response:?}") };
    assert!(created[0].result.is_ok(), "{created:?}");
}

fn moving(image: &Image, name: &str) -> usize {
    image.topic_by_name(name).map_or(0, |topic| topic.partitions().filter(|(_, p)| p.is_reassigning()).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_users_move_does_not_keep_a_broker_from_being_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let statics = StaticConfigs::new([("rebalance.max.moves".to_owned(), "1".to_owned())]).unwrap();
    let node = Node::active(ControllerOptions { statics, ..options(1, dir.path()) }, &network).await;
    for id in 1..=3 {
        live_broker(&to_controller, id).await;
    }
    create_on(&to_controller, "users", 1, BrokerId(1)).await;
    create_on(&to_controller, "emptied", 2, BrokerId(2)).await;
    // No broker is there to carry anything out, so what begins to move stays under way.
    let reassignment =
        Reassignment { topic: TopicRef::Name("users".to_owned()), partition: 0, replicas: Some(vec![BrokerId(3)]) };
    let command =
        Command::AlterPartitionReassignments { reassignments: vec![reassignment], allow_factor_change: false };
    submit(&to_controller, command).await;
    submit(&to_controller, Command::DrainBroker { id: BrokerId(2), drain: true }).await;

    let watcher = Watch::start(&to_controller);
    watcher.until(|image| moving(image, "users") == 1 && moving(image, "emptied") > 0).await;
    assert_eq!(moving(&node.running.image(), "emptied"), 1, "its own moves have their limit");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_to_a_broker_that_is_away_do_not_hold_the_others_up() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let statics = StaticConfigs::new([("rebalance.max.moves".to_owned(), "1".to_owned())]).unwrap();
    let node = Node::active(ControllerOptions { statics, ..options(1, dir.path()) }, &network).await;
    for id in 1..=3 {
        live_broker(&to_controller, id).await;
    }
    create_on(&to_controller, "emptied", 2, BrokerId(2)).await;
    submit(&to_controller, Command::DrainBroker { id: BrokerId(2), drain: true }).await;
    let watcher = Watch::start(&to_controller);
    watcher.until(|image| moving(image, "emptied") == 1).await;

    // Whoever was to take the first one dies.
    let image = watcher.watch.image();
    let adding = |(_, p): (i32, &std::sync::Arc<levada_metadata::Partition>)| p.adding.first().copied();
    let taker = image.topic_by_name("emptied").and_then(|topic| topic.partitions().find_map(adding)).unwrap();
    let epoch = image.broker(taker).unwrap().epoch;
    submit(&to_controller, Command::FenceBroker { id: taker, epoch }).await;
    watcher.until(|image| moving(image, "emptied") == 2).await;
    node.stop().await;
}
