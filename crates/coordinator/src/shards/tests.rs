//! What a process makes of the metadata: which shards it owns, which it follows, and by which image they decide.

use std::sync::Arc;

use levada_metadata::{Coordinator, Delta, Entry, LevelRange, Partition, Replica};
use levada_shard::{Context, Output, Replayed, Token};
use levada_types::{BrokerId, DirectoryId, TimestampMs, TopicId, TopicName};
use uuid::Uuid;

use super::*;
use crate::place::Duty;

const KIND: CoordinatorKind = CoordinatorKind::Group;

/// A core that has nothing to say.
#[derive(Debug, Clone)]
struct Mute;

impl Core for Mute {
    type Request = ();
    type Response = ();

    fn replay(&mut self, _: Replayed<'_>) {}

    fn resume(&mut self, _: &mut Context<'_>) -> Output<()> {
        Output::nothing()
    }

    fn set_back(&mut self, _: &mut Context<'_>) -> Output<()> {
        Output::nothing()
    }

    fn handle(&mut self, _: Token, (): (), _: &mut Context<'_>) -> Output<()> {
        Output::nothing()
    }

    fn tick(&mut self, _: &mut Context<'_>) -> Output<()> {
        Output::nothing()
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        None
    }
}

/// The metadata of a cluster with two coordinators and a shard.
struct World {
    image: Image,
    shards: Shards<Mute>,
    actors: JoinSet<()>,
    succession: Succession,
}

const OWN: CoordinatorEpoch = CoordinatorEpoch(1);
const OTHER: CoordinatorEpoch = CoordinatorEpoch(2);

impl World {
    fn new() -> Self {
        let mut image = Image::new();
        image.apply(MetadataOffset(1), &Entry::Barrier).unwrap();
        let options = ShardsOptions { kind: KIND, queued_requests: 1, follows: true, limits: Limits::default() };
        let shards = Shards::new(options, &Network::new(), MetadataWatch::holding(image.clone()), Mute);
        let mut world = Self { image, shards, actors: JoinSet::new(), succession: Succession::default() };
        let topic = TopicId(Uuid::from_u128(7));
        let replica = Replica { broker: BrokerId(1), directory: DirectoryId(Uuid::from_u128(1)) };
        let partition = Arc::new(Partition::new(vec![replica], Vec::new(), BrokerId(1)));
        let registered = |epoch: CoordinatorEpoch| Delta::CoordinatorRegistered {
            coordinator: Arc::new(Coordinator {
                epoch,
                kind: KIND,
                incarnation: Uuid::nil(),
                name: String::new(),
                internal_address: String::new(),
                levels: LevelRange::SUPPORTED,
            }),
        };
        world.change(vec![
            registered(OWN),
            registered(OTHER),
            Delta::TopicCreated { id: topic, name: TopicName::new(KIND.topic_name()).unwrap() },
            Delta::PartitionSet { topic, index: 0, partition },
            Delta::ShardTopicSet { kind: KIND, topic, replication_factor: 1 },
        ]);
        world
    }

    fn change(&mut self, deltas: Vec<Delta>) -> MetadataOffset {
        let position = self.image.next_position().unwrap();
        let offset = MetadataOffset(self.image.offset().0 + 1);
        self.image.apply(offset, &Entry::Deltas { position, deltas }).unwrap();
        offset
    }

    fn owned_by(&mut self, owner: CoordinatorEpoch) -> MetadataOffset {
        self.change(vec![Delta::ShardOwned { kind: KIND, shard: 0, owner: Some(owner) }])
    }

    fn settle(&mut self) {
        let image = Arc::new(self.image.clone());
        self.shards.settle(&image, Some(OWN), Some(&mut self.succession), &mut self.actors);
    }

    /// What the shard hears, if this process has to do with it.
    fn hears(&self) -> Option<watch::Receiver<Word>> {
        Some(self.shards.0.routes.read().get(&0)?.words.subscribe())
    }
}

#[tokio::test]
async fn a_shard_decides_by_the_newest_image_in_which_it_is_owned_and_by_none_beyond() {
    let mut world = World::new();
    let owned = world.owned_by(OWN);
    world.settle();
    let heard = world.hears().unwrap();
    assert_eq!(heard.borrow().image.offset(), owned);
    let still = world.change(Vec::new());
    world.settle();
    assert_eq!(heard.borrow().image.offset(), still, "a newer one in which nothing has changed for it");
    world.change(vec![Delta::CoordinatorRemoved { epoch: OTHER }]);
    world.owned_by(OWN);
    world.change(vec![Delta::ShardOwned { kind: KIND, shard: 0, owner: None }]);
    world.settle();
    assert_eq!(heard.borrow().image.offset(), still, "it has gone, and hears nothing of what came with that");
    assert!(heard.has_changed().is_err() && world.hears().is_none(), "but that it is over");
}

#[tokio::test]
async fn who_may_not_answer_has_no_part_in_a_shard() {
    let mut world = World::new();
    world.owned_by(OWN);
    world.settle();
    // There is no lease.
    assert_eq!(world.hears().unwrap().borrow().duty, None);
}

#[test]
fn who_would_take_a_shard_over_is_told_as_long_as_that_is_so() {
    let mut world = World::new();
    let places = |world: &mut World| places(&world.image, KIND, OWN, Some(&mut world.succession));
    world.owned_by(OTHER);
    assert!(matches!(places(&mut world).as_slice(), [place] if matches!(place.duty, Duty::Follow(_))));
    world.owned_by(OWN);
    assert!(matches!(places(&mut world).as_slice(), [place] if matches!(place.duty, Duty::Own(_))));
    world.owned_by(OTHER);
    assert_eq!(super::places(&world.image, KIND, OWN, None), [], "unless it follows nothing");
    world.change(vec![Delta::CoordinatorRegistered {
        coordinator: Arc::new(Coordinator {
            epoch: CoordinatorEpoch(3),
            ..(**world.image.coordinator(OTHER).unwrap()).clone()
        }),
    }]);
    let told = places(&mut world).len();
    let other = world.image.standby_shards(CoordinatorEpoch(3)).len();
    assert_eq!(told + other, 1, "one of the two who are left");
}
