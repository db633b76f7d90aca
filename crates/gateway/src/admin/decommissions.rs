//! Brokers that are emptied and forgotten.

use std::collections::HashMap;

use levada_broker::api::PartitionError;
use levada_metadata::rebalance::{Plan, PlanOptions, StuckReplica};
use levada_metadata::{BrokerRegistration, Command, Image, Partition, Response};
use levada_proto::v1;
use levada_types::{BrokerId, ErrorCode, TopicIdPartition};

use super::{AdminService, neighbours, reassignments, unexpected};
use crate::gateway::Gateway;
use crate::refusal::of_item;

/// Replicas that are told with their reasons; the others are only counted.
const MAX_STUCK: usize = 100;

pub(super) async fn drain(admin: &AdminService, broker_id: i32, drain: bool) -> Result<(), PartitionError> {
    let command = Command::DrainBroker { id: BrokerId(broker_id), drain };
    let Response::DrainBroker(result) = admin.decide(command).await? else { return Err(unexpected()) };
    result.map_err(of_item)
}

pub(super) async fn unregister(admin: &AdminService, broker_id: i32) -> Result<(), PartitionError> {
    let command = Command::UnregisterBroker { id: BrokerId(broker_id) };
    let Response::UnregisterBroker(result) = admin.decide(command).await? else { return Err(unexpected()) };
    result.map_err(of_item)
}

pub(super) async fn describe(
    gateway: &Gateway,
    request: &v1::DescribeDecommissionRequest,
) -> Result<v1::DescribeDecommissionResponse, PartitionError> {
    let image = gateway.broker.image();
    let asked: Vec<BrokerId> = match request.broker_ids.is_empty() {
        true => image.brokers().filter(|broker| broker.draining).map(|broker| broker.id).collect(),
        false => request.broker_ids.iter().copied().map(BrokerId).collect(),
    };
    let brokers = asked.iter().map(|id| registered(&image, *id)).collect::<Result<Vec<_>, _>>()?;
    if brokers.is_empty() {
        return Ok(v1::DescribeDecommissionResponse::default());
    }
    // Where the draining brokers' replicas would go, as the controller asks it; nothing is moved by asking.
    let options = PlanOptions { balance: false, max_moves: usize::MAX };
    let stuck = Plan::new(&image, options).stuck;
    let ids: Vec<i32> = asked.iter().map(|id| id.0).collect();
    let mut bytes: HashMap<i32, i64> = HashMap::new();
    for told in neighbours::log_dirs_of(gateway, &ids, &[]).await.into_iter().filter(|told| told.error.is_none()) {
        let sizes = told.log_dirs.iter().flat_map(|dir| &dir.replicas).map(|replica| replica.size_bytes);
        bytes.insert(told.broker_id, sizes.sum());
    }
    let one = |broker: &BrokerRegistration| v1::Decommission {
        remaining_bytes: bytes.get(&broker.id.0).copied(),
        ..stand(&image, broker, &stuck)
    };
    Ok(v1::DescribeDecommissionResponse { decommissions: brokers.into_iter().map(one).collect() })
}

fn registered(image: &Image, id: BrokerId) -> Result<&BrokerRegistration, PartitionError> {
    let unknown = || PartitionError::new(ErrorCode::BrokerIdNotRegistered, format!("broker {id} is not registered"));
    image.broker(id).map(|broker| &**broker).ok_or_else(unknown)
}

/// How emptying `broker` stands by the metadata.
fn stand(image: &Image, broker: &BrokerRegistration, homeless: &[StuckReplica]) -> v1::Decommission {
    let (mut leaderships, mut moving) = (0, 0);
    let mut stuck = Vec::new();
    for (at, partition) in image.replicas_of(broker.id) {
        leaderships += u32::from(partition.leader == Some(broker.id));
        moving += u32::from(partition.removing.contains(&broker.id));
        let reason = match partition.is_reassigning() {
            true => reassignments::stuck_because(image, partition),
            false => homeless
                .iter()
                .any(|replica| replica.partition == at && replica.broker == broker.id)
                .then(|| no_home(image, partition)),
        };
        let told = reason.filter(|_| broker.draining).and_then(|reason| replica(image, at, reason));
        stuck.extend(told);
    }
    let stuck_count = u32::try_from(stuck.len()).unwrap_or(u32::MAX);
    stuck.truncate(MAX_STUCK);
    v1::Decommission {
        broker_id: broker.id.0,
        draining: broker.draining,
        replicas: image.replica_count(broker.id),
        leaderships,
        moving,
        remaining_bytes: None,
        stuck,
        stuck_count,
    }
}

fn replica(image: &Image, at: TopicIdPartition, reason: String) -> Option<v1::StuckReplica> {
    let topic = image.topic(at.topic_id)?.name().to_string();
    Some(v1::StuckReplica { topic, partition: at.partition, reason })
}

fn no_home(image: &Image, partition: &Partition) -> String {
    let takers = image.live_brokers().filter(|broker| !broker.draining).count();
    format!(
        "it has {} replicas, and each of the {takers} live brokers that are not being emptied holds one already; start another \
         broker, or give the topic fewer replicas",
        partition.replicas.len()
    )
}
