//! ListGroups: the groups that clients look for at this broker.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use levada_groups::api::{self, ListGroups};

use super::find_coordinator::coordinator_of;
use super::group_call::PROMPT;
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

/// A group's state is told from this version on (KIP-518).
const STATE_SINCE: i16 = 4;

/// A group's type is told from this version on (KIP-848).
const TYPE_SINCE: i16 = 5;

/// Clients ask all brokers and put together what each of them has; so each tells those whose coordinator it is by
/// FindCoordinator, and no group is told twice.
pub(super) async fn handle(handlers: &Handlers, head: Head, request: ListGroupsRequest) -> ListGroupsResponse {
    let asked = ListGroups {
        states: request.states_filter.iter().map(ToString::to_string).collect(),
        types: request.types_filter.iter().map(ToString::to_string).collect(),
    };
    let groups = match handlers.broker.groups().list(asked, PROMPT).await {
        Ok(groups) => groups,
        Err(error) => return ListGroupsResponse::default().with_error_code(code_of(head, error.code())),
    };
    let (image, own) = (handlers.broker.image(), handlers.broker.id());
    let is_own = |group: &api::ListedGroup| {
        let coordinator = coordinator_of(&image, &handlers.listener, &group.group_id);
        coordinator.is_some_and(|(broker, _)| broker == own)
    };
    let groups = groups.into_iter().filter(is_own).map(|group| listed(head, group));
    ListGroupsResponse::default().with_groups(groups.collect())
}

fn listed(head: Head, group: api::ListedGroup) -> ListedGroup {
    let mut listed = ListedGroup::default()
        .with_group_id(GroupId(text(group.group_id)))
        .with_protocol_type(text(group.protocol_type));
    if head.version >= STATE_SINCE {
        listed = listed.with_group_state(text(group.state));
    }
    if head.version >= TYPE_SINCE {
        listed = listed.with_group_type(text(group.kind.name()));
    }
    listed
}
