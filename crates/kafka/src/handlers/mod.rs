//! The handlers: one file per API, each from a typed request to a typed response.

mod add_raft_voter;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod config_resource;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod group_call;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod raft_voter;
mod recent_brokers;
mod remove_raft_voter;
mod sync_group;
mod unregister_broker;
mod update_features;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::{BoxFuture, FutureExt};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use levada_broker::Broker;
use levada_broker::api::PartitionError;
use levada_types::ErrorCode;

use self::group_call::Caller;
use self::recent_brokers::RecentBrokers;
use crate::connection::{Outcome, Service};
use crate::metrics::count_error;
use crate::options::KafkaOptions;
use crate::session::FetchSessions;
use crate::wire::answer::Answer;
use crate::wire::list_offsets_v0;
use crate::wire::request::{Call, Head, Request};
use crate::wire::text::text;

/// How long the controllers may take over a request that bears no limit of its own. Kafka's `request.timeout.ms`.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct Handlers {
    broker: Arc<Broker>,
    sessions: Arc<FetchSessions>,
    recent: Arc<RecentBrokers>,
    options: Arc<KafkaOptions>,
    /// The name of the listener that clients come in through.
    listener: Arc<str>,
}

impl Handlers {
    pub(crate) fn new(broker: Arc<Broker>, options: KafkaOptions, listener: &str) -> Self {
        let sessions = Arc::new(FetchSessions::new(options.max_incremental_fetch_session_cache_slots));
        Self { broker, sessions, recent: Arc::default(), options: Arc::new(options), listener: listener.into() }
    }

    /// Follows the metadata, as far as answers depend on what there was before.
    pub(crate) async fn follow(self) -> Infallible {
        loop {
            let image = self.broker.image();
            self.recent.look(&image, Instant::now());
            self.broker.image_changed(image.offset()).await;
        }
    }
}

impl Service for Handlers {
    fn start(&self, call: Call, peer: SocketAddr) -> BoxFuture<'static, Outcome> {
        let (head, client_id) = (call.head, call.client_id);
        let handlers = self.clone();
        match call.request {
            Request::Produce(request) => produce::start(&handlers, head, request),
            Request::Fetch(request) => fetch::start(handlers, head, request),
            Request::ListOffsets(request) if head.version == 0 => {
                answer(
                    head,
                    async move { list_offsets_v0::Response(list_offsets::handle(&handlers, head, request).await) },
                )
            }
            Request::ListOffsets(request) => {
                answer(head, async move { list_offsets::handle(&handlers, head, request).await })
            }
            Request::Metadata(request) => answer(head, async move { metadata::handle(&handlers, head, request).await }),
            Request::OffsetCommit(request) => {
                answer(head, async move { offset_commit::handle(&handlers, head, request).await })
            }
            Request::OffsetFetch(request) => {
                answer(head, async move { offset_fetch::handle(&handlers, head, request).await })
            }
            Request::FindCoordinator(request) => {
                answer(head, async move { find_coordinator::handle(&handlers, head, request).await })
            }
            Request::JoinGroup(request) => {
                answer(
                    head,
                    async move { join_group::handle(&handlers, head, Caller::new(client_id, peer), request).await },
                )
            }
            Request::Heartbeat(request) => {
                answer(head, async move { heartbeat::handle(&handlers, head, request).await })
            }
            Request::LeaveGroup(request) => {
                answer(head, async move { leave_group::handle(&handlers, head, request).await })
            }
            Request::SyncGroup(request) => {
                answer(head, async move { sync_group::handle(&handlers, head, request).await })
            }
            Request::DescribeGroups(request) => {
                answer(head, async move { describe_groups::handle(&handlers, head, request).await })
            }
            Request::ListGroups(request) => {
                answer(head, async move { list_groups::handle(&handlers, head, request).await })
            }
            Request::ApiVersions(_) => ready(head, &api_versions::handle(&handlers, head, ErrorCode::None)),
            Request::UnsupportedApiVersions => {
                ready(head, &api_versions::handle(&handlers, head, ErrorCode::UnsupportedVersion))
            }
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
            Request::AlterReplicaLogDirs(request) => {
                answer(head, async move { alter_replica_log_dirs::handle(&handlers, head, request).await })
            }
            Request::DescribeLogDirs(request) => {
                answer(head, async move { describe_log_dirs::handle(&handlers, head, request).await })
            }
            Request::CreatePartitions(request) => {
                answer(head, async move { create_partitions::handle(&handlers, head, request).await })
            }
            Request::DeleteGroups(request) => {
                answer(head, async move { delete_groups::handle(&handlers, head, request).await })
            }
            Request::ElectLeaders(request) => {
                answer(head, async move { elect_leaders::handle(&handlers, head, request).await })
            }
            Request::IncrementalAlterConfigs(request) => {
                answer(head, async move { incremental_alter_configs::handle(&handlers, head, request).await })
            }
            Request::AlterPartitionReassignments(request) => {
                answer(head, async move { alter_partition_reassignments::handle(&handlers, head, request).await })
            }
            Request::ListPartitionReassignments(request) => {
                ready(head, &list_partition_reassignments::handle(&handlers, &request))
            }
            Request::DescribeQuorum(request) => {
                answer(head, async move { describe_quorum::handle(&handlers, head, request).await })
            }
            Request::UpdateFeatures(request) => {
                answer(head, async move { update_features::handle(&handlers, head, request).await })
            }
            Request::OffsetDelete(request) => {
                answer(head, async move { offset_delete::handle(&handlers, head, request).await })
            }
            Request::DescribeCluster(request) => ready(head, &describe_cluster::handle(&handlers, head, &request)),
            Request::DescribeProducers(request) => {
                answer(head, async move { describe_producers::handle(&handlers, head, request).await })
            }
            Request::UnregisterBroker(request) => {
                answer(head, async move { unregister_broker::handle(&handlers, head, request).await })
            }
            Request::ConsumerGroupHeartbeat(request) => answer(head, async move {
                consumer_group_heartbeat::handle(&handlers, head, Caller::new(client_id, peer), request).await
            }),
            Request::ConsumerGroupDescribe(request) => {
                answer(head, async move { consumer_group_describe::handle(&handlers, head, request).await })
            }
            Request::ListConfigResources(request) => {
                ready(head, &list_config_resources::handle(&handlers, head, &request))
            }
            Request::DescribeTopicPartitions(request) => {
                ready(head, &describe_topic_partitions::handle(&handlers, head, &request))
            }
            Request::AddRaftVoter(request) => {
                answer(head, async move { add_raft_voter::handle(&handlers, head, request).await })
            }
            Request::RemoveRaftVoter(request) => {
                answer(head, async move { remove_raft_voter::handle(&handlers, head, request).await })
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

/// What an answer says of an item: an error's number, counted, and its text.
fn told(head: Head, result: Result<(), PartitionError>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(error) => (code_of(head, error.code), error.message.map(text)),
    }
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
