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
use crate::loads::Wanted;
use crate::place::Duty;
use levada_shard::machine::{Effect, Event, ShardMachine, Standing, Unserved};

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

/// What the metadata says to a shard.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    /// What this process has to do with it; `None` while it may not serve.
    pub(crate) duty: Option<Duty>,
    /// The image in which that is so. The shard decides by this one: in a newer one it may be another process's, which will
    /// decide by an image that is not as new, perhaps.
    pub(crate) image: Arc<Image>,
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
    /// What the metadata says. When its sender goes, so does the actor.
    pub(crate) words: watch::Receiver<Word>,
    /// What the shard does, for whoever wants to know.
    pub(crate) standing: Arc<Mutex<Standing>>,
}

/// The state of one life of an actor. A defect ends it, and with it everything that was decided and not committed.
struct Life<'a, C: Core> {
    host: &'a Host,
    partition: TopicIdPartition,
    image: Arc<Image>,
    machine: ShardMachine<C>,
    waiting: BTreeMap<Token, Waiting<C::Response>>,
    next_token: u64,
    link: Option<Link>,
    /// Whether anybody has asked since it began to load.
    wanted: Wanted,
    heard: mpsc::Sender<Heard>,
}

impl<C: Core> ShardActor<C> {
    /// Runs until the shard goes to another process.
    pub(crate) async fn live(&mut self) {
        let (heard, mut hearing) = mpsc::channel(HEARD);
        let mut life = Life {
            host: &self.host,
            partition: self.partition,
            image: Arc::clone(&self.words.borrow().image),
            machine: ShardMachine::new(self.empty.clone(), self.host.limits, self.host.rules),
            waiting: BTreeMap::new(),
            next_token: 0,
            link: None,
            wanted: Wanted::default(),
            heard,
        };
        let mut events = Vec::new();
        self.words.mark_changed();
        loop {
            let is_over = match self.words.has_changed() {
                // Before anything else, so that nobody who knows the metadata meets a shard that does not.
                Ok(true) => {
                    let heard = life.heed(&self.words.borrow_and_update());
                    let count = heard.len();
                    events.extend(heard);
                    events.rotate_right(count);
                    false
                }
                Ok(false) => false,
                Err(_) => {
                    events.push(Event::Suspend);
                    true
                }
            };
            let has_replayed = events.iter().any(|event| matches!(event, Event::Read { .. }));
            life.turn(&mut events);
            *self.standing.lock() = life.machine.standing();
            if is_over {
                return;
            }
            if has_replayed {
                // Those who serve have their turns between the pieces of those who load.
                tokio::task::yield_now().await;
            }
            // A core that names a moment which has passed, again and again, gets no more than its share.
            let due = life.machine.next_deadline().map(|due| due.max(self.host.clock.now_ms() + 1));
            tokio::select! {
                // What has changed, or the end, is seen above.
                changed = self.words.changed() => if changed.is_ok() { self.words.mark_changed() },
                Some(heard) = hearing.recv() => events.push(life.hear(heard)),
                Some(mail) = self.mailbox.recv() => events.push(life.receive(mail)),
                Some(look) = self.looks.recv() => life.show(look),
                () = self.host.clock.until(due) => events.push(Event::Tick),
            }
            // A piece that is read takes a while by itself.
            while events.len() < MAX_EVENTS
                && !matches!(events.last(), Some(Event::Read { .. }))
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
    /// Takes in what the metadata says.
    fn heed(&mut self, word: &Word) -> [Event<C::Request>; 2] {
        self.image = Arc::clone(&word.image);
        let event = match word.duty {
            None => Event::Suspend,
            Some(Duty::Own(term)) => Event::Term(term),
            Some(Duty::Follow(term)) => Event::Follow(term),
        };
        [event, Event::Tick]
    }

    fn receive(&mut self, mail: Mail<C>) -> Event<C::Request> {
        let Mail { request, confirm, answer } = mail;
        let token = Token(self.next_token);
        self.next_token += 1;
        self.wanted.set(true);
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
        let image = Arc::clone(&self.image);
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
                self.wanted.set(false);
                let stubs = self.host.leaders.stubs(image, leader);
                let place = (self.partition, epoch, image.offset());
                // Nobody knows the broker: the next image does, or the shard asks again after a while.
                self.link = stubs.map(|stubs| Link::open(stubs, leader, place, attempt, &self.heard));
            }
            Effect::Follow { attempt, leader, epoch, from } => {
                let stubs = self.host.leaders.stubs(image, leader);
                let place = (self.partition, epoch);
                self.link = stubs.map(|(_, reads)| Link::follow(reads, leader, place, attempt, from, &self.heard));
                if self.link.is_none() {
                    drop(self.heard.try_send(Heard::lost(attempt)));
                }
            }
            Effect::Read { from, to } => {
                let (loads, wanted) = (self.host.loads.clone(), self.wanted.clone());
                if let Some(link) = &mut self.link {
                    link.read(from, to, async move { loads.turn(to - from, wanted).await });
                }
            }
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
