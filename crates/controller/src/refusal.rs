//! Refusals as gRPC statuses.

use levada_metadata::SubmitError;
use levada_proto::internal::{ConversionError, NotActiveController};
use levada_proto::status::status_of;
use levada_types::{ClusterId, ErrorCode};
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::active::Active;

/// What the detail of a controller that is not active is called.
const NOT_ACTIVE_URL: &str = "type.googleapis.com/levada.internal.v1.NotActiveController";

/// This controller is not the active one; nothing was done.
pub(crate) fn not_active(active: &Active) -> Status {
    let leader = active.state().borrow().leader.clone();
    let detail = NotActiveController {
        id: leader.as_ref().map(|(id, _)| *id),
        internal_address: leader.and_then(|(_, address)| address),
    };
    ask_another(SubmitError::NotActive.to_string(), &detail)
}

/// The caller belongs to another cluster; nothing was done, and another controller is to be asked.
pub(crate) fn foreign(own: ClusterId, theirs: &str) -> Status {
    let message = format!("this controller is of cluster {own}, and the caller of cluster {theirs}");
    ask_another(message, &NotActiveController::default())
}

fn ask_another(message: String, detail: &NotActiveController) -> Status {
    let detail = Any { type_url: NOT_ACTIVE_URL.to_owned(), value: detail.encode_to_vec() };
    let rich = pb::Status { code: Code::FailedPrecondition as i32, message: message.clone(), details: vec![detail] };
    Status::with_details(Code::FailedPrecondition, message, rich.encode_to_vec().into())
}

/// A command has no response.
pub(crate) fn of_submit(error: SubmitError, active: &Active) -> Status {
    match error {
        SubmitError::NotActive => not_active(active),
        SubmitError::Busy => Status::resource_exhausted(error.to_string()),
        SubmitError::Unknown => Status::aborted(error.to_string()),
    }
}

/// The disk of the metadata log is full; nothing was done.
pub(crate) fn no_room() -> Status {
    Status::resource_exhausted(
        "the disk of the metadata log is full; nothing was done: delete topics or records, or enlarge the disk",
    )
}

/// A message cannot be read.
pub(crate) fn malformed(error: &ConversionError) -> Status {
    match error.code() {
        ErrorCode::UnsupportedVersion => Status::unimplemented(error.to_string()),
        _ => status_of(ErrorCode::InvalidRequest, error.to_string()),
    }
}
