//! The load generator's own small client over the Kafka protocol: one thread that writes and one that reads for each
//! connection, records encoded by `levada-records`.

mod connection;
mod failover;
mod fetch;
mod produce;
mod topics;

#[cfg(test)]
mod fake_broker;
#[cfg(test)]
mod tests;

pub(super) use failover::watch;
pub(super) use fetch::consume;
pub(super) use produce::produce;
pub(super) use topics::{create, delete, exists, is_empty};

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use super::joined;
use super::outcome::Outcome;
use super::plan::deal;
use crate::CliError;
use connection::Connection;
use topics::Leader;

/// A connection to be: the broker's address and the partitions that it carries.
#[derive(Debug, Clone)]
struct Lane<T> {
    address: String,
    partitions: Vec<T>,
}

/// Groups partitions by their leader and deals each leader's out to its connections.
fn lanes<T: Clone>(leaders: &[Leader], partitions: &[T], connections: usize) -> Vec<Lane<T>> {
    let mut by_address: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (leader, partition) in leaders.iter().zip(partitions) {
        by_address.entry(&leader.address).or_default().push(partition.clone());
    }
    by_address
        .into_iter()
        .flat_map(|(address, partitions)| {
            deal(&partitions, connections)
                .into_iter()
                .map(move |partitions| Lane { address: address.to_owned(), partitions })
        })
        .collect()
}

/// Connects every lane and runs them side by side from a common start. The first failure is that of the whole.
fn run_lanes<T: Send>(
    lanes: Vec<Lane<T>>,
    run: impl Fn(Lane<T>, Connection, Instant) -> Result<Outcome, CliError> + Sync,
) -> Result<Outcome, CliError> {
    let connections = lanes.iter().map(|lane| Connection::open(&lane.address)).collect::<Result<Vec<_>, CliError>>()?;
    let (run, start) = (&run, Instant::now());
    let outcomes: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = lanes
            .into_iter()
            .zip(connections)
            .map(|(lane, connection)| scope.spawn(move || run(lane, connection, start)))
            .collect();
        running.into_iter().map(joined).collect()
    });
    let mut total = Outcome::new()?;
    for outcome in outcomes {
        total.merge(&outcome?)?;
    }
    Ok(total)
}
