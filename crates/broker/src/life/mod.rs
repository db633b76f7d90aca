//! The life of a broker: start, upkeep, stop.

mod maintenance;
mod reconciler;
mod running;
mod start;
mod upkeep;

pub use running::{RunError, RunningBroker};
pub use start::{BrokerDeps, StartError, start};

#[cfg(test)]
pub(crate) use reconciler::Reconciler;
#[cfg(test)]
pub(crate) use start::catch_up;
