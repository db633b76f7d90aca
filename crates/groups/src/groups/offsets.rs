//! Requests about committed offsets.

use levada_shard::{Context, Token};
use levada_types::ErrorCode;

use super::{Groups, MAX_GROUP_ID_BYTES, Slot};
use crate::{
    api::{DeleteOffsets, DeleteOffsetsAnswer, FetchOffsets, FetchOffsetsAnswer, OffsetCommit, Response},
    consumer::CommitScope,
    group::Group,
    offsets,
    outcome::Outcome,
};

impl Groups {
    pub(super) fn commit(
        &mut self,
        token: Token,
        request: OffsetCommit,
        context: &mut Context<'_>,
        outcome: &mut Outcome,
    ) {
        if request.group_id.len() > MAX_GROUP_ID_BYTES {
            let answer = offsets::refused(request, ErrorCode::InvalidGroupId);
            outcome.answer(token, Response::OffsetCommit(answer));
            return;
        }
        let group_id = request.group_id.clone();
        self.with(&group_id, context, outcome, |slot, offsets, draft| {
            let answer = match check_commit(slot, &request, draft.now) {
                Ok(scope) => offsets.commit(slot.number, request, scope.as_ref(), draft),
                Err(error) => offsets::refused(request, error),
            };
            draft.answer(token, Response::OffsetCommit(answer));
        });
    }

    pub(super) fn fetch(&self, request: FetchOffsets, context: &Context<'_>) -> FetchOffsetsAnswer {
        let slot = self.slot(&request.group_id);
        // Who names no member and no epoch is a tool, or a client of the classic protocol.
        let is_member = request.member_id.is_some() || request.member_epoch >= 0;
        if let Some(Group::Consumer(group)) = slot.and_then(|slot| slot.group.as_ref())
            && is_member
            && let Err(error) =
                group.check_fetch(request.member_id.as_deref().unwrap_or_default(), request.member_epoch)
        {
            return FetchOffsetsAnswer { error, topics: Vec::new() };
        }
        self.offsets.fetch(slot.map(|slot| slot.number), request, context.image)
    }

    pub(super) fn delete_offsets(
        &mut self,
        token: Token,
        request: DeleteOffsets,
        context: &mut Context<'_>,
        outcome: &mut Outcome,
    ) {
        let error = match self.group(&request.group_id) {
            _ if request.group_id.is_empty() => ErrorCode::InvalidGroupId,
            None => ErrorCode::GroupIdNotFound,
            // What members of other kinds use cannot be told.
            Some(Group::Classic(group)) if !group.is_empty() && !group.is_of_consumers() => ErrorCode::NonEmptyGroup,
            Some(_) => ErrorCode::None,
        };
        if error != ErrorCode::None {
            let answer = DeleteOffsetsAnswer { error, topics: Vec::new() };
            outcome.answer(token, Response::DeleteOffsets(answer));
            return;
        }
        let group_id = request.group_id.clone();
        self.with(&group_id, context, outcome, |slot, offsets, draft| {
            let group = slot.group.as_ref();
            let is_used = |topic: &str| group.is_some_and(|group| group.is_subscribed_to(topic));
            let answer = offsets.delete(slot.number, request, is_used, draft);
            draft.answer(token, Response::DeleteOffsets(answer));
        });
    }
}

/// Whether the client may commit; and, where that depends, what.
fn check_commit(
    slot: &mut Slot,
    request: &OffsetCommit,
    now: levada_types::TimestampMs,
) -> Result<Option<CommitScope>, ErrorCode> {
    let member_id = request.member_id.as_str();
    let instance_id = request.group_instance_id.as_deref();
    let epoch = request.generation_id_or_member_epoch;
    match &mut slot.group {
        // Who is no member may commit for a group that has none.
        None if epoch < 0 => Ok(None),
        None => Err(ErrorCode::IllegalGeneration),
        Some(Group::Classic(group)) => group.check_commit(member_id, instance_id, epoch, now).map(|()| None),
        Some(Group::Consumer(group)) if epoch < 0 && group.is_empty() => Ok(None),
        Some(Group::Consumer(group)) => {
            group.check_commit(member_id, instance_id, epoch, request.stream_number).map(Some)
        }
    }
}
