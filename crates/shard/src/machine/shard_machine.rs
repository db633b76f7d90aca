//! The states of a shard, and what leads from one to the other.

use levada_types::{Offset, TimestampMs};

use super::kept::Kept;
use super::replay::Loading;
use super::serving::{Next, Serving};
use super::{Effect, Event, Limits, News, Opened, Outcome, Term, Unserved};
use crate::{Context, Core, Defect, Rules, Token};

/// The first pause after a load that failed, in milliseconds; each is twice the one before.
const FIRST_PAUSE_MS: TimestampMs = 10;

/// The longest pause, in milliseconds.
const LONGEST_PAUSE_MS: TimestampMs = 1_000;

/// What this process has to do with the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It owns it.
    Owner,
    /// It would be the next to own it.
    Standby,
}

/// One shard: loads, serves, and loads again when it cannot know what its log holds.
pub struct ShardMachine<C: Core> {
    empty: C,
    limits: Limits,
    rules: Rules,
    part: Part,
    term: Option<Term>,
    /// When the leader was heard last, of this attempt or an earlier one.
    heard_at: TimestampMs,
    /// Counts the times that it began to load. What comes of an earlier one is dropped.
    attempt: u64,
    /// Loads that failed since something was committed last.
    failures: u32,
    /// The next request's token at the least.
    next: Token,
    stage: Stage<C>,
}

enum Stage<C: Core> {
    /// It may not serve.
    Away { kept: Option<Kept<C>> },
    /// It waits before it loads or follows; without a time, for a leader.
    Waiting { kept: Option<Kept<C>>, until: Option<TimestampMs> },
    /// The append session is being opened.
    Opening { kept: Option<Kept<C>>, until: TimestampMs },
    /// What is committed is being read.
    Replaying { loading: Loading<C>, until: TimestampMs },
    /// What is committed is taken in as it comes, in another's stead some day.
    Following(Loading<C>),
    /// It serves.
    Serving(Serving<C>),
}

/// What a shard does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may not serve.
    Away,
    /// It is being loaded, or waits for that.
    Loading,
    /// It is another process's, which this one would take over; everything below the offset is known to it.
    Following(Offset),
    /// It serves; everything below the offset is committed and known to it.
    Serving(Offset),
}

type Effects<C> = Vec<Effect<<C as Core>::Response>>;

impl<C: Core> ShardMachine<C> {
    /// A shard that knows nothing yet; `empty` is the state of an empty log.
    pub fn new(empty: C, limits: Limits, rules: Rules) -> Self {
        let (attempt, failures, next) = (0, 0, Token(0));
        let (part, stage) = (Part::Owner, Stage::Away { kept: None });
        Self { empty, limits, rules, part, term: None, heard_at: 0, attempt, failures, next, stage }
    }

    /// Takes in what has happened, in order, and says what is to be done. What is decided in one call shares a batch.
    pub fn handle(
        &mut self,
        events: impl IntoIterator<Item = Event<C::Request>>,
        context: &mut Context<'_>,
        effects: &mut Effects<C>,
    ) {
        for event in events {
            let speaks = matches!(&event, Event::Opened { attempt, .. } | Event::Read { attempt, .. } | Event::Outcome { attempt, .. } if *attempt == self.attempt);
            if speaks {
                self.heard_at = context.now;
            }
            self.take(event, context, effects);
        }
        if let Stage::Serving(serving) = &mut self.stage {
            let next = serving.send(context.now, effects);
            self.go_on(next, context.now, effects);
        }
    }

    /// When [`Event::Tick`] has something to do at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<TimestampMs> {
        match &self.stage {
            Stage::Away { .. } | Stage::Following(_) => None,
            Stage::Waiting { until, .. } => *until,
            Stage::Opening { until, .. } | Stage::Replaying { until, .. } => Some(*until),
            Stage::Serving(serving) => serving.next_deadline(),
        }
    }

    /// What it does.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.stage {
            Stage::Away { .. } => Standing::Away,
            Stage::Serving(serving) => Standing::Serving(serving.committed_end()),
            Stage::Following(loading) => Standing::Following(loading.position),
            Stage::Waiting { .. } | Stage::Opening { .. } | Stage::Replaying { .. } => Standing::Loading,
        }
    }

    /// The state as of everything that was decided, while it serves.
    #[must_use]
    pub fn core(&self) -> Option<&C> {
        match &self.stage {
            Stage::Serving(serving) => Some(serving.core()),
            _ => None,
        }
    }

    /// The state as of what is committed, while it serves; for the moment that only the first part of what was decided together
    /// is committed, as of everything that was decided.
    #[must_use]
    pub fn committed(&self) -> Option<&C> {
        match &self.stage {
            Stage::Serving(serving) => Some(serving.committed()),
            _ => None,
        }
    }

    fn take(&mut self, event: Event<C::Request>, context: &mut Context<'_>, effects: &mut Effects<C>) {
        match event {
            Event::Term(term) => self.term(Part::Owner, term, context.now, effects),
            Event::Follow(term) => self.term(Part::Standby, term, context.now, effects),
            Event::Suspend => self.suspend(effects),
            Event::Opened { attempt, opened } if attempt == self.attempt => self.opened(opened, context, effects),
            Event::Read { attempt, records } if attempt == self.attempt => self.read(&records, context, effects),
            Event::ReadEnded { attempt } if attempt == self.attempt => self.read_all(context, effects),
            Event::Lost { attempt } if attempt == self.attempt => {
                self.load_again("its way to the leader is broken", context.now, effects);
            }
            Event::Request { token, request } => self.request(token, request, context, effects),
            Event::Outcome { attempt, number, outcome } if attempt == self.attempt => {
                let Stage::Serving(serving) = &mut self.stage else { return };
                if matches!(outcome, Outcome::Committed(_)) {
                    self.failures = 0;
                }
                let next = serving.outcome(number, outcome, self.next, context, effects);
                self.go_on(next, context.now, effects);
            }
            Event::Tick => self.tick(context, effects),
            Event::Opened { .. }
            | Event::Read { .. }
            | Event::ReadEnded { .. }
            | Event::Lost { .. }
            | Event::Outcome { .. } => {}
        }
    }

    fn term(&mut self, part: Part, term: Term, now: TimestampMs, effects: &mut Effects<C>) {
        let is_away = matches!(self.stage, Stage::Away { .. });
        let is_known = self.term.is_some_and(|known| term.epoch <= known.epoch && term.leader == known.leader);
        if !is_away && part == self.part && is_known {
            return;
        }
        let before = std::mem::replace(&mut self.part, part);
        match (before, part) {
            _ if is_away => {}
            (Part::Owner, Part::Owner) => {
                effects.push(Effect::Tell(News::LoadsAgain("its partition has a new leader epoch")));
            }
            // Whoever owns it now is told what it has not been told here.
            (Part::Owner, Part::Standby) => self.suspend(effects),
            (Part::Standby, _) => {}
        }
        self.term = Some(term);
        self.failures = if before == part { self.failures } else { 0 };
        self.leave(Unserved::Interrupted, effects);
        self.begin(now, effects);
    }

    fn suspend(&mut self, effects: &mut Effects<C>) {
        if matches!(self.stage, Stage::Away { .. }) {
            return;
        }
        self.leave(Unserved::Moved, effects);
        effects.push(self.fail_all(Unserved::Moved));
        effects.push(Effect::Close);
        // Whatever comes of what was begun is not wanted any more.
        self.attempt += 1;
    }

    /// Serves no more, and keeps what is certain. The stage is `Away` afterwards.
    fn leave(&mut self, with: Unserved, effects: &mut Effects<C>) {
        let kept = match std::mem::replace(&mut self.stage, Stage::Away { kept: None }) {
            Stage::Away { kept } | Stage::Waiting { kept, .. } | Stage::Opening { kept, .. } => kept,
            Stage::Replaying { loading, .. } | Stage::Following(loading) => {
                let Loading { core, position: end, losses, .. } = loading;
                Some(Kept { core, end, losses, as_of: self.heard_at, is_in_step: false })
            }
            Stage::Serving(serving) => serving.into_kept(self.heard_at),
        };
        if !kept.as_ref().is_some_and(|kept| kept.is_in_step) {
            effects.push(self.fail_all(with));
        }
        self.stage = Stage::Away { kept };
    }

    /// Fails every request that was heard of and not answered.
    fn fail_all(&self, with: Unserved) -> Effect<C::Response> {
        Effect::Fail { tokens: Token(0)..self.next, with }
    }

    fn go_on(&mut self, next: Next, now: TimestampMs, effects: &mut Effects<C>) {
        if let Next::LoadAgain(why) = next {
            self.load_again(why, now, effects);
        }
    }

    fn load_again(&mut self, why: &'static str, now: TimestampMs, effects: &mut Effects<C>) {
        if matches!(self.stage, Stage::Away { .. } | Stage::Waiting { .. }) {
            return;
        }
        if self.part == Part::Owner {
            effects.push(Effect::Tell(News::LoadsAgain(why)));
        }
        self.leave(Unserved::Interrupted, effects);
        let pause = match self.failures {
            0 => 0,
            failures => (FIRST_PAUSE_MS << failures.min(10)).min(LONGEST_PAUSE_MS),
        };
        self.failures += 1;
        if pause == 0 {
            self.begin(now, effects);
        } else {
            self.attempt += 1;
            effects.push(Effect::Close);
            self.stage = Stage::Waiting { kept: self.take_kept(), until: Some(now + pause) };
        }
    }

    /// Opens a session, or follows, if there is somebody to do it at.
    fn begin(&mut self, now: TimestampMs, effects: &mut Effects<C>) {
        let kept = self.take_kept();
        self.attempt += 1;
        match self.term {
            Some(Term { leader: Some(leader), epoch, losses }) => match self.part {
                Part::Owner => {
                    effects.push(Effect::Open { attempt: self.attempt, leader, epoch });
                    self.stage = Stage::Opening { kept, until: now + self.limits.load_timeout_ms };
                }
                Part::Standby => {
                    let kept = kept.filter(|kept| kept.is_good_for(losses, now - self.limits.keep_ms));
                    let (core, from) = kept.map_or_else(|| (self.empty.clone(), 0), |kept| (kept.core, kept.end));
                    effects.push(Effect::Follow { attempt: self.attempt, leader, epoch, from });
                    let (position, end) = (from, Offset::MAX);
                    self.stage = Stage::Following(Loading { core, from, position, end, replayed: 0, losses });
                }
            },
            _ => {
                effects.push(Effect::Close);
                self.stage = Stage::Waiting { kept, until: None };
            }
        }
    }

    fn take_kept(&mut self) -> Option<Kept<C>> {
        match &mut self.stage {
            Stage::Away { kept } | Stage::Waiting { kept, .. } | Stage::Opening { kept, .. } => kept.take(),
            Stage::Replaying { .. } | Stage::Following(_) | Stage::Serving(_) => None,
        }
    }

    fn opened(&mut self, opened: Opened, context: &mut Context<'_>, effects: &mut Effects<C>) {
        if !matches!(self.stage, Stage::Opening { .. }) {
            return;
        }
        let losses = self.term.map_or(0, |term| term.losses);
        let (start, end) = (opened.start, self.end_of(&opened));
        let kept = self.take_kept();
        if self.rules.breaks(Defect::NoLoadUnderNewEpoch)
            && let Some(kept) = kept
        {
            self.serve(kept.core, end, end, 0, context, effects);
            return;
        }
        let since = context.now - self.limits.keep_ms;
        let kept = kept.filter(|kept| kept.is_good_for(losses, since) && (start..=end).contains(&kept.end));
        if let Some(Kept { core, is_in_step, .. }) = kept.as_ref().filter(|kept| kept.end == end) {
            // What waits in a state that was set back was failed when it was.
            if !is_in_step {
                effects.push(self.fail_all(Unserved::Interrupted));
            }
            self.serve(core.clone(), end, end, 0, context, effects);
            return;
        }
        effects.push(self.fail_all(Unserved::Interrupted));
        let (core, from) = kept.map_or_else(|| (self.empty.clone(), start), |kept| (kept.core, kept.end));
        if from == end {
            self.serve(core, from, end, 0, context, effects);
            return;
        }
        effects.push(Effect::Read { from, to: end });
        let loading = Loading { core, from, position: from, end, replayed: 0, losses };
        self.stage = Stage::Replaying { loading, until: context.now + self.limits.load_timeout_ms };
    }

    #[cfg(any(test, feature = "defects"))]
    fn end_of(&self, opened: &Opened) -> Offset {
        if self.rules.breaks(Defect::LoadToEpochStart) { opened.epoch_start } else { opened.end }
    }

    #[cfg(not(any(test, feature = "defects")))]
    fn end_of(&self, opened: &Opened) -> Offset {
        opened.end
    }

    fn read(&mut self, records: &[u8], context: &mut Context<'_>, effects: &mut Effects<C>) {
        let loading = match &mut self.stage {
            Stage::Replaying { loading, until } => {
                *until = context.now + self.limits.load_timeout_ms;
                loading
            }
            Stage::Following(loading) => {
                self.failures = 0;
                loading
            }
            _ => return,
        };
        if loading.replay(records).is_err() {
            effects.push(Effect::Tell(News::Damaged("a batch of its log cannot be read")));
            // The next attempt waits, since the log most likely stays as it is.
            self.failures = self.failures.max(1);
            self.load_again("what it has read is damaged", context.now, effects);
        }
    }

    fn read_all(&mut self, context: &mut Context<'_>, effects: &mut Effects<C>) {
        if matches!(self.stage, Stage::Following(_)) {
            return self.load_again("its leader has ended what it followed", context.now, effects);
        }
        if !matches!(self.stage, Stage::Replaying { .. }) {
            return;
        }
        if let Stage::Replaying { loading, .. } = std::mem::replace(&mut self.stage, Stage::Away { kept: None }) {
            let Loading { core, from, end, replayed, .. } = loading;
            self.serve(core, from, end, replayed, context, effects);
        }
    }

    fn serve(
        &mut self,
        core: C,
        from: Offset,
        end: Offset,
        replayed: u64,
        context: &mut Context<'_>,
        effects: &mut Effects<C>,
    ) {
        let losses = self.term.map_or(0, |term| term.losses);
        effects.push(Effect::Tell(News::Serves { from, to: end, replayed }));
        let mut serving = Serving::new(core, end, losses, self.limits, self.rules);
        serving.resume(self.next, context, effects);
        self.stage = Stage::Serving(serving);
    }

    fn request(&mut self, token: Token, request: C::Request, context: &mut Context<'_>, effects: &mut Effects<C>) {
        self.next = Token(token.0 + 1);
        let refusal = match &mut self.stage {
            Stage::Serving(serving) => return serving.handle(token, request, context, effects),
            Stage::Away { .. } | Stage::Following(_) => Unserved::NotOwner,
            Stage::Waiting { .. } if self.part == Part::Standby => Unserved::NotOwner,
            Stage::Waiting { .. } | Stage::Opening { .. } | Stage::Replaying { .. } => Unserved::Loading,
        };
        effects.push(Effect::Answer { token, answer: Err(refusal) });
    }

    fn tick(&mut self, context: &mut Context<'_>, effects: &mut Effects<C>) {
        match &mut self.stage {
            Stage::Serving(serving) => {
                let next = serving.tick(self.next, context, effects);
                self.go_on(next, context.now, effects);
            }
            Stage::Waiting { until: Some(until), .. } if *until <= context.now => self.begin(context.now, effects),
            Stage::Opening { until, .. } | Stage::Replaying { until, .. } if *until <= context.now => {
                self.load_again("the leader did not answer in time", context.now, effects);
            }
            _ => {}
        }
    }
}
