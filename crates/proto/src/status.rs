//! Errors as gRPC clients see them: a status with typed details, from the one error-code table.
//!
//! A status bears three details: the public message `levada.v1.Error` with everything there is to say, and for tools
//! that know only Google's standard details an `ErrorInfo` with Kafka's name and, if a retry may help, a `RetryInfo`.

use levada_types::{ErrorCode, StatusCode};
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::v1;

/// The `domain` of an `ErrorInfo`: who gives the reason its meaning.
pub const ERROR_DOMAIN: &str = "levada";

/// What a `RetryInfo` asks for, in milliseconds: the default of `retry.backoff.ms` in Kafka's clients.
pub const RETRY_DELAY_MS: i32 = 100;

const ERROR_URL: &str = "type.googleapis.com/levada.v1.Error";
const ERROR_INFO_URL: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The message for `code`. An empty `message` is replaced by the table's own sentence; "no error" is not an error and
/// becomes UNKNOWN_SERVER_ERROR.
#[must_use]
pub fn error(code: ErrorCode, message: impl Into<String>) -> v1::Error {
    let code = if code.is_none() { ErrorCode::UnknownServerError } else { code };
    let message = Some(message.into()).filter(|text| !text.is_empty()).unwrap_or_else(|| code.message().to_owned());
    v1::Error {
        name: code.name().to_owned(),
        code: i32::from(code.code()),
        message,
        retriable: code.is_retriable(),
        ..v1::Error::default()
    }
}

/// The status for `code`, see [`error`].
#[must_use]
pub fn status_of(code: ErrorCode, message: impl Into<String>) -> Status {
    status_with(&error(code, message))
}

/// The status that bears `error`.
#[must_use]
pub fn status_with(error: &v1::Error) -> Status {
    status_as(code_in(error).map_or(Code::Unknown, |code| grpc_code(code.status())), error)
}

/// The status that bears `error` under a code that says more than the table's.
#[must_use]
pub fn status_as(code: Code, error: &v1::Error) -> Status {
    let info = pb::ErrorInfo { reason: error.name.clone(), domain: ERROR_DOMAIN.to_owned(), ..Default::default() };
    let mut details = vec![any(ERROR_URL, error), any(ERROR_INFO_URL, &info)];
    if error.retriable {
        let delay = prost_types::Duration { seconds: 0, nanos: RETRY_DELAY_MS * 1_000_000 };
        details.push(any(RETRY_INFO_URL, &pb::RetryInfo { retry_delay: Some(delay) }));
    }
    let rich = pb::Status { code: code as i32, message: error.message.clone(), details };
    Status::with_details(code, error.message.clone(), rich.encode_to_vec().into())
}

/// What a peer of ours said in `status`. `None` if the status is not from a handler: the transport failed, the deadline
/// passed, the server shed load.
#[must_use]
pub fn error_of(status: &Status) -> Option<v1::Error> {
    let rich = pb::Status::decode(status.details()).ok()?;
    let detail = rich.details.iter().find(|detail| detail.type_url == ERROR_URL)?;
    v1::Error::decode(detail.value.as_slice()).ok()
}

/// The code in `status`, see [`error_of`].
#[must_use]
pub fn code_of(status: &Status) -> Option<ErrorCode> {
    code_in(&error_of(status)?)
}

fn code_in(error: &v1::Error) -> Option<ErrorCode> {
    i16::try_from(error.code).ok().and_then(ErrorCode::from_code)
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}

fn grpc_code(code: StatusCode) -> Code {
    match code {
        StatusCode::Ok => Code::Ok,
        StatusCode::InvalidArgument => Code::InvalidArgument,
        StatusCode::DeadlineExceeded => Code::DeadlineExceeded,
        StatusCode::NotFound => Code::NotFound,
        StatusCode::AlreadyExists => Code::AlreadyExists,
        StatusCode::PermissionDenied => Code::PermissionDenied,
        StatusCode::ResourceExhausted => Code::ResourceExhausted,
        StatusCode::FailedPrecondition => Code::FailedPrecondition,
        StatusCode::Aborted => Code::Aborted,
        StatusCode::OutOfRange => Code::OutOfRange,
        StatusCode::Unimplemented => Code::Unimplemented,
        StatusCode::Internal => Code::Internal,
        StatusCode::Unavailable => Code::Unavailable,
        StatusCode::Unauthenticated => Code::Unauthenticated,
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn every_code_survives_the_way_through_a_status() {
        for &code in ErrorCode::ALL.iter().filter(|code| !code.is_none()) {
            let status = status_of(code, "what happened");
            assert_eq!(code_of(&status), Some(code));
            assert_eq!(status.message(), "what happened");
            assert_ne!(status.code(), Code::Ok, "{code}");
        }
    }

    #[test]
    fn standard_tools_read_the_reason_and_whether_to_retry() {
        let status = status_of(ErrorCode::NotLeaderOrFollower, "");
        assert_eq!(status.get_details_error_info().map(|info| info.reason).as_deref(), Some("NOT_LEADER_OR_FOLLOWER"));
        assert!(status.get_details_retry_info().is_some());
        assert_eq!(status.message(), ErrorCode::NotLeaderOrFollower.message());
        let refused = status_of(ErrorCode::InvalidTopicException, "bad name");
        assert!(refused.get_details_retry_info().is_none());
    }

    #[test]
    fn success_is_no_error_and_a_foreign_status_has_none() {
        assert_eq!(error(ErrorCode::None, "").name, "UNKNOWN_SERVER_ERROR");
        assert_eq!(error_of(&Status::unavailable("connection refused")), None);
    }
}
