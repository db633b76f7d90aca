//! Consumes over the Kafka protocol, each partition from its first record.

use std::time::Instant;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest};
use levada_records::RecordBuffer;

use super::connection::{Connection, check};
use super::{Lane, lanes, run_lanes, topics};
use crate::CliError;
use crate::bench::outcome::Outcome;
use crate::bench::plan::ConsumePlan;
use crate::bench::reading::{PATIENCE, Position, starved};

/// The newest version that names topics rather than identifies them.
const FETCH: i16 = 12;

/// How long the broker may collect records for a response, in milliseconds; Kafka's `fetch.max.wait.ms`.
const MAX_WAIT_MS: i32 = 500;

/// Asks for a fetch outside any fetch session (KIP-227).
const NO_SESSION_EPOCH: i32 = -1;

/// Reads what `plan` says and checks every batch's checksum, and every record if the plan has what to expect.
///
/// # Errors
/// The first that any connection meets, or that a batch or record is not what it should be.
pub(in crate::bench) fn consume(plan: &ConsumePlan) -> Result<Outcome, CliError> {
    let leaders = topics::known_leaders(&plan.address, &plan.topic)?;
    let ends = match plan.records_per_partition {
        Some(records) => vec![records; leaders.len()],
        None => topics::ends(&plan.topic, &leaders)?,
    };
    let positions: Vec<Position> =
        leaders.iter().zip(ends).map(|(leader, end)| Position { partition: leader.partition, next: 0, end }).collect();
    let lanes = lanes(&leaders, &positions, plan.connections);
    run_lanes(lanes, |lane, connection, start| run_lane(plan, lane, connection, start))
}

fn run_lane(
    plan: &ConsumePlan,
    mut lane: Lane<Position>,
    mut connection: Connection,
    start: Instant,
) -> Result<Outcome, CliError> {
    let version = connection.sender.version::<FetchRequest>(FETCH)?;
    let mut outcome = Outcome::new()?;
    let mut buffer = RecordBuffer::new();
    let mut last_progress = Instant::now();
    lane.partitions.retain(|position| !position.is_done());
    while !lane.partitions.is_empty() {
        let asked = Instant::now();
        let correlation_id = connection.sender.send(version, &request(plan, &lane.partitions))?;
        let answer = connection.receiver.receive::<FetchRequest>(version, correlation_id)?;
        check(format!("fetching from topic {}", plan.topic), answer.error_code)?;
        let latency = asked.elapsed();
        let (mut records, mut bytes) = (0, 0);
        for data in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            check(format!("fetching from {}-{}", plan.topic, data.partition_index), data.error_code)?;
            let position = lane.partitions.iter_mut().find(|position| position.partition == data.partition_index);
            if let (Some(position), Some(fetched)) = (position, data.records) {
                records += position.take(plan, &fetched, &mut buffer)?;
                bytes += fetched.len() as u64;
            }
        }
        if records > 0 {
            last_progress = Instant::now();
            outcome.add(records, bytes, latency);
        } else if last_progress.elapsed() > PATIENCE {
            return Err(starved(&lane.partitions));
        }
        lane.partitions.retain(|position| !position.is_done());
        // The partition answered first is asked for last, so that none starves at the size limit.
        let shift = usize::from(lane.partitions.len() > 1);
        lane.partitions.rotate_left(shift);
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

fn request(plan: &ConsumePlan, positions: &[Position]) -> FetchRequest {
    let partitions = positions
        .iter()
        .map(|position| {
            FetchPartition::default()
                .with_partition(position.partition)
                .with_fetch_offset(position.next)
                .with_partition_max_bytes(plan.max_bytes)
        })
        .collect();
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(MAX_WAIT_MS)
        .with_min_bytes(1)
        .with_max_bytes(plan.max_bytes)
        .with_session_epoch(NO_SESSION_EPOCH)
        .with_topics(vec![FetchTopic::default().with_topic(topics::name(&plan.topic)).with_partitions(partitions)])
}
