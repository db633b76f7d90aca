//! Leaders elected by hand.

use levada_broker::api::PartitionError;
use levada_metadata::{Command, ElectedLeader, Election, Response};
use levada_proto::{status, v1};

use super::reassignments::named;
use super::{AdminService, unexpected};
use crate::refusal::invalid;

pub(super) async fn elect(
    admin: &AdminService,
    request: v1::ElectLeadersRequest,
) -> Result<v1::ElectLeadersResponse, PartitionError> {
    let election = match request.r#type() {
        v1::ElectionType::Preferred => Election::Preferred,
        v1::ElectionType::Unclean => Election::Unclean,
        v1::ElectionType::Unspecified => return Err(invalid("the request does not say how to elect")),
    };
    let partitions = (!request.partitions.is_empty()).then(|| request.partitions.into_iter().map(named).collect());
    let command = Command::ElectLeaders { election, partitions };
    let Response::ElectLeaders(elected) = admin.decide(command).await? else { return Err(unexpected()) };
    Ok(v1::ElectLeadersResponse { results: elected.into_iter().map(result).collect() })
}

fn result(elected: ElectedLeader) -> v1::ElectedLeader {
    let (leader_id, error) = match elected.result {
        Ok(leader) => (Some(leader.0), None),
        Err(error) => (None, Some(status::error(error.code, error.message))),
    };
    v1::ElectedLeader { topic: elected.partition.topic, partition: elected.partition.partition, leader_id, error }
}
