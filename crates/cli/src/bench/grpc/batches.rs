//! Record batches over gRPC.

use std::sync::Arc;
use std::time::Instant;

use levada_client::{Acks, ClientError, RawDelivery, RawProducer, StartAt};
use levada_records::RecordBuffer;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use super::{client, positions, run};
use crate::CliError;
use crate::bench::outcome::Outcome;
use crate::bench::plan::{ConsumePlan, Pace, ProducePlan};
use crate::bench::reading::{PATIENCE, starved};

/// A message that waits for its answer.
struct Sent {
    delivery: RawDelivery,
    at: Instant,
    bytes: u64,
}

/// Produces what `plan` says, one stream for each partition, and waits for every answer.
///
/// # Errors
/// The first that any stream meets; the run ends with it.
pub(in crate::bench) fn produce(plan: &ProducePlan) -> Result<Outcome, CliError> {
    run(produce_all(Arc::new(plan.clone())))
}

async fn produce_all(plan: Arc<ProducePlan>) -> Result<Outcome, CliError> {
    let client = client(&plan.address)?;
    let topic = client.admin().describe_topic(&plan.topic).await?;
    let acks = match plan.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        _ => Acks::All,
    };
    let mut producers = Vec::new();
    for partition in &topic.partitions {
        let builder = client.raw_producer(&plan.topic, partition.partition).acks(acks).max_in_flight(plan.in_flight);
        producers.push((partition.partition, builder.open().await?));
    }
    let start = Instant::now();
    let lanes = producers.len();
    let mut running = JoinSet::new();
    for (partition, producer) in producers {
        let pace = Pace::new(&plan, lanes, start);
        running.spawn(run_lane(plan.clone(), partition, producer, pace, start));
    }
    let mut total = Outcome::new()?;
    while let Some(outcome) = running.join_next().await {
        total.merge(&outcome.map_err(|error| panicked(&error))??)?;
    }
    Ok(total)
}

async fn run_lane(
    plan: Arc<ProducePlan>,
    partition: i32,
    producer: RawProducer,
    pace: Pace,
    start: Instant,
) -> Result<Outcome, CliError> {
    let (queue, waiting) = channel(plan.in_flight.max(1));
    let records = u64::from(plan.workload.records_per_batch);
    let reader = tokio::spawn(read_answers(waiting, records, start));
    let written = write_batches(&plan, partition, producer, pace, queue, start).await;
    // What the deliveries say is the cause of what the writer met.
    let outcome = reader.await.map_err(|error| panicked(&error))??;
    written.map(|()| outcome)
}

async fn write_batches(
    plan: &ProducePlan,
    partition: i32,
    mut producer: RawProducer,
    mut pace: Pace,
    queue: Sender<Sent>,
    start: Instant,
) -> Result<(), CliError> {
    let mut source = plan.workload.batches(partition);
    for _ in 0..plan.batches_per_partition {
        if plan.is_over(start) {
            break;
        }
        let batch = source.next_batch()?;
        let bytes = batch.len() as u64;
        let at = pace.waited().await;
        let delivery = producer.send(batch).await?;
        if queue.send(Sent { delivery, at, bytes }).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn read_answers(mut waiting: Receiver<Sent>, records: u64, start: Instant) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::new()?;
    while let Some(sent) = waiting.recv().await {
        sent.delivery.await?;
        outcome.add(records, sent.bytes, sent.at.elapsed());
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// Reads what `plan` says and checks every batch, and every record if the plan has what to expect. Latency is how long
/// each response was waited for, since the client reads ahead.
///
/// # Errors
/// The first that the consumer meets, or that a batch or record is not what it should be.
pub(in crate::bench) fn consume(plan: &ConsumePlan) -> Result<Outcome, CliError> {
    run(consume_all(plan))
}

async fn consume_all(plan: &ConsumePlan) -> Result<Outcome, CliError> {
    let client = client(&plan.address)?;
    let mut positions = positions(&client, plan).await?;
    let max_bytes = plan.max_bytes.unsigned_abs();
    let consumer = client.consumer().topic(&plan.topic, StartAt::Offset(0)).fetch_max_bytes(max_bytes);
    let start = Instant::now();
    let mut consumer = consumer.build().await?;
    let mut outcome = Outcome::new()?;
    let mut buffer = RecordBuffer::new();
    while !positions.iter().all(|position| position.is_done()) {
        let asked = Instant::now();
        let fetched = timeout(PATIENCE, consumer.next_batches()).await.map_err(|_| starved(&positions))?;
        let fetched = fetched?.ok_or(ClientError::Closed)?;
        let latency = asked.elapsed();
        if let Some(position) = positions.iter_mut().find(|position| position.partition == fetched.partition) {
            let records = position.take(plan, &fetched.batches, &mut buffer)?;
            outcome.add(records, fetched.batches.len() as u64, latency);
        }
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// A panic in a task is a failure of the run, not of the program.
pub(super) fn panicked(error: &JoinError) -> CliError {
    CliError::Failed(format!("a task of the benchmark panicked: {error}"))
}
