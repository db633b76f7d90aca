//! Groups of the classic protocol, asked as clients ask.

mod membership;
mod rebalances;
mod static_members;

use bytes::Bytes;
use levada_shard::Token;
use levada_types::ErrorCode;

use crate::{
    api::{
        DescribeGroup, DescribeGroupAnswer, Heartbeat, JoinGroup, JoinGroupAnswer, LeaveGroup, LeaveGroupAnswer,
        LeavingMember, Protocol, Request, Response, SyncGroup, SyncGroupAnswer,
    },
    world::World,
};

pub(crate) const SESSION_MS: i32 = 10_000;
pub(crate) const REBALANCE_MS: i32 = 30_000;
pub(crate) const INITIAL_MS: i64 = 3_000;

/// A consumer's subscription to these topics, in its oldest version.
pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend_from_slice(&i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend_from_slice(&i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(topic.as_bytes());
    }
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes.into()
}

pub(crate) fn protocol(name: &str) -> Protocol {
    Protocol { name: name.to_owned(), metadata: subscription(&["orders"]) }
}

/// A client that wants to join.
pub(crate) fn joining(group: &str) -> JoinGroup {
    JoinGroup {
        group_id: group.to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        member_id: String::new(),
        group_instance_id: None,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range")],
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        reason: None,
        requires_known_member_id: false,
        supports_skipping_assignment: true,
    }
}

impl World {
    pub(crate) fn join(&mut self, request: JoinGroup) -> Token {
        self.ask(Request::JoinGroup(request))
    }

    pub(crate) fn joined(&mut self, token: Token) -> JoinGroupAnswer {
        match self.take(token).expect("the join still waits") {
            Response::JoinGroup(answer) => answer,
            other => panic!("not the answer to a join: {other:?}"),
        }
    }

    pub(crate) fn sync(&mut self, group: &str, joined: &JoinGroupAnswer, assignments: &[(&str, &str)]) -> Token {
        let assignments =
            assignments.iter().map(|(id, told)| ((*id).to_owned(), Bytes::copy_from_slice(told.as_bytes())));
        self.ask(Request::SyncGroup(SyncGroup {
            group_id: group.to_owned(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: None,
            protocol_type: joined.protocol_type.clone(),
            protocol_name: joined.protocol_name.clone(),
            assignments: assignments.collect(),
        }))
    }

    pub(crate) fn synced(&mut self, token: Token) -> SyncGroupAnswer {
        match self.take(token).expect("the sync still waits") {
            Response::SyncGroup(answer) => answer,
            other => panic!("not the answer to a sync: {other:?}"),
        }
    }

    pub(crate) fn sign_of_life(&mut self, group: &str, generation_id: i32, member_id: &str) -> ErrorCode {
        let request = Heartbeat {
            group_id: group.to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            group_instance_id: None,
        };
        match self.answer(Request::Heartbeat(request)) {
            Response::Heartbeat(answer) => answer.error,
            other => panic!("not the answer to a heartbeat: {other:?}"),
        }
    }

    pub(crate) fn leave(&mut self, group: &str, members: &[(&str, Option<&str>)]) -> LeaveGroupAnswer {
        let members = members.iter().map(|(member_id, name)| LeavingMember {
            member_id: (*member_id).to_owned(),
            group_instance_id: name.map(str::to_owned),
            reason: None,
        });
        match self.answer(Request::LeaveGroup(LeaveGroup { group_id: group.to_owned(), members: members.collect() })) {
            Response::LeaveGroup(answer) => answer,
            other => panic!("not the answer to a leave: {other:?}"),
        }
    }

    pub(crate) fn described(&mut self, group: &str) -> DescribeGroupAnswer {
        match self.answer(Request::DescribeGroup(DescribeGroup { group_id: group.to_owned() })) {
            Response::DescribeGroup(answer) => answer,
            other => panic!("not a description: {other:?}"),
        }
    }

    /// A group of so many members, settled: what each was told when it joined, the leader first.
    pub(crate) fn settled(&mut self, group: &str, members: usize) -> Vec<JoinGroupAnswer> {
        let tokens: Vec<Token> = (0..members).map(|_| self.join(joining(group))).collect();
        while tokens.iter().any(|token| !self.answers.contains_key(token)) {
            self.pass(1_000);
        }
        let mut joined: Vec<JoinGroupAnswer> = tokens.into_iter().map(|token| self.joined(token)).collect();
        joined.sort_by_key(|answer| answer.leader != answer.member_id);
        let ids: Vec<String> = joined.iter().map(|answer| answer.member_id.clone()).collect();
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "all")).collect();
        for (number, answer) in joined.iter().enumerate() {
            let told: &[_] = if number == 0 { &assignments } else { &[] };
            let token = self.sync(group, answer, told);
            assert_eq!(self.synced(token).error, ErrorCode::None);
        }
        assert_eq!(self.described(group).state, "Stable");
        joined
    }
}

/// The same client, with what it knows of itself by now.
pub(crate) fn again(group: &str, joined: &JoinGroupAnswer) -> JoinGroup {
    JoinGroup { member_id: joined.member_id.clone(), ..joining(group) }
}
