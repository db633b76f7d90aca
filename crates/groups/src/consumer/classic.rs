//! Members that speak the classic protocol in a group of the next-generation one: they join, are told what they may own,
//! and are asked to join again when that changes (KIP-848, migration).

use std::sync::Arc;

use bytes::Bytes;
use levada_shard::Token;
use levada_types::{ErrorCode, TopicId};

use super::{ConsumerGroup, after, embedded, hard::Member, migration};
use crate::{
    api::{
        Heartbeat, HeartbeatAnswer, JoinGroup, JoinGroupAnswer, LeaveGroup, LeaveGroupAnswer, LeavingMember,
        LeftMember, Protocol, Response, SyncGroup, SyncGroupAnswer, TopicPartitions,
    },
    classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup},
    draft::Draft,
    group::Group,
    records::{ClassicMember, ConsumerMember, CurrentAssignment, MemberState},
};

/// What came of a join.
enum Joined {
    /// The member is in the group.
    Answer(JoinGroupAnswer),
    /// It takes the place of the last member of the next-generation protocol: the group becomes a classic one first.
    HandOver,
}

/// A member of the classic protocol joins a group with members that is of the next-generation one.
pub(crate) fn join(group: &mut Option<Group>, token: Token, request: &JoinGroup, draft: &mut Draft<'_>) {
    let Some(Group::Consumer(consumer)) = group else {
        draft.answer(token, Response::JoinGroup(refused(ErrorCode::UnknownMemberId, &request.member_id)));
        return;
    };
    consumer.refresh(draft);
    match consumer.try_join(request, draft) {
        Ok(Joined::Answer(answer)) => {
            draft.answer(token, Response::JoinGroup(answer));
            migration::downgrade(group, draft);
        }
        Ok(Joined::HandOver) => {
            if consumer.is_empty() {
                consumer.write_tombstones(&Arc::clone(&draft.group_id), draft);
                *group = Some(Group::Classic(ClassicGroup::default()));
            } else {
                migration::downgrade(group, draft);
            }
            match group {
                Some(Group::Classic(classic)) => classic.join(token, request, draft),
                _ => draft
                    .answer(token, Response::JoinGroup(refused(ErrorCode::RebalanceInProgress, &request.member_id))),
            }
        }
        Err(error) => draft.answer(token, Response::JoinGroup(refused(error, &request.member_id))),
    }
}

/// A member of the classic protocol leaves such a group (which may become a classic one by that).
pub(crate) fn leave(group: &mut Option<Group>, token: Token, request: LeaveGroup, draft: &mut Draft<'_>) {
    let Some(Group::Consumer(consumer)) = group else {
        let answer = LeaveGroupAnswer { error: ErrorCode::UnknownMemberId, members: Vec::new() };
        draft.answer(token, Response::LeaveGroup(answer));
        return;
    };
    consumer.refresh(draft);
    let answer = consumer.leave_all(request.members, draft);
    draft.answer(token, Response::LeaveGroup(answer));
    migration::downgrade(group, draft);
}

impl ConsumerGroup {
    fn try_join(&mut self, request: &JoinGroup, draft: &mut Draft<'_>) -> Result<Joined, ErrorCode> {
        if !self.supports(request) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let protocol = request.protocols.first().ok_or(ErrorCode::InconsistentGroupProtocol)?;
        // All protocols say the same of a consumer.
        let subscription =
            embedded::Subscription::read(&protocol.metadata).map_err(|_| ErrorCode::InconsistentGroupProtocol)?;
        let is_newcomer = request.member_id.is_empty();
        let owner = request.group_instance_id.as_deref().map(|instance| self.hard.instances.get(instance).cloned());
        if let Some(owner) = &owner
            && !is_newcomer
        {
            match owner {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(owner) if **owner != *request.member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        let replaced = owner.flatten().filter(|_| is_newcomer);
        let is_known = self.member(&request.member_id).is_some() || replaced.is_some();
        if !is_known && subscription.owned.iter().any(|(_, partitions)| !partitions.is_empty()) {
            // It was a member, and what it had may be somebody else's: it has to lose that before it joins.
            return Err(ErrorCode::UnknownMemberId);
        }
        if !is_known && self.hard.members.len() >= usize::try_from(draft.config.group_consumer_max_size).unwrap_or(0) {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if is_newcomer && request.group_instance_id.is_none() && request.requires_known_member_id {
            let id = draft.fresh_id().to_string();
            return Ok(Joined::Answer(refused(ErrorCode::MemberIdRequired, &id)));
        }
        if let Some(replaced) = &replaced
            && self.is_last_of_its_protocol(replaced)
            && self.may_become_classic(draft.config)
        {
            self.remove(replaced, draft);
            return Ok(Joined::HandOver);
        }
        let id: Arc<str> = match self.hard.members.get_key_value(request.member_id.as_str()) {
            Some((id, _)) => Arc::clone(id),
            None if is_newcomer => draft.fresh_id().to_string().into(),
            None => request.member_id.as_str().into(),
        };
        if let Some(replaced) = &replaced {
            self.replace(replaced, &id, draft);
        }
        let answer = self.join_as(&id, request, subscription, draft);
        Ok(Joined::Answer(answer))
    }

    /// Whether this is the one member that does not speak the classic protocol.
    fn is_last_of_its_protocol(&self, id: &str) -> bool {
        self.member(id).is_some_and(|member| !member.is_classic())
            && self.hard.members.len() == self.hard.classic_members as usize + 1
    }

    fn join_as(
        &mut self,
        id: &Arc<str>,
        request: &JoinGroup,
        subscription: embedded::Subscription,
        draft: &mut Draft<'_>,
    ) -> JoinGroupAnswer {
        let old = self.member(id).map(|member| Arc::clone(&member.told)).unwrap_or_default();
        let told = ConsumerMember {
            instance_id: request.group_instance_id.clone().or_else(|| old.instance_id.clone()),
            rack_id: subscription.rack.or_else(|| old.rack_id.clone()),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            topic_names: subscription.topics.into_iter().collect(),
            topic_regex: None,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            server_assignor: None,
            classic: Some(ClassicMember {
                session_timeout_ms: request.session_timeout_ms,
                protocols: request.protocols.iter().map(copied).collect(),
            }),
        };
        let resubscribed = self.tell(id, told, draft);
        if resubscribed {
            self.bump(draft);
        }
        self.assign_if_due(draft);
        let owned: Vec<TopicPartitions> = subscription
            .owned
            .into_iter()
            .filter_map(|(topic, partitions)| {
                Some(TopicPartitions { topic_id: draft.image.topic_id(&topic)?, partitions })
            })
            .collect();
        self.reconcile(id, Some(&owned), resubscribed, draft);
        let session = after(draft.now, request.session_timeout_ms);
        let sync = after(draft.now, request.rebalance_timeout_ms);
        self.clocks.set(id, |clock| {
            clock.session = Some(session);
            clock.join = None;
            clock.sync = Some(sync);
        });
        JoinGroupAnswer {
            error: ErrorCode::None,
            generation_id: self.member(id).map_or(-1, |member| member.current.epoch),
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
            protocol_name: request.protocols.first().map(|protocol| protocol.name.clone()),
            // Nobody leads: the coordinator assigns.
            leader: String::new(),
            skip_assignment: false,
            member_id: id.to_string(),
            members: Vec::new(),
        }
    }

    /// Whether whoever joins has a protocol in common with all other members of the classic protocol.
    fn supports(&self, request: &JoinGroup) -> bool {
        let all = self.hard.classic_members;
        let by_all = |name: &str| self.hard.classic_protocols.get(name).copied().unwrap_or(0) == all;
        request.protocol_type == CONSUMER_PROTOCOL_TYPE
            && request.protocols.iter().any(|protocol| by_all(&protocol.name))
    }

    /// A member of the classic protocol under this id and name.
    fn classic_member(
        &self,
        id: &str,
        instance_id: Option<&str>,
    ) -> Result<(Arc<str>, Member, ClassicMember), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.hard.instances.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(owner) if **owner != *id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        let (id, member) = self.hard.members.get_key_value(id).ok_or(ErrorCode::UnknownMemberId)?;
        let classic = member.told.classic.clone().ok_or(ErrorCode::UnknownMemberId)?;
        Ok((Arc::clone(id), member.clone(), classic))
    }

    /// A member of the classic protocol asks for its assignment.
    pub(crate) fn sync(&mut self, token: Token, request: SyncGroup, draft: &mut Draft<'_>) {
        self.refresh(draft);
        let answer = self.try_sync(request, draft).unwrap_or_else(|error| SyncGroupAnswer {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        });
        draft.answer(token, Response::SyncGroup(answer));
    }

    fn try_sync(&mut self, request: SyncGroup, draft: &mut Draft<'_>) -> Result<SyncGroupAnswer, ErrorCode> {
        let (id, member, classic) = self.classic_member(&request.member_id, request.group_instance_id.as_deref())?;
        if member.current.epoch != request.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let protocol = classic.protocols.first().ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let is_other = |told: &Option<String>, own: &str| told.as_deref().is_some_and(|told| told != own);
        if is_other(&request.protocol_type, CONSUMER_PROTOCOL_TYPE) || is_other(&request.protocol_name, &protocol.name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if member.current.epoch < self.hard.assignment_epoch()
            && member.current.state != MemberState::UnrevokedPartitions
        {
            self.ask_to_join(&id, &member, draft);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let session = after(draft.now, classic.session_timeout_ms);
        self.clocks.set(&id, |clock| {
            clock.session = Some(session);
            clock.sync = None;
        });
        Ok(SyncGroupAnswer {
            error: ErrorCode::None,
            protocol_type: request.protocol_type,
            protocol_name: request.protocol_name,
            assignment: told_to_classic(&member.current, &classic, draft),
        })
    }

    /// A member of the classic protocol gives a sign of life.
    pub(crate) fn classic_heartbeat(&mut self, token: Token, request: &Heartbeat, draft: &mut Draft<'_>) {
        self.refresh(draft);
        let error = self.try_classic_heartbeat(request, draft).err().unwrap_or(ErrorCode::None);
        draft.answer(token, Response::Heartbeat(HeartbeatAnswer { error }));
    }

    fn try_classic_heartbeat(&mut self, request: &Heartbeat, draft: &mut Draft<'_>) -> Result<(), ErrorCode> {
        let (id, member, classic) = self.classic_member(&request.member_id, request.group_instance_id.as_deref())?;
        if member.current.epoch != request.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let session = after(draft.now, classic.session_timeout_ms);
        self.clocks.set(&id, |clock| clock.session = Some(session));
        let is_behind = member.current.epoch < self.hard.assignment_epoch();
        let is_to_revoke = member.current.state == MemberState::UnrevokedPartitions;
        let may_get_more =
            member.current.state == MemberState::UnreleasedPartitions && !self.waits_for_others(&id, &member);
        if is_behind || is_to_revoke || may_get_more {
            self.ask_to_join(&id, &member, draft);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// From now on the member has its rebalance timeout to join again.
    fn ask_to_join(&mut self, id: &Arc<str>, member: &Member, draft: &Draft<'_>) {
        let deadline = after(draft.now, member.told.rebalance_timeout_ms);
        self.clocks.set(id, |clock| _ = clock.join.get_or_insert(deadline));
    }

    /// Whether others own what the member is to own.
    fn waits_for_others(&self, id: &Arc<str>, member: &Member) -> bool {
        let subscribed = self.subscription(&member.told);
        let is_elsewhere = |&(topic, partition): &(TopicId, _)| {
            subscribed.contains(&topic) && self.hard.owners.get(&(topic, partition)).is_some_and(|owner| owner != id)
        };
        self.hard.targets.get(id).is_some_and(|target| target.iter().any(|partition| is_elsewhere(&partition)))
    }

    fn leave_all(&mut self, leaving: Vec<LeavingMember>, draft: &mut Draft<'_>) -> LeaveGroupAnswer {
        let mut has_lost_members = false;
        let members = leaving
            .into_iter()
            .map(|leaving| {
                let error = match self.who_leaves(&leaving) {
                    Ok(id) => {
                        has_lost_members |= self.remove(&id, draft);
                        ErrorCode::None
                    }
                    Err(error) => error,
                };
                LeftMember { member_id: leaving.member_id, group_instance_id: leaving.group_instance_id, error }
            })
            .collect();
        if has_lost_members {
            self.after_leaving(draft);
        }
        LeaveGroupAnswer { error: ErrorCode::None, members }
    }

    fn who_leaves(&self, leaving: &LeavingMember) -> Result<Arc<str>, ErrorCode> {
        let instance_id = leaving.group_instance_id.as_deref();
        // An operator names a static member by its name alone.
        let id = match instance_id.filter(|_| leaving.member_id.is_empty()) {
            Some(instance_id) => self.hard.instances.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?,
            None => leaving.member_id.as_str(),
        };
        self.classic_member(id, instance_id).map(|(id, _, _)| id)
    }
}

/// What is kept is copied, since it is a slice of all that the connection received with it.
fn copied(protocol: &Protocol) -> Protocol {
    Protocol { name: protocol.name.clone(), metadata: Bytes::copy_from_slice(&protocol.metadata) }
}

/// What a member of the classic protocol is told that it may own, in the version that it speaks.
pub(super) fn told_to_classic(current: &CurrentAssignment, classic: &ClassicMember, draft: &Draft<'_>) -> Bytes {
    let version = classic
        .protocols
        .first()
        .and_then(|protocol| embedded::Subscription::read(&protocol.metadata).ok())
        .map_or(0, |subscription| subscription.version);
    let named =
        current.assigned.told().into_iter().filter_map(|topic| {
            Some((draft.image.topic(topic.topic_id)?.name().as_str().to_owned(), topic.partitions))
        });
    embedded::write_assignment(&named.collect(), version)
}

fn refused(error: ErrorCode, member_id: &str) -> JoinGroupAnswer {
    JoinGroupAnswer {
        error,
        generation_id: -1,
        protocol_type: None,
        protocol_name: None,
        leader: String::new(),
        skip_assignment: false,
        member_id: member_id.to_owned(),
        members: Vec::new(),
    }
}
