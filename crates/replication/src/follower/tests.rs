//! The follower's rules, one by one.

use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use crate::toy::{ToyLog, ToyRecord};
use crate::{
    Ack, Attach, AttachAnswer, AttachOutcome, AttachRefusal, Effect, Event, Frame, IsrMember, PartitionView, Refusal,
    Replica, ReplicaConfig, ReplicaView, Rules, Session,
};

const ME: BrokerId = BrokerId(1);
const LEADER: BrokerId = BrokerId(2);

/// A follower in epoch 3, over a log of 6 records of epoch 1 and 4 of epoch 2, with its high watermark at 5.
struct Fixture {
    replica: Replica,
    log: ToyLog,
    view: PartitionView,
    now_ms: i64,
}

fn session(counter: u64) -> Session {
    Session { broker_epoch: BrokerEpoch(10), counter }
}

fn attach(counter: u64, at: Offset, last: i32) -> Effect {
    let attach = Attach {
        follower: ME,
        leader_epoch: LeaderEpoch(3),
        session: session(counter),
        fetch_offset: at,
        last_fetched_epoch: Some(LeaderEpoch(last)),
        flushed_end: 0,
        log_start: 0,
    };
    Effect::Attach { leader: LEADER, attach }
}

fn ack(counter: u64, end: Offset) -> Effect {
    let (follower, leader_epoch, session) = (ME, LeaderEpoch(3), session(counter));
    Effect::Ack {
        leader: LEADER,
        ack: Ack { follower, leader_epoch, session, log_end: end, flushed_end: 0, log_start: 0 },
    }
}

fn frame(counter: u64, base_offset: Offset, end_offset: Offset) -> Frame {
    Frame {
        leader_epoch: LeaderEpoch(3),
        session: session(counter),
        base_offset,
        end_offset,
        high_watermark: 0,
        log_start: 0,
    }
}

fn answer(counter: u64, outcome: AttachOutcome) -> Event {
    Event::Answer(AttachAnswer { leader_epoch: LeaderEpoch(3), session: session(counter), outcome })
}

const ACCEPTED: AttachOutcome = AttachOutcome::Accepted { high_watermark: 0, log_start: 0 };

impl Fixture {
    fn new() -> (Self, Vec<Effect>) {
        let replica = |broker| ReplicaView { broker, epoch: Some(BrokerEpoch(10)), live: true };
        let view = PartitionView {
            leader: Some(LEADER),
            leader_epoch: LeaderEpoch(3),
            partition_epoch: PartitionEpoch(5),
            replicas: vec![replica(ME), replica(LEADER)],
            isr: vec![IsrMember { broker: LEADER, epoch: BrokerEpoch(10) }],
            elr: Vec::new(),
            min_insync_replicas: 1,
            fsync: false,
            recovering: false,
        };
        let config = ReplicaConfig {
            broker: ME,
            broker_epoch: BrokerEpoch(10),
            first_session: 0,
            lag_time_max_ms: 1_000,
            retry_ms: 100,
            rules: Rules::default(),
        };
        let log = ToyLog::of_runs(&[(1, 6), (2, 4)]);
        let mut fixture = Self { replica: Replica::new(config, log.ends(), 5), log, view: view.clone(), now_ms: 0 };
        let effects = fixture.tell(Event::Image(view));
        (fixture, effects)
    }

    fn streaming() -> Self {
        let (mut fixture, _) = Self::new();
        fixture.tell(answer(1, ACCEPTED));
        fixture
    }

    fn tell(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.replica.handle(event, self.now_ms, &self.log, &mut effects);
        effects
    }

    fn append(&mut self, count: usize) -> Vec<Effect> {
        self.log.records.extend((0..count).map(|_| ToyRecord { epoch: LeaderEpoch(3), value: 0 }));
        self.tell(Event::Appended { end: self.log.end() })
    }

    fn image(&mut self, change: impl FnOnce(&mut PartitionView)) -> Vec<Effect> {
        change(&mut self.view);
        self.view.partition_epoch = self.view.partition_epoch.next();
        self.tell(Event::Image(self.view.clone()))
    }
}

#[test]
fn attaches_with_what_it_has() {
    let (follower, effects) = Fixture::new();
    assert_eq!(effects, [Effect::Follow { leader: LEADER, epoch: LeaderEpoch(3) }, attach(1, 10, 2)]);
    assert_eq!(follower.replica.admit(false), Err(Refusal::NotLeader));
    assert_eq!(follower.replica.latest_offset(), Err(Refusal::NotLeader));
}

#[test]
fn acknowledges_what_is_appended_and_not_before() {
    let mut follower = Fixture::streaming();
    let taken = |base_offset, end_offset| [Effect::Append { base_offset, end_offset }];
    assert_eq!(follower.tell(Event::Frame(frame(1, 10, 12))), taken(10, 12));
    assert_eq!(follower.tell(Event::Frame(frame(1, 12, 15))), taken(12, 15), "while the first is under way");
    assert_eq!(follower.append(2), [ack(1, 12)]);
    assert_eq!(follower.append(3), [ack(1, 15)]);
}

#[test]
fn a_frame_that_is_not_for_its_place_is_dropped() {
    let mut follower = Fixture::streaming();
    let late = [
        frame(0, 10, 12),
        frame(2, 10, 12),
        Frame { leader_epoch: LeaderEpoch(2), ..frame(1, 10, 12) },
        Frame { leader_epoch: LeaderEpoch(4), ..frame(1, 10, 12) },
        frame(1, 9, 12),
        frame(1, 10, 9),
    ];
    for frame in late {
        assert_eq!(follower.tell(Event::Frame(frame)), [], "{frame:?}");
    }
    assert_eq!(follower.tell(Event::Frame(frame(1, 10, 11))).len(), 1);
    assert_eq!(follower.tell(Event::Frame(frame(1, 10, 11))), [], "twice");
}

#[test]
fn a_gap_ends_the_session() {
    let mut follower = Fixture::streaming();
    assert_eq!(follower.tell(Event::Frame(frame(1, 11, 12))), [attach(2, 10, 2)]);
    assert_eq!(follower.tell(Event::Frame(frame(1, 10, 12))), [], "of the session that is over");
}

#[test]
fn attaches_anew_only_when_it_knows_what_it_has() {
    let mut follower = Fixture::streaming();
    follower.tell(Event::Frame(frame(1, 10, 12)));
    let detached = Event::Detached { leader_epoch: LeaderEpoch(3), session: session(1) };
    assert_eq!(follower.tell(detached.clone()), [], "an append is under way");
    assert_eq!(follower.append(2), [attach(2, 12, 3)]);
    assert_eq!(follower.tell(detached), [], "of an earlier session");
}

#[test]
fn an_image_waits_until_the_log_is_at_rest() {
    let mut follower = Fixture::streaming();
    follower.tell(Event::Frame(frame(1, 10, 12)));
    let lead = |view: &mut PartitionView| {
        view.leader = Some(ME);
        view.leader_epoch = LeaderEpoch(4);
        view.isr.push(IsrMember { broker: ME, epoch: BrokerEpoch(10) });
    };
    assert_eq!(follower.image(lead), []);
    assert_eq!(follower.tell(Event::Frame(frame(1, 12, 13))), [], "of a leader that is none any more");
    let effects = follower.append(2);
    assert!(effects.contains(&Effect::Lead { epoch: LeaderEpoch(4), start: 12 }), "{effects:?}");
}

#[test]
fn a_late_or_lost_answer_is_made_up_for() {
    let (mut follower, _) = Fixture::new();
    assert_eq!(follower.tell(Event::Frame(frame(1, 10, 11))).len(), 1, "the leader has accepted, or it would not send");
    let (mut follower, _) = Fixture::new();
    follower.now_ms = 99;
    assert_eq!(follower.tell(Event::Tick), []);
    follower.now_ms = 100;
    assert_eq!(follower.tell(Event::Tick), [attach(2, 10, 2)]);
    assert_eq!(follower.tell(answer(1, AttachOutcome::OutOfRange { log_start: 0 })), [], "to an earlier question");
}

#[test]
fn a_refusal_is_followed_by_another_try() {
    let (mut follower, _) = Fixture::new();
    assert_eq!(follower.tell(answer(1, AttachOutcome::Refused(AttachRefusal::UnknownLeaderEpoch))), []);
    follower.now_ms = 100;
    assert_eq!(follower.tell(Event::Tick), [attach(2, 10, 2)]);
}

#[test]
fn truncates_what_is_not_the_leaders_and_attaches_again() {
    let (mut follower, _) = Fixture::new();
    let effects = follower.tell(answer(1, AttachOutcome::Diverged { epoch: LeaderEpoch(2), end_offset: 8 }));
    assert_eq!(effects, [Effect::Truncate { to: 8, below_high_watermark: false }]);
    assert_eq!(follower.tell(Event::Frame(frame(1, 10, 12))), []);
    follower.log.truncate(7);
    assert_eq!(
        follower.tell(Event::Truncated { ends: follower.log.ends() }),
        [attach(2, 7, 2)],
        "to where a batch began"
    );
}

#[test]
fn a_cut_below_the_high_watermark_says_so_and_lowers_it() {
    let (mut follower, _) = Fixture::new();
    let effects = follower.tell(answer(1, AttachOutcome::Diverged { epoch: LeaderEpoch(1), end_offset: 3 }));
    assert_eq!(effects, [Effect::Truncate { to: 3, below_high_watermark: true }]);
    follower.log.truncate(3);
    let effects = follower.tell(Event::Truncated { ends: follower.log.ends() });
    assert_eq!(effects, [Effect::HighWatermark { offset: 3 }, attach(2, 3, 1)]);
}

#[test]
fn a_nonsensical_divergence_truncates_nothing() {
    let (mut follower, _) = Fixture::new();
    let outcome = AttachOutcome::Diverged { epoch: LeaderEpoch(2), end_offset: 99 };
    assert_eq!(follower.tell(answer(1, outcome)), []);
    assert_eq!(follower.tell(answer(1, AttachOutcome::OutOfRange { log_start: -1 })), []);
}

#[test]
fn begins_anew_where_the_leader_begins() {
    let (mut follower, _) = Fixture::new();
    let effects = follower.tell(answer(1, AttachOutcome::OutOfRange { log_start: 40 }));
    assert_eq!(effects, [Effect::StartAt { offset: 40, below_high_watermark: false }]);
    follower.log.start_at(40);
    let effects = follower.tell(Event::Truncated { ends: follower.log.ends() });
    assert_eq!(effects[0], Effect::HighWatermark { offset: 40 });
    assert_eq!((follower.replica.log_ends().start, follower.replica.high_watermark()), (40, 40));
}

#[test]
fn its_high_watermark_is_the_leaders_but_not_beyond_its_own_end() {
    let mut follower = Fixture::streaming();
    let marks = |high_watermark, frame: Frame| Event::Frame(Frame { high_watermark, ..frame });
    assert_eq!(follower.tell(marks(7, frame(1, 10, 10))), [Effect::HighWatermark { offset: 7 }]);
    assert_eq!(follower.tell(marks(6, frame(1, 10, 10))), [], "it does not go back");
    let effects = follower.tell(marks(12, frame(1, 10, 12)));
    assert_eq!(effects[1..], [Effect::HighWatermark { offset: 10 }], "the rest is not appended yet");
    assert_eq!(follower.append(2), [Effect::HighWatermark { offset: 12 }, ack(1, 12)]);
}

#[test]
fn deletes_what_the_leader_has_deleted() {
    let mut follower = Fixture::streaming();
    let effects = follower.tell(Event::Frame(Frame { log_start: 4, ..frame(1, 10, 10) }));
    assert_eq!(effects, [Effect::AdvanceLogStart { to: 4 }]);
    follower.log.advance_start(4);
    let effects = follower.tell(Event::LogStartMoved { start: 4 });
    let [Effect::Ack { ack, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((ack.log_start, ack.log_end), (4, 10), "so that DeleteRecords can be answered");
    let effects = follower.tell(Event::Frame(Frame { log_start: 9, ..frame(1, 10, 10) }));
    assert_eq!(effects, [Effect::AdvanceLogStart { to: 5 }], "not beyond what it knows to be committed");
}

#[test]
fn flushes_if_the_topic_asks_for_it() {
    let mut follower = Fixture::streaming();
    assert_eq!(follower.image(|view| view.fsync = true), [Effect::Flush]);
    follower.tell(Event::Frame(frame(1, 10, 11)));
    assert_eq!(follower.append(1), [Effect::Flush, ack(1, 11)]);
    follower.log.flushed = 11;
    let effects = follower.tell(Event::Flushed { end: 11 });
    let [Effect::Ack { ack, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((ack.log_end, ack.flushed_end), (11, 11));
}

#[test]
fn what_was_flushed_before_the_leader_answers_is_told_when_it_has() {
    let (mut follower, _) = Fixture::new();
    assert_eq!(follower.image(|view| view.fsync = true), [Effect::Flush]);
    follower.log.flushed = 10;
    assert_eq!(follower.tell(Event::Flushed { end: 10 }), []);
    let effects = follower.tell(answer(1, ACCEPTED));
    let [Effect::Ack { ack, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((ack.log_end, ack.flushed_end), (10, 10));
}

#[test]
fn a_failed_log_is_tried_again_later() {
    let mut follower = Fixture::streaming();
    follower.tell(Event::Frame(frame(1, 10, 12)));
    assert_eq!(follower.tell(Event::LogFailed { ends: follower.log.ends() }), []);
    assert_eq!(follower.tell(Event::Frame(frame(1, 12, 13))), []);
    follower.now_ms = 100;
    assert_eq!(follower.tell(Event::Tick), [attach(2, 10, 2)]);
}

#[test]
fn a_failed_log_is_not_tried_again_while_something_is_under_way() {
    let mut follower = Fixture::streaming();
    follower.tell(Event::Frame(frame(1, 10, 12)));
    follower.tell(Event::Frame(frame(1, 12, 14)));
    follower.tell(Event::LogFailed { ends: follower.log.ends() });
    follower.now_ms = 100;
    assert_eq!(follower.tell(Event::Tick), []);
    assert_eq!(follower.image(|view| view.leader_epoch = LeaderEpoch(4)), [], "nor does it begin to follow another");
    let effects = follower.tell(Event::LogFailed { ends: follower.log.ends() });
    let [Effect::Follow { .. }, Effect::Attach { attach, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((attach.fetch_offset, attach.session), (10, session(2)));
}

#[test]
fn another_leader_is_attached_to_with_a_greater_session() {
    let mut follower = Fixture::streaming();
    let effects = follower.image(|view| view.leader_epoch = LeaderEpoch(4));
    assert_eq!(effects[0], Effect::Follow { leader: LEADER, epoch: LeaderEpoch(4) });
    let Effect::Attach { attach, .. } = effects[1] else { panic!("{effects:?}") };
    assert_eq!((attach.session, attach.leader_epoch), (session(2), LeaderEpoch(4)));
}

#[test]
fn waits_when_nobody_leads_and_when_it_holds_nothing() {
    let mut follower = Fixture::streaming();
    assert_eq!(follower.image(|view| view.leader = None), [Effect::Wait]);
    let mut follower = Fixture::streaming();
    assert_eq!(follower.image(|view| view.replicas.retain(|replica| replica.broker != ME)), [Effect::Wait]);
}
