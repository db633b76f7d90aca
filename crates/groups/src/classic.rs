//! Groups of the classic protocol: members join, one of them assigns, all learn what they got.
//!
//! What members say to each other is opaque, whatever the kind of the group; only the subscriptions of consumers are looked
//! into, for the topics that are in use. A generation becomes hard when its assignment is written ([`written`]); everything
//! before that, and every deadline, is soft.

mod answers;
mod due;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod subscription;
mod sync;
mod written;

use std::{collections::BTreeSet, sync::Arc};

use imbl::{OrdMap, OrdSet};
use levada_shard::Token;
use levada_types::{ErrorCode, TimestampMs};

pub(crate) use member::{ClassicMember, MemberId};

use crate::{
    api::{DescribeGroupAnswer, DescribedMember, JoinedMember},
    draft::Draft,
    records::GroupMetadata,
};

/// The kind of group whose members say in their subscriptions which topics they use.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum ClassicState {
    /// It has no members.
    #[default]
    Empty,
    /// Its members are joining the next generation.
    PreparingRebalance,
    /// They have joined, and wait for the leader's assignment.
    CompletingRebalance,
    /// Everybody may know the assignment.
    Stable,
}

impl ClassicState {
    /// Its name, as Kafka has it. (`Dead` is what a group that does not exist is described as.)
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The joining for the next generation.
#[derive(Debug, Clone, Copy)]
struct Joining {
    /// When it ends, whoever is missing.
    deadline: TimestampMs,
    /// Of a group that was empty: how it waits for more members.
    initial: Option<InitialDelay>,
}

/// How a group that was empty waits for more members (`group.initial.rebalance.delay.ms`).
#[derive(Debug, Clone, Copy)]
struct InitialDelay {
    /// By how much the wait may still be extended, in milliseconds.
    remaining_ms: i64,
    /// Whether somebody has come since the wait was last extended.
    has_newcomer: bool,
}

/// A group of the classic protocol, or one that only has offsets. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassicGroup {
    /// Hard: what the newest record of the group says. Everything else is soft.
    written: Option<Arc<GroupMetadata>>,
    state: ClassicState,
    /// Since when it is in this state.
    state_since: TimestampMs,
    generation: i32,
    protocol_type: Option<Arc<str>>,
    protocol_name: Option<Arc<str>>,
    leader: Option<MemberId>,
    members: OrdMap<MemberId, Arc<ClassicMember>>,
    /// The members that have a name (KIP-345).
    static_members: OrdMap<Arc<str>, MemberId>,
    /// Ids that were given out and not joined with yet (KIP-394), and when they lapse.
    pending_joins: OrdMap<MemberId, TimestampMs>,
    /// Members of this generation that have not asked for their assignment.
    pending_syncs: OrdSet<MemberId>,
    /// Until when they may.
    sync_deadline: Option<TimestampMs>,
    /// How many members support a protocol.
    supported: OrdMap<Arc<str>, usize>,
    /// How many members wait for their join to be answered.
    joined: usize,
    /// While [`ClassicState::PreparingRebalance`].
    joining: Option<Joining>,
    /// The topics of a group of consumers; `None` if they cannot be told.
    topics: Option<Arc<BTreeSet<String>>>,
    /// Not later than the first deadline of all.
    due: Option<TimestampMs>,
}

impl ClassicGroup {
    /// Whether it has no members. Ids that were given out do not count.
    pub(crate) fn is_empty(&self) -> bool {
        self.state == ClassicState::Empty
    }

    /// Whether nothing would be lost with it but offsets.
    pub(crate) fn is_bare(&self) -> bool {
        self.written.is_none() && self.state == ClassicState::Empty && self.pending_joins.is_empty()
    }

    /// A time not later than the first deadline.
    pub(crate) fn next_deadline(&self) -> Option<TimestampMs> {
        self.due
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> ClassicState {
        self.state
    }

    /// Since when.
    pub(crate) fn state_since(&self) -> TimestampMs {
        self.state_since
    }

    /// The generation: 0 before the first.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// The kind of the group; `None` if nobody ever joined it.
    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// The chosen protocol.
    pub(crate) fn protocol_name(&self) -> Option<&str> {
        self.protocol_name.as_deref()
    }

    /// The members, by id.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = &ClassicMember> {
        self.members.values().map(AsRef::as_ref)
    }

    /// Whether its members are consumers, whose subscriptions can be read.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Whether its members use the topic; yes if consumers do not tell.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.topics {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers() && !self.is_empty(),
        }
    }

    /// Whether offsets of topics that no member uses may expire while the group has members.
    pub(crate) fn knows_topics(&self) -> bool {
        self.state == ClassicState::Stable && self.topics.is_some()
    }

    /// Describes it.
    pub(crate) fn describe(&self) -> DescribeGroupAnswer {
        let is_settled = self.state == ClassicState::Stable;
        let members = self.members().map(|member| DescribedMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            // While a group rebalances, what members said and were told is of no generation.
            metadata: self.protocol_name().filter(|_| is_settled).map(|name| member.metadata(name)).unwrap_or_default(),
            assignment: if is_settled { member.assignment.clone() } else { bytes::Bytes::new() },
        });
        DescribeGroupAnswer {
            error: ErrorCode::None,
            error_message: None,
            state: self.state.name().to_owned(),
            protocol_type: self.protocol_type().unwrap_or_default().to_owned(),
            protocol: self.protocol_name().filter(|_| is_settled).unwrap_or_default().to_owned(),
            members: members.collect(),
        }
    }

    fn transition(&mut self, state: ClassicState, now: TimestampMs) {
        self.state = state;
        self.state_since = now;
    }

    /// Has the group looked at by `deadline` at the latest.
    fn look_at(&mut self, deadline: TimestampMs) {
        self.due = Some(self.due.map_or(deadline, |due| due.min(deadline)));
    }

    fn member(&self, member_id: &str) -> Option<&ClassicMember> {
        self.members.get(member_id).map(AsRef::as_ref)
    }

    fn member_mut(&mut self, member_id: &str) -> Option<&mut ClassicMember> {
        self.members.get_mut(member_id).map(Arc::make_mut)
    }

    /// Whether this id, under this name if it has one, is a member's.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if current.as_ref() != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// A member was heard of: its session begins anew.
    fn renew_session(&mut self, member_id: &str, now: TimestampMs) {
        if let Some(member) = self.member_mut(member_id) {
            member.renew_session(now);
            let deadline = member.deadline;
            self.look_at(deadline);
        }
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Everybody, as the leader is told.
    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name().unwrap_or_default();
        self.members()
            .map(|member| JoinedMember {
                member_id: member.member_id.to_string(),
                group_instance_id: member.instance_id.as_deref().map(str::to_owned),
                metadata: member.metadata(protocol),
            })
            .collect()
    }

    fn add_member(&mut self, member: ClassicMember) {
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.member_id.clone());
        }
        self.leader.get_or_insert_with(|| member.member_id.clone());
        self.pending_joins.remove(&member.member_id);
        self.count_protocols(&member, 1);
        self.joined += usize::from(member.join.is_some());
        self.members.insert(member.member_id.clone(), Arc::new(member));
    }

    /// Takes a member out. What it waits for is answered with `error`.
    fn remove_member(&mut self, member_id: &str, error: ErrorCode, draft: &mut Draft<'_>) {
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
        let Some(member) = self.members.remove(member_id) else { return };
        self.count_protocols(&member, -1);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id).is_some_and(|current| *current == member.member_id)
        {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        if let Some(token) = member.join {
            self.joined -= 1;
            draft.answer(token, answers::join_failed(error, ""));
        }
        if let Some(token) = member.sync {
            draft.answer(token, answers::sync_failed(error));
        }
    }

    fn count_protocols(&mut self, member: &ClassicMember, by: isize) {
        for protocol in member.protocols.iter() {
            let name: Arc<str> = protocol.name.as_str().into();
            let count = self.supported.get(&name).copied().unwrap_or(0).saturating_add_signed(by);
            if count == 0 {
                self.supported.remove(&name);
            } else {
                self.supported.insert(name, count);
            }
        }
    }

    /// Answers every request that waits with this error; for a group that changes its protocol.
    pub(crate) fn fail_waiting(&mut self, error: ErrorCode, draft: &mut Draft<'_>) {
        let waiting: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, member)| member.join.is_some() || member.sync.is_some())
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in waiting {
            if let Some(token) = self.take_join(&member_id) {
                draft.answer(token, answers::join_failed(error, &member_id));
            }
            if let Some(token) = self.member_mut(&member_id).and_then(|member| member.sync.take()) {
                draft.answer(token, answers::sync_failed(error));
            }
        }
    }

    /// The join that a member waits with, which it then no longer does.
    fn take_join(&mut self, member_id: &str) -> Option<Token> {
        let token = self.member_mut(member_id)?.join.take()?;
        self.joined -= 1;
        Some(token)
    }

    /// Whether a commit of this client is taken; a member that commits is alive.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    pub(crate) fn check_commit(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        now: TimestampMs,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.is_empty() {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == ClassicState::CompletingRebalance {
            // The member that commits was told to stop before it joined.
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.renew_session(member_id, now);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
