//! The client against a broker with its gRPC face and a controller, all in this process.

#![allow(clippy::unwrap_used, reason = "a test that meets an error it does not expect fails by it")]

mod admin;
mod cluster;
mod consume;
mod failover;
mod fake_broker;
mod group;
mod node;
mod produce;
mod wire;
mod world;
