//! Evening out the brokers.

use levada_broker::api::PartitionError;
use levada_metadata::rebalance::{Plan, PlanOptions};
use levada_metadata::{BrokerRegistration, Command, Image, Rebalance, Response};
use levada_proto::v1;

use super::{AdminService, unexpected};
use crate::refusal::of_item;

/// Moves that a description looks ahead, so that it stays an answer of a moment.
const MAX_PLANNED: usize = 10_000;

pub(super) async fn start(
    admin: &AdminService,
    request: v1::StartRebalanceRequest,
) -> Result<v1::StartRebalanceResponse, PartitionError> {
    let planned_moves = planned(&admin.gateway.broker.image());
    if !request.validate_only {
        set(admin, Some(Rebalance { throttle: request.throttle_bytes_per_second })).await?;
    }
    Ok(v1::StartRebalanceResponse { planned_moves })
}

pub(super) async fn cancel(admin: &AdminService) -> Result<v1::CancelRebalanceResponse, PartitionError> {
    set(admin, None).await?;
    Ok(v1::CancelRebalanceResponse {})
}

async fn set(admin: &AdminService, rebalance: Option<Rebalance>) -> Result<(), PartitionError> {
    let Response::SetRebalance(result) = admin.decide(Command::SetRebalance { rebalance }).await? else {
        return Err(unexpected());
    };
    result.map_err(of_item)
}

pub(super) fn describe(image: &Image) -> v1::DescribeRebalanceResponse {
    let takers = image.live_brokers().filter(|broker| !broker.draining);
    let load = |broker: &BrokerRegistration| v1::BrokerLoad {
        broker_id: broker.id.0,
        replicas: image.replica_count(broker.id),
        preferred_leaderships: image.preferred_count(broker.id),
    };
    v1::DescribeRebalanceResponse {
        active: image.rebalance().is_some(),
        moving: count(image.reassigning().len()),
        planned_moves: planned(image),
        throttle_bytes_per_second: image.rebalance().and_then(|rebalance| rebalance.throttle),
        brokers: takers.map(|broker| load(broker)).collect(),
    }
}

fn planned(image: &Image) -> u32 {
    let options = PlanOptions { balance: true, max_moves: MAX_PLANNED };
    count(Plan::new(image, options).moves.len())
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
