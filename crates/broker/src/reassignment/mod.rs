//! What brokers tell of their logs.
//!
//! - `replica_logs`: the internal service that tells where this broker's logs end and how large they are; the active
//!   controller compares them where nobody complete is left.

mod replica_logs;

pub(crate) use replica_logs::replica_logs_service;
