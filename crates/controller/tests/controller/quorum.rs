//! Several voters over in-memory streams: founding, a new leader after the old one stops, one that lags, one that lost its
//! disk, and changes of who votes.

use std::path::Path;

use levada_controller::ControllerOptions;
use levada_metadata::ControllerId;
use levada_proto::internal::SubmitRequest;
use levada_proto::internal::controller_client::ControllerClient as Stub;
use levada_proto::internal::{AddVoterRequest, DescribeQuorumRequest, DescribeQuorumResponse, RemoveVoterRequest};
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use levada_service::options::CommaList;
use tonic::transport::Channel;

use crate::node::{Node, PATIENCE, Watch, controllers, create, live_broker, options, topic};

fn voter(id: u64, dir: &Path) -> ControllerOptions {
    ControllerOptions {
        voters: (1..=3).map(|id| format!("{id}@memory:c-{id}")).collect::<CommaList>(),
        snapshot_entries: 20,
        // Brokers without a session, which are here for topics to be created, are not to be missed.
        broker_reconnect_timeout_ms: 3_600_000,
        ..options(id, &dir.join(id.to_string()))
    }
}

async fn three(dir: &Path, network: &Network) -> Vec<(u64, Node)> {
    let mut nodes = Vec::new();
    for id in 1..=3 {
        nodes.push((id, Node::start(voter(id, dir), network).await));
    }
    nodes
}

/// Which of the nodes is the active controller.
async fn active(nodes: &[(u64, Node)]) -> usize {
    let waits = nodes.iter().enumerate().map(|(i, (_, node))| {
        Box::pin(async move {
            node.running.active().await;
            i
        })
    });
    tokio::time::timeout(PATIENCE, futures::future::select_all(waits)).await.expect("one is active in time").0
}

fn stub(network: &Network, id: u64) -> Stub<Channel> {
    Stub::new(network.dialer(Address::memory(format!("c-{id}"))).channel(Profile::Control))
}

/// Asks every node until the active one has answered.
async fn at_active<T>(
    network: &Network,
    ids: &[u64],
    ask: impl AsyncFn(Stub<Channel>) -> Result<T, tonic::Status>,
) -> T {
    let asking = async {
        loop {
            for id in ids {
                match ask(stub(network, *id)).await {
                    Ok(answer) => return answer,
                    Err(status) => drop(status),
                }
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time")
}

async fn quorum(network: &Network, ids: &[u64]) -> DescribeQuorumResponse {
    at_active(network, ids, async |mut stub| {
        stub.describe_quorum(DescribeQuorumRequest {}).await.map(tonic::Response::into_inner)
    })
    .await
}

fn voters(quorum: &DescribeQuorumResponse) -> Vec<u64> {
    quorum.voters.iter().map(|voter| voter.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_controller_is_known_and_takes_commands_for_the_active_one() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let nodes = three(dir.path(), &network).await;
    active(&nodes).await;
    for id in 1..=3 {
        let command = Some((&topic(&format!("by-{id}"), 1)).into());
        // A follower may not know yet who leads; what it says then is that nothing was done.
        let answer = at_active(&network, &[id], async |mut stub| {
            let request = SubmitRequest { command: command.clone(), forwarded: false, ..SubmitRequest::default() };
            stub.submit(request).await.map(tonic::Response::into_inner)
        })
        .await;
        assert!(answer.offset > 0);
    }
    // One of two is no active controller, whoever becomes it meanwhile.
    let mut refused = Vec::new();
    for id in 1..=2 {
        let command = Some((&topic(&format!("again-{id}"), 1)).into());
        let mine = SubmitRequest { command, forwarded: true, ..SubmitRequest::default() };
        refused.extend(stub(&network, id).submit(mine).await.err().map(|status| status.code()));
    }
    assert!(
        refused.contains(&tonic::Code::FailedPrecondition),
        "what was handed on is not handed on again: {refused:?}"
    );

    let watcher = Watch::start(&controllers(&network, 1..=3));
    watcher.until(|image| (1..=3).all(|id| image.controller(ControllerId(id)).is_some())).await;
    let image = watcher.watch.image();
    let known: Vec<_> = (1..=3).map(|id| image.controller(ControllerId(id)).unwrap()).collect();
    let addresses: Vec<_> = known.iter().map(|controller| controller.internal_address.as_str()).collect();
    assert_eq!(addresses, ["memory:c-1", "memory:c-2", "memory:c-3"]);
    let directories: std::collections::HashSet<_> = known.iter().map(|controller| controller.directory).collect();
    assert_eq!(directories.len(), 3);
    for (_, node) in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_lost_its_disk_has_no_vote_before_it_is_added_again() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let mut nodes = three(dir.path(), &network).await;
    let lost = (active(&nodes).await + 1) % 3;
    let (lost_id, node) = nodes.remove(lost);
    let before = quorum(&network, &[1, 2, 3]).await;
    assert_eq!(voters(&before), [1, 2, 3]);
    node.stop().await;
    std::fs::remove_dir_all(dir.path().join(lost_id.to_string())).unwrap();

    // It comes back empty. The others do not take it for the voter that it was, and it founds nothing.
    let back = Node::start(voter(lost_id, dir.path()), &network).await;
    let to_controllers = controllers(&network, 1..=3);
    let watcher = Watch::start(&to_controllers);
    let directory = |quorum: &DescribeQuorumResponse| {
        quorum.voters.iter().find(|voter| voter.id == lost_id).map(|voter| voter.directory.clone())
    };
    let old = levada_types::DirectoryId(uuid::Uuid::from_slice(&directory(&before).unwrap()).unwrap());
    watcher.until(|image| image.controller(ControllerId(lost_id)).is_some_and(|known| known.directory != old)).await;
    assert_eq!(back.running.image().offset().0, 0, "nobody sends it anything");
    let refused = add(&network, lost_id).await.unwrap_err();
    assert!(refused.message().contains("remove it first"), "{}", refused.message());

    at_active(&network, &[1, 2, 3], async |mut stub| {
        stub.remove_voter(RemoveVoterRequest { id: lost_id, directory: Default::default() }).await
    })
    .await;
    assert_eq!(voters(&quorum(&network, &[1, 2, 3]).await).len(), 2);
    add(&network, lost_id).await.unwrap();
    let after = quorum(&network, &[1, 2, 3]).await;
    assert_eq!(voters(&after), [1, 2, 3]);
    assert_ne!(directory(&after), directory(&before));
    live_broker(&to_controllers, 7).await;
    let offset = create(&to_controllers, "after", 1).await;
    let caught_up = async {
        while back.running.image().offset() < offset {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, caught_up).await.expect("it follows again");

    // Now it carries the quorum: without one of the two others there is still a majority.
    let (_, other) = nodes.remove(0);
    other.stop().await;
    create(&to_controllers, "with-it", 1).await;
    back.stop().await;
    for (_, node) in nodes {
        node.stop().await;
    }
}

/// Adds a voter at whichever is active; a refusal by the active one is an answer.
async fn add(network: &Network, id: u64) -> Result<(), tonic::Status> {
    at_active(network, &[1, 2, 3], async |mut stub| {
        match stub.add_voter(AddVoterRequest { id, directory: Default::default() }).await {
            Ok(_) => Ok(Ok(())),
            Err(status) if levada_proto::status::error_of(&status).is_some() => Ok(Err(status)),
            Err(status) => Err(status),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_grows_and_shrinks_while_it_serves() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controllers = controllers(&network, 1..=4);
    let first = Node::active(options(1, &dir.path().join("1")), &network).await;
    live_broker(&to_controllers, 7).await;
    let mut nodes = vec![first];
    for id in 2..=3 {
        let joining = ControllerOptions {
            bootstrap_servers: ["memory:c-1".to_owned()].into_iter().collect(),
            ..options(id, &dir.path().join(id.to_string()))
        };
        nodes.push(Node::start(joining, &network).await);
        let watcher = Watch::start(&to_controllers);
        watcher.until(|image| image.controller(ControllerId(id)).is_some()).await;
        add(&network, id).await.unwrap();
        add(&network, id).await.unwrap();
        create(&to_controllers, &format!("with-{id}"), 1).await;
    }
    assert_eq!(voters(&quorum(&network, &[1, 2, 3]).await), [1, 2, 3]);
    let unknown = add(&network, 9).await.unwrap_err();
    assert!(unknown.message().contains("has announced itself"), "{}", unknown.message());

    // The first one, active or not, is taken out and stopped; the others go on.
    at_active(&network, &[1, 2, 3], async |mut stub| {
        stub.remove_voter(RemoveVoterRequest { id: 1, directory: Default::default() }).await
    })
    .await;
    nodes.remove(0).stop().await;
    create(&to_controllers, "without-1", 1).await;
    assert_eq!(voters(&quorum(&network, &[2, 3]).await), [2, 3]);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_vote_is_taken_that_the_majority_of_those_who_are_left_needs() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controllers = controllers(&network, 1..=3);
    let mut nodes = three(dir.path(), &network).await;
    live_broker(&to_controllers, 7).await;
    let (gone, node) = nodes.remove((active(&nodes).await + 1) % 3);
    node.stop().await;
    let left: Vec<u64> = nodes.iter().map(|(id, _)| *id).collect();
    let silent = async {
        let is_silent = |quorum: &DescribeQuorumResponse| {
            let heard = quorum.voters.iter().find(|voter| voter.id == gone).and_then(|voter| voter.last_heard_ms);
            heard.is_none_or(|ago| ago > 1_500)
        };
        while !is_silent(&quorum(&network, &left).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, silent).await.expect("it is missed");

    let leader = quorum(&network, &left).await.leader_id;
    let other = left.iter().copied().find(|id| *id != leader).unwrap();
    let refused = remove(&network, &left, other).await.unwrap_err();
    assert!(refused.message().contains(&format!("[{gone}]")), "{}", refused.message());
    create(&to_controllers, "still-decided", 1).await;

    remove(&network, &left, gone).await.unwrap();
    remove(&network, &left, other).await.unwrap();
    create(&to_controllers, "by-one", 1).await;
    for (_, node) in nodes {
        node.stop().await;
    }
}

/// Takes a vote away at whichever is active; a refusal by the active one is an answer.
async fn remove(network: &Network, ids: &[u64], id: u64) -> Result<(), tonic::Status> {
    at_active(network, ids, async |mut stub| {
        match stub.remove_voter(RemoveVoterRequest { id, directory: Default::default() }).await {
            Ok(_) => Ok(Ok(())),
            Err(status) if levada_proto::status::error_of(&status).is_some() => Ok(Err(status)),
            Err(status) => Err(status),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_has_moved_is_reached_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controllers = controllers(&network, 1..=3);
    let mut nodes = three(dir.path(), &network).await;
    live_broker(&to_controllers, 7).await;
    let (id, node) = nodes.remove((active(&nodes).await + 1) % 3);
    node.stop().await;
    let moved = ControllerOptions { listener: "memory:elsewhere".to_owned(), ..voter(id, dir.path()) };
    let node = Node::start(moved, &network).await;
    let reached = async {
        loop {
            let others: Vec<u64> = nodes.iter().map(|(id, _)| *id).collect();
            let members = quorum(&network, &others).await.voters;
            if members.iter().any(|voter| voter.id == id && voter.internal_address == "memory:elsewhere") {
                break;
            }
            tokio::task::yield_now().await;
        }
        create(&to_controllers, "after", 1).await;
        while node.running.image().topic_by_name("after").is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("it gets what is new");
    node.stop().await;
    for (_, node) in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn founders_that_were_told_different_voters_found_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let told = |id: u64, voters: &[u64]| ControllerOptions {
        voters: voters.iter().map(|id| format!("{id}@memory:c-{id}")).collect::<CommaList>(),
        ..options(id, &dir.path().join(id.to_string()))
    };
    let one = Node::start(told(1, &[1, 2]), &network).await;
    let two = Node::start(told(2, &[1, 2, 3]), &network).await;
    let introduction = levada_proto::internal::IntroduceRequest {
        from: Some(levada_proto::internal::RaftMember { node_id: 2, directory: vec![7; 16].into() }),
        voters: vec![1, 2, 3],
        cluster_id: String::new(),
    };
    let channel = network.dialer(Address::memory("c-1")).channel(Profile::Control);
    let mut raft = levada_proto::internal::raft_client::RaftClient::new(channel);
    let refused = raft.introduce(introduction).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("controller.quorum.voters"), "{}", refused.message());
    // Told alike, they found it.
    two.stop().await;
    let two = Node::start(told(2, &[1, 2]), &network).await;
    let nodes = vec![(1, one), (2, two)];
    active(&nodes).await;
    for (_, node) in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quorum_goes_on_without_its_leader() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controllers = controllers(&network, 1..=3);
    let mut nodes = three(dir.path(), &network).await;
    live_broker(&to_controllers, 7).await;
    create(&to_controllers, "before", 1).await;

    let (stopped, node) = nodes.remove(active(&nodes).await);
    node.stop().await;
    // Enough entries for the survivors to drop the log before them, so that the one that comes back needs a snapshot.
    for n in 0..60 {
        create(&to_controllers, &format!("topic-{n}"), 1).await;
    }

    let back = Node::start(voter(stopped, dir.path()), &network).await;
    let watcher = Watch::start(&controllers(&network, [stopped]));
    watcher.until(|image| image.topic_by_name("topic-59").is_some()).await;
    let ours = tokio::time::timeout(PATIENCE, async {
        while back.running.image().state() != nodes[0].1.running.image().state() {
            tokio::task::yield_now().await;
        }
    });
    ours.await.expect("the one that came back holds what the others hold");
    back.stop().await;
    for (_, node) in nodes {
        node.stop().await;
    }
}
