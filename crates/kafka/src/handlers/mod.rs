//! The handlers: one file per API, each from a typed request to a typed response.

mod alter_configs;
mod api_versions;
mod config_resource;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod fetch;
mod find_coordinator;
mod incremental_alter_configs;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod produce;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::{BoxFuture, FutureExt};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use levada_broker::Broker;
use levada_types::ErrorCode;

use crate::connection::{Outcome, Service};
use crate::metrics::count_error;
use crate::options::KafkaOptions;
use crate::session::FetchSessions;
use crate::wire::answer::Answer;
use crate::wire::request::{Call, Head, Request};

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct Handlers {
    broker: Arc<Broker>,
    sessions: Arc<FetchSessions>,
    options: Arc<KafkaOptions>,
    /// The name of the listener that clients come in through.
    listener: Arc<str>,
}

impl Handlers {
    pub(crate) fn new(broker: Arc<Broker>, options: KafkaOptions, listener: &str) -> Self {
        let sessions = Arc::new(FetchSessions::new(options.max_incremental_fetch_session_cache_slots));
        Self { broker, sessions, options: Arc::new(options), listener: listener.into() }
    }
}

impl Service for Handlers {
    fn start(&self, call: Call, _peer: SocketAddr) -> BoxFuture<'static, Outcome> {
        let head = call.head;
        let handlers = self.clone();
        match call.request {
            Request::Produce(request) => produce::start(&handlers, head, request),
            Request::Fetch(request) => fetch::start(handlers, head, request),
            Request::ListOffsets(request) => {
                answer(head, async move { list_offsets::handle(&handlers, head, request).await })
            }
            Request::Metadata(request) => answer(head, async move { metadata::handle(&handlers, head, request).await }),
            Request::FindCoordinator(request) => ready(head, &find_coordinator::handle(head, request)),
            Request::ApiVersions(_) => ready(head, &api_versions::handle(head, ErrorCode::None)),
            Request::UnsupportedApiVersions => ready(head, &api_versions::handle(head, ErrorCode::UnsupportedVersion)),
            Request::CreateTopics(request) => {
                answer(head, async move { create_topics::handle(&handlers, head, request).await })
            }
            Request::DeleteTopics(request) => {
                answer(head, async move { delete_topics::handle(&handlers, head, request).await })
            }
            Request::DeleteRecords(request) => {
                answer(head, async move { delete_records::handle(&handlers, head, request).await })
            }
            Request::InitProducerId(request) => {
                answer(head, async move { init_producer_id::handle(&handlers, head, request).await })
            }
            Request::OffsetForLeaderEpoch(request) => {
                ready(head, &offset_for_leader_epoch::handle(&handlers, head, request))
            }
            Request::DescribeConfigs(request) => ready(head, &describe_configs::handle(&handlers, head, request)),
            Request::AlterConfigs(request) => {
                answer(head, async move { alter_configs::handle(&handlers, head, request).await })
            }
            Request::DescribeLogDirs(request) => {
                answer(head, async move { describe_log_dirs::handle(&handlers, head, request).await })
            }
            Request::CreatePartitions(request) => {
                answer(head, async move { create_partitions::handle(&handlers, head, request).await })
            }
            Request::IncrementalAlterConfigs(request) => {
                answer(head, async move { incremental_alter_configs::handle(&handlers, head, request).await })
            }
            Request::DescribeCluster(request) => ready(head, &describe_cluster::handle(&handlers, head, &request)),
            Request::DescribeProducers(request) => {
                answer(head, async move { describe_producers::handle(&handlers, head, request).await })
            }
            Request::DescribeTopicPartitions(request) => {
                ready(head, &describe_topic_partitions::handle(&handlers, head, &request))
            }
        }
    }

    fn room(&self) -> BoxFuture<'static, ()> {
        let broker = Arc::clone(&self.broker);
        async move { broker.produce_room().await }.boxed()
    }
}

/// The outcome of a response, once there is one.
fn answer<R>(head: Head, response: impl Future<Output = R> + Send + 'static) -> BoxFuture<'static, Outcome>
where
    R: Encodable + HeaderVersion + Send,
{
    async move { encoded(head, &response.await) }.boxed()
}

/// The outcome of a response that is there.
fn ready<R: Encodable + HeaderVersion>(head: Head, response: &R) -> BoxFuture<'static, Outcome> {
    std::future::ready(encoded(head, response)).boxed()
}

fn encoded<R: Encodable + HeaderVersion>(head: Head, response: &R) -> Outcome {
    match Answer::encode(head, response) {
        Ok(answer) => Outcome::Answer(answer),
        Err(error) => Outcome::Close(error.to_string()),
    }
}

/// An error's number for a response, counted.
fn code_of(head: Head, code: ErrorCode) -> i16 {
    count_error(head.api().name, code);
    code.code()
}

/// A time limit as requests bear it.
fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Now, in milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
