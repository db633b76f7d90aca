//! Several members of one group, against the coordinator's own state machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use levada_groups::{GroupConfig, Groups};
use levada_shard::{Context, Core as _, Token};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// Records in each partition.
const RECORDS: Offset = 50;

/// A client and its member.
struct Client {
    scene: Scene,
    owned: BTreeMap<i32, Offset>,
    joined: Option<v1::SubscriptionJoined>,
    /// Everything that it processes at its next turn.
    in_hand: Vec<(i32, Offset)>,
}

impl Client {
    fn new(resumption: Option<Resumption>, number: u32) -> Self {
        // However long a client sleeps here, its place is kept.
        let patient = Settings { max_poll_interval: i32::MAX.into(), ..settings() };
        let scene = Scene::after_others(patient, resumption, number * 1_000, number.into());
        Self { scene, owned: BTreeMap::new(), joined: None, in_hand: Vec::new() }
    }
}

/// The group, its coordinator, and everything that clients have processed.
struct Company {
    core: Groups,
    clients: Vec<Client>,
    image: Image,
    now: i64,
    tokens: u64,
    numbers: u32,
    processed: BTreeSet<(i32, Offset)>,
    acknowledged: BTreeMap<i32, Offset>,
}

impl Company {
    fn new() -> Self {
        let config = GroupConfig { group_consumer_heartbeat_interval_ms: 1_000, ..GroupConfig::default() };
        Self {
            core: Groups::new(Arc::new(config)),
            clients: Vec::new(),
            image: fixtures::image(&[("t", 8)]),
            now: 0,
            tokens: 0,
            numbers: 0,
            processed: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// What the coordinator answers.
    fn answer(&mut self, request: Request) -> Response {
        self.tokens += 1;
        let (token, tokens) = (Token(self.tokens), u128::from(self.tokens));
        let mut fresh = || Uuid::from_u128(tokens);
        let mut context = Context { now: self.now, image: &self.image, fresh: &mut fresh };
        let output = self.core.handle(token, request, &mut context);
        let answer = output.answers.into_iter().find(|(answered, _)| *answered == token);
        let (_, response) = answer.expect("members of this protocol are answered at once");
        response
    }

    fn time_passes(&mut self, ms: i64) {
        self.now += ms;
        let mut fresh = || Uuid::from_u128(0);
        let mut context = Context { now: self.now, image: &self.image, fresh: &mut fresh };
        drop(self.core.tick(&mut context));
        for client in &mut self.clients {
            client.scene.now = self.now;
            client.scene.happens(Event::Tick);
        }
        (0..self.clients.len()).for_each(|index| self.talk(index));
    }

    fn joins(&mut self, resumption: Option<Resumption>) -> usize {
        self.numbers += 1;
        let mut client = Client::new(resumption, self.numbers);
        client.scene.now = self.now;
        self.clients.push(client);
        self.talk(self.clients.len() - 1);
        self.clients.len() - 1
    }

    /// Everything that a member asks is answered, and everything that it tells is heard.
    fn talk(&mut self, index: usize) {
        loop {
            self.listen(index);
            let Some(request) = self.clients[index].scene.asked.clone() else { return };
            if let Request::OffsetCommit(_) = &request {
                for (partition, offset) in self.clients[index].scene.committing() {
                    let acknowledged = self.acknowledged.get(&partition).copied().unwrap_or(0);
                    assert!(
                        offset <= acknowledged,
                        "{partition} is committed at {offset}, acknowledged {acknowledged}"
                    );
                }
            }
            let response = self.answer(request);
            self.clients[index].scene.answer(Ok(response));
        }
    }

    fn listen(&mut self, index: usize) {
        while let Some(told) = self.clients[index].scene.told.pop_front() {
            let client = &mut self.clients[index];
            match told {
                Told::Joined(joined) => client.joined = Some(joined),
                Told::Epoch(epoch) => {
                    client.joined.as_mut().expect("it has joined").member_epoch = epoch.member_epoch;
                }
                Told::Assigned(assigned) => {
                    for partition in partitions(&assigned.partitions) {
                        self.clients[index].owned.entry(partition).or_insert(-1);
                        let owners = self.clients.iter().filter(|client| client.owned.contains_key(&partition)).count();
                        assert_eq!(owners, 1, "{partition} has {owners} owners");
                    }
                }
                Told::Revoke(revoke) => {
                    for partition in partitions(&revoke.partitions) {
                        client.owned.remove(&partition);
                    }
                    client.in_hand.retain(|(partition, _)| client.owned.contains_key(partition));
                    client.scene.said(done(revoke.number));
                }
                Told::Lost(lost) => {
                    for partition in partitions(&lost.partitions) {
                        client.owned.remove(&partition);
                    }
                    client.in_hand.clear();
                }
                Told::Records(records) => {
                    client.in_hand.extend(records.records.iter().map(|record| (records.partition, record.offset)));
                }
                _ => {}
            }
        }
    }

    /// A client processes what it has, and then gets as much as there is room for.
    fn works(&mut self, index: usize) {
        for (partition, offset) in std::mem::take(&mut self.clients[index].in_hand) {
            self.processed.insert((partition, offset));
            let acknowledged = self.acknowledged.entry(partition).or_default();
            *acknowledged = (*acknowledged).max(offset + 1);
            self.clients[index].owned.insert(partition, offset + 1);
            self.clients[index].scene.said(processed(partition, offset + 1));
        }
        for reading in self.clients[index].scene.member.readings(self.now) {
            let count = (RECORDS - reading.offset).clamp(0, 3);
            if count > 0 {
                let (partition, generation) = (reading.partition, reading.generation);
                let records = Ok(read(reading.offset, count));
                self.clients[index].scene.happens(Event::Read { partition, generation, records });
            }
        }
        for (_, _, place) in self.clients[index].scene.finds.clone() {
            assert_eq!(place, StartPlace::Earliest);
            self.clients[index].scene.found(Ok(0));
        }
        self.talk(index);
    }

    /// A client's stream breaks. It goes on at another broker, or is never heard of again.
    fn breaks(&mut self, index: usize, comes_back: bool) {
        let mut client = self.clients.swap_remove(index);
        client.scene.happens(Event::Gone { stopping: false });
        // What its broker does meanwhile is not waited for.
        let Some(joined) = client.joined.filter(|_| comes_back) else { return };
        let held = client.owned.iter().map(|(&partition, &next)| {
            let next = Some(next).filter(|&next| next >= 0);
            Held { partition: t(partition), next_offset: next, processed_offset: next }
        });
        let resumption = Resumption {
            member_id: joined.member_id.clone(),
            epoch: joined.member_epoch,
            stream_number: joined.stream_number,
            held: held.collect(),
        };
        let again = self.joins(Some(resumption));
        let joined_again = self.clients[again].joined.as_ref().map(|joined| &joined.member_id);
        assert_eq!(joined_again, Some(&joined.member_id), "it came back at once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_processed_and_no_partition_has_two_owners(
        steps in proptest::collection::vec((0u8..8, any::<u8>()), 1..120),
    ) {
        let mut company = Company::new();
        company.joins(None);
        for (what, which) in steps {
            let count = company.clients.len();
            let index = usize::from(which) % count.max(1);
            match what {
                0 if count < 4 => { company.joins(None); }
                1 if count > 0 => company.breaks(index, true),
                2 if count > 1 => company.breaks(index, false),
                3 => company.time_passes(i64::from(which) * 10),
                _ if count > 0 => company.works(index),
                _ => {}
            }
        }
        if company.clients.is_empty() {
            company.joins(None);
        }
        // Whoever is not heard of is taken out, and the others do the rest.
        for _ in 0..200 {
            company.time_passes(1_000);
            (0..company.clients.len()).for_each(|index| company.works(index));
        }
        let everything = (0..8).flat_map(|partition| (0..RECORDS).map(move |offset| (partition, offset)));
        prop_assert_eq!(company.processed, everything.collect::<BTreeSet<_>>());
        let committed = company.core.overviews().flat_map(|group| group.offsets());
        let committed = committed.map(|(_, partition, offset)| (partition, offset));
        prop_assert_eq!(committed.collect::<Vec<_>>(), (0..8).map(|partition| (partition, RECORDS)).collect::<Vec<_>>());
    }
}
