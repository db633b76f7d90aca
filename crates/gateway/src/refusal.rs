//! Errors on their way to a client: from the broker's words to the public message and the gRPC status.

use levada_broker::api::{LeaderHint, PartitionError};
use levada_metadata::{Image, ItemError};
use levada_proto::{status, v1};
use levada_types::ErrorCode;
use tonic::Status;

/// The public form of `error`, with the leader's address from `image` if the broker named a leader.
pub(crate) fn message(image: &Image, error: PartitionError) -> v1::Error {
    let leader = error.leader.map(|hint| leader(image, hint));
    v1::Error { leader, ..status::error(error.code, error.message.unwrap_or_default()) }
}

/// The public form of `error`, when a request named several partitions.
pub(crate) fn message_about(image: &Image, error: PartitionError, topic: &str, partition: i32) -> v1::Error {
    v1::Error { topic: Some(topic.to_owned()), partition: Some(partition), ..message(image, error) }
}

/// The status for `error`.
pub(crate) fn to_status(image: &Image, error: PartitionError) -> Status {
    status::status_with(&message(image, error))
}

/// What the controller said of one item.
pub(crate) fn of_item(error: ItemError) -> PartitionError {
    PartitionError::new(error.code, error.message)
}

/// A request that contradicts the API.
pub(crate) fn invalid(text: impl Into<String>) -> PartitionError {
    PartitionError::new(ErrorCode::InvalidRequest, text)
}

fn leader(image: &Image, hint: LeaderHint) -> v1::PartitionLeader {
    let broker = hint.leader.and_then(|id| image.broker(id));
    v1::PartitionLeader {
        broker_id: hint.leader.map(|id| id.0),
        leader_epoch: hint.epoch.0,
        grpc_address: broker.and_then(|broker| broker.grpc_endpoint()).map(crate::address::of_endpoint),
    }
}

#[cfg(test)]
mod tests {
    use levada_types::{BrokerId, LeaderEpoch};

    use super::*;

    #[test]
    fn the_leader_is_told_even_if_its_address_is_not_known() {
        let hint = LeaderHint { leader: Some(BrokerId(3)), epoch: LeaderEpoch(5) };
        let error = PartitionError::with_leader(ErrorCode::NotLeaderOrFollower, hint);
        let message = message_about(&Image::new(), error, "orders", 2);
        let leader = v1::PartitionLeader { broker_id: Some(3), leader_epoch: 5, grpc_address: None };
        assert_eq!(message.leader, Some(leader));
        assert_eq!((message.topic.as_deref(), message.partition), (Some("orders"), Some(2)));
        assert_eq!((message.name.as_str(), message.retriable), ("NOT_LEADER_OR_FOLLOWER", true));
    }

    #[test]
    fn a_status_bears_the_error() {
        let status = to_status(&Image::new(), invalid("no topic"));
        assert_eq!(status::code_of(&status), Some(ErrorCode::InvalidRequest));
        assert_eq!(status.message(), "no topic");
    }
}
