//! The task that moves a producer's batches from its lanes to the brokers and the answers back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_proto::v1;
use levada_types::{ErrorCode, TopicId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::batch::Identity;
use super::delivery::Appended;
use super::lane::{Destination, Lane, Next};
use super::link::Link;
use super::shared::{Shared, init};
use crate::ClientError;
use crate::connections::Connections;

/// How much longer than `request.timeout.ms`, which the broker keeps for itself, an answer may take on its way.
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// Which lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) topic_id: TopicId,
    pub(super) partition: i32,
}

/// What the sender waits for.
pub(super) enum Event {
    /// The oldest unanswered batch of a stream was answered.
    Answer { address: String, link: u64, answer: Result<Appended, ClientError> },
    /// A stream ended.
    Broken { address: String, link: u64, error: ClientError },
    /// The leaders of a topic were looked up, or could not be.
    Refreshed { topic: Arc<str>, outcome: Result<(), ClientError> },
    /// A new identity for a lane came, or did not.
    Renewed { lane: LaneKey, identity: Result<Identity, ClientError> },
}

/// Sends until it is told to stop.
pub(super) struct Sender {
    shared: Arc<Shared>,
    connections: Connections,
    links: HashMap<String, Link>,
    next_link: u64,
    /// Over which stream a lane's batches in flight went.
    bound: HashMap<LaneKey, String>,
    /// The lanes that wait for a leader; each is told of once.
    leaderless: HashSet<LaneKey>,
    refreshing: HashSet<Arc<str>>,
    renewing: HashSet<LaneKey>,
    events: (UnboundedSender<Event>, UnboundedReceiver<Event>),
    questions: JoinSet<()>,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            connections: Connections::bulk(),
            links: HashMap::new(),
            next_link: 0,
            bound: HashMap::new(),
            leaderless: HashSet::new(),
            refreshing: HashSet::new(),
            renewing: HashSet::new(),
            events: unbounded_channel(),
            questions: JoinSet::new(),
        }
    }

    /// Runs until `closed`; then everything that is not answered fails.
    pub(super) async fn run(mut self, closed: CancellationToken) {
        let shared = self.shared.clone();
        loop {
            let now = Instant::now();
            let next_event = self.send_what_is_due(now);
            let sleep = async {
                match next_event {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = closed.cancelled() => break,
                () = shared.wake.notified() => {}
                () = sleep => {}
                Some(_) = self.questions.join_next() => {}
                Some(event) = self.events.1.recv() => {
                    self.take(event);
                    while let Ok(event) = self.events.1.try_recv() {
                        self.take(event);
                    }
                }
            }
        }
        for lane in shared.lanes.read().values() {
            lane.lock().fail(&ClientError::Closed);
        }
    }

    /// Sends everything that can be sent, and tells when to look again.
    fn send_what_is_due(&mut self, now: Instant) -> Option<Instant> {
        let mut earliest = self.drop_silent_links(now);
        let shared = self.shared.clone();
        for (&key, lane) in shared.lanes.read().iter() {
            let mut lane = lane.lock();
            lane.advance(now);
            if lane.needs_identity() && self.renewing.insert(key) {
                self.ask_for_identity(key);
            }
            while lane.wants_to_send(now) {
                let Some(address) = self.route(key, &mut lane, now) else { break };
                let Some(bytes) = lane.next(now) else { break };
                self.send(key, &address, lane.destination(), bytes, now);
            }
            earliest = [earliest, lane.next_event()].into_iter().flatten().min();
        }
        earliest
    }

    /// Where to send a lane's next batch. While batches are in flight the others follow them, so that they arrive in
    /// order; otherwise to the leader. Without one the lane waits while the leader is looked up.
    fn route(&mut self, key: LaneKey, lane: &mut Lane, now: Instant) -> Option<String> {
        if lane.has_in_flight() {
            return self.bound.get(&key).cloned();
        }
        let topic = lane.destination().topic.clone();
        let metadata = self.shared.cluster.known_topic(&topic);
        if metadata.as_ref().is_some_and(|known| known.id != key.topic_id) {
            // The topic was deleted and another one has its name; records for the old one have nowhere to go.
            lane.fail(&ClientError::Broker {
                code: ErrorCode::UnknownTopicId,
                message: format!("topic {topic} was deleted and created again"),
                leader: None,
                partition: None,
            });
            return None;
        }
        let address = metadata.and_then(|known| known.leader(key.partition)?.address.clone());
        match address {
            Some(address) => {
                self.leaderless.remove(&key);
                self.bound.insert(key, address.clone());
                Some(address)
            }
            None => {
                if self.leaderless.insert(key) {
                    self.shared.cluster.tell_retry(&ClientError::no_leader(&topic, key.partition));
                }
                lane.wait_for_leader(now, self.pause(lane.attempts()));
                self.refresh(topic);
                None
            }
        }
    }

    fn send(&mut self, key: LaneKey, address: &str, destination: &Destination, bytes: bytes::Bytes, now: Instant) {
        let batch = v1::ProduceBatch {
            topic: Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Id(destination.topic_id.to_string())) }),
            partition: Some(destination.partition),
            base_sequence: None,
            content: Some(v1::produce_batch::Content::RawBatches(bytes)),
        };
        if !self.links.contains_key(address) {
            let Some(link) = self.open_link(address) else { return };
            self.links.insert(address.to_owned(), link);
        }
        if let Some(link) = self.links.get_mut(address) {
            link.send(now, key, batch);
        }
    }

    fn open_link(&mut self, address: &str) -> Option<Link> {
        // An address that a broker advertises and that is none is answered like a broken stream.
        self.next_link += 1;
        let id = self.next_link;
        let channel = match self.connections.channel(address) {
            Ok(channel) => channel,
            Err(error) => {
                let _ = self.events.0.send(Event::Broken { address: address.to_owned(), link: id, error });
                return None;
            }
        };
        let options = &self.shared.options;
        let open = v1::ProduceStreamOpen {
            acks: options.acks.to_message().into(),
            timeout_ms: u32::try_from(self.request_timeout().as_millis()).unwrap_or(u32::MAX),
            // Every batch bears its producer in its own header, and a lane may have got a newer identity than others.
            producer: None,
        };
        Some(Link::open(id, address, channel, open, self.events.0.clone()))
    }

    fn take(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Answer { address, link, answer } => {
                let Some(current) = self.links.get_mut(&address).filter(|current| current.id == link) else { return };
                let Some((key, _)) = current.unanswered.pop_front() else { return };
                self.answered(key, &address, now, answer);
            }
            Event::Broken { address, link, error } => {
                if self.links.get(&address).is_none_or(|current| current.id == link) {
                    self.break_link(&address, now, &error);
                }
            }
            Event::Refreshed { topic, outcome } => {
                self.refreshing.remove(&topic);
                if let Err(error) = outcome {
                    tracing::debug!(%topic, %error, "could not look up the leaders");
                    self.fail_topic_if_gone(&topic, &error);
                }
            }
            Event::Renewed { lane, identity } => {
                self.renewing.remove(&lane);
                let Some(lane) = self.shared.lanes.read().get(&lane).cloned() else { return };
                match identity {
                    Ok(identity) => lane.lock().renew(identity),
                    Err(error) => lane.lock().fail(&error),
                }
            }
        }
    }

    fn answered(&mut self, key: LaneKey, address: &str, now: Instant, answer: Result<Appended, ClientError>) {
        let Some(lane) = self.shared.lanes.read().get(&key).cloned() else { return };
        let mut lane = lane.lock();
        let topic = lane.destination().topic.clone();
        // Who is told where the leader is now need not wait, nor ask (KIP-951).
        let moved = |error| self.shared.cluster.follow_hint(&topic, key.partition, address, error);
        let moved = answer.as_ref().err().is_some_and(moved);
        let pause = if moved { Duration::ZERO } else { self.pause(lane.attempts()) };
        if lane.answered(now, pause, answer) == Next::RefreshMetadata && !moved {
            self.refresh(topic);
        }
    }

    /// A stream is over: what was in flight on it goes back to its lanes.
    fn break_link(&mut self, address: &str, now: Instant, error: &ClientError) {
        self.links.remove(address);
        let lanes: Vec<LaneKey> =
            self.bound.iter().filter(|(_, bound)| *bound == address).map(|(key, _)| *key).collect();
        for key in lanes {
            self.bound.remove(&key);
            let Some(lane) = self.shared.lanes.read().get(&key).cloned() else { continue };
            let mut lane = lane.lock();
            if lane.has_in_flight() {
                let pause = self.pause(lane.attempts());
                lane.broken(now, pause, error);
                self.refresh(lane.destination().topic.clone());
            }
        }
    }

    /// Breaks streams on which an answer is overdue. Tells when the next one would be.
    fn drop_silent_links(&mut self, now: Instant) -> Option<Instant> {
        let limit = self.request_timeout() + ANSWER_GRACE;
        let due = |link: &Link| link.unanswered.front().map(|(_, sent)| *sent + limit);
        let silent = |link: &Link| due(link).is_some_and(|at| now >= at);
        let addresses: Vec<String> =
            self.links.iter().filter(|(_, link)| silent(link)).map(|(address, _)| address.clone()).collect();
        for address in addresses {
            self.break_link(&address, now, &ClientError::TimedOut { option: "request.timeout.ms", limit });
        }
        self.links.values().filter_map(due).min()
    }

    /// A topic that does not exist fails what waits for it; any other trouble passes, or runs into the time limits.
    fn fail_topic_if_gone(&mut self, topic: &str, error: &ClientError) {
        if !matches!(error.code(), ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId) {
            return;
        }
        for lane in self.shared.lanes.read().values() {
            let mut lane = lane.lock();
            if &*lane.destination().topic == topic && !lane.has_in_flight() {
                lane.fail(error);
            }
        }
    }

    fn refresh(&mut self, topic: Arc<str>) {
        if !self.refreshing.insert(topic.clone()) {
            return;
        }
        let (cluster, events) = (self.shared.cluster.clone(), self.events.0.clone());
        self.questions.spawn(async move {
            let outcome = cluster.refresh_topic(&topic, false).await.map(|_| ());
            let _ = events.send(Event::Refreshed { topic, outcome });
        });
    }

    fn ask_for_identity(&mut self, lane: LaneKey) {
        let (cluster, events) = (self.shared.cluster.clone(), self.events.0.clone());
        self.questions.spawn(async move {
            let identity = init(&cluster).await;
            let _ = events.send(Event::Renewed { lane, identity });
        });
    }

    fn pause(&self, attempts: u32) -> Duration {
        self.shared.cluster.backoff().pause(attempts, rand::random())
    }

    fn request_timeout(&self) -> Duration {
        self.shared.cluster.options().request_timeout
    }
}
