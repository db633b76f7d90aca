//! What a heartbeat must look like.

use levada_types::ErrorCode;

use super::{expression::Expressions, refused::Refused, target::offered};
use crate::{GroupConfig, api::ConsumerGroupHeartbeat, records::CurrentAssignment};

/// The epoch with which a member joins.
pub(super) const JOIN: i32 = 0;

/// The epoch with which a member leaves.
pub(super) const LEAVE: i32 = -1;

/// The epoch with which a static member leaves for a while.
pub(super) const LEAVE_FOR_A_WHILE: i32 = CurrentAssignment::AWAY;

/// Kafka's records name members in keys, whose texts have no more bytes.
const MAX_MEMBER_ID_BYTES: usize = i16::MAX as usize;

/// Checks what can be checked without looking at the group.
///
/// # Errors
/// INVALID_REQUEST, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION.
pub(super) fn check(request: &ConsumerGroupHeartbeat, config: &GroupConfig) -> Result<(), Refused> {
    let invalid = |why: &str| Err(Refused::new(ErrorCode::InvalidRequest, why));
    if is_blank(&request.group_id) {
        return invalid("the group id is blank");
    }
    if request.member_id.len() > MAX_MEMBER_ID_BYTES {
        return invalid("the member id is too long");
    }
    if request.instance_id.as_deref().is_some_and(is_blank) {
        return invalid("the instance id is blank; leave it out");
    }
    if request.rack_id.as_deref().is_some_and(is_blank) {
        return invalid("the rack id is blank; leave it out");
    }
    match request.member_epoch {
        JOIN => check_join(request)?,
        LEAVE_FOR_A_WHILE if request.instance_id.is_none() => {
            return invalid("only a static member, which tells its instance id, can leave for a while");
        }
        ..LEAVE_FOR_A_WHILE => return invalid("the member epoch is less than -2"),
        _ if is_blank(&request.member_id) => return invalid("the member id is blank"),
        _ => {}
    }
    if let Some(assignor) = &request.server_assignor {
        let offered = offered(config);
        if !offered.iter().any(|offered| offered.name() == assignor) {
            let names: Vec<&str> = offered.iter().map(|offered| offered.name()).collect();
            let message = format!("the assignor {assignor:?} is not offered; these are: {}", names.join(", "));
            return Err(Refused::new(ErrorCode::UnsupportedAssignor, message));
        }
    }
    match request.subscribed_topic_regex.as_deref() {
        None | Some("") => Ok(()),
        Some(regex) => Expressions::default().compile(regex),
    }
}

/// Whether there is nothing to see in it: Kafka's measure of an id that is none.
fn is_blank(id: &str) -> bool {
    id.chars().all(|c| c <= ' ')
}

fn check_join(request: &ConsumerGroupHeartbeat) -> Result<(), Refused> {
    let invalid = |why: &str| Err(Refused::new(ErrorCode::InvalidRequest, why));
    // None at all is asked for by clients that do not draw their own.
    if !request.member_id.is_empty() && is_blank(&request.member_id) {
        return invalid("the member id is blank");
    }
    if request.rebalance_timeout_ms == -1 {
        return invalid("the rebalance timeout must be told when joining");
    }
    if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        return invalid("a member that joins owns nothing, and has to say so");
    }
    // Nothing at all can be subscribed to, but it must be said: a client that matches names itself may find none yet.
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return invalid("a member that joins has to subscribe, by names or by a regular expression");
    }
    Ok(())
}

/// Whether the client tells everything that it knows, and so wants to be told everything.
pub(super) fn is_full(request: &ConsumerGroupHeartbeat) -> bool {
    request.member_epoch == JOIN
        || (request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some())
}
