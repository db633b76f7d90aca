//! What a failed call means: whether the controller did, or might have done, what it was asked.

use std::error::Error;

use levada_proto::internal::NotActiveController;
use levada_proto::status::error_of;
use levada_service::net::Address;
use prost::Message;
use tonic::{Code, ConnectError, Status};
use tonic_types::pb;

/// The message whose bytes a status of a controller that is not active bears.
const NOT_ACTIVE: &str = "levada.internal.v1.NotActiveController";

/// What a failed call means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing was done, because the controller that was asked is not active. It may know which one is.
    NotActive(Option<Address>),
    /// Nothing was done: the call did not get through, or there was no room for it.
    NotDone,
    /// It may have been done, or may still be.
    Unknown,
    /// It was refused for good.
    Refused,
}

impl Outcome {
    /// The meaning of `status`.
    pub(crate) fn of(status: &Status) -> Self {
        match status.code() {
            Code::FailedPrecondition => {
                not_active(status).map_or(Self::Refused, |detail| Self::NotActive(address_in(&detail)))
            }
            // A message over the limit stays over it; all else that is used up comes back.
            Code::ResourceExhausted if error_of(status).is_some_and(|error| !error.retriable) => Self::Refused,
            Code::ResourceExhausted => Self::NotDone,
            Code::Unavailable if never_connected(status) => Self::NotDone,
            Code::InvalidArgument | Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated => {
                Self::Refused
            }
            _ => Self::Unknown,
        }
    }
}

fn not_active(status: &Status) -> Option<NotActiveController> {
    let rich = pb::Status::decode(status.details()).ok()?;
    let named = |url: &str| url.rsplit('/').next() == Some(NOT_ACTIVE);
    let detail = rich.details.iter().find(|detail| named(&detail.type_url))?;
    NotActiveController::decode(detail.value.as_slice()).ok()
}

fn address_in(detail: &NotActiveController) -> Option<Address> {
    detail.internal_address.as_deref().and_then(|address| address.parse().ok())
}

/// Whether the call failed before there was a connection to send it on, so that nothing can have been done.
#[must_use]
pub fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use levada_proto::status::{error, status_as};
    use levada_types::ErrorCode;
    use prost_types::Any;

    use super::*;

    fn refusal_with(detail: &NotActiveController, url: &str) -> Status {
        let any = Any { type_url: url.to_owned(), value: detail.encode_to_vec() };
        let rich = pb::Status { code: 9, message: String::new(), details: vec![any] };
        Status::with_details(Code::FailedPrecondition, "not active", rich.encode_to_vec().into())
    }

    #[test]
    fn a_controller_that_is_not_active_may_name_the_one_that_is() {
        let detail = NotActiveController { id: Some(2), internal_address: Some("memory:c-2".to_owned()) };
        let status = refusal_with(&detail, "type.googleapis.com/levada.internal.v1.NotActiveController");
        assert_eq!(Outcome::of(&status), Outcome::NotActive(Some(Address::memory("c-2"))));
        let nobody = refusal_with(&NotActiveController::default(), "x/levada.internal.v1.NotActiveController");
        assert_eq!(Outcome::of(&nobody), Outcome::NotActive(None));
        let other = refusal_with(&detail, "type.googleapis.com/levada.v1.Error");
        assert_eq!(Outcome::of(&other), Outcome::Refused);
    }

    #[test]
    fn only_what_cannot_have_been_done_counts_as_not_done() {
        assert_eq!(Outcome::of(&Status::resource_exhausted("")), Outcome::NotDone);
        assert_eq!(Outcome::of(&Status::invalid_argument("")), Outcome::Refused);
        let too_large = error(ErrorCode::MessageTooLarge, "");
        assert_eq!(Outcome::of(&status_as(Code::ResourceExhausted, &too_large)), Outcome::Refused);
        for status in [Status::unavailable(""), Status::aborted(""), Status::deadline_exceeded(""), Status::unknown("")]
        {
            assert_eq!(Outcome::of(&status), Outcome::Unknown, "{status}");
        }
    }
}
