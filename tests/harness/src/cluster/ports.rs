//! Where the processes of a cluster listen: each machine has an address of its own, so that all use the same ports.

/// The Kafka protocol.
pub(super) const KAFKA: u16 = 9092;
/// The proxy before it, which clients are told of.
pub(super) const KAFKA_PROXY: u16 = 19092;
/// The public gRPC services.
pub(super) const GRPC: u16 = 9090;
/// What other roles ask.
pub(super) const INTERNAL: u16 = 9095;
/// The proxy before it, which other roles are told of.
pub(super) const INTERNAL_PROXY: u16 = 19095;
/// Metrics and health.
pub(super) const HTTP: u16 = 9644;
