//! Step by step: who follows a shard and takes it over, and what a refused append leaves as it is.

use bytes::Bytes;
use levada_metadata::Image;
use levada_records::{BatchBuilder, Compression, STAMP_LEN, stamp};
use levada_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TimestampMs};
use uuid::Uuid;

use super::counters::{Ask, Counters, record};
use crate::machine::{
    Effect, Event, Limits, News, Opened, Outcome, RefusalReason, ShardMachine, Standing, Term, Unserved,
};
use crate::{AppendSession, Context, Rules, Token};

const NOW: TimestampMs = 1_000_000;

struct Shard {
    machine: ShardMachine<Counters>,
    now: TimestampMs,
}

impl Shard {
    fn new() -> Self {
        Self { machine: ShardMachine::new(Counters::default(), Limits::default(), Rules::default()), now: NOW }
    }

    fn hear(&mut self, event: Event<Ask>) -> Vec<Effect<u64>> {
        let image = Image::new();
        let mut context = Context { now: self.now, image: &image, fresh: &mut Uuid::nil };
        let mut effects = Vec::new();
        self.machine.handle([event], &mut context, &mut effects);
        effects
    }

    /// Follows from nothing; the attempt.
    fn follow(&mut self, epoch: i32) -> u64 {
        match self.hear(Event::Follow(term(epoch, 0))).last() {
            Some(Effect::Follow { attempt, from: 0, .. }) => *attempt,
            other => panic!("{other:?}"),
        }
    }

    /// Owns the shard, whose log ends at `end`; what it wants done once the session is open.
    fn own(&mut self, epoch: i32, end: Offset) -> (u64, Vec<Effect<u64>>) {
        let effects = self.hear(Event::Term(term(epoch, 0)));
        let Some(Effect::Open { attempt, .. }) = effects.last() else { panic!("{effects:?}") };
        let opened = Opened { session: AppendSession(1), start: 0, end, epoch_start: end };
        (*attempt, self.hear(Event::Opened { attempt: *attempt, opened }))
    }
}

fn term(epoch: i32, losses: u32) -> Term {
    Term { leader: Some(BrokerId(1)), epoch: LeaderEpoch(epoch), losses }
}

/// A batch in which a counter goes to `sum`, at `offset`.
fn batch(offset: Offset, sum: u64) -> Bytes {
    let record = record(7, sum, sum, NOW);
    let mut builder = BatchBuilder::with_capacity(100);
    builder.append(record.timestamp, Some(&record.key), record.value.as_deref(), &[]).unwrap();
    let bytes = builder.build(Compression::None, None).unwrap();
    let length = i32::try_from(bytes.len()).unwrap() - 12;
    [&stamp(offset, length, 1)[..], &bytes[STAMP_LEN..]].concat().into()
}

#[test]
fn who_has_followed_reads_the_rest_and_serves() {
    let mut shard = Shard::new();
    let attempt = shard.follow(3);
    shard.hear(Event::Read { attempt, records: [batch(0, 1), batch(1, 2)].concat().into() });
    assert_eq!(shard.machine.standing(), Standing::Following(2));
    let refused = shard.hear(Event::Request { token: Token(0), request: Ask::Get { counter: 7 } });
    assert!(matches!(refused.as_slice(), [Effect::Answer { answer: Err(Unserved::NotOwner), .. }]), "{refused:?}");

    let (attempt, effects) = shard.own(4, 3);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Read { from: 2, to: 3 })), "{effects:?}");
    shard.hear(Event::Read { attempt, records: batch(2, 3) });
    let served = shard.hear(Event::ReadEnded { attempt });
    let news = News::Serves { from: 2, to: 3, replayed: 1 };
    assert!(served.iter().any(|effect| matches!(effect, Effect::Tell(told) if *told == news)), "{served:?}");
    assert_eq!(shard.machine.core().unwrap().counts.get(&7), Some(&3));
}

#[test]
fn who_follows_has_nothing_to_do_for_a_silent_leader_and_begins_again_at_another_one() {
    let mut shard = Shard::new();
    let attempt = shard.follow(3);
    shard.hear(Event::Read { attempt, records: batch(0, 1) });
    shard.now += 1_800_000;
    assert_eq!(shard.machine.next_deadline(), None);
    assert!(shard.hear(Event::Tick).is_empty());
    let next = shard.hear(Event::Follow(term(4, 0)));
    assert!(matches!(next.as_slice(), [.., Effect::Follow { from: 1, .. }]), "{next:?}");
    // A record may be gone below where it stands.
    let lossy = shard.hear(Event::Follow(term(5, 1)));
    assert!(matches!(lossy.as_slice(), [.., Effect::Follow { from: 0, .. }]), "{lossy:?}");
}

#[test]
fn a_state_that_has_heard_nothing_for_long_is_not_gone_on_from() {
    for (silence, from) in [(3_599_999, 1), (3_600_001, 0)] {
        let mut shard = Shard::new();
        let attempt = shard.follow(3);
        shard.hear(Event::Read { attempt, records: batch(0, 1) });
        shard.now += silence;
        let (_, effects) = shard.own(4, 2);
        let reads = |effect: &Effect<u64>| matches!(effect, Effect::Read { from: first, to: 2 } if *first == from);
        assert!(effects.iter().any(reads), "after {silence} ms: {effects:?}");
    }
    // A leader that says that there is nothing new is heard.
    let mut shard = Shard::new();
    let attempt = shard.follow(3);
    shard.hear(Event::Read { attempt, records: batch(0, 1) });
    for _ in 0..10 {
        shard.now += 1_000_000;
        shard.hear(Event::Read { attempt, records: Bytes::new() });
    }
    let (_, effects) = shard.own(4, 2);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Read { from: 1, to: 2 })), "{effects:?}");
}

#[test]
fn who_follows_tries_again_when_its_way_breaks_or_ends() {
    let mut shard = Shard::new();
    let attempt = shard.follow(3);
    shard.hear(Event::Read { attempt, records: batch(0, 1) });
    let again = shard.hear(Event::ReadEnded { attempt });
    let Some(Effect::Follow { attempt, from: 1, .. }) = again.last() else { panic!("{again:?}") };
    let closed = shard.hear(Event::Lost { attempt: *attempt });
    assert!(matches!(closed.as_slice(), [.., Effect::Close]), "the second time it waits: {closed:?}");
    shard.now = shard.machine.next_deadline().unwrap();
    let again = shard.hear(Event::Tick);
    assert!(matches!(again.as_slice(), [Effect::Follow { from: 1, .. }]), "{again:?}");
}

#[test]
fn who_loses_the_shard_fails_what_waits_and_follows_from_what_is_committed() {
    let mut shard = Shard::new();
    let (attempt, _) = shard.own(3, 0);
    shard.hear(Event::Request { token: Token(0), request: Ask::Add { counter: 7, op: 0 } });
    shard.hear(Event::Outcome { attempt, number: 0, outcome: Outcome::Committed(0) });
    shard.hear(Event::Request { token: Token(1), request: Ask::Add { counter: 7, op: 1 } });
    let effects = shard.hear(Event::Follow(term(4, 0)));
    let fails = |effect: &Effect<u64>| matches!(effect, Effect::Fail { tokens, with: Unserved::Moved } if tokens.contains(&Token(1)));
    assert!(effects.iter().any(fails), "{effects:?}");
    let Some(Effect::Follow { attempt, from: 1, .. }) = effects.last() else { panic!("{effects:?}") };
    shard.hear(Event::Read { attempt: *attempt, records: batch(1, 5) });
    let (_, effects) = shard.own(5, 2);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Tell(News::Serves { from: 2, .. }))), "{effects:?}");
    assert_eq!(shard.machine.core().unwrap().counts.get(&7), Some(&5), "what was not committed is forgotten");
}

#[test]
fn a_refused_append_fails_what_came_since_and_nobody_who_waited_before() {
    let mut shard = Shard::new();
    let (attempt, _) = shard.own(3, 0);
    shard.hear(Event::Request { token: Token(0), request: Ask::Await { counter: 7, least: 1 } });
    let effects = shard.hear(Event::Request { token: Token(1), request: Ask::Add { counter: 7, op: 0 } });
    assert!(matches!(effects.as_slice(), [Effect::Append { number: 0, .. }]), "both answers wait for it: {effects:?}");
    let outcome = Outcome::Refused(RefusalReason::NotTaken, ErrorCode::NotEnoughReplicas);
    let effects = shard.hear(Event::Outcome { attempt, number: 0, outcome });
    for effect in &effects {
        match effect {
            Effect::Answer { token, .. } => assert_eq!(*token, Token(1), "{effects:?}"),
            Effect::Fail { tokens, .. } => assert!(!tokens.contains(&Token(0)), "{effects:?}"),
            _ => {}
        }
    }
    shard.hear(Event::Request { token: Token(2), request: Ask::Add { counter: 7, op: 1 } });
    let effects = shard.hear(Event::Outcome { attempt, number: 1, outcome: Outcome::Committed(0) });
    let answered = |effect: &Effect<u64>| matches!(effect, Effect::Answer { token: Token(0), answer: Ok(1) });
    assert!(effects.iter().any(answered), "who waited is answered by what was committed: {effects:?}");
}

#[test]
fn whoever_wrote_what_is_too_large_is_told_so_and_the_others_may_ask_again() {
    let mut shard = Shard::new();
    let (attempt, _) = shard.own(3, 0);
    // Its answer rests on the second of its batches.
    shard.hear(Event::Request { token: Token(0), request: Ask::AddBoth { counters: [7, 8], op: 0 } });
    shard.hear(Event::Request { token: Token(1), request: Ask::Get { counter: 7 } });
    shard.hear(Event::Request { token: Token(2), request: Ask::Add { counter: 7, op: 1 } });
    let outcome = Outcome::Refused(RefusalReason::NotTaken, ErrorCode::MessageTooLarge);
    let effects = shard.hear(Event::Outcome { attempt, number: 0, outcome });
    let answered = |effect: &Effect<u64>| match effect {
        Effect::Answer { token, answer } => Some((*token, *answer)),
        _ => None,
    };
    let answers: Vec<_> = effects.iter().filter_map(answered).collect();
    let again = Err(Unserved::NotTaken(ErrorCode::MessageTooLarge));
    assert_eq!(answers, [(Token(0), Err(Unserved::TooLarge)), (Token(1), again), (Token(2), again)]);
}

#[test]
fn what_is_looked_at_is_committed_and_only_who_serves_shows_it() {
    let mut shard = Shard::new();
    let seen = |shard: &Shard| shard.machine.committed().map(|core| core.counts.get(&7).copied());
    let attempt = shard.follow(3);
    shard.hear(Event::Read { attempt, records: batch(0, 1) });
    assert_eq!(seen(&shard), None);
    let (attempt, _) = shard.own(4, 1);
    assert_eq!(seen(&shard), Some(Some(1)));
    shard.hear(Event::Request { token: Token(0), request: Ask::Add { counter: 7, op: 0 } });
    shard.hear(Event::Request { token: Token(1), request: Ask::Add { counter: 7, op: 1 } });
    assert_eq!(seen(&shard), Some(Some(1)), "two are under way");
    shard.hear(Event::Outcome { attempt, number: 0, outcome: Outcome::Committed(1) });
    assert_eq!(seen(&shard), Some(Some(2)), "one still is");
    shard.hear(Event::Outcome { attempt, number: 1, outcome: Outcome::Committed(2) });
    assert_eq!(seen(&shard), Some(Some(3)));
}
