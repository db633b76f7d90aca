//! LeaveGroup.

use levada_types::ErrorCode;

use super::{ClassicGroup, MemberId};
use crate::{
    api::{LeaveGroup, LeaveGroupAnswer, LeavingMember, LeftMember},
    draft::Draft,
};

impl ClassicGroup {
    /// Cease to be members, each by its id, by its id and name, or by its name alone.
    pub(crate) fn leave(&mut self, request: LeaveGroup, draft: &mut Draft<'_>) -> LeaveGroupAnswer {
        let mut has_lost_members = false;
        let members = request.members.into_iter().map(|leaving| {
            let error = match self.who_leaves(&leaving) {
                Ok(member_id) => {
                    self.remove_member(&member_id, ErrorCode::UnknownMemberId, draft);
                    has_lost_members = true;
                    ErrorCode::None
                }
                Err(error) => error,
            };
            LeftMember { member_id: leaving.member_id, group_instance_id: leaving.group_instance_id, error }
        });
        let members = members.collect();
        if has_lost_members {
            self.go_on_without_member(draft);
        }
        LeaveGroupAnswer { error: ErrorCode::None, members }
    }

    fn who_leaves(&self, leaving: &LeavingMember) -> Result<MemberId, ErrorCode> {
        let member_id = leaving.member_id.as_str();
        if member_id.is_empty() {
            let name = leaving.group_instance_id.as_deref().ok_or(ErrorCode::UnknownMemberId)?;
            return self.static_members.get(name).cloned().ok_or(ErrorCode::UnknownMemberId);
        }
        if !self.pending_joins.contains_key(member_id) {
            self.check_member(member_id, leaving.group_instance_id.as_deref())?;
        }
        Ok(member_id.into())
    }
}
