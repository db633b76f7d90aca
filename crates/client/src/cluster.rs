//! The cluster as one client sees it: which brokers to ask, and what is known of topics.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_proto::v1;
use levada_proto::v1::admin_client::AdminClient;
use levada_types::ErrorCode;
use parking_lot::Mutex;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::backoff::Backoff;
use crate::connections::{Connections, MAX_MESSAGE_BYTES};
use crate::topic_metadata::TopicMetadata;
use crate::{ClientError, ClientOptions};

/// How long a broker may take to answer what it knows without asking anybody. Far more than it takes, and short beside the
/// time for which a leader that is gone is missed.
const QUESTION_PATIENCE: Duration = Duration::from_secs(3);

/// How long a broker may take to tell who else there is, which the caller waits for and does not need.
const INTRODUCTION_PATIENCE: Duration = Duration::from_secs(1);

/// How long a topic is looked for that the brokers do not know: one that was created a moment ago is news to a broker that is
/// behind. Kafka's clients go on for `max.block.ms`; brokers are fractions of a second behind, and a misspelt name should be
/// told soon.
const NEWS_PATIENCE: Duration = Duration::from_secs(2);

/// Asks brokers and remembers what they said. Shared by everything that one [`crate::Client`] made.
#[derive(Debug)]
pub(crate) struct Cluster {
    options: ClientOptions,
    connections: Connections,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Brokers that were told by other brokers, beside the bootstrap ones.
    learned: Vec<String>,
    /// Which broker is asked first, counted through the bootstrap ones and the learned; moves on when it does not answer.
    favourite: usize,
    /// When a broker last told who else there is.
    introduced: Option<Instant>,
    /// How many brokers the cluster had then; 0 as long as nobody has told.
    members: usize,
    topics: HashMap<String, (Instant, Arc<TopicMetadata>)>,
}

impl Cluster {
    pub(crate) fn new(options: ClientOptions) -> Self {
        Self { options, connections: Connections::control(), state: Mutex::default() }
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { initial: self.options.retry_backoff, max: self.options.retry_backoff_max }
    }

    /// What is known of `topic`, if it is younger than `metadata.max.age.ms`.
    pub(crate) fn fresh_topic(&self, topic: &str) -> Option<Arc<TopicMetadata>> {
        let state = self.state.lock();
        let fresh = state.topics.get(topic).filter(|(asked, _)| asked.elapsed() < self.options.metadata_max_age);
        fresh.map(|(_, known)| known.clone())
    }

    /// What a broker says of `topic` now; what is known of it, if nobody answers.
    pub(crate) async fn topic(&self, topic: &str, create: bool) -> Result<Arc<TopicMetadata>, ClientError> {
        match (self.refresh_topic(topic, create).await, self.known_topic(topic)) {
            (Err(ClientError::Unreachable { .. } | ClientError::TimedOut { .. }), Some(known)) => Ok(known),
            (answer, _) => answer,
        }
    }

    /// What is known of `topic` without asking anybody.
    pub(crate) fn known_topic(&self, topic: &str) -> Option<Arc<TopicMetadata>> {
        self.state.lock().topics.get(topic).map(|(_, known)| known.clone())
    }

    /// Asks a broker about `topic`; `create` lets the broker create it if it does that at all.
    pub(crate) async fn refresh_topic(&self, topic: &str, create: bool) -> Result<Arc<TopicMetadata>, ClientError> {
        let request = v1::DescribeTopicRequest {
            topic: Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(topic.to_owned())) }),
            auto_create: create,
        };
        let (address, answer) = self
            .question_of_topic(NEWS_PATIENCE, |channel| {
                let request = request.clone();
                async move { admin_on(channel).describe_topic(request).await }
            })
            .await?;
        self.learn(&answer.brokers);
        let metadata = TopicMetadata::read(&address, answer)?;
        let mut state = self.state.lock();
        let metadata = Arc::new(match state.topics.get(topic) {
            Some((_, known)) => metadata.with_newer_leaders(known),
            None => metadata,
        });
        state.topics.insert(topic.to_owned(), (Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    /// Takes note of who leads a partition, if an error of the broker at `asked` told, and says whether to turn to another
    /// broker at once: one is known that leads by a newer epoch. The same error again, of the broker that was told of,
    /// is no reason to hurry.
    pub(crate) fn follow_hint(&self, topic: &str, partition: i32, asked: &str, error: &ClientError) -> bool {
        if !matches!(error.code(), ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
            return false;
        }
        let mut state = self.state.lock();
        let Some((_, known)) = state.topics.get_mut(topic) else { return false };
        if let ClientError::Broker { leader: Some(hint), .. } = error {
            Arc::make_mut(known).follow(partition, hint);
        }
        let leader = known.leader(partition).and_then(|leader| leader.address.as_deref());
        leader.is_some_and(|leader| leader != asked)
    }

    /// Calls any broker. A broker that does not answer is followed by the next, until `request.timeout.ms` has passed; an
    /// answer, be it an error, is final. So `call` must be harmless to repeat, or its outcome is unknown as with any
    /// lost answer.
    pub(crate) async fn ask<T, F, C>(&self, call: C) -> Result<(String, T), ClientError>
    where
        C: Fn(Channel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.ask_until(self.deadline(), call).await
    }

    /// [`Self::ask`], but until `deadline`.
    pub(crate) async fn ask_until<T, F, C>(&self, deadline: Instant, call: C) -> Result<(String, T), ClientError>
    where
        C: Fn(Channel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.ask_each(deadline, None, call).await
    }

    /// Asks what every broker answers at once from what it knows: one that is silent is given up for the next sooner than
    /// a change may take, since it may be frozen, or cut off.
    async fn question<T, F, C>(&self, call: C) -> Result<(String, T), ClientError>
    where
        C: Fn(Channel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.ask_each(self.deadline(), Some(QUESTION_PATIENCE), call).await
    }

    /// [`Self::question`] of a topic that should exist: a broker that does not know it may be behind. So the others are asked,
    /// and then all of them again, until `patience` is at its end. What the only broker says is final.
    async fn question_of_topic<T, F, C>(&self, patience: Duration, call: C) -> Result<(String, T), ClientError>
    where
        C: Fn(Channel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + patience;
        let mut attempts = 0;
        loop {
            let asked = self.favourite();
            let error = match self.question(&call).await {
                Err(error) if error.code() == ErrorCode::UnknownTopicOrPartition => error,
                answer => return answer,
            };
            self.get_introduced(&asked).await;
            if self.state.lock().members <= 1 {
                return Err(error);
            }
            attempts += 1;
            let pause = self.pause_after(attempts, self.give_up(&asked));
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, "asking another broker, since this one may be behind");
            tokio::time::sleep(pause).await;
        }
    }

    /// How long to wait after so many attempts in vain where `known` brokers can be asked: there is a pause only when each has
    /// had its turn.
    pub(crate) fn pause_after(&self, attempts: usize, known: usize) -> Duration {
        if !attempts.is_multiple_of(known) {
            return Duration::ZERO;
        }
        let rounds = u32::try_from(attempts / known).unwrap_or(u32::MAX);
        self.backoff().pause(rounds.saturating_sub(1), rand::random())
    }

    /// Calls one broker after the other, each for as long as `patience` says, until one answers or `deadline` has passed. Only
    /// when all that are known have failed there is a pause.
    async fn ask_each<T, F, C>(
        &self,
        deadline: Instant,
        patience: Option<Duration>,
        call: C,
    ) -> Result<(String, T), ClientError>
    where
        C: Fn(Channel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut failures = 0;
        loop {
            let address = self.favourite();
            let until = patience.map_or(deadline, |patience| deadline.min(Instant::now() + patience));
            let error = match self.ask_at(&address, until, &call).await {
                Err(error @ ClientError::Unreachable { .. }) => error,
                Err(ClientError::TimedOut { .. }) if until < deadline => {
                    let reason = format!("it was silent for {} ms", patience.unwrap_or_default().as_millis());
                    ClientError::Unreachable { address: address.clone(), reason }
                }
                answer => {
                    let answer = answer?;
                    self.get_introduced(&address).await;
                    return Ok((address, answer));
                }
            };
            if failures == 0 {
                self.tell_retry(&error);
            }
            failures += 1;
            tracing::debug!(%error, "asking another broker");
            let pause = self.pause_after(failures, self.give_up(&address));
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Tells the program, if it wants to know, that something has to be tried again because of `error`.
    pub(crate) fn tell_retry(&self, error: &ClientError) {
        if let Some(told) = self.options.on_retry {
            told(error);
        }
    }

    /// Calls the broker at `address`, once.
    pub(crate) async fn ask_at<T, F, C>(&self, address: &str, deadline: Instant, call: C) -> Result<T, ClientError>
    where
        C: FnOnce(Channel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let channel = self.connections.channel(address)?;
        match tokio::time::timeout_at(deadline.into(), call(channel)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(ClientError::from_status(address, &status)),
            Err(_) => Err(ClientError::TimedOut { option: "request.timeout.ms", limit: self.options.request_timeout }),
        }
    }

    /// When a request that starts now must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.options.request_timeout
    }

    /// The broker that is asked first.
    pub(crate) fn favourite(&self) -> String {
        let state = self.state.lock();
        let known = self.options.bootstrap_servers.iter().chain(&state.learned);
        known.cycle().nth(state.favourite).cloned().unwrap_or_default()
    }

    /// The broker at `address` did not answer: unless somebody else has moved on already, the next one is asked from now
    /// on. Tells how many are known.
    pub(crate) fn give_up(&self, address: &str) -> usize {
        let current = self.favourite();
        let mut state = self.state.lock();
        let known = self.options.bootstrap_servers.len() + state.learned.len();
        if current == address {
            state.favourite = (state.favourite + 1) % known.max(1);
        }
        known.max(1)
    }

    /// Learns from a broker that has just answered who else there is, so that the client can go on when those that it was
    /// given are gone; once in `metadata.max.age.ms`. That it does not answer this changes nothing.
    pub(crate) async fn get_introduced(&self, address: &str) {
        {
            let mut state = self.state.lock();
            if state.introduced.is_some_and(|at| at.elapsed() < self.options.metadata_max_age) {
                return;
            }
            state.introduced = Some(Instant::now());
        }
        let request = v1::DescribeClusterRequest {};
        let ask = |channel| async move { admin_on(channel).describe_cluster(request).await };
        if let Ok(cluster) = self.ask_at(address, Instant::now() + INTRODUCTION_PATIENCE, ask).await {
            self.learn(&cluster.brokers);
            self.state.lock().members = cluster.brokers.len();
        }
    }

    fn learn(&self, brokers: &[v1::Broker]) {
        let mut state = self.state.lock();
        for broker in brokers.iter().filter(|broker| !broker.grpc_address.is_empty() && !broker.fenced) {
            let address = &broker.grpc_address;
            if !self.options.bootstrap_servers.contains(address) && !state.learned.contains(address) {
                state.learned.push(address.clone());
            }
        }
    }
}

/// The admin service behind `channel`.
pub(crate) fn admin_on(channel: Channel) -> AdminClient<Channel> {
    AdminClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use levada_proto::status;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_question_that_is_asked_again_is_told_once() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        let gone = || TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = [gone(), gone()].map(|listener| listener.local_addr().unwrap().to_string());
        // Both are asked, and before it would be the first one's turn again, the time is over.
        let options = ClientOptions {
            retry_backoff: FOR_EVER,
            retry_backoff_max: FOR_EVER,
            on_retry: Some(|error| {
                assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
                TOLD.fetch_add(1, Ordering::Relaxed);
            }),
            ..ClientOptions::new(gone)
        };
        let cluster = Cluster::new(options);
        for asked in 1..=2 {
            assert!(cluster.refresh_topic("orders", false).await.is_err());
            assert_eq!(TOLD.load(Ordering::Relaxed), asked);
        }
    }

    /// A cluster of two brokers that nobody serves; what they answer is in the hands of the test.
    fn two() -> ClientOptions {
        ClientOptions::new(["127.0.0.1:1", "127.0.0.1:2"])
    }

    /// Longer than any test runs.
    const FOR_EVER: Duration = Duration::from_secs(3_600);

    fn unknown_topic() -> Status {
        status::status_of(ErrorCode::UnknownTopicOrPartition, "no such topic")
    }

    /// [`two`] brokers that tell nothing of each other any more, since this was told: the cluster has so many.
    fn introduced(members: usize, options: ClientOptions) -> Cluster {
        let cluster = Cluster::new(options);
        *cluster.state.lock() = State { introduced: Some(Instant::now()), members, ..State::default() };
        cluster
    }

    #[tokio::test]
    async fn a_topic_that_one_broker_does_not_know_yet_is_asked_for_at_another() {
        let cluster = introduced(2, two());
        let asked = AtomicUsize::new(0);
        let news_to_the_first = |_: Channel| {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Err(unknown_topic()) } else { Ok(Response::new(7)) } }
        };
        let answer = cluster.question_of_topic(FOR_EVER, news_to_the_first).await.unwrap();
        assert_eq!(answer, ("127.0.0.1:2".to_owned(), 7));
    }

    #[tokio::test]
    async fn a_topic_that_no_broker_knows_yet_is_asked_for_again() {
        let quick = Duration::from_millis(1);
        let cluster = introduced(2, ClientOptions { retry_backoff: quick, retry_backoff_max: quick, ..two() });
        let asked = AtomicUsize::new(0);
        let news_at_first = |_: Channel| {
            let soon = asked.fetch_add(1, Ordering::Relaxed) < 4;
            async move { if soon { Err(unknown_topic()) } else { Ok(Response::new(())) } }
        };
        cluster.question_of_topic(FOR_EVER, news_at_first).await.unwrap();
    }

    #[tokio::test]
    async fn a_topic_that_is_unknown_is_told_to_be_so_after_a_while_and_by_the_only_broker_at_once() {
        let patient = ClientOptions { retry_backoff: FOR_EVER, retry_backoff_max: FOR_EVER, ..two() };
        for (members, times) in [(1, 1), (2, 2)] {
            let cluster = introduced(members, patient.clone());
            let asked = AtomicUsize::new(0);
            let unknown = |_: Channel| {
                asked.fetch_add(1, Ordering::Relaxed);
                async { Err::<Response<()>, _>(unknown_topic()) }
            };
            let error = cluster.question_of_topic(FOR_EVER / 2, unknown).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnknownTopicOrPartition);
            assert_eq!(asked.load(Ordering::Relaxed), times);
        }
    }

    #[tokio::test]
    async fn a_broker_that_is_silent_is_given_up_for_the_next_one_where_nothing_is_changed() {
        let cluster = Cluster::new(two());
        let asked = AtomicUsize::new(0);
        let silent_at_first = |_: Channel| {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { std::future::pending().await } else { Ok(Response::new(7)) } }
        };
        let patience = Some(Duration::from_millis(1));
        let (address, answer) = cluster.ask_each(cluster.deadline(), patience, silent_at_first).await.unwrap();
        assert_eq!((address.as_str(), answer), ("127.0.0.1:2", 7));
        assert_eq!(cluster.favourite(), "127.0.0.1:2", "the next question goes there");
    }

    #[tokio::test]
    async fn a_change_that_was_not_answered_is_not_asked_for_twice() {
        let cluster = Cluster::new(two());
        let asked = AtomicUsize::new(0);
        let silent = |_: Channel| {
            asked.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<Response<()>, Status>>()
        };
        let outcome = cluster.ask_until(Instant::now() + Duration::from_millis(1), silent).await;
        assert!(matches!(outcome, Err(ClientError::TimedOut { .. })), "{outcome:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_next_broker_is_asked_without_a_pause() {
        let for_ever = Duration::from_secs(3_600);
        let options = ClientOptions { retry_backoff: for_ever, retry_backoff_max: for_ever, ..two() };
        let cluster = Cluster::new(options);
        let asked = AtomicUsize::new(0);
        let refused_at_first = |_: Channel| {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Err(Status::unavailable("gone")) } else { Ok(Response::new(())) } }
        };
        cluster.ask(refused_at_first).await.unwrap();
        // When nobody is left there is one, which here is longer than the question may take.
        let refused = |_: Channel| async { Err::<Response<()>, _>(Status::unavailable("gone")) };
        assert!(matches!(cluster.ask(refused).await, Err(ClientError::Unreachable { .. })));
    }
}
