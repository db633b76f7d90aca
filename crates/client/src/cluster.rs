//! The cluster as one client sees it: which brokers to ask, and what is known of topics.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use levada_proto::v1;
use levada_proto::v1::admin_client::AdminClient;
use parking_lot::Mutex;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::backoff::Backoff;
use crate::connections::{Connections, MAX_MESSAGE_BYTES};
use crate::topic_metadata::TopicMetadata;
use crate::{ClientError, ClientOptions};

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
    /// Which broker is asked first; moves on when it does not answer.
    favourite: usize,
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
            .ask(|channel| {
                let request = request.clone();
                async move { admin_on(channel).describe_topic(request).await }
            })
            .await?;
        self.learn(&answer.brokers);
        let metadata = Arc::new(TopicMetadata::read(&address, answer)?);
        self.state.lock().topics.insert(topic.to_owned(), (Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    /// Calls any broker. A broker that does not answer is followed by the next, until `request.timeout.ms` has passed; an
    /// answer, be it an error, is final. So `call` must be harmless to repeat, or its outcome is unknown as with any
    /// lost answer.
    pub(crate) async fn ask<T, F, C>(&self, call: C) -> Result<(String, T), ClientError>
    where
        C: Fn(Channel) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.options.request_timeout;
        let mut attempt = 0;
        loop {
            let address = self.favourite();
            let error = match self.ask_at(&address, deadline, &call).await {
                Err(error @ ClientError::Unreachable { .. }) => error,
                answer => return answer.map(|answer| (address, answer)),
            };
            self.state.lock().favourite += 1;
            let pause = self.backoff().pause(attempt, rand::random());
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, "asking another broker");
            if attempt == 0 {
                self.tell_retry(&error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
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

    fn favourite(&self) -> String {
        let state = self.state.lock();
        let bootstrap = &self.options.bootstrap_servers;
        let index = state.favourite % (bootstrap.len() + state.learned.len()).max(1);
        let known = bootstrap.get(index).or_else(|| state.learned.get(index - bootstrap.len()));
        known.cloned().unwrap_or_default()
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
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_question_that_is_asked_again_is_told_once() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let options = ClientOptions {
            request_timeout: Duration::from_millis(100),
            retry_backoff: Duration::from_millis(1),
            retry_backoff_max: Duration::from_millis(2),
            on_retry: Some(|error| {
                assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
                TOLD.fetch_add(1, Ordering::Relaxed);
            }),
            ..ClientOptions::new([gone])
        };
        let cluster = Cluster::new(options);
        for asked in 1..=2 {
            assert!(cluster.refresh_topic("orders", false).await.is_err());
            assert_eq!(TOLD.load(Ordering::Relaxed), asked);
        }
    }
}
