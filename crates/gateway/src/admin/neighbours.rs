//! Asking the other brokers what only they know: what lies on their disks.

use std::str::FromStr;
use std::time::Duration;

use levada_metadata::{BrokerRegistration, Image};
use levada_proto::v1::admin_client::AdminClient;
use levada_proto::{status, v1};
use levada_types::{BrokerId, ErrorCode};
use tonic::transport::Endpoint;

use super::log_dirs;
use crate::address;
use crate::gateway::Gateway;

/// How long another broker may take. Shorter than any client's patience, so that one broker that hangs costs its own part of
/// the answer and not the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The data directories of these brokers (all registered ones, if there are none), in ascending order. One that cannot be
/// asked is told with an error.
pub(super) async fn log_dirs_of(
    gateway: &Gateway,
    broker_ids: &[i32],
    partitions: &[v1::PartitionRef],
) -> Vec<v1::BrokerLogDirs> {
    let image = gateway.broker.image();
    let mut ids: Vec<i32> = match broker_ids {
        [] => image.brokers().map(|broker| broker.id.0).collect(),
        named => named.to_vec(),
    };
    ids.sort_unstable();
    ids.dedup();
    let asked = ids.into_iter().map(|id| one(gateway, &image, BrokerId(id), partitions));
    futures::future::join_all(asked).await
}

async fn one(gateway: &Gateway, image: &Image, id: BrokerId, partitions: &[v1::PartitionRef]) -> v1::BrokerLogDirs {
    if id == gateway.broker.id() {
        let log_dirs = log_dirs::own(&gateway.broker, partitions).await;
        return v1::BrokerLogDirs { broker_id: id.0, log_dirs, error: None };
    }
    match remote(image, id, partitions).await {
        Ok(dirs) => dirs,
        Err(reason) => {
            let error = status::error(ErrorCode::BrokerNotAvailable, format!("broker {id} {reason}"));
            v1::BrokerLogDirs { broker_id: id.0, log_dirs: Vec::new(), error: Some(error) }
        }
    }
}

async fn remote(image: &Image, id: BrokerId, partitions: &[v1::PartitionRef]) -> Result<v1::BrokerLogDirs, String> {
    let broker = image.broker(id).ok_or("is not registered")?;
    let endpoint = endpoint(broker)?;
    let request = v1::DescribeLogDirsRequest { broker_ids: vec![id.0], partitions: partitions.to_vec() };
    let ask = async {
        let channel = endpoint.connect().await.map_err(|error| format!("cannot be reached: {error}"))?;
        let answer = AdminClient::new(channel).describe_log_dirs(request).await;
        answer.map_err(|status| format!("did not answer: {}", status.message()))
    };
    let answer = tokio::time::timeout(TIMEOUT, ask).await;
    let answer = answer.map_err(|_| format!("did not answer within {} ms", TIMEOUT.as_millis()))??.into_inner();
    answer.brokers.into_iter().find(|dirs| dirs.broker_id == id.0).ok_or_else(|| "left itself out".to_owned())
}

fn endpoint(broker: &BrokerRegistration) -> Result<Endpoint, String> {
    let advertised = broker.grpc_endpoint().map(address::of_endpoint).ok_or("serves no gRPC")?;
    Endpoint::from_str(&format!("http://{advertised}")).map_err(|error| format!("has no usable address: {error}"))
}
