//! A seeded world around the shipped cores, in virtual time, on one thread.
//!
//! Controllers are the shipped `Proposer` over a model of Raft that refuses writes, loses outcomes and changes terms.
//! Brokers are the shipped `Replica` over the shipped log on disks in memory that lose what was not synced, take their
//! time, stand still, fill up and fail. Between them is a network that delays, reorders, doubles, drops and cuts. Clients
//! produce with each acks level, retry and consume; an operator moves replicas, empties and stops brokers, changes the
//! minimum, deletes the topic. In a third of the worlds the topic holds a shard instead: coordinators, each the shipped
//! `ShardMachine` with the shipped `Groups`, own it by leases, are stopped, crash and come back, append through the shipped
//! `AppendGate`, and clients commit offsets and fetch them. Everything that is left to chance comes from one seed, so a run is
//! its seed, and a seed that fails can be run again.
//!
//! After every step the invariants of `levada_replication::invariants` are checked against the disks and the committed
//! metadata, those of shards against the metadata alone, what is kept beside each log is compared with a replay of it, and
//! what clients were told with what is committed. When the faults are over everything has to come together: all replicas in
//! sync and alike, everything that was acknowledged readable.
//!
//! - `run`: one run from the first fault to the last look. `universe`: clock, queue, chance. `settings`: what differs between
//!   worlds.
//! - `controllers/`, `brokers/`, `coordinators/`, `clients/`: who lives in it. `network`: what lies between them.
//! - `faults`, `shard_faults`, `ambush`, `operator`: what happens to them. `topic`, `history`, `commits`, `look`, `replay`:
//!   what is held against them.

mod ambush;
mod brokers;
mod clients;
mod commits;
mod controllers;
mod coordinators;
mod faults;
mod happening;
mod history;
mod look;
mod message;
mod network;
mod operator;
mod replay;
mod rules;
mod run;
mod settings;
mod shard_faults;
mod topic;
mod universe;

pub use rules::{Rules, RuntimeDefect};
pub use run::{Failure, Report, has_shards, run};
