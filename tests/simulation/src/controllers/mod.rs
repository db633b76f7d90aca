//! The controllers: the shipped proposer over a model of Raft, and what the active one minds.

mod controller;
mod raft;
mod supervision;

pub(crate) use controller::{Controller, Heard};
pub(crate) use raft::Raft;
pub(crate) use supervision::SESSION_MS;
