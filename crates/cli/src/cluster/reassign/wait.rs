//! Waiting until partitions have moved.

use std::collections::BTreeMap;
use std::time::Instant;

use levada_client::{Admin, NewReassignment, OngoingReassignment};
use levada_types::{BrokerId, TopicPartition};

use super::view::bytes;
use crate::CliError;
use crate::output::counted;
use crate::waiting::{ASK_INTERVAL, Rate, Waiting};

/// Waits until everything in `moves` has come to its place, or until nothing is being moved at all if there is none.
///
/// # Errors
/// If a partition is somewhere else in the end: somebody has cancelled or replaced its move.
pub(super) async fn wait(admin: &Admin, moves: &[NewReassignment]) -> Result<(), CliError> {
    let named: Vec<TopicPartition> = moves.iter().map(|new| new.partition.clone()).collect();
    let mut waiting = Waiting::new();
    let mut rate = Rate::default();
    let mut most = named.len();
    loop {
        let moving = admin.list_partition_reassignments(&named).await?;
        if moving.is_empty() {
            break;
        }
        most = most.max(moving.len());
        show(&mut waiting, &mut rate, &moving, most);
        tokio::time::sleep(ASK_INTERVAL).await;
    }
    waiting.finish();
    check(admin, moves).await
}

fn show(waiting: &mut Waiting, rate: &mut Rate, moving: &[OngoingReassignment], most: usize) {
    let done = most - moving.len();
    let known: Vec<(u64, u64)> = moving.iter().filter_map(bytes).collect();
    let (copied, total) = known.iter().fold((0, 0), |(copied, total), (c, t)| (copied + c, total + t));
    rate.read(Instant::now(), copied);
    let partitions = format!("{done} of {} moved", counted(most, "partition", "partitions"));
    let text = if total == 0 { partitions } else { format!("{partitions}, {}", rate.text(copied, total)) };
    waiting.show(copied, total, text);
    let stuck = moving.iter().filter_map(|at| Some(format!("{}: {}", at.partition, at.stuck_because.as_ref()?)));
    let stuck: Vec<String> = stuck.collect();
    match stuck.split_first() {
        None => waiting.note(""),
        Some((first, [])) => waiting.note(first),
        Some((first, more)) => waiting.note(&format!("{first} ({} more of this kind)", more.len())),
    }
}

/// Whether the partitions are where they were to be.
async fn check(admin: &Admin, moves: &[NewReassignment]) -> Result<(), CliError> {
    let mut by_topic: BTreeMap<&str, Vec<&NewReassignment>> = BTreeMap::new();
    for new in moves {
        by_topic.entry(new.partition.topic.as_str()).or_default().push(new);
    }
    for (topic, moves) in by_topic {
        let described = admin.describe_topic(topic).await?;
        for new in moves {
            let found = described.partitions.iter().find(|found| found.partition == new.partition.partition);
            let replicas = found.map(|found| found.replicas.as_slice()).unwrap_or_default();
            if replicas != new.replicas {
                return Err(CliError::Failed(format!(
                    "{} is held by {}, not by {}: its move was cancelled or replaced",
                    new.partition,
                    ids(replicas),
                    ids(&new.replicas)
                )));
            }
        }
    }
    Ok(())
}

fn ids(brokers: &[BrokerId]) -> String {
    brokers.iter().map(BrokerId::to_string).collect::<Vec<_>>().join(",")
}
