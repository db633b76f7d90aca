//! End-to-end tests: real processes, real sockets, real clients.
//!
//! The library is what the tests and the programs of the lanes (`chaos`, `compare`, `conformance`) share: a librdkafka
//! client that notes what was acknowledged, one that reads partitions by assignment, one that follows a topic through
//! faults, checks over what they saw, and what brokers tell of the cluster and of themselves.

mod admin;
mod check;
mod followed;
mod follower;
mod history;
mod kafka_server;
mod member;
mod metadata;
mod metric;
mod outcome;
mod reader;
mod recorder;
mod tenures;

pub use admin::Admin;
pub use check::{check_acknowledged, check_corpus, check_seek_by_offset, check_seek_by_time};
pub use followed::Followed;
pub use follower::Follower;
pub use history::{Acknowledged, History, RECORD_NUMBER_HEADER};
pub use kafka_server::KafkaServer;
pub use levada_harness::Seeded;
pub use member::{Diary, Member, MemberOptions, Protocol, Told};
pub use metadata::{Metadata, Standing};
pub use metric::{find_metric, metric_at, metrics_at};
pub use outcome::{Outcome, fail};
pub use reader::{PartitionRange, Reader, Seen};
pub use recorder::{Recorder, RecorderOptions};
pub use tenures::Tenures;

/// Every compression type that the Kafka protocol has.
pub const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Settings that every librdkafka client here shares.
pub fn client_config(bootstrap: std::net::SocketAddr) -> rdkafka::ClientConfig {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", bootstrap.to_string());
    config.set("client.id", "levada-end-to-end");
    config.set("broker.address.family", "v4");
    // Come back soon after a restart; the default backs off to ten seconds.
    config.set("reconnect.backoff.ms", "20");
    config.set("reconnect.backoff.max.ms", "200");
    config.set("log.connection.close", "false");
    config
}
