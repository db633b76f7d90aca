//! The entry point: one client, from which producers, consumers and the admin are made.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::{Admin, ClientError, ConsumerBuilder, GroupConsumerBuilder, ProducerBuilder, RawProducerBuilder};

/// What holds for everything that a client does. Each option that Kafka has bears its name in its comment.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// `bootstrap.servers`: gRPC addresses of some brokers, as `host:port`. The others are learned.
    pub bootstrap_servers: Vec<String>,
    /// `request.timeout.ms`: how long to wait for the answer to one request. Default 30 s.
    pub request_timeout: Duration,
    /// `retry.backoff.ms`: the pause before the first retry. Default 100 ms.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the longest pause before a retry. Default 1 s.
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`: how long the leaders of a topic are believed without being asked again. Default 5 min.
    pub metadata_max_age: Duration,
    /// Told when no broker answers and a question is asked again, once for each question, and when what is produced or
    /// consumed waits for a leader, once until there is one; for a program whose user would otherwise see nothing until a
    /// limit has passed. Called on a task of the client, so it must not block.
    pub on_retry: Option<fn(&ClientError)>,
}

impl ClientOptions {
    /// Kafka's defaults with these `bootstrap.servers`.
    pub fn new<S: Into<String>>(bootstrap_servers: impl IntoIterator<Item = S>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into_iter().map(Into::into).collect(),
            request_timeout: Duration::from_secs(30),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(300),
            on_retry: None,
        }
    }
}

/// A client of one cluster. Cheap to clone; clones share what is known of the cluster.
#[derive(Debug, Clone)]
pub struct Client {
    cluster: Arc<Cluster>,
}

impl Client {
    /// A client. Connects to nothing yet; the first operation does.
    ///
    /// # Errors
    /// [`ClientError::InvalidOptions`] without bootstrap servers.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        if options.bootstrap_servers.is_empty() {
            return Err(ClientError::InvalidOptions("bootstrap.servers is empty".to_owned()));
        }
        Ok(Self { cluster: Arc::new(Cluster::new(options)) })
    }

    /// Begins a producer of records.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.cluster.clone())
    }

    /// Begins a producer of ready-made record batches for one partition.
    pub fn raw_producer(&self, topic: impl Into<String>, partition: i32) -> RawProducerBuilder {
        RawProducerBuilder::new(self.cluster.clone(), topic.into(), partition)
    }

    /// Begins a consumer of partitions that it names itself.
    pub fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.cluster.clone())
    }

    /// Begins a consumer that is a member of the consumer group of this id, which is created if it does not exist.
    pub fn subscribe(&self, group_id: impl Into<String>) -> GroupConsumerBuilder {
        GroupConsumerBuilder::new(self.cluster.clone(), group_id.into())
    }

    /// Looks at the cluster and changes it.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.cluster.clone())
    }
}
