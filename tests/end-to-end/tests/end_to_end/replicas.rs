//! The replicas of the topics of a sandbox: how they stand, as a broker tells it, and what is on each disk.

use std::{collections::BTreeSet, path::PathBuf};

use levada_end_to_end::{Metadata, Outcome, Standing};
use levada_harness::Sandbox;

use crate::patience::{LIMIT, until};

/// How the partitions of a topic stand, as broker `asked` tells it, in their order; none if it knows of no such topic.
pub(crate) fn told_by(sandbox: &mut Sandbox, asked: u32, topic: &str) -> Outcome<Vec<Standing>> {
    let told = Metadata::told_by(sandbox.broker(asked)?.kafka()?, LIMIT)?;
    Ok(told.partitions.into_iter().filter(|partition| partition.topic == topic).collect())
}

/// Asks until these brokers and no others are in sync in every partition, and one of them leads it; gives the leaders, in
/// the order of the partitions.
pub(crate) fn wait_until_in_sync(sandbox: &mut Sandbox, asked: u32, topic: &str, brokers: &[u32]) -> Outcome<Vec<u32>> {
    let wanted: BTreeSet<i32> = brokers.iter().map(|id| i32::try_from(*id)).collect::<Result<_, _>>()?;
    let is_so = |partition: &Standing| partition.in_sync == wanted && wanted.contains(&partition.leader);
    let all_are = |told: &Vec<Standing>| !told.is_empty() && told.iter().all(is_so);
    let told = until(|| told_by(sandbox, asked, topic), all_are).map_err(|error| {
        format!("broker {asked}, of which {wanted:?} was wanted in sync: {error}\n{}", sandbox.log())
    })?;
    told.iter().map(|partition| Ok(u32::try_from(partition.leader)?)).collect()
}

/// Where a broker has the first segment of its replica.
pub(crate) fn first_segment(sandbox: &mut Sandbox, broker: u32, topic: &str, partition: i32) -> Outcome<PathBuf> {
    let replica = sandbox.broker(broker)?.directory().join(format!("logs/{topic}-{partition}"));
    Ok(replica.join("00000000000000000000.log"))
}
