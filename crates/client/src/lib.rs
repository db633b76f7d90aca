//! The Rust client over the public gRPC API: producer, consumer, admin.
