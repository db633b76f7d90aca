//! What every process shares: options, telemetry, TLS, gRPC servers and channels, health, drain and shutdown.
//!
//! Floor 2: knows the facts of the house and nothing of its roles. Nothing here is a global but what a process can have
//! only once (the tracing subscriber, the metrics recorder), and those are set by the binary alone.

pub mod grpc;
pub mod http;
pub mod net;
pub mod options;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
