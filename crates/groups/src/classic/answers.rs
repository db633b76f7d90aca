//! Answers that say that something went wrong.

use bytes::Bytes;
use levada_types::ErrorCode;

use crate::api::{JoinGroupAnswer, Response, SyncGroupAnswer};

/// A join that came to nothing; `member_id` is what the client is to go on with.
pub(super) fn join_failed(error: ErrorCode, member_id: &str) -> Response {
    Response::JoinGroup(JoinGroupAnswer {
        error,
        generation_id: -1,
        protocol_type: None,
        protocol_name: None,
        leader: String::new(),
        skip_assignment: false,
        member_id: member_id.to_owned(),
        members: Vec::new(),
    })
}

/// A sync that came to nothing.
pub(super) fn sync_failed(error: ErrorCode) -> Response {
    Response::SyncGroup(SyncGroupAnswer { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() })
}
