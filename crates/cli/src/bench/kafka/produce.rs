//! Produces over the Kafka protocol, pipelined.

use std::sync::mpsc::{Receiver as Queue, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{MetadataRequest, ProduceRequest};

use super::connection::{Connection, Receiver, Sender, check};
use super::{Lane, lanes, run_lanes, topics};
use crate::CliError;
use crate::bench::outcome::Outcome;
use crate::bench::plan::{Pace, ProducePlan};
use crate::bench::workload::BatchSource;

/// The newest version that names topics rather than identifies them.
pub(super) const PRODUCE: i16 = 12;

/// The version of the question that is asked to learn that a broker has read everything before it.
const METADATA: i16 = 12;

/// How long the broker may wait for replicas, in milliseconds; what clients ask by default.
pub(super) const ACK_TIMEOUT_MS: i32 = 30_000;

/// A request that waits for its answer.
#[derive(Debug)]
struct Sent {
    correlation_id: i32,
    at: Instant,
    bytes: u64,
}

/// Produces what `plan` says to the partitions of its topic and waits for every answer.
///
/// # Errors
/// The first that any connection meets; the run ends with it.
pub(in crate::bench) fn produce(plan: &ProducePlan) -> Result<Outcome, CliError> {
    let leaders = topics::known_leaders(&plan.address, &plan.topic)?;
    let partitions: Vec<i32> = leaders.iter().map(|leader| leader.partition).collect();
    let lanes = lanes(&leaders, &partitions, plan.connections);
    let count = lanes.len();
    run_lanes(lanes, |lane, connection, start| run_lane(plan, &lane, connection, Pace::new(plan, count, start), start))
}

fn run_lane(
    plan: &ProducePlan,
    lane: &Lane<i32>,
    connection: Connection,
    pace: Pace,
    start: Instant,
) -> Result<Outcome, CliError> {
    let Connection { sender, mut receiver } = connection;
    let version = sender.version::<ProduceRequest>(PRODUCE)?;
    if plan.acks == 0 {
        return send_unacknowledged(plan, lane, Connection { sender, receiver }, pace, version, start);
    }
    thread::scope(|scope| {
        let (queue, waiting) = sync_channel(plan.in_flight.max(1));
        // A slot is taken before a request is written and given back with its answer: there are never more in flight.
        let (slots, answered) = sync_channel(plan.in_flight.max(1));
        let records = u64::from(plan.workload.records_per_batch);
        let reader = scope.spawn(move || read_answers(&mut receiver, (&waiting, &answered), version, records, start));
        let written = write_requests(plan, lane, sender, pace, version, (&queue, &slots), start);
        drop(queue);
        // What the reader met is the cause of what the writer met.
        let outcome = super::super::joined(reader)?;
        written.map(|()| outcome)
    })
}

/// Writes requests until the plan is done, the time is over or the reader gave up.
fn write_requests(
    plan: &ProducePlan,
    lane: &Lane<i32>,
    mut sender: Sender,
    mut pace: Pace,
    version: i16,
    (queue, slots): (&SyncSender<Sent>, &SyncSender<()>),
    start: Instant,
) -> Result<(), CliError> {
    let mut sources: Vec<_> = lane.partitions.iter().map(|&p| (p, plan.workload.batches(p))).collect();
    for _ in 0..plan.batches_per_partition {
        for (partition, source) in &mut sources {
            if plan.is_over(start) {
                return Ok(());
            }
            let (request, bytes) = request(plan, *partition, source)?;
            if slots.send(()).is_err() {
                return Ok(());
            }
            let at = pace.wait();
            let correlation_id = sender.send(version, &request)?;
            if queue.send(Sent { correlation_id, at, bytes }).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn request(plan: &ProducePlan, partition: i32, source: &mut BatchSource) -> Result<(ProduceRequest, u64), CliError> {
    let batch: Bytes = source.next_batch()?;
    let bytes = batch.len() as u64;
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(topics::name(&plan.topic)).with_partition_data(vec![data]);
    let request =
        ProduceRequest::default().with_acks(plan.acks).with_timeout_ms(ACK_TIMEOUT_MS).with_topic_data(vec![topic]);
    Ok((request, bytes))
}

fn read_answers(
    receiver: &mut Receiver,
    (waiting, answered): (&Queue<Sent>, &Queue<()>),
    version: i16,
    records: u64,
    start: Instant,
) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::new()?;
    while let Ok(sent) = waiting.recv() {
        let answer = receiver.receive::<ProduceRequest>(version, sent.correlation_id)?;
        for topic in &answer.responses {
            for partition in &topic.partition_responses {
                check(format!("producing to {}-{}", *topic.name, partition.index), partition.error_code)?;
            }
        }
        outcome.add(records, sent.bytes, sent.at.elapsed());
        // Its writer took one before it sent this request.
        let _ = answered.try_recv();
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// With acks=0 there are no answers. The broker reads a connection in order, so the answer to a last question tells that
/// everything before it was read.
fn send_unacknowledged(
    plan: &ProducePlan,
    lane: &Lane<i32>,
    mut connection: Connection,
    mut pace: Pace,
    version: i16,
    start: Instant,
) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::new()?;
    let mut sources: Vec<_> = lane.partitions.iter().map(|&p| (p, plan.workload.batches(p))).collect();
    'sending: for _ in 0..plan.batches_per_partition {
        for (partition, source) in &mut sources {
            if plan.is_over(start) {
                break 'sending;
            }
            let (request, bytes) = request(plan, *partition, source)?;
            let at = pace.wait();
            connection.sender.send(version, &request)?;
            outcome.add(u64::from(plan.workload.records_per_batch), bytes, at.elapsed());
        }
    }
    connection.call(METADATA, &MetadataRequest::default().with_topics(Some(Vec::new())))?;
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}
