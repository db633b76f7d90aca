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
mod list_offsets;
mod producer;
mod topic_metadata;

pub use admin::{
    Admin, BrokerDescription, BrokerLoad, BrokerLogDirs, ClusterDescription, ClusterHealth, ConfigChange, ConfigEntry,
    ConfigKind, ConfigResource, ConfigSource, ConfigSynonym, CreatedTopic, Decommission, Election, Feature,
    FeatureUpdate, LogDir, LogDirReplica, NewReassignment, NewTopic, NodeLevels, OngoingReassignment,
    PartitionDescription, PartitionOutcome, Quorum, QuorumMember, Rebalance, ReplicaProgress, StuckReplica,
    TopicDescription, TopicListing,
};
pub use client::{Client, ClientOptions};
pub use consumer::{
    ConsumedHeader, ConsumedRecord, Consumer, ConsumerBuilder, FetchedBatches, OffsetReset, OffsetTarget, StartAt,
};
pub use error::{ClientError, LeaderHint};
pub use list_offsets::ListedOffset;
pub use producer::{
    Acks, Delivery, Partitioner, Producer, ProducerBuilder, ProducerRecord, RawAppend, RawDelivery, RawProducer,
    RawProducerBuilder, RecordMetadata,
};
// What options and batches are made of.
pub use levada_records::Compression;
