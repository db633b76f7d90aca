//! The public gRPC services at the broker.
