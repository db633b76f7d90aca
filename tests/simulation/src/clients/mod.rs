//! Producers and consumers, and those who commit offsets.

mod committer;
mod consumer;
mod producer;

pub(crate) use committer::{Committer, GROUPS, error_of};
pub(crate) use consumer::Consumer;
pub(crate) use producer::{Producer, fingerprint_of};
