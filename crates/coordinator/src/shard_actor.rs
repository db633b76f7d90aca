//! One shard at work: a task that feeds its machine and does what it wants done.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_metadata::Image;
use levada_shard::{Context, Core, Token};
use levada_types::TopicIdPartition;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::host::Host;
use crate::leader::{Heard, Link};
use crate::machine::{Effect, Event, ShardMachine, Standing, Term, Unserved};

/// Things heard from the leader that may wait. Bounds what a read brings ahead of the replay: a leader sends pieces of 256 KiB,
/// and all shards of a process may be loaded at once.
const HEARD: usize = 8;

/// Events that are taken in at once. What they decide shares a batch.
const MAX_EVENTS: usize = 256;

/// A request, and who waits for its answer.
pub(crate) struct Mail<C: Core> {
    pub(crate) request: C::Request,
    /// The answer goes out only if the partition's leader says that nobody else can have appended.
    pub(crate) confirm: bool,
    pub(crate) answer: oneshot::Sender<Result<C::Response, Unserved>>,
}

/// Who wants a copy of a shard's state; it is dropped without one while the shard does not serve.
pub(crate) type Look<C> = oneshot::Sender<C>;

struct Waiting<R> {
    confirm: bool,
    answer: oneshot::Sender<Result<R, Unserved>>,
}

/// What an actor is given.
pub(crate) struct ShardActor<C: Core> {
    pub(crate) host: Arc<Host>,
    pub(crate) partition: TopicIdPartition,
    pub(crate) empty: C,
    pub(crate) mailbox: mpsc::Receiver<Mail<C>>,
    pub(crate) looks: mpsc::Receiver<Look<C>>,
    /// What the metadata says; `None` while this process may not serve. When its sender goes, so does the actor.
    pub(crate) terms: watch::Receiver<Option<Term>>,
    /// What the shard does, for whoever wants to know.
    pub(crate) standing: Arc<Mutex<Standing>>,
}

/// The state of one life of an actor. A defect ends it, and with it everything that was decided and not committed.
struct Life<'a, C: Core> {
    host: &'a Host,
    partition: TopicIdPartition,
    machine: ShardMachine<C>,
    waiting: BTreeMap<Token, Waiting<C::Response>>,
    next_token: u64,
    link: Option<Link>,
    heard: mpsc::Sender<Heard>,
}

impl<C: Core> ShardActor<C> {
    /// Runs until the shard goes to another process.
    pub(crate) async fn live(&mut self) {
        let (heard, mut hearing) = mpsc::channel(HEARD);
        let mut life = Life {
            host: &self.host,
            partition: self.partition,
            machine: ShardMachine::new(self.empty.clone(), self.host.limits, self.host.rules),
            waiting: BTreeMap::new(),
            next_token: 0,
            link: None,
            heard,
        };
        let mut images = self.host.metadata.offsets();
        let mut events = Vec::new();
        let first = *self.terms.borrow_and_update();
        events.extend(first.map(Event::Term));
        loop {
            let is_over = self.terms.has_changed().is_err();
            if is_over {
                events.push(Event::Suspend);
            }
            life.turn(&mut events);
            *self.standing.lock() = life.machine.standing();
            if is_over {
                return;
            }
            // A core that names a moment which has passed, again and again, gets no more than its share.
            let due = life.machine.next_deadline().map(|due| due.max(self.host.clock.now_ms() + 1));
            tokio::select! {
                // Its end is seen above.
                _ = self.terms.changed() => {
                    events.push(self.terms.borrow_and_update().map_or(Event::Suspend, Event::Term));
                }
                Some(heard) = hearing.recv() => events.push(life.hear(heard)),
                Some(mail) = self.mailbox.recv() => events.push(life.receive(mail)),
                Some(look) = self.looks.recv() => life.show(look),
                Ok(()) = images.changed() => events.push(Event::Tick),
                () = self.host.clock.until(due) => events.push(Event::Tick),
            }
            while events.len() < MAX_EVENTS
                && let Ok(heard) = hearing.try_recv()
            {
                events.push(life.hear(heard));
            }
            while events.len() < MAX_EVENTS
                && let Ok(mail) = self.mailbox.try_recv()
            {
                events.push(life.receive(mail));
            }
        }
    }
}

impl<C: Core> Life<'_, C> {
    fn receive(&mut self, mail: Mail<C>) -> Event<C::Request> {
        let Mail { request, confirm, answer } = mail;
        let token = Token(self.next_token);
        self.next_token += 1;
        self.waiting.insert(token, Waiting { confirm, answer });
        Event::Request { token, request }
    }

    fn show(&self, look: Look<C>) {
        if let Some(core) = self.machine.committed().filter(|_| self.host.is_in_charge()) {
            // Who has gone sees nothing.
            drop(look.send(core.clone()));
        }
    }

    fn hear(&mut self, heard: Heard) -> Event<C::Request> {
        if let Some(link) = self.link.as_mut().filter(|link| link.attempt() == heard.attempt) {
            link.session = heard.opened().or(link.session);
        }
        heard.into_event()
    }

    /// Takes in what has happened, and does what comes of it.
    fn turn(&mut self, events: &mut Vec<Event<C::Request>>) {
        let image = self.host.metadata.image();
        let mut context = Context { now: self.host.clock.now_ms(), image: &image, fresh: &mut Uuid::new_v4 };
        let mut effects = Vec::new();
        self.machine.handle(events.drain(..), &mut context, &mut effects);
        for effect in effects {
            self.carry_out(effect, &image);
        }
    }

    fn carry_out(&mut self, effect: Effect<C::Response>, image: &Image) {
        match effect {
            Effect::Open { attempt, leader, epoch } => {
                let stubs = self.host.leaders.stubs(image, leader);
                let place = (self.partition, epoch, image.offset());
                // Nobody knows the broker: the next image does, or the shard asks again after a while.
                self.link = stubs.map(|stubs| Link::open(stubs, leader, place, attempt, &self.heard));
            }
            Effect::Read { from, to } => self.link.iter_mut().for_each(|link| link.read(from, to)),
            Effect::Append { expected, records, .. } => {
                self.host.telemetry.appends.increment(1);
                if let Some(link) = &self.link {
                    link.append(expected, records);
                }
            }
            Effect::Close => self.link = None,
            Effect::Answer { token, answer } => {
                if let Some(waiting) = self.waiting.remove(&token) {
                    self.answer(waiting, answer);
                }
            }
            Effect::Fail { tokens, with } => {
                for (_, waiting) in self.waiting.extract_if(tokens, |_, _| true) {
                    // Who has gone hears nothing.
                    drop(waiting.answer.send(Err(with)));
                }
            }
            Effect::Tell(news) => self.host.telemetry.tell(self.partition.partition, news),
        }
    }

    fn answer(&self, waiting: Waiting<C::Response>, answer: Result<C::Response, Unserved>) {
        let Waiting { confirm, answer: to } = waiting;
        let response = match answer {
            Ok(response) if self.host.is_in_charge() => response,
            Ok(_) => return drop(to.send(Err(Unserved::Moved))),
            Err(unserved) => return drop(to.send(Err(unserved))),
        };
        if !confirm {
            return drop(to.send(Ok(response)));
        }
        let Some((leader, session)) = self.link.as_ref().and_then(Link::session) else {
            return drop(to.send(Err(Unserved::Interrupted)));
        };
        let (heard, attempt) = (self.heard.clone(), self.link.as_ref().map_or(0, Link::attempt));
        self.host.confirmer.confirm(
            leader,
            session,
            Box::new(move |newest| {
                let answer = match newest {
                    Some(true) => Ok(response),
                    Some(false) => Err(Unserved::NotOwner),
                    None => Err(Unserved::Interrupted),
                };
                drop(to.send(answer));
                if newest == Some(false) {
                    // It is to find out who is. If there is no place, it finds out by itself.
                    drop(heard.try_send(Heard::lost(attempt)));
                }
            }),
        );
    }
}
