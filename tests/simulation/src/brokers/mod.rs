//! The brokers: each the shipped replica over the shipped log, and the little that is around them.

mod append;
mod broker;
mod disk_work;
mod hosted;
mod life;
mod shard_log;
mod steps;
mod streams;
mod volumes;
mod watch;

pub(crate) use broker::{Broker, Pace};
pub(crate) use hosted::{Hosted, Work, ends_of};
