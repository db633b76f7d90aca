//! Shards at work over real controllers and brokers: a core that counts, two processes that may own its shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use levada_broker::Broker;
use levada_coordinator::{Shards, ShardsOptions};
use levada_metadata::config::{Resolver, StaticConfigs};
use levada_metadata::{Command, CoordinatorKind, LevelRange, NewCoordinator, Response};
use levada_peers::{Controllers, CoordinatorSession, MetadataWatch};
use levada_service::net::{Address, Network};
use levada_shard::machine::{Limits, Standing, Unserved};
use levada_shard::{Context, Core, KeyValue, Output, Replayed, Token};
use levada_types::{ErrorCode, PartitionIndex, TimestampMs};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::LIMIT;
use super::cluster::Cluster;

/// Counters by name.
#[derive(Debug, Clone, Default)]
struct Counters(BTreeMap<Bytes, u64>);

#[derive(Debug, Clone, Copy)]
enum Ask {
    /// Add one and tell the sum.
    Add(&'static str),
    /// Tell the sum.
    Get(&'static str),
    /// A defect.
    Panic,
}

impl Core for Counters {
    type Request = Ask;
    type Response = u64;

    fn replay(&mut self, replayed: Replayed<'_>) {
        if let Replayed::Record { key, value: Some(value), .. } = replayed {
            let sum = u64::from_be_bytes(value.try_into().unwrap());
            self.0.insert(Bytes::copy_from_slice(key), sum);
        }
    }

    fn resume(&mut self, _: &mut Context<'_>) -> Output<u64> {
        Output::nothing()
    }

    fn set_back(&mut self, _: &mut Context<'_>) -> Output<u64> {
        Output::nothing()
    }

    fn handle(&mut self, token: Token, request: Ask, context: &mut Context<'_>) -> Output<u64> {
        match request {
            Ask::Add(name) => {
                let sum = self.0.entry(Bytes::from_static(name.as_bytes())).or_default();
                *sum += 1;
                let mut output = Output::answer(token, *sum);
                let (key, value) = (Bytes::from_static(name.as_bytes()), Some(sum.to_be_bytes().to_vec().into()));
                output.write(KeyValue { key, value, timestamp: context.now });
                output
            }
            Ask::Get(name) => Output::answer(token, self.0.get(name.as_bytes()).copied().unwrap_or(0)),
            Ask::Panic => panic!("as it was asked to"),
        }
    }

    fn tick(&mut self, _: &mut Context<'_>) -> Output<u64> {
        Output::nothing()
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        None
    }
}

/// A process that may own shards.
struct Owner {
    shards: Shards<Counters>,
    session: CoordinatorSession,
    metadata: MetadataWatch,
    following: JoinHandle<()>,
    stop: CancellationToken,
}

impl Owner {
    async fn start(network: &Network, name: &str) -> Self {
        let stop = CancellationToken::new();
        let controllers = Controllers::new(network.clone(), vec![Address::memory("controller")]);
        let (metadata, _) = MetadataWatch::start(controllers.clone(), stop.clone());
        let kind = CoordinatorKind::Group;
        let options = ShardsOptions { kind, queued_requests: 100, follows: true, limits: Limits::default() };
        let shards = Shards::new(options, network, metadata.clone(), Counters::default());
        let registration = NewCoordinator {
            kind,
            incarnation: Uuid::new_v4(),
            name: name.to_owned(),
            internal_address: format!("memory:{name}"),
            levels: LevelRange::SUPPORTED,
        };
        let session = CoordinatorSession::open(controllers, &registration, metadata.clone());
        let (following, state, lease) = (shards.clone(), session.state(), session.lease());
        let until = stop.clone();
        let following = tokio::spawn(async move { following.follow(state, lease, until).await });
        tokio::time::timeout(LIMIT, session.registered()).await.unwrap().unwrap();
        Self { shards, session, metadata, following, stop }
    }

    /// Ends as if it had been killed.
    async fn kill(self) {
        drop(self.session);
        self.stop.cancel();
        self.following.await.unwrap();
    }

    fn owns(&self, shard: PartitionIndex) -> bool {
        let owner = self.metadata.image().shard_owner(CoordinatorKind::Group, shard).map(|owner| owner.epoch);
        owner.is_some() && owner == self.session.epoch()
    }
}

/// Has the topic of the shards created.
async fn create_shards(broker: &Arc<Broker>, shards: i32) {
    let settings = [("offsets.topic.num.partitions", shards.to_string())];
    let statics = StaticConfigs::new(settings.map(|(name, value)| (name.to_owned(), value))).unwrap();
    let image = broker.image();
    let command = Command::create_shards(CoordinatorKind::Group, &Resolver::new(image.state(), None, &statics));
    let answer = broker.submit(command, LIMIT).await.unwrap();
    let Response::CreateShards(created) = answer else { panic!("another answer: {answer:?}") };
    created.unwrap();
}

/// Asks whoever owns the shard until it is served; what may have been done is not asked again.
async fn ask(owners: &[Owner], shard: PartitionIndex, request: Ask, confirm: bool) -> u64 {
    let asking = async {
        loop {
            for owner in owners.iter().filter(|owner| owner.owns(shard)) {
                match owner.shards.ask(shard, request, confirm).await {
                    Ok(sum) => return sum,
                    Err(unserved) => {
                        let repeats = unserved.is_certainly_undone() || matches!(request, Ask::Get(_));
                        assert!(repeats, "{unserved}");
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_are_loaded_served_and_taken_over() {
    let mut cluster = Cluster::start(3, &[]).await;
    let mut owners = vec![Owner::start(cluster.network(), "a").await, Owner::start(cluster.network(), "b").await];
    create_shards(cluster.any(), 4).await;
    for shard in 0..4 {
        for sum in 1..=3 {
            assert_eq!(ask(&owners, shard, Ask::Add("x"), false).await, sum);
        }
        assert_eq!(ask(&owners, shard, Ask::Get("x"), true).await, 3);
    }
    // They share the shards, and each follows what is committed of the other's.
    let counts = |owner: &Owner, counts: fn(&Standing) -> bool| {
        owner.shards.standings().iter().filter(|(_, does)| counts(does)).count()
    };
    let shared = async {
        while !owners.iter().all(|owner| {
            let serving = counts(owner, |does| matches!(does, Standing::Serving(_)));
            (serving, counts(owner, |does| matches!(does, Standing::Following(3)))) == (2, 2)
        }) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, shared).await.unwrap();
    let refused =
        owners[0].shards.ask((0..4).find(|shard| owners[1].owns(*shard)).unwrap(), Ask::Get("x"), false).await;
    assert_eq!(refused, Err(Unserved::NotOwner), "whoever follows serves nothing");

    // One is killed: the other one has everything that was answered.
    owners.remove(0).kill().await;
    for shard in 0..4 {
        assert_eq!(ask(&owners, shard, Ask::Get("x"), true).await, 3);
        assert_eq!(ask(&owners, shard, Ask::Add("x"), false).await, 4);
    }

    // A broker goes, and with it the leadership of some partitions.
    cluster.stop_broker(1).await;
    for shard in 0..4 {
        assert_eq!(ask(&owners, shard, Ask::Get("x"), true).await, 4);
        assert_eq!(ask(&owners, shard, Ask::Add("x"), false).await, 5);
    }

    // A new one takes its share, loaded from the log alone.
    owners.push(Owner::start(cluster.network(), "c").await);
    let shared = async {
        while owners[1].shards.standings().iter().filter(|(_, does)| matches!(does, Standing::Serving(_))).count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, shared).await.unwrap();
    for shard in 0..4 {
        assert_eq!(ask(&owners, shard, Ask::Add("x"), false).await, 6);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_defect_ends_what_one_shard_was_doing_and_nothing_else() {
    let cluster = Cluster::start(1, &[]).await;
    let owners = [Owner::start(cluster.network(), "a").await];
    create_shards(cluster.any(), 2).await;
    for shard in 0..2 {
        assert_eq!(ask(&owners, shard, Ask::Add("x"), false).await, 1);
    }
    assert_eq!(owners[0].shards.ask(0, Ask::Panic, false).await, Err(Unserved::Interrupted));
    assert_eq!(owners[0].shards.ask(1, Ask::Add("x"), false).await, Ok(2), "the other one goes on");
    assert_eq!(ask(&owners, 0, Ask::Add("x"), false).await, 2, "it has loaded again");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_owns_nothing_does_nothing() {
    let cluster = Cluster::start(1, &[]).await;
    let owner = Owner::start(cluster.network(), "a").await;
    create_shards(cluster.any(), 1).await;
    let refused = owner.shards.ask(7, Ask::Add("x"), false).await;
    assert_eq!(refused.map_err(Unserved::code), Err(ErrorCode::NotCoordinator));
    owner.kill().await;
    cluster.stop().await;
}
