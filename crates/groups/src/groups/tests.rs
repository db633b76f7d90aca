//! Shards whose clients come, go, vanish and commit at random, while the shard is taken over and set back.

use levada_shard::Token;
use levada_types::{ErrorCode, TopicId};
use proptest::prelude::*;

use crate::{
    api::{
        CommitPartition, CommitTopic, DeleteGroup, Heartbeat, JoinGroup, JoinGroupAnswer, LeaveGroup, LeavingMember,
        OffsetCommit, Request, Response, SyncGroup,
    },
    classic::tests::{joining, protocol},
    world::{Kept, World},
};

/// Where a client stands.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Out,
    Joining(Token),
    Syncing(Token),
    In,
}

/// A client that does as clients do.
#[derive(Debug, Clone)]
struct Client {
    group: String,
    name: Option<String>,
    requires_id: bool,
    member_id: String,
    joined: Option<JoinGroupAnswer>,
    phase: Phase,
}

impl Client {
    fn new(number: usize) -> Self {
        Self {
            group: format!("g{}", number % 2),
            name: (number % 3 == 2).then(|| format!("name{number}")),
            requires_id: number.is_multiple_of(4),
            member_id: String::new(),
            joined: None,
            phase: Phase::Out,
        }
    }

    /// It vanishes, and starts again without knowing anything but its name.
    fn crash(&mut self) {
        self.member_id.clear();
        self.joined = None;
        self.phase = Phase::Out;
    }

    fn generation(&self) -> i32 {
        self.joined.as_ref().map_or(-1, |joined| joined.generation_id)
    }

    fn join(&mut self, world: &mut World) {
        self.joined = None;
        self.phase = Phase::Joining(world.ask(Request::JoinGroup(JoinGroup {
            member_id: self.member_id.clone(),
            group_instance_id: self.name.clone(),
            requires_known_member_id: self.requires_id,
            protocols: vec![protocol("range"), protocol("sticky")],
            ..joining(&self.group)
        })));
    }

    fn after(&mut self, error: ErrorCode) {
        if matches!(error, ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId) {
            self.member_id.clear();
        }
        self.phase = Phase::Out;
    }

    /// What a client does about once in a second.
    fn step(&mut self, world: &mut World) {
        match self.phase.clone() {
            Phase::Out => self.join(world),
            Phase::Joining(token) => match world.take(token) {
                Some(Response::JoinGroup(answer)) => self.joined(world, answer),
                None if world.has_failed(token) => self.phase = Phase::Out,
                None => {}
                Some(other) => panic!("not the answer to a join: {other:?}"),
            },
            Phase::Syncing(token) => match world.take(token) {
                Some(Response::SyncGroup(answer)) if answer.error == ErrorCode::None => self.phase = Phase::In,
                Some(Response::SyncGroup(answer)) => self.after(answer.error),
                None if world.has_failed(token) => self.phase = Phase::Out,
                None => {}
                Some(other) => panic!("not the answer to a sync: {other:?}"),
            },
            Phase::In => {
                let request = Heartbeat {
                    group_id: self.group.clone(),
                    generation_id: self.generation(),
                    member_id: self.member_id.clone(),
                    group_instance_id: self.name.clone(),
                };
                let Response::Heartbeat(answer) = world.answer(Request::Heartbeat(request)) else {
                    panic!("not the answer to a heartbeat")
                };
                if answer.error != ErrorCode::None {
                    self.after(answer.error);
                    self.join(world);
                }
            }
        }
    }

    fn joined(&mut self, world: &mut World, answer: JoinGroupAnswer) {
        match answer.error {
            ErrorCode::None => {
                self.member_id.clone_from(&answer.member_id);
                let is_leader = answer.leader == answer.member_id && !answer.skip_assignment;
                let members = answer.members.iter().filter(|_| is_leader);
                let assignments = members.map(|member| (member.member_id.clone(), member.member_id.clone().into()));
                self.phase = Phase::Syncing(world.ask(Request::SyncGroup(SyncGroup {
                    group_id: self.group.clone(),
                    generation_id: answer.generation_id,
                    member_id: answer.member_id.clone(),
                    group_instance_id: self.name.clone(),
                    protocol_type: answer.protocol_type.clone(),
                    protocol_name: answer.protocol_name.clone(),
                    assignments: assignments.collect(),
                })));
                self.joined = Some(answer);
            }
            ErrorCode::MemberIdRequired => {
                self.member_id = answer.member_id;
                self.join(world);
            }
            error => self.after(error),
        }
    }

    fn leave(&mut self, world: &mut World) {
        let member =
            LeavingMember { member_id: self.member_id.clone(), group_instance_id: self.name.clone(), reason: None };
        world.answer(Request::LeaveGroup(LeaveGroup { group_id: self.group.clone(), members: vec![member] }));
        self.crash();
    }

    fn commit(&self, world: &mut World, topic: TopicId, offset: i64) {
        let partition = CommitPartition { partition: 0, offset, leader_epoch: None, metadata: None };
        world.answer(Request::OffsetCommit(OffsetCommit {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation(),
            member_id: self.member_id.clone(),
            group_instance_id: self.name.clone().filter(|_| !self.member_id.is_empty()),
            retention_time_ms: None,
            topics: vec![CommitTopic { name: "t".to_owned(), topic_id: Some(topic), partitions: vec![partition] }],
            stream_number: None,
        }));
    }
}

#[derive(Debug, Clone)]
enum Event {
    Step(usize),
    Crash(usize),
    Leave(usize),
    Commit(usize, i64),
    Pass(i64),
    TakeOver,
    Keep,
    SetBack,
    DeleteGroup(usize),
    NewTopic,
}

fn event() -> impl Strategy<Value = Event> {
    let client = 0..CLIENTS;
    prop_oneof![
        12 => client.clone().prop_map(Event::Step),
        1 => client.clone().prop_map(Event::Crash),
        1 => client.clone().prop_map(Event::Leave),
        3 => (client, 0..100i64).prop_map(|(client, offset)| Event::Commit(client, offset)),
        6 => (0..4_000i64).prop_map(Event::Pass),
        1 => (4_000..1_000_000i64).prop_map(Event::Pass),
        1 => Just(Event::TakeOver),
        2 => Just(Event::Keep),
        1 => Just(Event::SetBack),
        1 => (0..2usize).prop_map(Event::DeleteGroup),
        1 => Just(Event::NewTopic),
    ]
}

const CLIENTS: usize = 6;

struct Play {
    world: World,
    clients: Vec<Client>,
    topic: TopicId,
    kept: Option<Kept>,
}

impl Play {
    fn new() -> Self {
        let mut world = World::new();
        let topic = world.create_topic("t", 1);
        Self { world, clients: (0..CLIENTS).map(Client::new).collect(), topic, kept: None }
    }

    fn play(&mut self, event: &Event) {
        let Self { world, clients, topic, kept } = self;
        match *event {
            Event::Step(client) => clients[client].step(world),
            Event::Crash(client) => clients[client].crash(),
            Event::Leave(client) => clients[client].leave(world),
            Event::Commit(client, offset) => clients[client].commit(world, *topic, offset),
            Event::Pass(ms) => world.pass(ms),
            Event::TakeOver => {
                world.take_over();
                // What was under way before is nobody's any more.
                *kept = None;
            }
            Event::Keep => *kept = Some(world.keep()),
            Event::SetBack => {
                if let Some(kept) = kept.take() {
                    world.set_back(kept);
                }
            }
            Event::DeleteGroup(number) => {
                world.answer(Request::DeleteGroup(DeleteGroup { group_id: format!("g{number}") }));
            }
            Event::NewTopic => {
                world.delete_topic(*topic);
                *topic = world.create_topic("t", 1);
            }
        }
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_hard_is_always_what_the_log_adds_up_to_and_groups_settle(events in prop::collection::vec(event(), 0..150)) {
        let mut play = Play::new();
        for event in events {
            play.play(&event);
        }
        let Play { mut world, mut clients, .. } = play;
        for _ in 0..120 {
            for client in &mut clients {
                client.step(&mut world);
            }
            world.pass(1_000);
        }
        for group in ["g0", "g1"] {
            let own: Vec<&Client> = clients.iter().filter(|client| client.group == group).collect();
            prop_assert!(own.iter().all(|client| client.phase == Phase::In), "{:?}", own);
            let described = world.described(group);
            prop_assert_eq!(&described.state, "Stable");
            let mut ids: Vec<&str> = own.iter().map(|client| client.member_id.as_str()).collect();
            let mut told: Vec<&str> = described.members.iter().map(|member| member.member_id.as_str()).collect();
            ids.sort_unstable();
            told.sort_unstable();
            prop_assert_eq!(ids, told);
            let generations: Vec<i32> = own.iter().map(|client| client.generation()).collect();
            prop_assert!(generations.iter().all(|generation| *generation == generations[0]));
        }
        world.check();
    }

    #[test]
    fn every_request_is_answered_when_time_goes_on(events in prop::collection::vec(event(), 0..150)) {
        let mut play = Play::new();
        for event in events {
            play.play(&event);
        }
        let Play { mut world, clients, .. } = play;
        world.pass(3_600_000);
        for client in clients {
            if let Phase::Joining(token) | Phase::Syncing(token) = client.phase {
                prop_assert!(world.has_failed(token) || world.take(token).is_some(), "{:?} waits for ever", token);
            }
        }
        for group in world.check().classic.values() {
            prop_assert_eq!(group.members.len(), 0);
        }
        prop_assert_eq!(world.groups.next_deadline_of_groups(), None);
    }
}
