//! Producers and consumers.

mod consumer;
mod producer;

pub(crate) use consumer::Consumer;
pub(crate) use producer::{Producer, fingerprint_of};
