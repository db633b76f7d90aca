//! A broker's session across its life: registration, readiness, broken streams, notice, refusal.

use levada_metadata::{CoordinatorKind, Endpoint, EndpointProtocol, Image, LevelRange, NewBroker, NewCoordinator};
use levada_peers::{BrokerSession, CoordinatorSession, MetadataWatch};
use levada_proto::internal::session_request::Kind as Ask;
use levada_proto::internal::session_response::Kind as Told;
use levada_proto::internal::{HeartbeatAck, Report, SessionOpened, SessionResponse, Stopped};
use levada_proto::status::status_of;
use levada_service::net::Network;
use levada_types::{BrokerEpoch, BrokerId, CoordinatorEpoch, DirectoryId, ErrorCode, MetadataOffset};
use std::time::Duration;

use levada_service::shutdown::CancellationToken;

use crate::script::{Handle, Session, controller, not_active, way_to};

/// Long enough that it never passes in a test, so every heartbeat seen is one out of turn.
const NEVER_MS: u32 = 3_600_000;

fn broker() -> NewBroker {
    NewBroker {
        id: BrokerId(1),
        incarnation: uuid::Uuid::from_u128(77),
        replaces: None,
        boot_id: None,
        clean_shutdown_epoch: None,
        closed_directories: Vec::new(),
        directories: vec![DirectoryId(uuid::Uuid::from_u128(5))],
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: "localhost".to_owned(),
            port: 9092,
            protocol: EndpointProtocol::Plaintext,
        }],
        internal_address: "memory:broker-1".to_owned(),
        rack: None,
        cluster_id: None,
        has_offline_directory: false,
        has_lost_bytes: false,
        levels: LevelRange::SUPPORTED,
    }
}

impl Session {
    fn answer(&self, kind: Told) {
        self.tell.send(Ok(SessionResponse { kind: Some(kind) })).unwrap();
    }

    fn open(&self, epoch: i64, offset: u64) {
        self.open_with(epoch, offset, NEVER_MS);
    }

    fn open_with(&self, epoch: i64, offset: u64, heartbeat_interval_ms: u32) {
        let session_timeout_ms = NEVER_MS;
        self.answer(Told::Opened(SessionOpened { epoch, offset, heartbeat_interval_ms, session_timeout_ms }));
    }

    async fn next(&mut self) -> Ask {
        self.asked.message().await.unwrap().unwrap().kind.unwrap()
    }

    /// The next heartbeat that says this; earlier ones may say less.
    async fn heartbeat(&mut self, applied_offset: u64, ready: bool) {
        loop {
            match self.next().await {
                Ask::Heartbeat(beat) if beat.applied_offset == applied_offset && beat.ready == ready => return,
                Ask::Heartbeat(beat) => assert!(beat.applied_offset <= applied_offset, "{beat:?}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

struct Scene {
    handle: Handle,
    metadata: MetadataWatch,
    session: BrokerSession,
}

async fn scene() -> Scene {
    let network = Network::new();
    let handle = controller(&network, "c-1").await;
    let metadata = MetadataWatch::holding(Image::new());
    let session = BrokerSession::open(way_to(&network, &["c-1"]), &broker(), metadata.clone(), metadata.clone());
    Scene { handle, metadata, session }
}

impl Scene {
    async fn opened(&mut self, epoch: i64, offset: u64) -> Session {
        let mut stream = self.handle.sessions.recv().await.unwrap();
        let Ask::Register(register) = stream.next().await else { panic!("the first message registers") };
        assert_eq!(NewBroker::try_from(register).unwrap(), broker());
        stream.open(epoch, offset);
        stream
    }

    fn metadata_reaches(&self, offset: u64) {
        let mut image = Image::clone(&self.metadata.image());
        image.advance(MetadataOffset(offset));
        self.metadata.publish(&image);
    }
}

#[tokio::test]
async fn each_step_towards_leading_is_told_without_waiting_for_an_interval() {
    let mut scene = scene().await;
    let mut stream = scene.opened(12, 40).await;
    assert_eq!(scene.session.registered().await, Ok(BrokerEpoch(12)));
    assert!(scene.session.state().borrow().fenced);
    stream.heartbeat(0, false).await;
    scene.metadata_reaches(40);
    stream.heartbeat(40, false).await;
    scene.session.set_ready();
    stream.heartbeat(40, true).await;
    stream.answer(Told::HeartbeatAck(HeartbeatAck { committed_offset: 41, fenced: false, number: 1 }));
    scene.session.unfenced().await;
}

#[tokio::test]
async fn a_broken_stream_is_followed_by_another_under_the_same_incarnation() {
    let mut scene = scene().await;
    let stream = scene.opened(12, 40).await;
    scene.session.registered().await.unwrap();
    scene.session.set_ready();
    drop(stream);
    let mut stream = scene.opened(13, 50).await;
    stream.heartbeat(0, true).await;
    let mut state = scene.session.state();
    state.wait_for(|state| state.epoch == Some(BrokerEpoch(13))).await.unwrap();
}

#[tokio::test]
async fn notice_of_a_stop_is_given_and_the_leaderships_are_waited_for() {
    let mut scene = scene().await;
    let mut stream = scene.opened(12, 40).await;
    scene.session.registered().await.unwrap();
    let stopping = tokio::spawn(scene.session.stop(Duration::from_secs(60)));
    loop {
        match stream.next().await {
            Ask::ShutdownNotice(_) => break,
            Ask::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    }
    stream.answer(Told::Stopped(Stopped { offset: 60 }));
    assert_eq!(stopping.await.unwrap(), Some(MetadataOffset(60)));
}

#[tokio::test]
async fn what_others_wait_for_is_told_as_soon_as_it_is_known() {
    let mut scene = scene().await;
    let mut stream = scene.opened(12, 40).await;
    stream.heartbeat(0, false).await;
    stream.answer(Told::HeartbeatAck(HeartbeatAck { committed_offset: 40, fenced: false, number: 1 }));
    scene.session.unfenced().await;
    stream.answer(Told::Report(Report { offset: 60 }));
    scene.metadata_reaches(60);
    stream.heartbeat(60, false).await;
}

#[tokio::test]
async fn a_controller_that_does_not_answer_does_not_hold_a_stop() {
    let mut scene = scene().await;
    let _stream = scene.opened(12, 40).await;
    scene.session.registered().await.unwrap();
    assert_eq!(scene.session.stop(Duration::ZERO).await, None);
}

#[tokio::test]
async fn a_broker_that_is_refused_for_good_is_told_why() {
    let mut scene = scene().await;
    let stream = scene.handle.sessions.recv().await.unwrap();
    stream.tell.send(Err(status_of(ErrorCode::InvalidRegistration, "another cluster's directories"))).unwrap();
    let refused = scene.session.registered().await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidRegistration);
    assert!(refused.message.contains("another cluster"), "{refused}");
}

#[tokio::test]
async fn an_older_incarnation_that_still_lives_is_waited_out() {
    let mut scene = scene().await;
    let stream = scene.handle.sessions.recv().await.unwrap();
    stream.tell.send(Err(status_of(ErrorCode::DuplicateBrokerRegistration, ""))).unwrap();
    scene.opened(14, 41).await;
    assert_eq!(scene.session.registered().await, Ok(BrokerEpoch(14)));
}

/// Short, so that a controller that does not answer is soon taken to be silent.
const SHORT_MS: u32 = 20;

/// Two controllers, of which the first has the session, and a broker that may lead.
struct Silence {
    first: Handle,
    second: Handle,
    metadata: MetadataWatch,
    session: BrokerSession,
    /// The session at the first controller.
    stream: Session,
    stop: CancellationToken,
}

async fn silence() -> Silence {
    let network = Network::new();
    let (mut first, second) = (controller(&network, "c-1").await, controller(&network, "c-2").await);
    let controllers = way_to(&network, &["c-1", "c-2"]);
    let nothing = MetadataWatch::holding(Image::new());
    let session = BrokerSession::open(controllers.clone(), &broker(), nothing.clone(), nothing);
    let mut stream = first.sessions.recv().await.unwrap();
    assert!(matches!(stream.next().await, Ask::Register(_)));
    stream.open_with(12, 40, SHORT_MS);
    session.registered().await.unwrap();
    let stop = CancellationToken::new();
    let (metadata, _) = MetadataWatch::start(controllers, stop.clone());
    stream.answer(Told::HeartbeatAck(HeartbeatAck { committed_offset: 41, fenced: false, number: 1 }));
    session.unfenced().await;
    Silence { first, second, metadata, session, stream, stop }
}

#[tokio::test]
async fn a_session_moves_from_a_controller_that_is_silent_to_the_one_that_is_active_without_a_fence() {
    let Silence { mut first, mut second, metadata, session, mut stream, stop } = silence().await;
    let _followed = first.watches.recv().await.unwrap();
    // The second one becomes active after it was asked for the first time.
    for _ in 0..3 {
        let asked = second.sessions.recv().await.unwrap();
        asked.tell.send(Err(not_active(Some("c-1")))).unwrap();
    }
    let mut moved = second.sessions.recv().await.unwrap();
    let Ask::Register(register) = moved.next().await else { panic!("the first message registers") };
    assert_eq!(NewBroker::try_from(register).unwrap(), broker(), "the same process as before");
    moved.open(12, 50);
    moved.heartbeat(0, false).await;
    assert!(!session.state().borrow().fenced, "the broker leads on");
    // It has one session: the first stream is over.
    while let Ok(Some(_)) = stream.asked.message().await {}

    // What else waited for the silent one goes to the active one too.
    let followed = second.watches.recv().await.unwrap();
    assert_eq!(followed.from_offset, metadata.image().offset().0);
    stop.cancel();
}

#[tokio::test]
async fn a_controller_that_was_only_slow_keeps_the_session() {
    let Silence { first: _first, mut second, metadata: _metadata, session, mut stream, stop } = silence().await;
    let asked = second.sessions.recv().await.unwrap();
    asked.tell.send(Err(not_active(Some("c-1")))).unwrap();
    // It speaks again and answers whatever comes.
    let mut answered = 0;
    while answered < 20 {
        let Ask::Heartbeat(beat) = stream.next().await else { panic!("the session goes on") };
        answered += 1;
        stream.answer(Told::HeartbeatAck(HeartbeatAck { committed_offset: 41, fenced: false, number: beat.number }));
    }
    assert!(!session.state().borrow().fenced);
    assert_eq!(session.state().borrow().epoch, Some(BrokerEpoch(12)));
    stop.cancel();
}

#[tokio::test]
async fn the_others_are_asked_beside_a_controller_that_swallows_a_registration() {
    let network = Network::new();
    let (mut first, mut second) = (controller(&network, "c-1").await, controller(&network, "c-2").await);
    let nothing = MetadataWatch::holding(Image::new());
    let session = BrokerSession::open(way_to(&network, &["c-1", "c-2"]), &broker(), nothing.clone(), nothing);
    let mut stream = first.sessions.recv().await.unwrap();
    assert!(matches!(stream.next().await, Ask::Register(_)));
    stream.open(12, 40);
    session.registered().await.unwrap();
    drop(stream);

    // The one that had the session is asked first, and does not answer; it is still waited for when the other one is asked.
    let mut swallowed = first.sessions.recv().await.unwrap();
    assert!(matches!(swallowed.next().await, Ask::Register(_)));
    let mut moved = second.sessions.recv().await.unwrap();
    assert!(matches!(moved.next().await, Ask::Register(_)));
    let given_up = futures::poll!(std::pin::pin!(swallowed.asked.message()));
    assert!(given_up.is_pending(), "the second one is asked only after the first was given up: {given_up:?}");

    moved.open(12, 50);
    moved.heartbeat(0, false).await;
    let state = session.state().borrow().clone();
    assert_eq!((state.epoch, state.refused), (Some(BrokerEpoch(12)), None));
    // It has one session: nobody waits for the first one any more.
    while let Ok(Some(_)) = swallowed.asked.message().await {}
}

#[tokio::test]
async fn a_controller_that_answers_late_still_gets_the_session_if_it_is_the_first_to() {
    let network = Network::new();
    let (mut first, mut second) = (controller(&network, "c-1").await, controller(&network, "c-2").await);
    let nothing = MetadataWatch::holding(Image::new());
    let session = BrokerSession::open(way_to(&network, &["c-1", "c-2"]), &broker(), nothing.clone(), nothing);
    let mut late = first.sessions.recv().await.unwrap();
    assert!(matches!(late.next().await, Ask::Register(_)));
    let asked = second.sessions.recv().await.unwrap();
    asked.tell.send(Err(not_active(Some("c-1")))).unwrap();
    late.open(12, 40);
    late.heartbeat(0, false).await;
    assert_eq!(session.registered().await, Ok(BrokerEpoch(12)));
}

#[tokio::test]
async fn a_coordinator_that_gets_another_epoch_has_no_lease_until_it_is_heard_under_it() {
    let network = Network::new();
    let mut handle = controller(&network, "c-1").await;
    let metadata = MetadataWatch::holding(Image::new());
    let new = NewCoordinator {
        kind: CoordinatorKind::Group,
        incarnation: uuid::Uuid::from_u128(77),
        name: "g-1".to_owned(),
        internal_address: "memory:g-1".to_owned(),
        levels: LevelRange::SUPPORTED,
    };
    let session = CoordinatorSession::open(way_to(&network, &["c-1"]), &new, metadata);
    let (lease, mut state) = (session.lease(), session.state());
    let mut epochs = Vec::new();
    for epoch in [3, 3, 4] {
        let mut stream = handle.sessions.recv().await.unwrap();
        let Ask::RegisterCoordinator(register) = stream.next().await else { panic!("the first message registers") };
        assert_eq!(NewCoordinator::try_from(register).unwrap(), new);
        stream.open(epoch, 40);
        let Ask::Heartbeat(beat) = stream.next().await else { panic!("a heartbeat comes next") };
        // It was sent after the answer to the registration had been taken in.
        epochs.push((session.epoch(), lease.is_current()));
        let ack = HeartbeatAck { committed_offset: 41, fenced: false, number: beat.number };
        stream.answer(Told::HeartbeatAck(ack));
        state.wait_for(|state| !state.fenced).await.unwrap();
        assert!(lease.is_current());
    }
    let at = |epoch| Some(CoordinatorEpoch(epoch));
    assert_eq!(epochs, [(at(3), false), (at(3), true), (at(4), false)]);
}
