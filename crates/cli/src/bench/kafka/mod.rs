//! The load generator's own small client over the Kafka protocol: one thread that writes and one that reads for each
//! connection, records encoded by `levada-records`.

mod connection;
mod fetch;
mod produce;
mod topics;

#[cfg(test)]
mod fake_broker;
#[cfg(test)]
mod tests;

pub(super) use fetch::consume;
pub(super) use produce::produce;
pub(super) use topics::{create, delete, exists, is_empty};

use std::collections::BTreeMap;

use super::plan::deal;
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
