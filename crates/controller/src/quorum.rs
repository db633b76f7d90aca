//! The quorum as operators see and change it.

use bytes::Bytes;
use levada_metadata::ControllerId;
use levada_proto::internal as pb;
use levada_proto::status::status_of;
use levada_types::{DirectoryId, ErrorCode};
use tonic::Status;
use uuid::Uuid;

use crate::raft::{MemberStanding, VoterError, VoterKey};
use crate::refusal;
use crate::service::Context;

/// Tells how the quorum stands.
pub(crate) fn describe(context: &Context) -> Result<pb::DescribeQuorumResponse, Status> {
    let own_term = context.active.state().borrow().own_term;
    let term = own_term.ok_or_else(|| refusal::not_active(&context.active))?;
    let (voters, observers) = context.raft.members().into_iter().partition::<Vec<_>, _>(|member| member.votes);
    Ok(pb::DescribeQuorumResponse {
        leader_id: context.raft.key().id,
        term,
        committed_offset: context.feed.image().offset().0,
        voters: voters.into_iter().map(member_to).collect(),
        observers: observers.into_iter().map(member_to).collect(),
    })
}

fn member_to(member: MemberStanding) -> pb::QuorumMember {
    pb::QuorumMember {
        id: member.key.id,
        directory: Bytes::copy_from_slice(member.key.directory.0.as_bytes()),
        internal_address: member.address,
        log_end_offset: member.log_end,
        last_heard_ms: member.last_heard.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// Makes a controller that has announced itself a voter.
pub(crate) async fn add_voter(context: &Context, request: pb::AddVoterRequest) -> Result<(), Status> {
    check_active(context)?;
    let pb::AddVoterRequest { id, directory } = request;
    let wanted = directory_in(&directory)?;
    let known = context.feed.image().controller(ControllerId(id)).cloned();
    let known = known.filter(|known| wanted.is_none_or(|wanted| wanted == known.directory)).ok_or_else(|| {
        let message = format!(
            "no controller {id}{} has announced itself; start it with controller.quorum.bootstrap.servers set to this \
             cluster's controllers, and add it then",
            wanted.map(|wanted| format!(" with directory {wanted}")).unwrap_or_default()
        );
        status_of(ErrorCode::ResourceNotFound, message)
    })?;
    let key = VoterKey { id, directory: known.directory };
    let added = context.raft.add_voter(key, known.internal_address.clone()).await;
    added.map_err(|error| refused(&error, context))?;
    tracing::info!(%key, "a controller was given a vote");
    Ok(())
}

/// Takes a controller's vote away.
pub(crate) async fn remove_voter(context: &Context, request: pb::RemoveVoterRequest) -> Result<(), Status> {
    check_active(context)?;
    let wanted = directory_in(&request.directory)?;
    let removed = context.raft.remove_voter(request.id, wanted).await;
    removed.map_err(|error| refused(&error, context))?;
    tracing::info!(controller = request.id, "the vote of a controller was taken away");
    Ok(())
}

fn check_active(context: &Context) -> Result<(), Status> {
    if context.active.is_active() { Ok(()) } else { Err(refusal::not_active(&context.active)) }
}

fn directory_in(bytes: &[u8]) -> Result<Option<DirectoryId>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let id =
        Uuid::from_slice(bytes).map_err(|_| status_of(ErrorCode::InvalidRequest, "a directory id has 16 bytes"))?;
    Ok(Some(DirectoryId(id)))
}

fn refused(error: &VoterError, context: &Context) -> Status {
    let code = match error {
        VoterError::NotLeader => return refusal::not_active(&context.active),
        VoterError::InProgress => ErrorCode::ReassignmentInProgress,
        VoterError::NotCaughtUp(_) => ErrorCode::RequestTimedOut,
        VoterError::OtherDirectory(_) => ErrorCode::DuplicateVoter,
        VoterError::NoVoter(..) => ErrorCode::VoterNotFound,
        VoterError::LastVoter(_) | VoterError::NoMajority(..) => ErrorCode::InvalidRequest,
        VoterError::Raft(_) => ErrorCode::UnknownServerError,
    };
    status_of(code, error.to_string())
}
