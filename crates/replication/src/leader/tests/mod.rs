//! The leader's rules, one by one.

mod sessions;

use levada_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

use crate::toy::ToyLog;
use crate::{
    Ack, Attach, AttachOutcome, AttachRefusal, Effect, Event, IsrMember, PartitionView, Proposal, ProposalAnswer,
    ProposalId, Refusal, Replica, ReplicaConfig, ReplicaView, Rules, Session,
};

const ME: BrokerId = BrokerId(1);
const B: BrokerId = BrokerId(2);
const C: BrokerId = BrokerId(3);

/// A leader over a log of 10 records of epoch 0, in epoch 1, with its followers B and C.
struct Fixture {
    replica: Replica,
    log: ToyLog,
    view: PartitionView,
    now_ms: i64,
}

fn member(broker: BrokerId) -> IsrMember {
    IsrMember { broker, epoch: BrokerEpoch(i64::from(broker.0) * 10) }
}

fn view(isr: &[BrokerId]) -> PartitionView {
    let replica = |broker: BrokerId| ReplicaView { broker, epoch: Some(member(broker).epoch), live: true };
    PartitionView {
        leader: Some(ME),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(5),
        replicas: [ME, B, C].map(replica).to_vec(),
        isr: isr.iter().map(|id| member(*id)).collect(),
        elr: Vec::new(),
        min_insync_replicas: 2,
        fsync: false,
        recovering: false,
    }
}

fn config() -> ReplicaConfig {
    ReplicaConfig {
        broker: ME,
        broker_epoch: member(ME).epoch,
        first_session: 0,
        lag_time_max_ms: 1_000,
        retry_ms: 100,
        rules: Rules::default(),
    }
}

fn session(broker: BrokerId, counter: u64) -> Session {
    Session { broker_epoch: member(broker).epoch, counter }
}

impl Fixture {
    fn new(view: PartitionView) -> (Self, Vec<Effect>) {
        let log = ToyLog::of_runs(&[(0, 10)]);
        let mut fixture = Self { replica: Replica::new(config(), log.ends(), 4), log, view: view.clone(), now_ms: 0 };
        let effects = fixture.tell(Event::Image(view));
        (fixture, effects)
    }

    fn tell(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.replica.handle(event, self.now_ms, &self.log, &mut effects);
        effects
    }

    fn image(&mut self, change: impl FnOnce(&mut PartitionView)) -> Vec<Effect> {
        change(&mut self.view);
        self.view.partition_epoch = self.view.partition_epoch.next();
        self.tell(Event::Image(self.view.clone()))
    }

    fn attach(&mut self, follower: BrokerId, counter: u64, at: Offset) -> Vec<Effect> {
        self.tell(Event::Attach(self.attach_of(follower, counter, at)))
    }

    fn attach_of(&self, follower: BrokerId, counter: u64, at: Offset) -> Attach {
        Attach {
            follower,
            leader_epoch: self.view.leader_epoch,
            session: session(follower, counter),
            fetch_offset: at,
            last_fetched_epoch: at.checked_sub(1).and_then(|last| self.log.get(last)).map(|record| record.epoch),
            flushed_end: 0,
            log_start: 0,
        }
    }

    fn ack_of(&self, follower: BrokerId, counter: u64, end: Offset) -> Ack {
        Ack {
            follower,
            leader_epoch: self.view.leader_epoch,
            session: session(follower, counter),
            log_end: end,
            flushed_end: 0,
            log_start: 0,
        }
    }

    fn ack(&mut self, follower: BrokerId, counter: u64, end: Offset) -> Vec<Effect> {
        self.tell(Event::Ack(self.ack_of(follower, counter, end)))
    }

    fn append(&mut self, count: usize) -> Vec<Effect> {
        let epoch = self.view.leader_epoch;
        self.log.records.extend((0..count).map(|n| crate::toy::ToyRecord { epoch, value: 100 + n as u64 }));
        self.tell(Event::Appended { end: self.log.end() })
    }

    fn answer(&mut self, id: ProposalId, answer: ProposalAnswer) -> Vec<Effect> {
        self.tell(Event::ProposalAnswered { id, answer })
    }

    fn high_watermark(&self) -> Offset {
        self.replica.high_watermark()
    }
}

fn proposals(effects: &[Effect]) -> Vec<&Proposal> {
    let proposal = |effect: &'_ Effect| matches!(effect, Effect::Propose(_));
    let found = effects.iter().filter(|effect| proposal(effect));
    found.filter_map(|effect| if let Effect::Propose(proposal) = effect { Some(proposal) } else { None }).collect()
}

fn brokers(proposal: &Proposal) -> Vec<BrokerId> {
    proposal.isr.iter().map(|member| member.broker).collect()
}

fn outcome(effects: &[Effect]) -> Option<AttachOutcome> {
    effects.iter().find_map(|effect| match effect {
        Effect::Answer { answer, .. } => Some(answer.outcome),
        _ => None,
    })
}

#[test]
fn the_high_watermark_waits_for_everybody_in_sync() {
    let (mut leader, effects) = Fixture::new(view(&[ME, B, C]));
    assert_eq!(effects, [Effect::Lead { epoch: LeaderEpoch(1), start: 10 }]);
    assert_eq!(leader.high_watermark(), 4, "as of the checkpoint");
    leader.attach(B, 1, 10);
    assert_eq!(leader.high_watermark(), 4, "nothing is known of C");
    leader.attach(C, 1, 7);
    assert_eq!(leader.high_watermark(), 7);
    leader.ack(C, 1, 10);
    assert_eq!(leader.high_watermark(), 10);
    leader.append(3);
    leader.ack(B, 1, 12);
    leader.ack(C, 1, 11);
    assert_eq!(leader.high_watermark(), 11);
}

#[test]
fn the_high_watermark_stands_still_under_the_minimum() {
    let (mut leader, _) = Fixture::new(view(&[ME]));
    assert_eq!(leader.high_watermark(), 4);
    assert_eq!(leader.replica.admit(true), Err(Refusal::NotEnoughReplicas));
    assert_eq!(leader.replica.admit(false), Ok(LeaderEpoch(1)), "acks=1 goes on");
    leader.image(|view| view.min_insync_replicas = 1);
    assert_eq!(leader.high_watermark(), 10);
}

#[test]
fn the_minimum_is_bounded_by_the_replicas() {
    let mut few = view(&[ME]);
    few.replicas.truncate(1);
    let (leader, _) = Fixture::new(few);
    assert_eq!((leader.high_watermark(), leader.replica.admit(true)), (10, Ok(LeaderEpoch(1))));
}

#[test]
fn a_leader_alone_in_sync_commits_only_under_its_lease() {
    let (mut leader, _) = Fixture::new(PartitionView { min_insync_replicas: 1, ..view(&[ME]) });
    assert_eq!(leader.high_watermark(), 10);
    leader.replica.hold_lease(false);
    leader.append(1);
    assert_eq!(leader.tell(Event::Awaited { end: 11 }), []);
    assert_eq!((leader.high_watermark(), leader.replica.waits_for_lease()), (10, true));
    leader.replica.hold_lease(true);
    let acknowledged = [Effect::HighWatermark { offset: 11 }, Effect::Acknowledge { end: 11 }];
    assert_eq!(leader.tell(Event::Tick), acknowledged);
    assert!(!leader.replica.waits_for_lease());
}

#[test]
fn a_leader_with_others_in_sync_or_without_other_replicas_needs_no_lease() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.replica.hold_lease(false);
    leader.attach(B, 1, 10);
    assert_eq!(leader.high_watermark(), 10);
    let mut only = view(&[ME]);
    only.replicas.truncate(1);
    let (mut leader, _) = Fixture::new(only);
    leader.replica.hold_lease(false);
    leader.append(1);
    assert_eq!(leader.high_watermark(), 11);
}

#[test]
fn latest_is_unknown_until_the_epochs_start_is_committed() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.append(5);
    leader.attach(B, 1, 9);
    assert_eq!(leader.replica.latest_offset(), Err(Refusal::OffsetNotAvailable));
    leader.ack(B, 1, 10);
    assert_eq!(leader.replica.latest_offset(), Ok(10));
}

#[test]
fn latest_stays_known_when_a_leader_is_opened_anew_in_its_epoch() {
    // Its log has moved to another directory, say, and has three records of the leader's own epoch.
    let log = ToyLog::of_runs(&[(0, 10), (1, 3)]);
    let opened = |high_watermark| {
        let mut replica = Replica::new(config(), log.ends(), high_watermark);
        let mut effects = Vec::new();
        replica.handle(Event::Image(view(&[ME, B])), 0, &log, &mut effects);
        assert_eq!(effects, [Effect::Lead { epoch: LeaderEpoch(1), start: 10 }]);
        replica.latest_offset()
    };
    assert_eq!(opened(11), Ok(11), "what this very leader has committed and told is no secret");
    assert_eq!(opened(9), Err(Refusal::OffsetNotAvailable));
}

#[test]
fn who_waits_is_answered_when_it_is_committed() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    leader.append(2);
    assert_eq!(leader.tell(Event::Awaited { end: 12 }), []);
    assert_eq!(leader.tell(Event::Awaited { end: 10 }), [Effect::Acknowledge { end: 10 }], "a duplicate, committed");
    let effects = leader.ack(B, 1, 12);
    assert!(effects.contains(&Effect::Acknowledge { end: 12 }), "{effects:?}");
}

#[test]
fn who_waits_is_told_when_too_few_are_in_sync() {
    let failed = Effect::FailAwaited { code: ErrorCode::NotEnoughReplicasAfterAppend };
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    leader.append(1);
    leader.tell(Event::Awaited { end: 11 });
    assert!(leader.image(|view| view.isr = vec![member(ME)]).contains(&failed));
    assert_eq!(leader.tell(Event::Awaited { end: 11 }), [failed], "and who comes later, too");
}

#[test]
fn who_waits_is_told_when_another_leads() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.append(1);
    leader.tell(Event::Awaited { end: 11 });
    let effects = leader.image(|view| {
        view.leader = Some(B);
        view.leader_epoch = LeaderEpoch(2);
    });
    assert!(effects.contains(&Effect::FailAwaited { code: ErrorCode::NotLeaderOrFollower }), "{effects:?}");
    assert_eq!(leader.replica.admit(false), Err(Refusal::NotLeader));
}

#[test]
fn who_waits_goes_on_waiting_when_the_same_leads_on() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.append(1);
    leader.tell(Event::Awaited { end: 11 });
    let effects = leader.image(|view| view.leader_epoch = LeaderEpoch(2));
    assert_eq!(effects, [Effect::Lead { epoch: LeaderEpoch(2), start: 11 }]);
    let effects = leader.attach(B, 1, 11);
    assert!(effects.contains(&Effect::Acknowledge { end: 11 }), "{effects:?}");
}

#[test]
fn a_consumer_is_sent_to_the_member_that_holds_the_offset_and_has_come_furthest() {
    let (mut leader, _) = Fixture::new(view(&[ME, B, C]));
    assert_eq!(leader.replica.reading_replica(&[B, C], 0), None, "nobody has told where they stand");
    leader.attach(B, 1, 10);
    leader.attach(C, 1, 10);
    leader.append(2);
    assert_eq!(leader.replica.reading_replica(&[B, C], 10), Some(B), "the lowest number of equals");
    leader.ack(C, 1, 12);
    assert_eq!(leader.replica.reading_replica(&[B, C], 10), Some(C));
    assert_eq!(leader.replica.reading_replica(&[B], 11), None);
    leader.tell(Event::Ack(Ack { log_start: 5, ..leader.ack_of(C, 1, 12) }));
    assert_eq!(leader.replica.reading_replica(&[B, C], 4), Some(B), "C has deleted it");
    leader.image(|view| view.isr.retain(|member| member.broker != B));
    assert_eq!(leader.replica.reading_replica(&[B, C], 4), None, "B is not in sync any more");
}

#[test]
fn a_new_epoch_forgets_what_followers_had() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 8);
    leader.image(|view| view.leader_epoch = LeaderEpoch(3));
    leader.append(2);
    assert_eq!((leader.high_watermark(), leader.replica.position_of(B)), (8, None));
    let late = Ack { leader_epoch: LeaderEpoch(1), ..leader.ack_of(B, 1, 10) };
    leader.tell(Event::Ack(late));
    assert_eq!(leader.replica.position_of(B), None, "of the old epoch");
}

#[test]
fn a_follower_enters_at_the_start_of_the_epoch_and_not_before() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    leader.image(|view| view.leader_epoch = LeaderEpoch(2));
    leader.append(5);
    assert_eq!(leader.high_watermark(), 10);
    leader.image(|view| view.leader_epoch = LeaderEpoch(3));
    assert_eq!(proposals(&leader.attach(C, 1, 14)), Vec::<&Proposal>::new(), "at the high watermark, before epoch 3");
    let effects = leader.ack(C, 1, 15);
    assert_eq!(proposals(&effects).len(), 1, "{effects:?}");
    assert_eq!(brokers(proposals(&effects)[0]), [ME, B, C]);
}

#[test]
fn a_follower_enters_only_under_its_current_registration_and_live() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.image(|view| view.replicas[2].live = false);
    assert_eq!(proposals(&leader.attach(C, 1, 10)), Vec::<&Proposal>::new(), "fenced");
    leader.image(|view| view.replicas[2] = ReplicaView { broker: C, epoch: Some(BrokerEpoch(99)), live: true });
    assert_eq!(leader.replica.position_of(C), None, "its old incarnation's log says nothing");
    assert_eq!(outcome(&leader.attach(C, 9, 10)), Some(AttachOutcome::Refused(AttachRefusal::StaleBrokerEpoch)));
    let newest = Session { broker_epoch: BrokerEpoch(99), counter: 0 };
    let effects = leader.tell(Event::Attach(Attach { session: newest, ..leader.attach_of(C, 0, 10) }));
    assert_eq!(proposals(&effects)[0].isr[2], IsrMember { broker: C, epoch: BrokerEpoch(99) });
}

#[test]
fn a_member_counts_only_under_the_registration_that_it_bears() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    let newer = Session { broker_epoch: BrokerEpoch(21), counter: 0 };
    leader.tell(Event::Attach(Attach { session: newer, ..leader.attach_of(B, 0, 10) }));
    assert_eq!(leader.high_watermark(), 4, "the image still has the old incarnation in sync");
}

#[test]
fn whoever_is_proposed_holds_the_high_watermark_back() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    let id = proposals(&leader.attach(C, 1, 10))[0].id;
    leader.append(2);
    leader.ack(B, 1, 12);
    assert_eq!(leader.high_watermark(), 10, "C may be in sync by now");
    leader.answer(id, ProposalAnswer::NotApplied);
    assert_eq!(leader.high_watermark(), 12, "it is not");
}

#[test]
fn an_unknown_outcome_counts_until_the_partition_epoch_has_moved() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    let first = proposals(&leader.attach(C, 1, 10))[0].id;
    leader.append(2);
    leader.ack(B, 1, 12);
    leader.answer(first, ProposalAnswer::Unknown);
    assert_eq!(leader.high_watermark(), 10);
    // C is gone meanwhile; the second attempt says so, and is refused for certain. The first may still be committed.
    leader.view.replicas[2].live = false;
    leader.tell(Event::Image(leader.view.clone()));
    leader.now_ms = 100;
    let effects = leader.tell(Event::Tick);
    assert_eq!(brokers(proposals(&effects)[0]), [ME, B], "what is committed already, to move the partition epoch");
    leader.answer(proposals(&effects)[0].id, ProposalAnswer::NotApplied);
    assert_eq!(leader.high_watermark(), 10);
    leader.image(|_| ());
    assert_eq!(leader.high_watermark(), 12);
}

#[test]
fn there_is_one_proposal_at_a_time_and_a_stale_one_waits_for_its_image() {
    let (mut leader, _) = Fixture::new(view(&[ME]));
    let first = proposals(&leader.attach(B, 1, 10))[0].clone();
    assert_eq!((first.leader_epoch, first.partition_epoch), (LeaderEpoch(1), PartitionEpoch(5)));
    assert_eq!(proposals(&leader.attach(C, 1, 10)), Vec::<&Proposal>::new());
    leader.now_ms = 5_000;
    assert_eq!(proposals(&leader.answer(first.id, ProposalAnswer::Stale)), Vec::<&Proposal>::new());
    assert_eq!(proposals(&leader.tell(Event::Tick)), Vec::<&Proposal>::new());
    let effects = leader.image(|view| view.isr = vec![member(ME), member(B)]);
    assert_eq!(brokers(proposals(&effects)[0]), [ME, B, C]);
    leader.answer(first.id, ProposalAnswer::NotApplied);
    assert_eq!(
        proposals(&leader.tell(Event::Tick)),
        Vec::<&Proposal>::new(),
        "a late answer to the first says nothing"
    );
}

#[test]
fn a_member_that_stays_behind_is_proposed_for_removal() {
    let (mut leader, _) = Fixture::new(view(&[ME, B, C]));
    leader.attach(B, 1, 10);
    leader.attach(C, 1, 10);
    leader.append(1);
    leader.now_ms = 900;
    leader.ack(B, 1, 11);
    leader.append(1);
    leader.now_ms = 1_001;
    let effects = leader.tell(Event::Tick);
    assert_eq!(brokers(proposals(&effects)[0]), [ME, B], "B has had everything lately");
    assert_eq!(proposals(&effects)[0].incomplete, [], "C has everything that is committed");
    assert_eq!(leader.high_watermark(), 10, "it is in sync until the controller says otherwise");
    leader.image(|view| view.isr = vec![member(ME), member(B)]);
    assert_eq!(leader.high_watermark(), 11);
}

#[test]
fn a_silent_member_that_has_everything_stays() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    leader.now_ms = 1_000_000;
    assert_eq!(proposals(&leader.tell(Event::Tick)), Vec::<&Proposal>::new());
}

#[test]
fn a_member_that_attaches_below_the_high_watermark_is_proposed_for_removal_at_once() {
    let (mut leader, _) = Fixture::new(view(&[ME, B, C]));
    leader.attach(B, 1, 10);
    leader.attach(C, 1, 10);
    let effects = leader.attach(C, 2, 9);
    assert_eq!(proposals(&effects).len(), 1);
    assert_eq!((brokers(proposals(&effects)[0]), &proposals(&effects)[0].incomplete), (vec![ME, B], &vec![C]));
    assert_eq!(leader.replica.position_of(C), Some(9), "an attach lowers what was believed");
}

#[test]
fn an_eligible_replica_that_attaches_below_the_high_watermark_is_eligible_no_more() {
    let (mut leader, _) = Fixture::new(PartitionView { elr: vec![C], ..view(&[ME]) });
    let effects = leader.attach(C, 1, 3);
    assert_eq!((brokers(proposals(&effects)[0]), &proposals(&effects)[0].incomplete), (vec![ME], &vec![C]));
}

#[test]
fn after_an_unclean_election_nobody_enters_before_the_leader_has_said_that_it_recovered() {
    let (mut leader, effects) = Fixture::new(PartitionView { recovering: true, ..view(&[ME]) });
    assert_eq!(brokers(proposals(&effects)[0]), [ME]);
    assert_eq!(proposals(&leader.attach(B, 1, 10)), Vec::<&Proposal>::new());
    let effects = leader.image(|view| view.recovering = false);
    assert_eq!(brokers(proposals(&effects)[0]), [ME, B]);
}

#[test]
fn the_low_watermark_waits_for_all_live_replicas() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    leader.log.advance_start(6);
    leader.tell(Event::LogStartMoved { start: 6 });
    assert_eq!(leader.replica.low_watermark(), None, "nothing is known of C");
    leader.attach(C, 1, 10);
    assert_eq!(leader.replica.low_watermark(), Some(0));
    let news = |log_start, ack: Ack| Event::Ack(Ack { log_start, ..ack });
    leader.tell(news(6, leader.ack_of(B, 1, 10)));
    assert_eq!(leader.tell(news(4, leader.ack_of(C, 1, 10))), [Effect::LowWatermark { offset: 4 }]);
    assert_eq!(leader.image(|view| view.replicas[2].live = false), [Effect::LowWatermark { offset: 6 }]);
}

#[test]
fn with_the_fsync_option_only_what_is_flushed_counts() {
    let (mut leader, effects) = Fixture::new(PartitionView { fsync: true, ..view(&[ME, B]) });
    assert!(effects.contains(&Effect::Flush), "{effects:?}");
    leader.attach(B, 1, 10);
    assert!(!leader.replica.is_fsync_effective());
    let flushed = |flushed_end, ack: Ack| Event::Ack(Ack { flushed_end, ..ack });
    leader.tell(flushed(10, leader.ack_of(B, 1, 10)));
    assert_eq!(leader.high_watermark(), 4, "the leader's own counts too");
    leader.log.flushed = 7;
    leader.tell(Event::Flushed { end: 7 });
    assert_eq!(leader.high_watermark(), 7);
    assert!(leader.replica.is_fsync_effective());
    assert_eq!(leader.append(1), [Effect::Flush]);
    assert_eq!(proposals(&leader.attach(C, 1, 10)), Vec::<&Proposal>::new(), "C has not flushed");
    assert_eq!(proposals(&leader.tell(flushed(10, leader.ack_of(C, 1, 10)))).len(), 1);
}

#[test]
fn the_fsync_option_takes_effect_once_everybody_has_flushed_to_the_high_watermark() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    assert_eq!(leader.high_watermark(), 10);
    assert_eq!(leader.image(|view| view.fsync = true), [Effect::Flush]);
    leader.tell(Event::Flushed { end: 10 });
    assert_eq!((leader.high_watermark(), leader.replica.is_fsync_effective()), (10, false), "it does not go back");
    leader.tell(Event::Ack(Ack { flushed_end: 10, ..leader.ack_of(B, 1, 10) }));
    assert!(leader.replica.is_fsync_effective());
}

#[test]
fn clients_of_another_epoch_are_told() {
    let (leader, _) = Fixture::new(view(&[ME, B]));
    assert_eq!(leader.replica.check_leader_epoch(None), Ok(()));
    assert_eq!(leader.replica.check_leader_epoch(Some(LeaderEpoch(1))), Ok(()));
    assert_eq!(leader.replica.check_leader_epoch(Some(LeaderEpoch(0))), Err(Refusal::FencedLeaderEpoch));
    assert_eq!(leader.replica.check_leader_epoch(Some(LeaderEpoch(2))), Err(Refusal::UnknownLeaderEpoch));
}

#[test]
fn an_older_image_changes_nothing() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    let older = PartitionView { partition_epoch: PartitionEpoch(4), leader: Some(B), ..leader.view.clone() };
    assert_eq!(leader.tell(Event::Image(older)), []);
    assert!(leader.replica.is_leader());
}
