//! Listing groups.

use levada_broker::api::PartitionError;
use levada_groups::api::{GroupKind, ListGroups, ListedGroup};
use levada_proto::v1;

use super::TIMEOUT;
use crate::gateway::Gateway;
use crate::refusal::{invalid, message};

pub(super) async fn list(
    gateway: &Gateway,
    request: v1::ListGroupsRequest,
) -> Result<v1::ListGroupsResponse, PartitionError> {
    let types = request.types().map(|kind| match kind {
        v1::GroupType::Classic => Ok(GroupKind::Classic.name().to_owned()),
        v1::GroupType::Consumer => Ok(GroupKind::Consumer.name().to_owned()),
        v1::GroupType::Unspecified => Err(invalid("one of the types is not specified")),
    });
    let types = types.collect::<Result<_, _>>()?;
    let (groups, missing) =
        gateway.broker.groups().list_all(ListGroups { states: request.states, types }, TIMEOUT).await;
    let mut groups: Vec<v1::GroupListing> = groups.into_iter().map(listing).collect();
    groups.sort_unstable_by(|one, other| one.group_id.cmp(&other.group_id));
    let image = gateway.broker.image();
    let incomplete = missing.map(|error| message(&image, PartitionError::new(error.code(), error.to_string())));
    Ok(v1::ListGroupsResponse { groups, incomplete })
}

fn listing(group: ListedGroup) -> v1::GroupListing {
    let ListedGroup { group_id, protocol_type, state, kind } = group;
    v1::GroupListing { group_id, state, r#type: group_type(kind).into(), protocol_type }
}

/// A group's type, as clients are told.
pub(super) fn group_type(kind: GroupKind) -> v1::GroupType {
    match kind {
        GroupKind::Classic => v1::GroupType::Classic,
        GroupKind::Consumer => v1::GroupType::Consumer,
    }
}
