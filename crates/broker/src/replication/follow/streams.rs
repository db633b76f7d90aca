//! A follower's pair of streams to one leader, being opened.

use std::time::Duration;

use bytes::Bytes;
use levada_proto::internal as pb;
use levada_proto::internal::replication_client::ReplicationClient;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use uuid::Uuid;

use crate::Broker;

/// How long a leader may take to answer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests that wait for the transport. What comes meanwhile is gathered into the next one.
const REQUESTS: usize = 1;

/// The largest message of a leader: one batch, which is at most as large as a request of Kafka's protocol
/// (`socket.request.max.bytes`, 100 MiB by default), and then some.
const MAX_RESPONSE_BYTES: usize = 512 << 20;

/// Both streams. Each has a connection of its own, so that bulk does not stand in the way of the tail.
pub(super) struct Streams {
    pub(super) tail: Streaming<pb::ReplicateResponse>,
    pub(super) catch_up: Streaming<pb::ReplicateResponse>,
    pub(super) requests: mpsc::Sender<pb::ReplicateRequest>,
    /// Keeps the stream for catching up open: nothing is asked on it.
    _silent: mpsc::Sender<pb::ReplicateRequest>,
}

impl Streams {
    /// Opens both streams to the broker at `address`.
    pub(super) async fn open(broker: &Broker, network: &Network, address: &Address) -> Result<Self, Status> {
        let epoch = broker.epoch().ok_or_else(|| Status::failed_precondition("this broker is not registered yet"))?;
        let cluster_id = broker.image().cluster_id().map(|id| id.to_string()).unwrap_or_default();
        let link = Bytes::copy_from_slice(Uuid::new_v4().as_bytes());
        let hello = |lane: pb::ReplicationLane| pb::ReplicationHello {
            follower: broker.id().0,
            broker_epoch: epoch.0,
            link: link.clone(),
            lane: lane.into(),
            cluster_id: cluster_id.clone(),
        };
        let opening = async {
            let (silent, catch_up) = open(network, address, hello(pb::ReplicationLane::CatchUp)).await?;
            let (requests, tail) = open(network, address, hello(pb::ReplicationLane::Tail)).await?;
            Ok(Self { tail, catch_up, requests, _silent: silent })
        };
        let opened = tokio::time::timeout(OPEN_TIMEOUT, opening).await;
        opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("the leader did not answer")))
    }
}

type Opened = (mpsc::Sender<pb::ReplicateRequest>, Streaming<pb::ReplicateResponse>);

async fn open(network: &Network, address: &Address, hello: pb::ReplicationHello) -> Result<Opened, Status> {
    let channel = network.dialer(address.clone()).channel(Profile::Bulk);
    let mut stub = ReplicationClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES);
    let (requests, queued) = mpsc::channel(REQUESTS);
    let first = pb::ReplicateRequest { hello: Some(hello), ..pb::ReplicateRequest::default() };
    // There is room for it, since the channel is new.
    drop(requests.try_send(first));
    let stream = stub.replicate(ReceiverStream::new(queued)).await?.into_inner();
    Ok((requests, stream))
}
