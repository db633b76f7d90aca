//! A process that may own the shard, with the machine that ships.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use levada_metadata::Image;
use levada_types::{LeaderEpoch, Offset, TimestampMs};
use uuid::Uuid;

use super::counters::{Ask, Counters};
use super::world::Op;
use crate::machine::{Effect, Event, Limits, News, Outcome, ShardMachine, Unserved};
use crate::{AppendSession, Context, Rules, Token};

/// What an owner has sent to the leader.
pub(super) enum Sent {
    Open { attempt: u64, epoch: LeaderEpoch },
    Read { attempt: u64, epoch: LeaderEpoch, range: Range<Offset> },
    Follow { attempt: u64, epoch: LeaderEpoch, from: Offset },
    Append { attempt: u64, number: u64, epoch: LeaderEpoch, session: AppendSession, expected: Offset, records: Bytes },
}

/// A request's answer.
pub(super) type Answer = (Op, Result<u64, Unserved>);

pub(super) struct Owner {
    pub(super) machine: ShardMachine<Counters>,
    /// To the leader, in order.
    pub(super) outbox: VecDeque<Sent>,
    /// From everybody, in order.
    pub(super) inbox: VecDeque<Event<Ask>>,
    /// What the metadata has come to say, and this process has not heard yet.
    pub(super) images: VecDeque<Event<Ask>>,
    /// Appends by attempt and number, and their outcomes: each is told when those before it were.
    unanswered: BTreeMap<u64, VecDeque<(u64, Option<Outcome>)>>,
    pub(super) paused: bool,
    /// The session of the newest attempt.
    pub(super) session: Option<(LeaderEpoch, AppendSession)>,
    pub(super) waiting: BTreeMap<Token, Op>,
    pub(super) answers: Vec<Answer>,
    pub(super) news: Vec<News>,
    pub(super) attempt: u64,
    epoch: LeaderEpoch,
    next_token: u64,
}

impl Owner {
    pub(super) fn new(rules: Rules) -> Self {
        let limits = Limits { appends_under_way: 3, max_batch_bytes: 200, ..Limits::default() };
        Self {
            machine: ShardMachine::new(Counters::default(), limits, rules),
            outbox: VecDeque::new(),
            inbox: VecDeque::new(),
            images: VecDeque::new(),
            unanswered: BTreeMap::new(),
            paused: false,
            session: None,
            waiting: BTreeMap::new(),
            answers: Vec::new(),
            news: Vec::new(),
            attempt: 0,
            epoch: LeaderEpoch(-1),
            next_token: 0,
        }
    }

    /// A client asks.
    pub(super) fn ask(&mut self, op: Op) {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.waiting.insert(token, op);
        self.inbox.push_back(Event::Request { token, request: op.ask });
    }

    /// An append has arrived at the leader.
    pub(super) fn arrived(&mut self, attempt: u64, number: u64) {
        self.unanswered.entry(attempt).or_default().push_back((number, None));
    }

    /// An append has come to its end.
    pub(super) fn ended(&mut self, attempt: u64, number: u64, outcome: Outcome) {
        let Some(unanswered) = self.unanswered.get_mut(&attempt) else { return };
        if let Some(place) = unanswered.iter_mut().find(|(of, _)| *of == number) {
            place.1 = Some(outcome);
        }
        while let Some((number, Some(outcome))) = unanswered.front().copied() {
            unanswered.pop_front();
            self.inbox.push_back(Event::Outcome { attempt, number, outcome });
        }
    }

    /// Nothing that was to be heard from the leader is heard.
    pub(super) fn hear_nothing(&mut self) {
        self.unanswered.clear();
        self.inbox.retain(|event| {
            matches!(event, Event::Term(_) | Event::Follow(_) | Event::Suspend | Event::Request { .. } | Event::Tick)
        });
        self.inbox.push_back(Event::Lost { attempt: self.attempt });
    }

    /// Takes in some of what has come.
    pub(super) fn run(&mut self, events: usize, now: TimestampMs) {
        let events: Vec<_> = self.inbox.drain(..events.min(self.inbox.len())).collect();
        for event in &events {
            if let Event::Opened { attempt, opened } = event
                && *attempt == self.attempt
            {
                self.session = Some((self.epoch, opened.session));
            }
        }
        let image = Image::new();
        let mut context = Context { now, image: &image, fresh: &mut Uuid::nil };
        let mut effects = Vec::new();
        self.machine.handle(events, &mut context, &mut effects);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn carry_out(&mut self, effect: Effect<u64>) {
        let (attempt, epoch) = (self.attempt, self.epoch);
        match effect {
            Effect::Open { attempt, epoch, .. } => {
                (self.attempt, self.epoch, self.session) = (attempt, epoch, None);
                self.outbox.push_back(Sent::Open { attempt, epoch });
            }
            Effect::Read { from, to } => self.outbox.push_back(Sent::Read { attempt, epoch, range: from..to }),
            Effect::Follow { attempt, epoch, from, .. } => {
                (self.attempt, self.epoch, self.session) = (attempt, epoch, None);
                self.outbox.push_back(Sent::Follow { attempt, epoch, from });
            }
            Effect::Append { number, expected, records } => {
                let (epoch, session) = self.session.expect("nothing is appended before the session is open");
                self.outbox.push_back(Sent::Append { attempt, number, epoch, session, expected, records });
            }
            Effect::Close => self.session = None,
            Effect::Answer { token, answer } => self.answers.extend(self.waiting.remove(&token).map(|op| (op, answer))),
            Effect::Fail { tokens, with } => {
                let failed = self.waiting.extract_if(tokens, |_, _| true);
                self.answers.extend(failed.map(|(_, op)| (op, Err(with))));
            }
            Effect::Tell(news) => self.news.push(news),
        }
    }
}
