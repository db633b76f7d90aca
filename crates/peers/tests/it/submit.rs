//! Which commands are repeated, and where they go.

use std::time::Duration;

use levada_metadata::{Command, Response, TopicRef};
use levada_peers::{ControllerClient, SubmitError};
use levada_proto::internal;
use levada_service::net::Network;
use levada_types::{BrokerEpoch, BrokerId, ErrorCode, MetadataOffset};
use tonic::Status;

use crate::script::{controller, not_active, way_to};

/// Long enough that it never passes in a test.
const LONG: Duration = Duration::from_secs(60);

fn fenced_at(offset: u64) -> internal::SubmitResponse {
    let response = internal::Response::from(&Response::FenceBroker(Ok(())));
    internal::SubmitResponse { response: Some(response), offset }
}

fn fence() -> Command {
    Command::FenceBroker { id: BrokerId(1), epoch: BrokerEpoch(7) }
}

fn delete() -> Command {
    Command::DeleteTopics { topics: vec![TopicRef::Name("orders".to_owned())] }
}

#[tokio::test]
async fn a_command_finds_the_active_controller_and_stays_with_it() {
    let network = Network::new();
    let (first, second) = (controller(&network, "c-1").await, controller(&network, "c-2").await);
    first.on_submit(|_| Err(not_active(Some("c-2"))));
    second.on_submit(|_| Ok(fenced_at(42)));
    let client = ControllerClient::new(way_to(&network, &["c-1"]));
    for _ in 0..3 {
        let (response, offset) = client.submit(&fence(), LONG).await.unwrap();
        assert_eq!((response, offset), (Response::FenceBroker(Ok(())), MetadataOffset(42)));
    }
    assert_eq!((first.submits(), second.submits()), (1, 3));
}

#[tokio::test]
async fn what_was_not_done_is_tried_again_whatever_it_is() {
    let network = Network::new();
    let (idle, active) = (controller(&network, "c-2").await, controller(&network, "c-3").await);
    idle.on_submit(|_| Err(not_active(None)));
    active
        .on_submit(|before| if before < 2 { Err(Status::resource_exhausted("queue full")) } else { Ok(fenced_at(1)) });
    // Nothing listens at c-1.
    let client = ControllerClient::new(way_to(&network, &["c-1", "c-2", "c-3"]));
    client.submit(&delete(), LONG).await.unwrap();
    assert_eq!(active.submits(), 3);
}

#[tokio::test]
async fn an_unknown_outcome_is_repeated_only_where_twice_is_as_good_as_once() {
    let network = Network::new();
    let only = controller(&network, "c-1").await;
    let client = ControllerClient::new(way_to(&network, &["c-1"]));
    only.on_submit(|before| if before == 0 { Err(Status::aborted("leadership changed")) } else { Ok(fenced_at(1)) });
    client.submit(&fence(), LONG).await.unwrap();
    assert_eq!(only.submits(), 2);

    only.on_submit(|_| Err(Status::aborted("leadership changed")));
    let unknown = client.submit(&delete(), LONG).await.unwrap_err();
    assert!(matches!(unknown, SubmitError::Unknown { .. }), "{unknown}");
    assert_eq!(unknown.code(), ErrorCode::RequestTimedOut);
    assert_eq!(only.submits(), 3);
}

#[tokio::test]
async fn when_the_time_has_passed_it_is_told_whether_something_may_have_been_done() {
    let network = Network::new();
    let only = controller(&network, "c-1").await;
    let nobody = ControllerClient::new(way_to(&network, &["c-9"]));
    let error = nobody.submit(&fence(), Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, SubmitError::NoController { .. }), "{error}");

    only.on_submit(|_| Err(Status::unavailable("shutting down")));
    let client = ControllerClient::new(way_to(&network, &["c-1"]));
    // As long as it takes a busy machine to ask once.
    let error = client.submit(&fence(), Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn a_command_that_cannot_be_read_is_refused_once() {
    let network = Network::new();
    let only = controller(&network, "c-1").await;
    only.on_submit(|_| Err(Status::invalid_argument("no kind")));
    let client = ControllerClient::new(way_to(&network, &["c-1"]));
    let refused = client.submit(&fence(), LONG).await.unwrap_err();
    assert!(matches!(&refused, SubmitError::Refused { reason } if reason.contains("no kind")), "{refused}");
    assert_eq!(only.submits(), 1);
    only.on_submit(|_| Ok(internal::SubmitResponse::default()));
    let unreadable = client.submit(&fence(), LONG).await.unwrap_err();
    assert!(matches!(unreadable, SubmitError::Unreadable { .. }), "{unreadable}");
}
