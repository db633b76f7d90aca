//! Elections by what the logs hold, where nobody complete is left.

use levada_metadata::{Command, NewBroker, NewTopic, Response};
use levada_peers::Controllers;
use levada_proto::internal as pb;
use levada_proto::internal::replica_logs_server::{ReplicaLogs, ReplicaLogsServer};
use levada_service::grpc::{GrpcOptions, GrpcServer, Profile};
use levada_service::net::{Address, Network};
use levada_types::{BrokerEpoch, BrokerId};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::node::{Node, Watch, broker, controllers, options, submit};

/// A broker whose logs all end at one offset.
struct Logs {
    end: i64,
}

#[tonic::async_trait]
impl ReplicaLogs for Logs {
    async fn describe_replica_logs(
        &self,
        request: Request<pb::DescribeReplicaLogsRequest>,
    ) -> Result<tonic::Response<pb::DescribeReplicaLogsResponse>, Status> {
        let log = |replica| pb::ReplicaLog {
            replica: Some(replica),
            last_epoch: 0,
            log_start: 0,
            log_end: self.end,
            bytes: 0,
        };
        let logs = request.into_inner().partitions.into_iter().map(log).collect();
        Ok(tonic::Response::new(pb::DescribeReplicaLogsResponse { logs }))
    }
}

/// Registers a new process of a broker that has lost what it had not flushed, and lets it lead.
async fn begin(controllers: &Controllers, id: i32, replaces: Option<BrokerEpoch>) -> BrokerEpoch {
    let internal_address = format!("memory:b-{id}");
    let new = NewBroker { boot_id: None, replaces, internal_address, ..broker(id) };
    let (response, _) = submit(controllers, Command::RegisterBroker(new)).await;
    let Response::RegisterBroker(Ok(epoch)) = response else { panic!("{response:?}") };
    epoch
}

async fn unfence(controllers: &Controllers, id: i32, epoch: BrokerEpoch) {
    let (response, _) = submit(controllers, Command::UnfenceBroker { id: BrokerId(id), epoch }).await;
    assert_eq!(response, Response::UnfenceBroker(Ok(())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_have_all_lost_something_the_one_with_the_longest_log_leads() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let stop = CancellationToken::new();
    for (id, end) in [(1, 10), (2, 5)] {
        let listener = network.bind(&Address::memory(format!("b-{id}"))).await.unwrap();
        let server = GrpcServer::internal(&GrpcOptions::default(), Profile::Control)
            .add_service(ReplicaLogsServer::new(Logs { end }))
            .serve(listener, stop.clone());
        tokio::spawn(server);
    }
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let mut epochs = Vec::new();
    for id in [1, 2] {
        let epoch = begin(&to_controller, id, None).await;
        unfence(&to_controller, id, epoch).await;
        epochs.push(epoch);
    }
    let topic = NewTopic {
        name: "orders".to_owned(),
        partitions: Some(1),
        replication_factor: Some(2),
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    submit(&to_controller, Command::CreateTopics { topics: vec![topic], validate_only: false }).await;

    // Both come back from a loss of power.
    for (id, before) in [1, 2].into_iter().zip(&mut epochs) {
        *before = begin(&to_controller, id, Some(*before)).await;
    }
    let watcher = Watch::start(&to_controller);
    let partition =
        |image: &levada_metadata::Image| image.topic_by_name("orders").and_then(|topic| topic.partition(0).cloned());
    watcher.until(|image| partition(image).is_some_and(|p| p.leader.is_none())).await;
    for (id, epoch) in [1, 2].into_iter().zip(epochs) {
        unfence(&to_controller, id, epoch).await;
    }
    watcher.until(|image| partition(image).is_some_and(|p| p.leader.is_some())).await;
    let elected = partition(&watcher.watch.image()).unwrap();
    assert_eq!((elected.leader, elected.possible_losses), (Some(BrokerId(1)), 1));
    node.stop().await;
    stop.cancel();
}
