//! What a member of a group consumes and how, then the consumer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use levada_types::TopicName;
use tokio::time::timeout;

use super::GroupConsumer;
use super::ledger::Ledger;
use super::link::Link;
use super::listener::{NoListener, RebalanceListener};
use super::membership::Membership;
use super::options::GroupOptions;
use super::shared::Shared;
use crate::cluster::Cluster;
use crate::{ClientError, OffsetReset};

/// Begins a consumer that is a member of a group. Every option has Kafka's default unless its comment says otherwise.
#[must_use = "nothing happens before build"]
pub struct GroupConsumerBuilder {
    cluster: Arc<Cluster>,
    options: GroupOptions,
    listener: Box<dyn RebalanceListener>,
}

impl fmt::Debug for GroupConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupConsumerBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

impl GroupConsumerBuilder {
    pub(crate) fn new(cluster: Arc<Cluster>, group_id: String) -> Self {
        Self { cluster, options: GroupOptions::new(group_id), listener: Box::new(NoListener) }
    }

    /// Subscribes to these topics, beside those that were named before. One that does not exist is waited for.
    pub fn topics<S: Into<String>>(mut self, topics: impl IntoIterator<Item = S>) -> Self {
        self.options.topics.extend(topics.into_iter().map(Into::into));
        self
    }

    /// Subscribes to all topics whose whole name this regular expression matches (RE2's syntax), those that are created later
    /// too.
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.options.topic_pattern = pattern.into();
        self
    }

    /// `auto.offset.reset`: where to begin where nothing is committed. Default latest; with [`OffsetReset::Fail`] `poll` fails.
    pub fn auto_offset_reset(mut self, reset: OffsetReset) -> Self {
        self.options.auto_offset_reset = reset;
        self
    }

    /// `max.poll.records`: how many records one `poll` returns at most. Default 500.
    pub fn max_poll_records(mut self, records: u32) -> Self {
        self.options.max_poll_records = records;
        self
    }

    /// `max.poll.interval.ms`: how long the program may stay away from `poll` while records are with it, and how long a
    /// revocation may wait for it; then the consumer is taken out of the group. Default 5 min.
    pub fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.options.max_poll_interval = interval;
        self
    }

    /// `enable.auto.commit=false`: nothing is committed but by [`GroupConsumer::commit`] and its like.
    pub fn manual_commit(mut self) -> Self {
        self.options.manual_commit = true;
        self
    }

    /// `auto.commit.interval.ms`: how often what is processed is committed. Default 5 s.
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.options.auto_commit_interval = interval;
        self
    }

    /// `group.instance.id`: makes it a static member (KIP-345), which finds its partitions again when it comes back under
    /// this name.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.options.instance_id = id.into();
        self
    }

    /// `client.rack`: where the client stands, for rack-aware assignment.
    pub fn rack_id(mut self, rack: impl Into<String>) -> Self {
        self.options.rack_id = rack.into();
        self
    }

    /// `group.remote.assignor`: `uniform` or `range`. Default the coordinator's choice.
    pub fn assignor(mut self, name: impl Into<String>) -> Self {
        self.options.assignor = name.into();
        self
    }

    /// `client.id`: what the client calls itself. Default `levada-client`.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.options.client_id = id.into();
        self
    }

    /// How many records may be with the client and not processed, those that were returned and those that wait; at least
    /// `max.poll.records`. Default ten times that. A larger response comes whole.
    pub fn prefetch_records(mut self, records: u32) -> Self {
        self.options.prefetch_records = Some(records);
        self
    }

    /// How many bytes of records may wait for the program, like librdkafka's `queued.max.messages.kbytes`. Default 67108864.
    /// A response more, and the window of the connection (32 MiB), come on top.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.options.prefetch_bytes = bytes;
        self
    }

    /// `max.partition.fetch.bytes`: the size of one response; a larger batch comes whole. Default 1048576.
    pub fn fetch_max_bytes(mut self, bytes: u32) -> Self {
        self.options.fetch_max_bytes = bytes;
        self
    }

    /// Tells `listener` of partitions that come and go.
    pub fn listener(mut self, listener: impl RebalanceListener + 'static) -> Self {
        self.listener = Box::new(listener);
        self
    }

    /// The consumer, a member of its group already. What it is assigned comes with the first `poll`.
    ///
    /// # Errors
    /// [`ClientError::InvalidOptions`] and [`ClientError::TopicName`]; what the broker answered, such as
    /// `INVALID_REGULAR_EXPRESSION`; where nobody takes it within `request.timeout.ms`, why.
    pub async fn build(self) -> Result<GroupConsumer, ClientError> {
        self.options.check()?;
        for topic in &self.options.topics {
            TopicName::new(topic)?;
        }
        let limit = self.cluster.options().request_timeout;
        let max_poll_records = usize::try_from(self.options.max_poll_records).unwrap_or(usize::MAX);
        let shared = Arc::new(Shared::new(Ledger::new(self.options.prefetch_bytes)));
        let link = tokio::spawn(Link::new(self.cluster.clone(), self.options, shared.clone()).run());
        let membership = Membership { cluster: self.cluster, shared: shared.clone() };
        let mut consumer = GroupConsumer::new(membership, link, self.listener, max_poll_records);
        let joined = shared.until(|ledger| match ledger.failed() {
            Some(error) => Some(Err(error.clone())),
            None => ledger.member_id().map(|_| Ok(())),
        });
        match timeout(limit, joined).await {
            Ok(outcome) => outcome.map(|()| consumer),
            Err(_) => {
                consumer.stop();
                let trouble = shared.look(|ledger| ledger.trouble());
                Err(trouble.unwrap_or(ClientError::TimedOut { option: "request.timeout.ms", limit }))
            }
        }
    }
}
