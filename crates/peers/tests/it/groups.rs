//! Which requests to groups are repeated, when, and where they go.

use std::sync::Arc;
use std::time::Duration;

use levada_groups::api::{
    DeleteGroup, GroupKind, Heartbeat, HeartbeatAnswer, JoinGroup, JoinGroupAnswer, ListGroups, ListedGroup, Request,
    Response,
};
use levada_metadata::{
    Command, Coordinator, CoordinatorKind, CreatedTopic, Delta, Image, LevelRange, NewShards, Partition,
};
use levada_peers::{ControllerClient, GroupClient, GroupClientError, MetadataWatch};
use levada_proto::internal as pb;
use levada_service::net::{Address, Network};
use levada_shard::shard_of;
use levada_types::{BrokerId, ClusterId, CoordinatorEpoch, ErrorCode, MetadataOffset, TopicId, TopicName};
use tonic::Status;
use uuid::Uuid;

use crate::coordinator_script::{LONG, coordinator};
use crate::script::{controller, way_to};

const TOPIC: TopicId = TopicId(Uuid::from_u128(7));

/// The image at `offset` in which these coordinators live, the first of which is number 1; and who owns each shard.
pub(crate) fn image(offset: u64, coordinators: &[&str], owners: &[Option<i64>]) -> Image {
    let mut deltas = vec![Delta::ClusterCreated { cluster_id: ClusterId(Uuid::from_u128(5)) }];
    for (epoch, name) in (1..).zip(coordinators) {
        let coordinator = Coordinator {
            epoch: CoordinatorEpoch(epoch),
            kind: CoordinatorKind::Group,
            incarnation: Uuid::from_u128(epoch.unsigned_abs().into()),
            name: (*name).to_owned(),
            internal_address: Address::memory(*name).to_string(),
            levels: LevelRange::SUPPORTED,
        };
        deltas.push(Delta::CoordinatorRegistered { coordinator: Arc::new(coordinator) });
    }
    if !owners.is_empty() {
        let partition = Partition::new(Vec::new(), Vec::new(), BrokerId(1));
        deltas.push(Delta::TopicCreated { id: TOPIC, name: TopicName::new("__consumer_offsets").unwrap() });
        for index in 0..i32::try_from(owners.len()).unwrap() {
            deltas.push(Delta::PartitionSet { topic: TOPIC, index, partition: Arc::new(partition.clone()) });
        }
        deltas.push(Delta::ShardTopicSet { kind: CoordinatorKind::Group, topic: TOPIC, replication_factor: 1 });
        for (shard, owner) in (0..).zip(owners) {
            let owner = owner.map(CoordinatorEpoch);
            deltas.push(Delta::ShardOwned { kind: CoordinatorKind::Group, shard, owner });
        }
    }
    Image::restore(MetadataOffset(offset), None, &deltas).unwrap()
}

/// Everything around a client: no controller answers, but to the one at `c-1` if there is one.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) metadata: MetadataWatch,
    pub(crate) client: GroupClient,
}

impl World {
    pub(crate) fn new(image: Image) -> Self {
        let network = Network::new();
        let metadata = MetadataWatch::holding(image);
        let controller = ControllerClient::new(way_to(&network, &["c-1"]));
        let (kind, configs) = (CoordinatorKind::Group, Vec::new());
        let shards = NewShards { kind, partitions: 2, replication_factor: 1, configs };
        let creation = move |_: &Image| Command::CreateShards(shards.clone());
        let client = GroupClient::new(network.clone(), metadata.clone(), controller, creation);
        Self { network, metadata, client }
    }

    /// Asks without waiting for the answer.
    pub(crate) fn ask(&self, request: Request) -> tokio::task::JoinHandle<Result<Response, GroupClientError>> {
        let client = self.client.clone();
        tokio::spawn(async move { client.handle(request, LONG).await })
    }
}

pub(crate) fn heartbeat(group: &str) -> Request {
    let (generation_id, member_id, group_instance_id) = (1, "m".to_owned(), None);
    Request::Heartbeat(Heartbeat { group_id: group.to_owned(), generation_id, member_id, group_instance_id })
}

pub(crate) fn alive() -> Response {
    Response::Heartbeat(HeartbeatAnswer { error: ErrorCode::None })
}

pub(crate) fn join(member_id: &str) -> Request {
    Request::JoinGroup(JoinGroup {
        group_id: "g".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.to_owned(),
        group_instance_id: None,
        protocol_type: "consumer".to_owned(),
        protocols: Vec::new(),
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        reason: None,
        requires_known_member_id: true,
        supports_skipping_assignment: true,
    })
}

pub(crate) fn joined() -> Response {
    Response::JoinGroup(JoinGroupAnswer {
        error: ErrorCode::None,
        generation_id: 1,
        protocol_type: None,
        protocol_name: None,
        leader: String::new(),
        skip_assignment: false,
        member_id: "m".to_owned(),
        members: Vec::new(),
    })
}

fn delete() -> Request {
    Request::DeleteGroup(DeleteGroup { group_id: "g".to_owned() })
}

/// Two groups of different shards among two.
fn one_of_each_shard() -> [&'static str; 2] {
    let groups = ["a", "b"];
    assert_eq!(groups.map(|group| shard_of(group, 2)), [1, 0]);
    groups
}

#[tokio::test]
async fn a_request_goes_to_the_owner_of_its_shard() {
    let world = World::new(image(1, &["g-1", "g-2"], &[Some(1), Some(2)]));
    let (mut first, mut second) = (coordinator(&world.network, "g-1").await, coordinator(&world.network, "g-2").await);
    let [in_second, in_first] = one_of_each_shard();
    for (group, owner, shard) in [(in_first, &mut first, 0), (in_second, &mut second, 1)] {
        let waiting = world.ask(heartbeat(group));
        let asked = owner.next().await;
        assert_eq!((asked.shard, &asked.request), (shard, &heartbeat(group)));
        asked.answer(alive());
        assert_eq!(waiting.await.unwrap(), Ok(alive()));
    }
}

#[tokio::test]
async fn what_was_not_done_is_asked_again_once_another_owns_the_shard() {
    let world = World::new(image(1, &["g-1", "g-2"], &[Some(1)]));
    let (mut old, mut new) = (coordinator(&world.network, "g-1").await, coordinator(&world.network, "g-2").await);
    // A new member and a deletion, of all requests: they must not be done twice.
    let waiting = [world.ask(join("")), world.ask(delete())];
    for _ in 0..2 {
        old.next().await.refuse(ErrorCode::NotCoordinator);
    }
    world.metadata.publish(&image(2, &["g-1", "g-2"], &[Some(2)]));
    for _ in 0..2 {
        // An attempt that began before the image came still goes to the old owner.
        let asked = tokio::select! {
            asked = new.next() => asked,
            asked = old.next() => { asked.refuse(ErrorCode::NotCoordinator); new.next().await }
        };
        let response = match &asked.request {
            Request::JoinGroup(_) => joined(),
            _ => Response::Failed(ErrorCode::RequestTimedOut),
        };
        asked.answer(response);
    }
    let [joining, deleting] = waiting;
    assert_eq!(joining.await.unwrap(), Ok(joined()));
    assert!(matches!(deleting.await.unwrap(), Err(GroupClientError::Unknown { .. })));
    assert!(new.asked.try_recv().is_err(), "it may have been done, and is not asked again");
}

#[tokio::test]
async fn an_unknown_outcome_is_repeated_only_where_twice_is_as_good_as_once() {
    let world = World::new(image(1, &["g-1"], &[Some(1)]));
    let mut only = coordinator(&world.network, "g-1").await;
    for repeatable in [heartbeat("g"), join("m")] {
        let waiting = world.ask(repeatable.clone());
        only.next().await.fail(Status::aborted("the stream broke"));
        only.next().await.refuse(ErrorCode::RequestTimedOut);
        let asked = only.next().await;
        assert_eq!(asked.request, repeatable);
        asked.answer(alive());
        assert_eq!(waiting.await.unwrap(), Ok(alive()));
    }
    for once in [join(""), delete()] {
        let waiting = world.ask(once);
        only.next().await.fail(Status::aborted("the stream broke"));
        let error = waiting.await.unwrap().unwrap_err();
        assert!(matches!(error, GroupClientError::Unknown { .. }), "{error}");
        assert_eq!(error.code(), ErrorCode::CoordinatorNotAvailable);
    }
    assert!(only.asked.try_recv().is_err(), "nothing more was asked");
}

#[tokio::test]
async fn what_is_too_large_for_the_log_is_not_asked_again() {
    let world = World::new(image(1, &["g-1"], &[Some(1)]));
    let mut only = coordinator(&world.network, "g-1").await;
    let waiting = world.ask(join("m"));
    only.next().await.refuse(ErrorCode::UnknownServerError);
    tokio::select! {
        answer = waiting => assert_eq!(answer.unwrap().unwrap_err().code(), ErrorCode::UnknownServerError),
        asked = only.next() => panic!("it was asked again: {:?}", asked.request),
    }
}

#[tokio::test]
async fn while_a_shard_is_loaded_one_tries_for_all() {
    const MEMBERS: usize = 20;
    let world = World::new(image(1, &["g-1"], &[Some(1)]));
    let mut only = coordinator(&world.network, "g-1").await;
    let waiting: Vec<_> = (0..MEMBERS).map(|_| world.ask(heartbeat("g"))).collect();
    for _ in 0..MEMBERS {
        only.next().await.refuse(ErrorCode::CoordinatorLoadInProgress);
    }
    // Whoever tries next is one at a time, however often; on a machine that hesitates a second one may come beside it.
    let mut beside = 0;
    for _ in 0..10 {
        let asked = only.next().await;
        while let Ok(another) = only.asked.try_recv() {
            beside += 1;
            another.refuse(ErrorCode::CoordinatorLoadInProgress);
        }
        asked.refuse(ErrorCode::CoordinatorLoadInProgress);
    }
    assert!(beside < MEMBERS / 2, "{beside} tried beside one who tried");
    for _ in 0..MEMBERS {
        only.next().await.answer(alive());
    }
    for member in waiting {
        assert_eq!(member.await.unwrap(), Ok(alive()));
    }
}

#[tokio::test]
async fn a_member_that_waits_for_others_keeps_nobody_from_trying() {
    let world = World::new(image(1, &["g-1"], &[Some(1)]));
    let mut only = coordinator(&world.network, "g-1").await;
    let joining = world.ask(join("m"));
    only.next().await.refuse(ErrorCode::CoordinatorLoadInProgress);
    let beating = world.ask(heartbeat("g"));
    let mut parked = None;
    while parked.is_none() {
        let asked = only.next().await;
        match asked.request {
            Request::JoinGroup(_) => parked = Some(asked),
            _ => asked.refuse(ErrorCode::CoordinatorLoadInProgress),
        }
    }
    // The join has had its turn and now waits for others of its group.
    only.next().await.answer(alive());
    assert_eq!(beating.await.unwrap(), Ok(alive()));
    parked.unwrap().answer(joined());
    assert_eq!(joining.await.unwrap(), Ok(joined()));
}

#[tokio::test]
async fn a_coordinator_that_hangs_is_left_once_it_has_lost_the_shard() {
    let world = World::new(image(1, &["g-1", "g-2"], &[Some(1)]));
    let (mut hanging, mut new) = (coordinator(&world.network, "g-1").await, coordinator(&world.network, "g-2").await);
    let beating = world.ask(heartbeat("g"));
    let joining = world.ask(join(""));
    let _never_answered = [hanging.next().await, hanging.next().await];
    world.metadata.publish(&image(2, &["g-1", "g-2"], &[Some(2)]));
    new.next().await.answer(alive());
    assert_eq!(beating.await.unwrap(), Ok(alive()));
    let error = joining.await.unwrap().unwrap_err();
    assert!(matches!(error, GroupClientError::Unknown { .. }), "a new member may have joined: {error}");
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_is_waited_for() {
    let world = World::new(image(1, &["g-1"], &[Some(1)]));
    let joining = world.ask(join(""));
    let mut late = coordinator(&world.network, "g-1").await;
    late.next().await.answer(joined());
    assert_eq!(joining.await.unwrap(), Ok(joined()));
}

#[tokio::test]
async fn when_the_time_has_passed_it_is_told_why() {
    /// As long as it takes a busy machine to ask once.
    const LIMITED: Duration = Duration::from_secs(3);
    let world = World::new(image(1, &["g-1"], &[Some(1), None]));
    let mut only = coordinator(&world.network, "g-1").await;
    let [ownerless, owned] = one_of_each_shard();
    let error = world.client.handle(heartbeat(ownerless), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::CoordinatorNotAvailable, "{error}");
    let loading = async {
        loop {
            only.next().await.refuse(ErrorCode::CoordinatorLoadInProgress);
        }
    };
    let error = tokio::select! {
        answer = world.client.handle(heartbeat(owned), LIMITED) => answer.unwrap_err(),
        () = loading => unreachable!("it never ends"),
    };
    assert_eq!(error.code(), ErrorCode::CoordinatorLoadInProgress, "{error}");
}

#[tokio::test]
async fn shards_are_created_once_and_only_for_a_coordinator() {
    let world = World::new(image(1, &[], &[]));
    let created = controller(&world.network, "c-1").await;
    let error = world.client.ensure_shards(LONG).await.unwrap_err();
    assert_eq!((error.code(), created.submits()), (ErrorCode::CoordinatorNotAvailable, 0));
    assert_eq!(world.client.list(ListGroups::default(), LONG).await, Ok(Vec::new()), "nor for somebody who looks");

    let metadata = world.metadata.clone();
    created.on_submit(move |_| {
        metadata.publish(&image(3, &["g-1"], &[Some(1), Some(1)]));
        let topic = CreatedTopic { id: TOPIC, partitions: 2, replication_factor: 1 };
        let response = pb::Response::from(&levada_metadata::Response::CreateShards(Ok(topic)));
        Ok(pb::SubmitResponse { response: Some(response), offset: 3 })
    });
    world.metadata.publish(&image(2, &["g-1"], &[]));
    let mut only = coordinator(&world.network, "g-1").await;
    let waiting: Vec<_> = (0..5).map(|_| world.ask(heartbeat("g"))).collect();
    for _ in 0..5 {
        only.next().await.answer(alive());
    }
    for member in waiting {
        assert_eq!(member.await.unwrap(), Ok(alive()));
    }
    assert_eq!(created.submits(), 1);
}

#[tokio::test]
async fn all_shards_are_listed_or_none() {
    let world = World::new(image(1, &["g-1", "g-2"], &[Some(1), Some(2)]));
    let (mut first, mut second) = (coordinator(&world.network, "g-1").await, coordinator(&world.network, "g-2").await);
    let listed = |id: &str| ListedGroup {
        group_id: id.to_owned(),
        protocol_type: "consumer".to_owned(),
        state: "Stable".to_owned(),
        kind: GroupKind::Classic,
    };
    let asked = ListGroups { states: vec!["Stable".to_owned()], types: Vec::new() };
    let client = world.client.clone();
    let request = asked.clone();
    let listing = tokio::spawn(async move { client.list(request, LONG).await });
    let (one, two) = (first.next().await, second.next().await);
    assert_eq!((&one.request, one.shard, two.shard), (&Request::ListGroups(asked), 0, 1));
    one.answer(Response::ListGroups(vec![listed("a"), listed("b")]));
    two.answer(Response::ListGroups(vec![listed("c")]));
    assert_eq!(listing.await.unwrap(), Ok(vec![listed("a"), listed("b"), listed("c")]));

    let client = world.client.clone();
    let listing = tokio::spawn(async move { client.list(ListGroups::default(), LONG).await });
    first.next().await.answer(Response::ListGroups(vec![listed("a")]));
    second.next().await.refuse(ErrorCode::InvalidRequest);
    assert!(matches!(listing.await.unwrap(), Err(GroupClientError::Refused { .. })));
}
