//! The controller from outside: real storage, real gRPC over in-memory streams, restarts, several voters.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod coordinators;
mod elections;
mod moves;
mod node;
mod quorum;
mod restart;
mod sessions;
