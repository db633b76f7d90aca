//! Members that come, go, fall silent, are slow and lose answers, while topics change and shards change hands.

use std::collections::{BTreeMap, BTreeSet};

use levada_types::{ErrorCode, PartitionIndex, TopicId};
use proptest::prelude::*;

use super::{alive, joining, set, told};
use crate::{
    GroupConfig,
    api::{ConsumerGroupHeartbeat, Request, Response},
    world::World,
};

type Owned = BTreeSet<(TopicId, PartitionIndex)>;

/// A client, as far as it knows.
#[derive(Debug, Clone, Default)]
struct Client {
    id: String,
    instance: Option<String>,
    epoch: i32,
    /// What it has been told to own and has not given up.
    owned: Owned,
    /// What it may own, as it was told last.
    allowed: Owned,
    subscription: usize,
    /// Whether its next heartbeat tells everything: it has just started, or an answer is missing.
    is_unsure: bool,
}

/// What may be subscribed to: names, and an expression.
const SUBSCRIPTIONS: [(&[&str], &str); 5] =
    [(&["t0"], ""), (&["t0", "t1"], ""), (&["t1", "t2"], ""), (&[], "t[01]"), (&["t2"], "t.*")];

#[derive(Debug, Clone)]
enum Act {
    /// A heartbeat; the answer may be lost, and the client may first give up what it shall not keep.
    Beat {
        client: usize,
        loses_answer: bool,
        gives_up: bool,
        tells: bool,
    },
    Start {
        client: usize,
        subscription: usize,
    },
    Leave {
        client: usize,
        for_a_while: bool,
    },
    Resubscribe {
        client: usize,
        subscription: usize,
    },
    Pass {
        ms: i64,
    },
    TakeOver,
    CreateTopic {
        topic: usize,
    },
    DeleteTopic {
        topic: usize,
    },
    AddPartitions {
        topic: usize,
    },
}

const CLIENTS: usize = 6;

fn any_act() -> impl Strategy<Value = Act> {
    let client = 0..CLIENTS;
    let subscription = 0..SUBSCRIPTIONS.len();
    prop_oneof![
        12 => (client.clone(), prop::bool::weighted(0.1), any::<bool>(), any::<bool>()).prop_map(
            |(client, loses_answer, gives_up, tells)| Act::Beat { client, loses_answer, gives_up, tells }
        ),
        4 => (client.clone(), subscription.clone()).prop_map(|(client, subscription)| Act::Start { client, subscription }),
        1 => (client.clone(), any::<bool>()).prop_map(|(client, for_a_while)| Act::Leave { client, for_a_while }),
        1 => (client, subscription).prop_map(|(client, subscription)| Act::Resubscribe { client, subscription }),
        3 => prop_oneof![Just(100i64), Just(1_000), Just(5_000), Just(20_000)].prop_map(|ms| Act::Pass { ms }),
        1 => Just(Act::TakeOver),
        1 => (0usize..3).prop_map(|topic| Act::CreateTopic { topic }),
        1 => (0usize..3).prop_map(|topic| Act::DeleteTopic { topic }),
        1 => (0usize..3).prop_map(|topic| Act::AddPartitions { topic }),
    ]
}

struct Play {
    world: World,
    clients: Vec<Option<Client>>,
    topics: BTreeMap<usize, (TopicId, PartitionIndex)>,
    started: usize,
}

impl Play {
    fn new(interval: i32) -> Self {
        let config = GroupConfig { group_consumer_assignment_interval_ms: interval, ..GroupConfig::default() };
        let mut play =
            Self { world: World::with(config), clients: vec![None; CLIENTS], topics: BTreeMap::new(), started: 0 };
        play.act(&Act::CreateTopic { topic: 0 });
        play
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Beat { client, loses_answer, gives_up, tells } => self.beat(client, loses_answer, gives_up, tells),
            Act::Start { client, subscription } => self.start(client, subscription),
            Act::Leave { client, for_a_while } => self.leave(client, for_a_while),
            Act::Resubscribe { client, subscription } => {
                if let Some(client) = &mut self.clients[client] {
                    client.subscription = subscription;
                    client.is_unsure = true;
                }
            }
            Act::Pass { ms } => self.world.pass(ms),
            Act::TakeOver => self.world.take_over(),
            Act::CreateTopic { topic } => {
                if !self.topics.contains_key(&topic) {
                    let id = self.world.create_topic(&format!("t{topic}"), 3);
                    self.topics.insert(topic, (id, 3));
                }
            }
            Act::DeleteTopic { topic } => {
                if let Some((id, _)) = self.topics.remove(&topic) {
                    self.world.delete_topic(id);
                }
            }
            Act::AddPartitions { topic } => {
                if let Some((id, count)) = self.topics.get_mut(&topic) {
                    self.world.add_partitions(*id, *count..*count + 2);
                    *count += 2;
                }
            }
        }
        self.check();
    }

    fn start(&mut self, at: usize, subscription: usize) {
        if self.clients[at].is_some() {
            return;
        }
        self.started += 1;
        // Half of them have names.
        let instance = at.is_multiple_of(2).then(|| format!("i{at}"));
        let id = format!("m{at}-{}", self.started);
        self.clients[at] = Some(Client { id, instance, subscription, is_unsure: true, ..Client::default() });
    }

    fn leave(&mut self, at: usize, for_a_while: bool) {
        let Some(client) = self.clients[at].take() else { return };
        let epoch = if for_a_while && client.instance.is_some() { -2 } else { -1 };
        self.send(ConsumerGroupHeartbeat { instance_id: client.instance, ..alive(&client.id, epoch) });
    }

    fn send(&mut self, request: ConsumerGroupHeartbeat) -> crate::api::ConsumerGroupHeartbeatAnswer {
        match self.world.answer(Request::ConsumerGroupHeartbeat(request)) {
            Response::ConsumerGroupHeartbeat(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn beat(&mut self, at: usize, loses_answer: bool, gives_up: bool, tells: bool) {
        let Some(client) = &mut self.clients[at] else { return };
        if gives_up {
            client.owned = client.owned.intersection(&client.allowed).copied().collect();
        }
        let mut request = alive(&client.id, client.epoch);
        request.instance_id.clone_from(&client.instance);
        if client.is_unsure || client.epoch == 0 {
            let (names, regex) = SUBSCRIPTIONS[client.subscription];
            request = ConsumerGroupHeartbeat {
                instance_id: client.instance.clone(),
                member_epoch: client.epoch,
                subscribed_topic_regex: Some(regex.to_owned()),
                topic_partitions: Some(told(&client.owned)),
                ..joining(&client.id, names)
            };
        } else if tells || client.owned != client.allowed {
            request.topic_partitions = Some(told(&client.owned));
        }
        let answer = self.send(request);
        let Some(client) = &mut self.clients[at] else { return };
        if loses_answer {
            client.is_unsure = true;
            return;
        }
        match answer.error {
            ErrorCode::None => {
                client.is_unsure = false;
                client.epoch = answer.member_epoch;
                if let Some(assignment) = answer.assignment {
                    client.allowed = set(&assignment);
                    // It begins with what is new at once, and may be slow in giving up.
                    client.owned.extend(client.allowed.iter().copied());
                }
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                client.epoch = 0;
                client.owned.clear();
                client.allowed.clear();
            }
            // It has lost its name to another, or the other one's session is not over.
            ErrorCode::FencedInstanceId | ErrorCode::UnreleasedInstanceId => self.clients[at] = None,
            other => panic!("{other:?}: {:?}", answer.error_message),
        }
    }

    /// What is hard is what the log says, and no partition has two owners.
    fn check(&self) {
        self.world.check();
        self.check_owners();
    }

    /// No partition has two owners, neither as the group knows it nor as the clients were told.
    fn check_owners(&self) {
        let hard = self.world.groups.hard();
        let Some(group) = hard.consumer.get("g") else { return };
        let mut owners: BTreeMap<(TopicId, PartitionIndex), &str> = BTreeMap::new();
        let mut known: BTreeMap<(TopicId, PartitionIndex), &str> = BTreeMap::new();
        for (id, member) in &group.members {
            let current = member.current.assigned.iter().chain(member.current.revoking.iter());
            for (topic, partition, _) in current {
                let other = known.insert((topic, partition), id);
                assert_eq!(other, None, "{partition} of {topic} is given to {id} too");
                assert_eq!(group.owners.get(&(topic, partition)), Some(id));
            }
        }
        assert_eq!(known.len(), group.owners.len());
        // Whoever is no member any more was silent for a session, and is taken to have stopped.
        for client in self.clients.iter().flatten().filter(|client| group.members.contains_key(client.id.as_str())) {
            for partition in &client.owned {
                let other = owners.insert(*partition, &client.id);
                assert_eq!(other, None, "{partition:?} is owned by {} too", client.id);
            }
        }
    }

    /// Everybody behaves, and for longer than any session.
    fn settle(&mut self) {
        for _ in 0..140 {
            for client in 0..CLIENTS {
                self.beat(client, false, true, true);
                self.check_owners();
            }
            self.world.pass(500);
        }
        self.check();
        if self.clients.iter().all(Option::is_none) {
            return;
        }
        assert_eq!(self.world.consumer_state(), "Stable");
        let hard = self.world.check();
        let group = &hard.consumer["g"];
        let mut given = BTreeSet::new();
        for client in self.clients.iter().flatten() {
            let id = client.id.as_str();
            let target: Owned = group.targets[id].iter().collect();
            assert_eq!(client.owned, target, "{id}");
            assert_eq!(client.epoch, group.target_epoch.map_or(0, |target| target.epoch));
            given.extend(target);
        }
        assert_eq!(group.members.len(), self.clients.iter().flatten().count());
        let subscribed: Owned = self
            .topics
            .iter()
            .filter(|(topic, _)| group.subscribes_to(&format!("t{topic}")))
            .flat_map(|(_, &(id, count))| (0..count).map(move |partition| (id, partition)))
            .collect();
        assert_eq!(given, subscribed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_partition_has_two_owners_and_those_who_behave_get_what_they_shall(
        acts in prop::collection::vec(any_act(), 1..120),
        interval in prop_oneof![Just(0), Just(1_000)],
    ) {
        let mut play = Play::new(interval);
        for act in &acts {
            play.act(act);
        }
        play.settle();
    }
}
