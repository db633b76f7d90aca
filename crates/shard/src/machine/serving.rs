//! A shard that serves: decides, sends, and answers what is committed.

use std::ops::Range;

use levada_types::{ErrorCode, Offset, TimestampMs};

use super::kept::Kept;
use super::under_way::{UnderWay, size_of_write};
use super::{Effect, Limits, News, Outcome, RefusalReason, Unserved};
use crate::{Context, Core, Defect, Output, Rules, Token};

/// How long the core is left alone after an append was refused, in milliseconds: what it wants written because it is due would
/// most likely be refused again.
const SET_BACK_PAUSE_MS: TimestampMs = 100;

/// A shard that serves.
pub(super) struct Serving<C: Core> {
    /// As of everything that was decided, committed or not.
    core: C,
    under_way: UnderWay<C>,
    /// The core gets no tick before this time.
    held_until: Option<TimestampMs>,
    losses: u32,
    limits: Limits,
    rules: Rules,
}

/// What is to be done after something has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// To go on.
    GoOn,
    /// To load again.
    LoadAgain(&'static str),
}

type Effects<C> = Vec<Effect<<C as Core>::Response>>;

impl<C: Core> Serving<C> {
    /// Begins with a state that equals a replay of everything below `end`.
    pub(super) fn new(core: C, end: Offset, losses: u32, limits: Limits, rules: Rules) -> Self {
        Self { core, under_way: UnderWay::none(end), held_until: None, losses, limits, rules }
    }

    /// Sessions count anew from now.
    pub(super) fn resume(&mut self, next: Token, context: &mut Context<'_>, effects: &mut Effects<C>) {
        self.decide(next..next, effects, |core| core.resume(context));
    }

    /// A request.
    pub(super) fn handle(
        &mut self,
        token: Token,
        request: C::Request,
        context: &mut Context<'_>,
        effects: &mut Effects<C>,
    ) {
        if self.under_way.bytes() > self.limits.max_parked_bytes {
            effects.push(Effect::Answer { token, answer: Err(Unserved::Overloaded) });
            return;
        }
        self.decide(token..Token(token.0 + 1), effects, |core| core.handle(token, request, context));
    }

    /// Time has passed, or the metadata has changed.
    pub(super) fn tick(&mut self, next: Token, context: &mut Context<'_>, effects: &mut Effects<C>) -> Next {
        if self.write_deadline().is_some_and(|deadline| deadline <= context.now) {
            return Next::LoadAgain("an append went unanswered");
        }
        if self.held_until.is_some_and(|until| context.now < until) {
            return Next::GoOn;
        }
        self.held_until = None;
        self.decide(next..next, effects, |core| core.tick(context));
        Next::GoOn
    }

    /// Sends what waits and has room.
    pub(super) fn send(&mut self, now: TimestampMs, effects: &mut Effects<C>) -> Next {
        while let Some((sent, batch)) = self.under_way.next_to_send(now, &self.limits) {
            let Ok(records) = batch else { return Next::LoadAgain("a batch could not be encoded") };
            effects.push(Effect::Append { number: sent.number, expected: sent.expected, records });
        }
        Next::GoOn
    }

    /// An append has come to an end.
    pub(super) fn outcome(
        &mut self,
        number: u64,
        outcome: Outcome,
        next: Token,
        context: &mut Context<'_>,
        effects: &mut Effects<C>,
    ) -> Next {
        let Some(sent) = self.under_way.front().and_then(|front| front.sent) else { return Next::GoOn };
        if number < sent.number {
            // It was given up with one before it that was refused.
            return Next::GoOn;
        }
        if number > sent.number {
            return Next::LoadAgain("an append was passed over");
        }
        let outcome = match outcome {
            Outcome::Unknown if self.rules.breaks(Defect::UnknownMeansCommitted) => Outcome::Committed(sent.expected),
            outcome => outcome,
        };
        match outcome {
            Outcome::Committed(offset) if offset == sent.expected || self.rules.breaks(Defect::AppendAnywhere) => {
                let committed = self.under_way.commit().into_iter().flat_map(|batch| batch.parked);
                effects.extend(committed.map(|(token, response)| Effect::Answer { token, answer: Ok(response) }));
                Next::GoOn
            }
            Outcome::Committed(_) => Next::LoadAgain("an append is not where it was to be"),
            Outcome::Refused(RefusalReason::NotTaken, code) => self.set_back(code, next, context, effects),
            Outcome::Unknown if self.rules.breaks(Defect::UnknownMeansRefused) => {
                self.set_back(ErrorCode::None, next, context, effects)
            }
            Outcome::Refused(RefusalReason::Session, _) => Next::LoadAgain("its append session is over"),
            Outcome::Refused(RefusalReason::Offset, _) => Next::LoadAgain("somebody else has appended"),
            Outcome::Unknown => Next::LoadAgain("nobody knows what became of an append"),
        }
    }

    /// When something is due by time.
    pub(super) fn next_deadline(&self) -> Option<TimestampMs> {
        [self.write_deadline(), self.held_until.or_else(|| self.core.next_deadline())].into_iter().flatten().min()
    }

    /// What of the state is committed, as of a time; `None` if there is no copy of it.
    pub(super) fn into_kept(mut self, as_of: TimestampMs) -> Option<Kept<C>> {
        let (end, is_in_step) = (self.under_way.committed_end(), self.under_way.is_empty());
        let oldest = self.under_way.set_back(end).pop_front();
        let core = match oldest {
            Some(oldest) => oldest.before?,
            None => self.core,
        };
        Some(Kept { core, end, losses: self.losses, as_of, is_in_step })
    }

    /// The offset up to which everything is committed and known here.
    pub(super) fn committed_end(&self) -> Offset {
        self.under_way.committed_end()
    }

    /// The state, as of what is committed; as of everything that was decided where there is no copy of that.
    pub(super) fn committed(&self) -> &C {
        self.under_way.front().and_then(|oldest| oldest.before.as_ref()).unwrap_or(&self.core)
    }

    /// The state, as of everything that was decided.
    pub(super) fn core(&self) -> &C {
        &self.core
    }

    fn write_deadline(&self) -> Option<TimestampMs> {
        let sent = self.under_way.front()?.sent?;
        Some(sent.at.saturating_add(self.limits.write_timeout_ms))
    }

    /// Has the core decide about these requests, one or none, and keeps what it returns in order.
    fn decide(
        &mut self,
        tokens: Range<Token>,
        effects: &mut Effects<C>,
        ask: impl FnOnce(&mut C) -> Output<C::Response>,
    ) {
        let before = self.core.clone();
        let Output { mut writes, answers } = ask(&mut self.core);
        writes.retain(|write| !write.records.is_empty());
        if writes.iter().any(|write| size_of_write(write) > self.limits.max_write_bytes) {
            self.core = before;
            effects.extend(
                answers.into_iter().map(|(token, _)| Effect::Answer { token, answer: Err(Unserved::TooLarge) }),
            );
            effects.push(Effect::Fail { tokens, with: Unserved::TooLarge });
            return;
        }
        if !writes.is_empty() {
            self.under_way.add(writes, before, &tokens, &self.limits);
        }
        match self.under_way.back_mut().filter(|_| !self.rules.breaks(Defect::AnswerUncommitted)) {
            Some(newest) => newest.parked.extend(answers),
            None => effects
                .extend(answers.into_iter().map(|(token, response)| Effect::Answer { token, answer: Ok(response) })),
        }
    }

    /// The oldest append was refused: back to before it.
    fn set_back(&mut self, code: ErrorCode, next: Token, context: &mut Context<'_>, effects: &mut Effects<C>) -> Next {
        let oldest = self.under_way.front().map(|oldest| (oldest.before.clone(), oldest.first, oldest.request));
        let Some((before, first, request)) = oldest else {
            return Next::GoOn;
        };
        let Some(before) = before else {
            return Next::LoadAgain("an append was refused whose first part is committed");
        };
        let dropped = self.under_way.set_back(self.under_way.committed_end());
        let is_too_large = matches!(code, ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge);
        // Only the request that wrote it is to blame, wherever its answer waits; the others may be asked for again.
        let to_blame = request.filter(|_| is_too_large);
        for batch in dropped {
            // What was asked before is still known to the state that it goes back to, and goes on waiting there.
            let later = batch.parked.into_iter().filter(|(token, _)| *token >= first);
            effects.extend(later.map(|(token, _)| {
                let undone = if Some(token) == to_blame { Unserved::TooLarge } else { Unserved::NotTaken(code) };
                Effect::Answer { token, answer: Err(undone) }
            }));
        }
        effects.push(Effect::Fail { tokens: first..next, with: Unserved::NotTaken(code) });
        effects.push(Effect::Tell(News::SetBack(code)));
        if !self.rules.breaks(Defect::RefusedKeepsState) {
            self.core = before;
        }
        self.held_until = Some(context.now + SET_BACK_PAUSE_MS);
        self.decide(next..next, effects, |core| core.set_back(context));
        Next::GoOn
    }
}
