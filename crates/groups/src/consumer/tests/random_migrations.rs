//! Consumers of both protocols that come and go, so that their group changes its protocol again and again.

use std::collections::{BTreeMap, BTreeSet};

use levada_shard::Token;
use levada_types::{ErrorCode, PartitionIndex, TopicId};
use proptest::prelude::*;

use super::{GROUP, alive, classic_joining, joining, set, told};
use crate::{
    GroupConfig,
    api::{
        Heartbeat, JoinGroupAnswer, JoinedMember, LeaveGroup, LeavingMember, Request, Response, SyncGroup,
        SyncGroupAnswer,
    },
    assignor::{Assignor, MemberSpec, Slot, Spec, TopicSpec},
    consumer::embedded::{self, write_assignment},
    read_assignment,
    world::World,
};

/// How many partitions the one topic has.
const PARTITIONS: PartitionIndex = 7;

type Owned = BTreeSet<PartitionIndex>;

/// A consumer, as far as it knows.
#[derive(Debug, Clone)]
struct Client {
    id: String,
    epoch: i32,
    owned: Owned,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Of the next-generation protocol, with what it may own, as it was told last.
    Next(Owned),
    /// Of the classic protocol, giving partitions up one by one (KIP-429).
    Classic(Phase),
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Out,
    Joining(Token),
    Syncing(Token),
    In,
}

#[derive(Debug, Clone)]
enum Act {
    Step { client: usize },
    Start { client: usize, is_classic: bool },
    Stop { client: usize },
    Pass { ms: i64 },
    TakeOver,
}

const CLIENTS: usize = 5;

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => (0..CLIENTS).prop_map(|client| Act::Step { client }),
        3 => (0..CLIENTS, any::<bool>()).prop_map(|(client, is_classic)| Act::Start { client, is_classic }),
        1 => (0..CLIENTS).prop_map(|client| Act::Stop { client }),
        4 => prop_oneof![Just(100i64), Just(1_000), Just(3_000), Just(9_000)].prop_map(|ms| Act::Pass { ms }),
        1 => Just(Act::TakeOver),
    ]
}

struct Play {
    world: World,
    topic: TopicId,
    clients: Vec<Option<Client>>,
    started: usize,
}

impl Play {
    fn new() -> Self {
        let config = GroupConfig { group_initial_rebalance_delay_ms: 0, ..GroupConfig::default() };
        let mut world = World::with(config);
        let topic = world.create_topic("t", PARTITIONS);
        Self { world, topic, clients: vec![None; CLIENTS], started: 0 }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Step { client } => self.step(client),
            Act::Start { client, is_classic } => self.start(client, is_classic),
            Act::Stop { client } => self.stop(client),
            Act::Pass { ms } => self.world.pass(ms),
            Act::TakeOver => {
                self.world.take_over();
                for client in self.clients.iter_mut().flatten() {
                    // Whoever waits is sent away, and asks again.
                    if let Kind::Classic(phase @ (Phase::Joining(_) | Phase::Syncing(_))) = &mut client.kind {
                        *phase = Phase::Out;
                    }
                }
            }
        }
        self.world.check();
        self.check_owners();
    }

    fn start(&mut self, at: usize, is_classic: bool) {
        if self.clients[at].is_none() {
            self.started += 1;
            let kind = if is_classic { Kind::Classic(Phase::Out) } else { Kind::Next(Owned::new()) };
            let id = if is_classic { String::new() } else { format!("n{}", self.started) };
            self.clients[at] = Some(Client { id, epoch: 0, owned: Owned::new(), kind });
        }
    }

    fn stop(&mut self, at: usize) {
        let Some(client) = self.clients[at].take() else { return };
        let request = match client.kind {
            Kind::Next(_) => Request::ConsumerGroupHeartbeat(alive(&client.id, -1)),
            Kind::Classic(_) if client.id.is_empty() => return,
            Kind::Classic(_) => Request::LeaveGroup(LeaveGroup {
                group_id: GROUP.to_owned(),
                members: vec![LeavingMember { member_id: client.id, group_instance_id: None, reason: None }],
            }),
        };
        self.world.answer(request);
    }

    fn step(&mut self, at: usize) {
        let Some(mut client) = self.clients[at].take() else { return };
        match client.kind.clone() {
            Kind::Next(allowed) => self.beat(&mut client, allowed),
            Kind::Classic(phase) => client.kind = Kind::Classic(self.step_classic(&mut client, phase)),
        }
        self.clients[at] = Some(client);
    }

    fn beat(&mut self, client: &mut Client, mut allowed: Owned) {
        let named = |owned: &Owned| told(&owned.iter().map(|&partition| (self.topic, partition)).collect());
        let mut request = if client.epoch == 0 { joining(&client.id, &["t"]) } else { alive(&client.id, client.epoch) };
        client.owned = client.owned.intersection(&allowed).copied().collect();
        request.topic_partitions = Some(named(&client.owned));
        let Response::ConsumerGroupHeartbeat(answer) = self.world.answer(Request::ConsumerGroupHeartbeat(request))
        else {
            panic!("another answer");
        };
        match answer.error {
            ErrorCode::None => {
                client.epoch = answer.member_epoch;
                if let Some(assignment) = answer.assignment {
                    allowed = set(&assignment).into_iter().map(|(_, partition)| partition).collect();
                    client.owned.extend(allowed.iter().copied());
                }
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                self.started += 1;
                client.id = format!("n{}", self.started);
                client.epoch = 0;
                client.owned.clear();
                allowed.clear();
            }
            other => panic!("{other:?}: {:?}", answer.error_message),
        }
        client.kind = Kind::Next(allowed);
    }

    fn step_classic(&mut self, client: &mut Client, phase: Phase) -> Phase {
        match phase {
            Phase::Out => {
                let owned: Vec<PartitionIndex> = client.owned.iter().copied().collect();
                let request = classic_joining(&client.id, &["t"], &[("t", &owned)]);
                Phase::Joining(self.world.ask(Request::JoinGroup(request)))
            }
            Phase::Joining(token) => match self.world.take(token) {
                None => phase,
                Some(Response::JoinGroup(answer)) => self.joined(client, answer),
                Some(other) => panic!("{other:?}"),
            },
            Phase::Syncing(token) => match self.world.take(token) {
                None => phase,
                Some(Response::SyncGroup(answer)) => synced(client, &answer),
                Some(other) => panic!("{other:?}"),
            },
            Phase::In => {
                let request = Heartbeat {
                    group_id: GROUP.to_owned(),
                    generation_id: client.epoch,
                    member_id: client.id.clone(),
                    group_instance_id: None,
                };
                match self.world.answer(Request::Heartbeat(request)) {
                    Response::Heartbeat(answer) if answer.error == ErrorCode::None => Phase::In,
                    Response::Heartbeat(answer) => failed(client, answer.error),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn joined(&mut self, client: &mut Client, answer: JoinGroupAnswer) -> Phase {
        if answer.error != ErrorCode::None {
            return failed(client, answer.error);
        }
        client.id = answer.member_id;
        client.epoch = answer.generation_id;
        let assignments = if answer.leader == client.id { assign(&answer.members) } else { Vec::new() };
        Phase::Syncing(self.world.ask(Request::SyncGroup(SyncGroup {
            group_id: GROUP.to_owned(),
            generation_id: client.epoch,
            member_id: client.id.clone(),
            group_instance_id: None,
            protocol_type: answer.protocol_type,
            protocol_name: answer.protocol_name,
            assignments,
        })))
    }

    /// No partition has two owners. Whoever is no member any more was silent for a session.
    fn check_owners(&mut self) {
        let hard = self.world.groups.hard();
        let members: BTreeSet<String> = match hard.consumer.get(GROUP) {
            Some(group) => group.members.keys().map(|id| id.to_string()).collect(),
            None => self.world.described(GROUP).members.into_iter().map(|member| member.member_id).collect(),
        };
        let mut owners: BTreeMap<PartitionIndex, &str> = BTreeMap::new();
        for client in self.clients.iter().flatten().filter(|client| members.contains(&client.id)) {
            for &partition in &client.owned {
                let other = owners.insert(partition, &client.id);
                assert_eq!(other, None, "{partition} is owned by {} too", client.id);
            }
        }
    }

    /// Everybody behaves, until every partition has its owner.
    fn settle(&mut self) {
        for _ in 0..200 {
            for client in 0..CLIENTS {
                self.step(client);
                self.check_owners();
            }
            self.world.pass(300);
        }
        self.world.check();
        let loads: Vec<usize> = self.clients.iter().flatten().map(|client| client.owned.len()).collect();
        if let (Some(most), Some(least)) = (loads.iter().max(), loads.iter().min()) {
            assert_eq!(loads.iter().sum::<usize>(), PARTITIONS as usize, "{:?}", self.clients);
            assert!(most - least <= 1, "{:?}", self.clients);
        }
    }
}

/// What a client does when something goes wrong.
fn failed(client: &mut Client, error: ErrorCode) -> Phase {
    match error {
        ErrorCode::RebalanceInProgress => {}
        ErrorCode::IllegalGeneration => client.owned.clear(),
        ErrorCode::UnknownMemberId => {
            client.owned.clear();
            client.id.clear();
        }
        other => panic!("{other:?}"),
    }
    Phase::Out
}

fn synced(client: &mut Client, answer: &SyncGroupAnswer) -> Phase {
    if answer.error != ErrorCode::None {
        return failed(client, answer.error);
    }
    let assigned: Owned =
        read_assignment(&answer.assignment).unwrap().into_iter().flat_map(|(_, partitions)| partitions).collect();
    let gives_up = client.owned.difference(&assigned).next().is_some();
    client.owned = assigned;
    // Whoever has given something up joins again, so that it can be given to others.
    if gives_up { Phase::Out } else { Phase::In }
}

/// What the leader of a classic group assigns: nothing that somebody else still has.
fn assign(members: &[JoinedMember]) -> Vec<(String, bytes::Bytes)> {
    let owned: Vec<Vec<Slot>> = members
        .iter()
        .map(|member| {
            let subscription = embedded::Subscription::read(&member.metadata).unwrap();
            let partitions = subscription.owned.into_iter().flat_map(|(_, partitions)| partitions);
            partitions.map(|partition| Slot { topic: 0, partition: partition.cast_unsigned() }).collect()
        })
        .collect();
    let spec = Spec {
        topics: vec![TopicSpec { partitions: PARTITIONS.cast_unsigned(), racks: Vec::new() }],
        members: owned.iter().map(|owned| MemberSpec { rack: None, topics: vec![0], owned: owned.clone() }).collect(),
    };
    let target = Assignor::Uniform.assign(&spec);
    members
        .iter()
        .enumerate()
        .map(|(at, member)| {
            let is_free = |slot: &&Slot| (0..owned.len()).all(|other| other == at || !owned[other].contains(slot));
            let partitions = target[at].iter().filter(is_free).map(|slot| slot.partition.cast_signed()).collect();
            (member.member_id.clone(), write_assignment(&vec![("t".to_owned(), partitions)], 1))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_partition_has_two_owners_on_the_way_from_one_protocol_to_the_other(
        acts in prop::collection::vec(any_act(), 1..150),
    ) {
        let mut play = Play::new();
        for act in &acts {
            play.act(act);
        }
        play.settle();
    }
}
