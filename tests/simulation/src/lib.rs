//! A seeded world around the shipped cores, in virtual time, on one thread.
//!
//! Controllers are the shipped `Proposer` over a model of Raft that refuses writes, loses outcomes and changes terms.
//! Brokers are the shipped `Replica` over the shipped log on a disk in memory that loses what was not synced. Between
//! them is a network that delays, reorders, doubles, drops and cuts. Everything that is left to chance comes from one
//! seed, so a run is its seed, and a seed that fails can be run again.
//!
//! After every step the invariants of `levada_replication::invariants` are checked against the disks and the committed
//! metadata. When the faults are over, everything has to come together: all replicas in sync and alike, and a record taken.

mod broker;
mod controller;
mod faults;
mod happening;
mod look;
mod network;
mod raft;
mod replica_steps;
mod run;
mod universe;

pub use run::{Failure, Report, run};
