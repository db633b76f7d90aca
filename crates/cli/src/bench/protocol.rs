//! The protocols that can be measured, behind one face.

use clap::ValueEnum;
use serde::Serialize;

use super::outcome::Outcome;
use super::plan::{ConsumePlan, ProducePlan, TopicPlan};
use super::{grpc, kafka};
use crate::CliError;

/// Over what the load goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    /// The Kafka protocol.
    Kafka,
    /// gRPC, with record batches that the client made.
    Grpc,
    /// gRPC, with records one by one, of which the broker makes batches.
    GrpcRecords,
}

impl Protocol {
    pub(super) const fn default_address(self) -> &'static str {
        match self {
            Self::Kafka => "127.0.0.1:9092",
            Self::Grpc | Self::GrpcRecords => "127.0.0.1:9090",
        }
    }

    pub(super) fn exists(self, address: &str, topic: &str) -> Result<bool, CliError> {
        match self {
            Self::Kafka => kafka::exists(address, topic),
            Self::Grpc | Self::GrpcRecords => grpc::exists(address, topic),
        }
    }

    pub(super) fn is_empty(self, address: &str, topic: &str) -> Result<bool, CliError> {
        match self {
            Self::Kafka => kafka::is_empty(address, topic),
            Self::Grpc | Self::GrpcRecords => grpc::is_empty(address, topic),
        }
    }

    pub(super) fn create(self, address: &str, topic: &TopicPlan<'_>) -> Result<(), CliError> {
        match self {
            Self::Kafka => kafka::create(address, topic),
            Self::Grpc | Self::GrpcRecords => grpc::create(address, topic),
        }
    }

    pub(super) fn delete(self, address: &str, topic: &str) -> Result<(), CliError> {
        match self {
            Self::Kafka => kafka::delete(address, topic),
            Self::Grpc | Self::GrpcRecords => grpc::delete(address, topic),
        }
    }

    pub(super) fn produce(self, plan: &ProducePlan) -> Result<Outcome, CliError> {
        match self {
            Self::Kafka => kafka::produce(plan),
            Self::Grpc => grpc::produce_batches(plan),
            Self::GrpcRecords => grpc::produce_records(plan),
        }
    }

    pub(super) fn consume(self, plan: &ConsumePlan) -> Result<Outcome, CliError> {
        match self {
            Self::Kafka => kafka::consume(plan),
            Self::Grpc => grpc::consume_batches(plan),
            Self::GrpcRecords => grpc::consume_records(plan),
        }
    }
}
