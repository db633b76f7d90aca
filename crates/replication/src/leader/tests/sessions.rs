//! Sessions of followers: who is heard, where a follower's log leaves the leader's, and which lane serves it.

use levada_types::{BrokerId, LeaderEpoch, PartitionEpoch};

use super::{B, C, Fixture, ME, member, outcome, proposals, session, view};
use crate::{Attach, AttachOutcome, AttachRefusal, Effect, Event, Lane, ProposalAnswer};

#[test]
fn what_belongs_to_another_session_is_dropped() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 5, 6);
    leader.ack(B, 4, 10);
    leader.ack(B, 6, 10);
    assert_eq!(leader.replica.position_of(B), Some(6));
    assert_eq!(outcome(&leader.attach(B, 5, 10)), Some(AttachOutcome::Refused(AttachRefusal::StaleSession)));
    assert_eq!(outcome(&leader.attach(B, 4, 10)), Some(AttachOutcome::Refused(AttachRefusal::StaleSession)));
    leader.ack(B, 5, 11);
    assert_eq!(leader.replica.position_of(B), Some(6), "nobody has more than the leader");
    leader.ack(B, 5, 9);
    leader.ack(B, 5, 8);
    assert_eq!(leader.replica.position_of(B), Some(9), "an acknowledgement that comes late takes nothing back");
}

#[test]
fn an_attach_of_another_epoch_or_of_a_stranger_is_refused() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    let of_epoch = |epoch| Attach { leader_epoch: LeaderEpoch(epoch), ..leader.attach_of(B, 1, 10) };
    let refused = [
        (of_epoch(0), AttachRefusal::FencedLeaderEpoch),
        (of_epoch(2), AttachRefusal::UnknownLeaderEpoch),
        (Attach { follower: BrokerId(9), ..of_epoch(1) }, AttachRefusal::NotReplica),
        (Attach { follower: ME, ..of_epoch(1) }, AttachRefusal::NotReplica),
    ];
    for (attach, refusal) in refused {
        assert_eq!(outcome(&leader.tell(Event::Attach(attach))), Some(AttachOutcome::Refused(refusal)));
    }
    assert_eq!(leader.replica.position_of(B), None);
}

#[test]
fn logs_are_compared_by_their_last_epoch() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.image(|view| view.leader_epoch = LeaderEpoch(5));
    leader.append(4);
    leader.log.advance_start(2);
    leader.tell(Event::LogStartMoved { start: 2 });
    let accepted = |high_watermark| AttachOutcome::Accepted { high_watermark, log_start: 2 };
    let diverged = |epoch, end_offset| AttachOutcome::Diverged { epoch: LeaderEpoch(epoch), end_offset };
    let anew = AttachOutcome::OutOfRange { log_start: 2 };
    // The leader's log: epoch 0 up to 10, epoch 5 up to 14; it starts at 2.
    let cases = [
        (10, Some(0), accepted(4)),
        (9, Some(0), accepted(10)),
        (14, Some(5), accepted(10)),
        (11, Some(0), diverged(0, 10)),
        (12, Some(3), diverged(0, 10)),
        (15, Some(5), diverged(5, 14)),
        (15, Some(6), diverged(5, 14)),
        (1, Some(0), anew),
        (1, None, anew),
        (2, None, accepted(14)),
        (15, None, anew),
    ];
    for (counter, (fetch_offset, last, expected)) in (1..).zip(cases) {
        let last_fetched_epoch = last.map(LeaderEpoch);
        let attach = Attach { fetch_offset, last_fetched_epoch, ..leader.attach_of(B, counter, 10) };
        let found = outcome(&leader.tell(Event::Attach(attach)));
        assert_eq!(found, Some(expected), "{fetch_offset} {last:?}");
    }
}

#[test]
fn an_empty_leader_has_nothing_to_compare() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.log.start_at(10);
    leader.tell(Event::Truncated { ends: leader.log.ends() });
    let attach = Attach { last_fetched_epoch: Some(LeaderEpoch(0)), ..leader.attach_of(B, 1, 10) };
    assert_eq!(outcome(&leader.tell(Event::Attach(attach))), Some(AttachOutcome::OutOfRange { log_start: 10 }));
}

#[test]
fn a_position_counts_only_once_it_was_found_not_to_diverge() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 6);
    let attach = Attach { last_fetched_epoch: Some(LeaderEpoch(7)), ..leader.attach_of(B, 2, 10) };
    leader.tell(Event::Attach(attach));
    assert_eq!((leader.replica.position_of(B), leader.high_watermark()), (None, 6));
    leader.ack(B, 2, 10);
    assert_eq!((leader.replica.position_of(B), leader.high_watermark()), (None, 6));
}

#[test]
fn members_are_served_on_the_tail_lane_and_others_catch_up() {
    let lane = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::StartStream { lane, .. } => Some(*lane),
            _ => None,
        })
    };
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    assert_eq!(lane(&leader.attach(B, 1, 10)), Some(Lane::Tail));
    assert_eq!(lane(&leader.attach(C, 1, 5)), Some(Lane::CatchUp));
    let id = proposals(&leader.ack(C, 1, 10))[0].id;
    leader.answer(id, ProposalAnswer::Committed { partition_epoch: PartitionEpoch(6) });
    let effects = leader.image(|view| view.isr.push(member(C)));
    assert_eq!(
        effects,
        [Effect::EndStream { follower: C, session: session(C, 1) }],
        "it attaches anew for the other lane"
    );
    assert_eq!(leader.replica.position_of(C), Some(10), "what it has, it has");
    assert_eq!(lane(&leader.attach(C, 2, 10)), Some(Lane::Tail));
}

#[test]
fn an_ended_session_is_told_until_the_follower_attaches_anew() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    leader.append(1);
    leader.now_ms = 501;
    let ended = [Effect::EndStream { follower: B, session: session(B, 1) }];
    assert_eq!(leader.tell(Event::Tick), ended, "nothing has come back for half of the lag time");
    assert_eq!(leader.tell(Event::Tick), ended);
    leader.attach(B, 2, 10);
    assert_eq!(leader.tell(Event::Tick), []);
    leader.tell(Event::StreamEnded { follower: B, session: session(B, 1) });
    assert_eq!(leader.tell(Event::Tick), [], "the end of an earlier stream is no news");
    leader.tell(Event::StreamEnded { follower: B, session: session(B, 2) });
    assert_eq!(leader.tell(Event::Tick), [Effect::EndStream { follower: B, session: session(B, 2) }]);
}

#[test]
fn a_follower_that_a_throttle_has_wait_is_not_taken_for_one_that_is_stuck() {
    let (mut leader, _) = Fixture::new(view(&[ME]));
    leader.attach(C, 1, 2);
    let throttled = |counter| Event::Throttled { follower: C, session: session(C, counter) };
    for _ in 0..10 {
        leader.now_ms += 501;
        leader.tell(throttled(1));
        assert_eq!(leader.tell(Event::Tick), []);
    }
    leader.now_ms += 501;
    leader.tell(throttled(2));
    let ended = [Effect::EndStream { follower: C, session: session(C, 1) }];
    assert_eq!(leader.tell(Event::Tick), ended, "it was another session that had to wait");
}

#[test]
fn a_follower_behind_the_log_start_begins_anew() {
    let (mut leader, _) = Fixture::new(view(&[ME, B]));
    leader.attach(B, 1, 10);
    leader.attach(C, 1, 5);
    leader.log.advance_start(8);
    let effects = leader.tell(Event::LogStartMoved { start: 8 });
    assert!(effects.contains(&Effect::EndStream { follower: C, session: session(C, 1) }), "{effects:?}");
    assert!(!effects.contains(&Effect::EndStream { follower: B, session: session(B, 1) }), "{effects:?}");
}
