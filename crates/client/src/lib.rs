//! The Rust client over the public gRPC API: producer, consumer, admin. Knows which broker leads what and asks it.
//!
//! ```no_run
//! # async fn run() -> Result<(), levada_client::ClientError> {
//! use levada_client::{Client, ClientOptions, ProducerRecord, StartAt};
//!
//! let client = Client::new(ClientOptions::new(["127.0.0.1:9090"]))?;
//! let producer = client.producer().build().await?;
//! let delivery = producer.send(ProducerRecord::to("orders").key("42").value("two pears")).await?;
//! println!("stored at {:?}", delivery.await?.offset);
//!
//! let mut consumer = client.consumer().topic("orders", StartAt::Earliest).build().await?;
//! while let Some(record) = consumer.next().await? {
//!     println!("{}: {:?}", record.offset, record.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A member of a group
//!
//! ```no_run
//! # async fn run(client: levada_client::Client) -> Result<(), levada_client::ClientError> {
//! use levada_client::OffsetReset;
//!
//! let builder = client.subscribe("billing").topics(["orders"]).auto_offset_reset(OffsetReset::Earliest);
//! let mut consumer = builder.build().await?;
//! for _ in 0..10 {
//!     // What the poll before returned counts as processed now, and is committed within five seconds.
//!     for record in consumer.poll().await? {
//!         println!("{}-{} {}: {:?}", record.topic, record.partition, record.offset, record.value);
//!     }
//! }
//! consumer.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`RebalanceListener`] is told, within `poll`, of partitions that come and go; those that go are nobody else's before it is
//! done. With `manual_commit` only [`GroupConsumer::commit`] and its like commit.
//!
//! # When brokers go and leaders move
//!
//! - **Who is asked.** The bootstrap servers and every broker that was learned of since: the first answer introduces the
//!   others. One that does not answer is followed by the next at once, and by a pause (`retry.backoff.ms`, doubling up to
//!   `retry.backoff.max.ms`) when all have failed; `request.timeout.ms` bounds it all. A broker that is silent is given up
//!   after 3 s where the question is one that any broker answers from what it knows.
//! - **An answer is final**, be it an error. Of a change whose answer was lost nobody knows the outcome: it may have been
//!   done, and is asked for again at another broker.
//! - **Leaders.** An error that names the new leader (NOT_LEADER_OR_FOLLOWER, as in KIP-951) is followed at once; otherwise the
//!   leaders are looked up again after a pause. A leader of an older epoch never replaces a newer one, whoever tells of it.
//! - **A producer** keeps a partition's batches in order over all of that: after a failure nothing is sent until everything
//!   in flight is answered, then all is sent again under the same sequence numbers, until `delivery.timeout.ms`.
//! - **A consumer** goes on at its next offset, and waits for a leader as long as it takes; with `stop_at_end` for
//!   `request.timeout.ms`.
//! - **A member of a group** whose stream breaks goes on at any broker, as the member that it was and behind what it has got;
//!   commits that were under way are made again. If the group has given it up meanwhile, the listener is told what is lost, and
//!   it joins anew.
//!
//! A producer is idempotent unless told otherwise: what it retries is neither duplicated nor reordered. Memory is
//! bounded: `buffer.memory` at a producer, the prefetch bound at a consumer. Options have the names and defaults of
//! Kafka's clients.

mod admin;
mod backoff;
mod client;
mod cluster;
mod connections;
mod consumer;
mod error;
mod group_consumer;
mod list_offsets;
mod producer;
mod topic_metadata;

pub use admin::{
    Admin, BrokerDescription, BrokerLoad, BrokerLogDirs, ClusterDescription, ClusterHealth, ConfigChange, ConfigEntry,
    ConfigKind, ConfigResource, ConfigSource, ConfigSynonym, CreatedTopic, Decommission, Election, Feature,
    FeatureUpdate, GroupDescription, GroupList, GroupListing, GroupMember, GroupOffset, GroupType, LogDir,
    LogDirReplica, MovedOffset, NewReassignment, NewTopic, NodeLevels, OffsetToCommit, OngoingReassignment,
    PartitionDescription, PartitionOutcome, Quorum, QuorumMember, Rebalance, ReplicaProgress, ResetTarget,
    StuckReplica, TopicDescription, TopicListing, TopicSelection,
};
pub use client::{Client, ClientOptions};
pub use consumer::{
    ConsumedHeader, ConsumedRecord, Consumer, ConsumerBuilder, FetchedBatches, OffsetReset, OffsetTarget, StartAt,
};
pub use error::{ClientError, LeaderHint};
pub use group_consumer::{GroupConsumer, GroupConsumerBuilder, Membership, RebalanceListener};
pub use list_offsets::ListedOffset;
pub use producer::{
    Acks, Delivery, Partitioner, Producer, ProducerBuilder, ProducerRecord, RawAppend, RawDelivery, RawProducer,
    RawProducerBuilder, RecordMetadata,
};
// What options and batches are made of.
pub use levada_records::Compression;
