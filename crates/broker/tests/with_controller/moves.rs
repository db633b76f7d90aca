//! Replicas that move between the data directories of their broker (KIP-113).

use levada_broker::api::MoveReplica;
use levada_metadata::{AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigTarget, Image, Response};
use levada_types::{BrokerId, DirectoryId, ErrorCode, TopicIdPartition};

use super::{LIMIT, Node};

/// The directories by their paths; of each replica in them, whether it is a future one.
async fn replicas(node: &Node) -> Vec<(String, Vec<bool>)> {
    let directories = node.broker().describe_log_dirs().await;
    let futures = |replicas: Vec<levada_broker::api::DescribedReplica>| replicas.iter().map(|r| r.is_future).collect();
    directories.into_iter().map(|directory| (directory.path, futures(directory.replicas))).collect()
}

/// The path of the directory that holds the one replica, and of the other one.
async fn here_and_there(node: &Node) -> (String, String) {
    let mut directories = replicas(node).await;
    if directories[0].1.is_empty() {
        directories.swap(0, 1);
    }
    let there = directories.remove(1).0;
    (directories.remove(0).0, there)
}

async fn ask(node: &Node, partition: TopicIdPartition, directory: &str) -> ErrorCode {
    let request = vec![MoveReplica { partition, directory: directory.to_owned() }];
    let answer = node.broker().move_replicas(request).await.remove(0);
    answer.map_or_else(|error| error.code, |()| ErrorCode::None)
}

/// Where the metadata says that the replica lies.
fn told(image: &Image, id: TopicIdPartition) -> Option<DirectoryId> {
    image.partition(id.topic_id, id.partition).and_then(|partition| partition.directory_of(BrokerId(1)))
}

async fn set(node: &Node, setting: &str, change: ConfigChange) {
    let changes = vec![(setting.to_owned(), change)];
    let resources = vec![ConfigAlteration { target: ConfigTarget::Broker(BrokerId(1)), changes }];
    let command = Command::AlterConfigs { resources, mode: AlterConfigsMode::Incremental, validate_only: false };
    let answer = node.broker().submit(command, LIMIT).await.unwrap();
    let Response::AlterConfigs(items) = answer else { panic!("another answer: {answer:?}") };
    items[0].result.as_ref().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_moves_while_it_is_written_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    let id = node.create("orders", 1).await;
    tokio::time::timeout(LIMIT, node.placed()).await.unwrap();
    let mut expected = Vec::new();
    for n in 0..20 {
        assert_eq!(node.put(id, &format!("before {n}")).await, Ok(n));
        expected.push(format!("before {n}"));
    }
    for round in 0..4 {
        let (here, there) = here_and_there(&node).await;
        let before = told(&node.broker().image(), id);
        assert_eq!(ask(&node, id, &there).await, ErrorCode::None);
        // Writers go on; while the log changes places they are told to come again.
        for n in 0.. {
            let value = format!("round {round}, {n}");
            match node.put(id, &value).await {
                Ok(_) => expected.push(value),
                Err(code) => assert!(code.is_retriable(), "{code}"),
            }
            if told(&node.broker().image(), id) != before {
                break;
            }
        }
        assert_eq!(node.values(id).await, expected);
        let mut directories = replicas(&node).await;
        directories.sort_by_key(|(path, _)| *path != there);
        assert_eq!(directories, [(there, vec![false]), (here, vec![])]);
    }
    node.stop().await;
    let node = Node::start(dir.path()).await;
    assert_eq!(node.values(id).await, expected);
    assert!(node.put(id, "after").await.is_ok());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_throttled_called_off_and_goes_on_after_a_restart() {
    const RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    let id = node.create("orders", 1).await;
    tokio::time::timeout(LIMIT, node.placed()).await.unwrap();
    assert_eq!(node.put(id, "a").await, Ok(0));
    let (here, there) = here_and_there(&node).await;
    assert_eq!(ask(&node, id, "/no/such").await, ErrorCode::LogDirNotFound);
    let absent = TopicIdPartition { partition: 7, ..id };
    assert_eq!(ask(&node, absent, &there).await, ErrorCode::UnknownTopicOrPartition);

    // After the first batches it would wait for a minute.
    set(&node, RATE, ConfigChange::Set("1".to_owned())).await;
    assert_eq!(ask(&node, id, &there).await, ErrorCode::None);
    let copied = || async {
        loop {
            let directories = node.broker().describe_log_dirs().await;
            let future = directories.iter().flat_map(|d| &d.replicas).find(|replica| replica.is_future).cloned();
            match future {
                Some(future) if future.offset_lag == 0 && future.size > 0 => return,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(LIMIT, copied()).await.unwrap();
    let mut directories = replicas(&node).await;
    directories.sort_by_key(|(path, _)| *path != here);
    assert_eq!(directories, [(here.clone(), vec![false]), (there.clone(), vec![true])]);

    // Asked to be where it is, it stays.
    assert_eq!(ask(&node, id, &here).await, ErrorCode::None);
    let gone =
        || !std::fs::read_dir(&there).unwrap().flatten().any(|e| e.file_name().to_string_lossy().ends_with("-future"));
    let ended = async {
        while !gone() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, ended).await.unwrap();
    assert_eq!(node.put(id, "b").await, Ok(1));
    assert_eq!(node.values(id).await, ["a", "b"]);

    // Begun again, it goes on after a restart as soon as it may.
    set(&node, RATE, ConfigChange::Delete).await;
    set(&node, RATE, ConfigChange::Set("1".to_owned())).await;
    assert_eq!(ask(&node, id, &there).await, ErrorCode::None);
    tokio::time::timeout(LIMIT, copied()).await.unwrap();
    node.stop().await;
    let node = Node::start(dir.path()).await;
    let before = told(&node.broker().image(), id);
    set(&node, RATE, ConfigChange::Delete).await;
    node.until(|image| told(image, id) != before).await;
    assert_eq!(here_and_there(&node).await, (there, here));
    assert_eq!(node.values(id).await, ["a", "b"]);
    assert_eq!(node.put(id, "c").await, Ok(2));
    node.stop().await;
}
