//! How a coordinator runs its shard: tells it what happens, and does what it wants done.

use std::collections::BTreeMap;

use levada_groups::Groups;
use levada_groups::api::{Request, Response};
use levada_metadata::Image;
use levada_shard::machine::{Effect, Event, ShardMachine, Unserved};
use levada_shard::{Context, Token};
use levada_types::{BrokerId, LeaderEpoch};

use super::Shard;
use super::shard::{Confirming, Link, Waiting};
use crate::RuntimeDefect;
use crate::happening::Happening;
use crate::message::{Ask, Caller, Heard, Message, Party, ToLeader};
use crate::run::Failure;
use crate::universe::Universe;

/// How long a stream may be silent before it is given up, at the longest.
const SILENCE_MS: i64 = 2_500;

/// How late the last of what a broken stream carried may be: its owner has another one by then.
const LATE_TAIL_MS: (i64, i64) = (60, 400);

impl Shard {
    pub(super) fn new(number: u64, machine: ShardMachine<Groups>, image: Image) -> Self {
        Self {
            number,
            machine,
            duty: None,
            image,
            waiting: BTreeMap::new(),
            next_token: 0,
            link: None,
            confirming: BTreeMap::new(),
            timer_ms: None,
            compared: None,
        }
    }
}

impl Universe {
    /// A request arrives at a coordinator.
    pub(super) fn asked(&mut self, index: usize, ask: Ask) -> Result<(), Failure> {
        let Ask { number, via, known_at, request } = ask;
        let confirm = matches!(&request, Request::FetchOffsets(fetch) if fetch.require_stable);
        let waiting = Waiting { number, via, confirm };
        // As the product does where its image stays behind the asker's for long.
        let is_behind = self.coordinators[index].image.offset() < known_at;
        if is_behind || !self.is_in_charge(index) || self.coordinators[index].shard.is_none() {
            return self.reply(index, waiting, Err(Unserved::NotOwner));
        }
        let Some(shard) = &mut self.coordinators[index].shard else { return Ok(()) };
        let token = Token(shard.next_token);
        shard.next_token += 1;
        shard.waiting.insert(token, waiting);
        self.turn(index, vec![Event::Request { token, request }])
    }

    /// The leader, or the stream to it, says something.
    pub(super) fn heard_of_leader(&mut self, index: usize, number: u64, heard: Heard) -> Result<(), Failure> {
        let shard = self.coordinators[index].shard.as_mut();
        let Some(link) = shard.and_then(|shard| shard.link.as_mut()).filter(|link| link.number == number) else {
            return Ok(());
        };
        let attempt = link.attempt;
        let event = match heard {
            Heard::Opened(opened) => {
                link.session = Some(opened.session);
                Event::Opened { attempt, opened }
            }
            Heard::Read(records) => Event::Read { attempt, records },
            Heard::ReadEnded => Event::ReadEnded { attempt },
            Heard::Outcome { number, outcome } => {
                link.unanswered = link.unanswered.saturating_sub(1);
                Event::Outcome { attempt, number, outcome }
            }
            Heard::Lost => Event::Lost { attempt },
        };
        self.turn(index, vec![event])
    }

    /// The leader says whether a session is the newest.
    pub(super) fn confirmed(&mut self, index: usize, number: u64, is_newest: bool) -> Result<(), Failure> {
        let Some(shard) = &mut self.coordinators[index].shard else { return Ok(()) };
        let Some(Confirming { waiting, response, attempt }) = shard.confirming.remove(&number) else { return Ok(()) };
        if is_newest {
            return self.reply(index, waiting, Ok(response));
        }
        self.reply(index, waiting, Err(Unserved::NotOwner))?;
        self.turn(index, vec![Event::Lost { attempt }])
    }

    /// Something may be due.
    pub(crate) fn shard_timer(&mut self, index: usize, number: u64) -> Result<(), Failure> {
        let (now_ms, paused_until_ms) = (self.now_ms, self.coordinators[index].paused_until_ms);
        let Some(shard) = self.coordinators[index].shard.as_mut().filter(|shard| shard.number == number) else {
            return Ok(());
        };
        if now_ms < paused_until_ms {
            self.after(paused_until_ms - now_ms, Happening::ShardTimer { coordinator: index, shard: number });
            return Ok(());
        }
        shard.timer_ms = None;
        if shard.machine.next_deadline().is_some_and(|due| due <= now_ms) {
            return self.turn(index, vec![Event::Tick]);
        }
        self.set_timer(index);
        Ok(())
    }

    fn set_timer(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let Some(shard) = &mut self.coordinators[index].shard else { return };
        let Some(due) = shard.machine.next_deadline().map(|due| due.max(now_ms + 1)) else { return };
        if shard.timer_ms.is_none_or(|timer| due < timer) {
            shard.timer_ms = Some(due);
            let number = shard.number;
            self.after(due - now_ms, Happening::ShardTimer { coordinator: index, shard: number });
        }
    }

    /// Hands events to the shard of a coordinator, and does what it wants done.
    pub(super) fn turn(&mut self, index: usize, events: Vec<Event<Request>>) -> Result<(), Failure> {
        let told = format!("coordinator {index} <- {events:?}");
        let now = self.now_ms;
        let mut ids = self.next_id;
        let Some(shard) = &mut self.coordinators[index].shard else { return Ok(()) };
        let mut fresh = || {
            ids += 1;
            uuid::Uuid::from_u128(ids)
        };
        let mut context = Context { now, image: &shard.image, fresh: &mut fresh };
        let mut effects = Vec::new();
        shard.machine.handle(events, &mut context, &mut effects);
        let standing = shard.machine.standing();
        self.next_id = ids;
        self.note(|| format!("{told}, {standing:?}"));
        for effect in effects {
            self.note(|| format!("coordinator {index} -> {effect:?}"));
            self.carry_out_for_shard(index, effect)?;
        }
        self.set_timer(index);
        self.look_at_shard(index)
    }

    fn carry_out_for_shard(&mut self, index: usize, effect: Effect<Response>) -> Result<(), Failure> {
        match effect {
            Effect::Open { attempt, leader, epoch } => {
                self.link(index, attempt, leader, epoch);
                let known_at = self.coordinators[index].shard.as_ref().map(|shard| shard.image.offset());
                let known_at = known_at.unwrap_or_default();
                self.say_to_leader(index, |caller| ToLeader::Open { caller, epoch, known_at });
            }
            Effect::Follow { attempt, leader, epoch, from } => {
                self.link(index, attempt, leader, epoch);
                self.say_to_leader(index, |caller| ToLeader::Read { caller, epoch, from, to: None });
            }
            Effect::Read { from, to } => {
                let link = self.coordinators[index].shard.as_ref().and_then(|shard| shard.link.as_ref());
                let Some(epoch) = link.map(|link| link.epoch) else { return Ok(()) };
                self.say_to_leader(index, |caller| ToLeader::Read { caller, epoch, from, to: Some(to) });
            }
            Effect::Append { number, expected, records } => {
                self.commits.sent(&records);
                let link = self.coordinators[index].shard.as_mut().and_then(|shard| shard.link.as_mut());
                link.into_iter().for_each(|link| link.unanswered += 1);
                self.say_to_leader(index, |caller| ToLeader::Append { link: caller.link, number, expected, records });
            }
            Effect::Close => self.coordinators[index].shard.iter_mut().for_each(|shard| shard.link = None),
            Effect::Answer { token, answer } => {
                let shard = self.coordinators[index].shard.as_mut();
                if let Some(waiting) = shard.and_then(|shard| shard.waiting.remove(&token)) {
                    return self.answer_or_confirm(index, waiting, answer);
                }
            }
            Effect::Fail { tokens, with } => {
                let Some(shard) = &mut self.coordinators[index].shard else { return Ok(()) };
                let failed: Vec<Waiting> = shard.waiting.extract_if(tokens, |_, _| true).map(|(_, w)| w).collect();
                for waiting in failed {
                    self.reply(index, waiting, Err(with))?;
                }
            }
            Effect::Tell(_) => {}
        }
        Ok(())
    }

    fn answer_or_confirm(
        &mut self,
        index: usize,
        waiting: Waiting,
        answer: Result<Response, Unserved>,
    ) -> Result<(), Failure> {
        let response = match answer {
            Ok(response) if self.is_in_charge(index) => response,
            Ok(_) => return self.reply(index, waiting, Err(Unserved::Moved)),
            Err(unserved) => return self.reply(index, waiting, Err(unserved)),
        };
        if !waiting.confirm || self.rules.runtime == Some(RuntimeDefect::ConfirmedFromMemory) {
            return self.reply(index, waiting, Ok(response));
        }
        let number = self.fresh_number();
        let link = self.coordinators[index].shard.as_ref().and_then(|shard| shard.link.as_ref());
        let Some((session, epoch, attempt)) = link.and_then(|link| Some((link.session?, link.epoch, link.attempt)))
        else {
            return self.reply(index, waiting, Err(Unserved::Interrupted));
        };
        if let Some(shard) = &mut self.coordinators[index].shard {
            shard.confirming.insert(number, Confirming { waiting, response, attempt });
        }
        self.say_to_leader(index, |caller| ToLeader::Confirm { caller, number, epoch, session });
        Ok(())
    }

    /// An answer goes out; what it says is held against what is committed.
    fn reply(&mut self, index: usize, waiting: Waiting, answer: Result<Response, Unserved>) -> Result<(), Failure> {
        self.note(|| format!("coordinator {index} answers request {}: {answer:?}", waiting.number));
        self.judge(index, waiting.number, &answer)?;
        let message = Message::Answer { number: waiting.number, answer: Box::new(answer) };
        self.send(Party::Coordinator(index), Party::Broker(waiting.via), message);
        Ok(())
    }

    /// Lets go of the shard, which is another's, or of whoever would take it over.
    pub(super) fn drop_shard(&mut self, index: usize) -> Result<(), Failure> {
        if self.coordinators[index].shard.is_none() {
            return Ok(());
        }
        self.turn(index, vec![Event::Suspend])?;
        let Some(shard) = self.coordinators[index].shard.take() else { return Ok(()) };
        shard.waiting.into_values().try_for_each(|waiting| self.reply(index, waiting, Err(Unserved::Interrupted)))
    }

    /// Begins an attempt at a leader.
    fn link(&mut self, index: usize, attempt: u64, leader: BrokerId, epoch: LeaderEpoch) {
        let (number, now_ms) = (self.fresh_number(), self.now_ms);
        let Party::Broker(leader) = self.party(leader) else { return };
        let hosting = self.brokers[leader].hosted.as_ref().map(|hosted| hosted.number);
        if let Some(shard) = &mut self.coordinators[index].shard {
            shard.link = Some(Link {
                number,
                attempt,
                leader,
                epoch,
                session: None,
                unanswered: 0,
                arrives_ms: now_ms,
                is_broken: false,
                hosting,
            });
        }
    }

    /// Says something to the leader, on the streams of the present attempt, which keep the order.
    fn say_to_leader(&mut self, index: usize, word: impl FnOnce(Caller) -> ToLeader) {
        let Some(topic) = self.topic.as_ref().map(|topic| topic.at.topic_id) else { return };
        let coordinator = &self.coordinators[index];
        let link = coordinator.shard.as_ref().and_then(|shard| shard.link.as_ref());
        let Some((link, owner)) = link.zip(coordinator.epoch) else { return };
        let caller = Caller { coordinator: index, link: link.number, owner };
        let (to, is_broken, last_ms) = (Party::Broker(link.leader), link.is_broken, link.arrives_ms);
        let word = word(caller);
        if is_broken {
            return;
        }
        if self.ambush.tail && matches!(word, ToLeader::Append { .. }) {
            return self.break_behind(index, to, Message::ToLeader { topic, word });
        }
        let sent = self.send_in_order(Party::Coordinator(index), to, Message::ToLeader { topic, word }, last_ms);
        let is_silent = self.one_in(2);
        let link = self.coordinators[index].shard.as_mut().and_then(|shard| shard.link.as_mut());
        let Some(link) = link else { return };
        match sent {
            Some(arrives_ms) => link.arrives_ms = arrives_ms,
            None => {
                link.is_broken = true;
                self.lose_link(index, caller.link, is_silent);
            }
        }
    }

    /// The stream of the present attempt breaks behind this message, which is late.
    fn break_behind(&mut self, index: usize, to: Party, message: Message) {
        self.ambush.tail = false;
        self.note(|| format!("an append of coordinator {index} is late, and the stream behind it broken"));
        let (from, delay) = (Party::Coordinator(index), self.between(LATE_TAIL_MS.0, LATE_TAIL_MS.1));
        self.after(delay, Happening::Arrival { from, to, message: Box::new(message) });
        let link = self.coordinators[index].shard.as_mut().and_then(|shard| shard.link.as_mut());
        if let Some(link) = link {
            link.is_broken = true;
            let number = link.number;
            self.lose_link(index, number, false);
        }
    }

    /// The stream of an attempt breaks, and its owner hears of that, soon or when nothing has come for a while.
    pub(crate) fn lose_link(&mut self, index: usize, link: u64, is_silent: bool) {
        let delay = if is_silent { self.between(800, SILENCE_MS) } else { self.between(1, 50) };
        let (from, to) = (Party::Operator, Party::Coordinator(index));
        let message = Box::new(Message::Heard { link, heard: Heard::Lost });
        self.after(delay, Happening::Arrival { from, to, message });
    }

    /// The streams to a leader that has opened its replica anew, or is gone, end sooner or later.
    pub(super) fn notice_broken_streams(&mut self, index: usize) -> Result<(), Failure> {
        let link = self.coordinators[index].shard.as_ref().and_then(|shard| shard.link.as_ref());
        let Some((number, leader, hosting)) = link.map(|link| (link.number, link.leader, link.hosting)) else {
            return Ok(());
        };
        let now = self.brokers[leader].hosted.as_ref().map(|hosted| hosted.number);
        let is_deaf = self.cut.contains(&(Party::Broker(leader), Party::Coordinator(index)));
        if now != hosting && !is_deaf && self.one_in(2) {
            return self.heard_of_leader(index, number, Heard::Lost);
        }
        Ok(())
    }
}
