//! What of a group is in the log, and what is made of it when the shard is loaded.

use std::sync::Arc;

use bytes::Bytes;
use levada_types::TimestampMs;

use super::{ClassicGroup, ClassicMember, ClassicState};
use crate::{
    api::Protocol,
    draft::Draft,
    records::{GroupMetadata, MemberMetadata, Record},
};

impl ClassicGroup {
    /// Takes in the newest record of the group.
    pub(crate) fn replay(&mut self, written: Option<GroupMetadata>) {
        self.written = written.map(Arc::new);
    }

    /// What is hard of it.
    #[cfg(test)]
    pub(crate) fn written(&self) -> Option<&GroupMetadata> {
        self.written.as_deref()
    }

    /// Makes what is soft of what is hard: the last generation that was written, in which everybody's session begins now.
    /// A rebalance that was under way is forgotten: who waited in it asks again.
    pub(crate) fn resume(&mut self, now: TimestampMs) {
        let written = self.written.take();
        *self = Self { written: written.clone(), ..Self::default() };
        let Some(written) = written else { return };
        self.generation = written.generation;
        self.protocol_type = (!written.protocol_type.is_empty()).then(|| written.protocol_type.as_str().into());
        self.state_since = written.state_since.unwrap_or(now);
        let protocol = written.protocol.as_deref().unwrap_or_default();
        for member in &written.members {
            let mut member = read_member(member, &written.protocol_type, protocol);
            member.renew_session(now);
            self.look_at(member.deadline);
            self.add_member(member);
        }
        if !self.members.is_empty() {
            self.state = ClassicState::Stable;
            self.protocol_name = written.protocol.as_deref().map(Arc::from);
            let is_member = |id: &&str| self.members.contains_key(*id);
            if let Some(leader) = written.leader.as_deref().filter(is_member) {
                self.leader = Some(leader.into());
            }
        }
        self.topics = self.subscribed_topics();
    }

    /// Writes the generation as it stands.
    pub(super) fn write(&mut self, draft: &mut Draft<'_>) {
        let protocol = self.protocol_name().unwrap_or_default();
        let members = self.members().map(|member| write_member(member, protocol)).collect();
        let written = GroupMetadata {
            protocol_type: self.protocol_type().unwrap_or_default().to_owned(),
            generation: self.generation,
            protocol: self.protocol_name().map(str::to_owned),
            leader: self.leader.as_deref().map(str::to_owned),
            state_since: Some(self.state_since),
            members,
        };
        let group_id = draft.group_id.clone();
        draft.write(&Record::Group(&group_id, Some(written.clone())));
        self.replay(Some(written));
    }

    /// Writes that the group is gone, if the log says that it is there. What else is in it must not matter any more.
    pub(crate) fn write_tombstone(&mut self, draft: &mut Draft<'_>) {
        if self.written.take().is_some() {
            let group_id = draft.group_id.clone();
            draft.write(&Record::Group(&group_id, None));
        }
    }

    /// A group of these members, none of which waits, in a stable generation that is written: what is left of a group of
    /// the next-generation protocol when only members of the classic one are left (KIP-848). `assignment` of each is what
    /// it was told.
    pub(crate) fn from_members(
        generation: i32,
        protocol_type: &str,
        members: Vec<ClassicMember>,
        draft: &mut Draft<'_>,
    ) -> Self {
        let mut group = Self { generation, protocol_type: Some(protocol_type.into()), ..Self::default() };
        for mut member in members {
            member.renew_session(draft.now);
            group.look_at(member.deadline);
            group.add_member(member);
        }
        group.protocol_name = group.select_protocol();
        group.topics = group.subscribed_topics();
        let state = if group.members.is_empty() { ClassicState::Empty } else { ClassicState::Stable };
        group.transition(state, draft.now);
        group.write(draft);
        group
    }

    /// Has all members join again, since what they were told is no longer right.
    pub(crate) fn rebalance(&mut self, draft: &mut Draft<'_>) {
        if !self.is_empty() {
            self.rebalance_or_complete(draft);
        }
    }
}

impl ClassicMember {
    /// A member that waits for nothing.
    pub(crate) fn new(metadata: &MemberMetadata, protocol_type: &str, protocols: Arc<[Protocol]>) -> Self {
        Self {
            member_id: metadata.member_id.as_str().into(),
            instance_id: metadata.group_instance_id.as_deref().map(Arc::from),
            client_id: metadata.client_id.as_str().into(),
            client_host: metadata.client_host.as_str().into(),
            session_timeout_ms: metadata.session_timeout_ms,
            rebalance_timeout_ms: metadata.rebalance_timeout_ms,
            protocol_type: protocol_type.into(),
            protocols,
            assignment: metadata.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
            deadline: 0,
        }
    }
}

fn read_member(written: &MemberMetadata, protocol_type: &str, protocol: &str) -> ClassicMember {
    // What else it supports is not written; it says so when it joins again.
    let protocols = [Protocol { name: protocol.to_owned(), metadata: written.subscription.clone() }];
    ClassicMember::new(written, protocol_type, protocols.into())
}

fn write_member(member: &ClassicMember, protocol: &str) -> MemberMetadata {
    MemberMetadata {
        member_id: member.member_id.to_string(),
        group_instance_id: member.instance_id.as_deref().map(str::to_owned),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout_ms,
        subscription: member.metadata(protocol),
        assignment: if member.assignment.is_empty() { Bytes::new() } else { member.assignment.clone() },
    }
}
