//! The shared parts of a process from outside: options, network, gRPC servers, HTTP, TLS, shutdown.

#![allow(clippy::unwrap_used, reason = "a test that meets an error it does not expect fails by it")]

mod drain;
mod grpc;
mod http;
mod intake;
mod network;
mod options;
mod tls;
