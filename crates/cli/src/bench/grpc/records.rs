//! Records one by one over gRPC, through the stubs: what a program without a client library does. The broker makes batches
//! of them, and takes them apart again for consumers. Bytes are those of the values.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt;
use levada_client::ClientError;
use levada_proto::status::error_of;
use levada_proto::v1;
use levada_proto::v1::consumer_client::ConsumerClient;
use levada_proto::v1::fetch_response::Content;
use levada_proto::v1::produce_stream_request::Message;
use levada_proto::v1::producer_client::ProducerClient;
use levada_types::ErrorCode;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use super::batches::panicked;
use super::{client, positions, run};
use crate::CliError;
use crate::bench::outcome::Outcome;
use crate::bench::plan::{ConsumePlan, Pace, ProducePlan};
use crate::bench::reading::{PATIENCE, Position, starved};

/// The largest message that is read: a response is as large as is asked for, but a single batch always comes whole.
const MAX_MESSAGE_BYTES: usize = 128 << 20;

/// Bytes that may be under way towards the client, and the largest HTTP/2 frame: what makes large messages cheap.
const WINDOW: u32 = 16 << 20;
const FRAME: u32 = 1 << 20;

/// How long the broker may wait for replicas, in milliseconds.
const ACK_TIMEOUT_MS: u32 = 30_000;

/// A message that waits for its answer.
struct Sent {
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
    let partitions = client(&plan.address)?.admin().describe_topic(&plan.topic).await?.partitions;
    let lanes = partitions.len();
    let start = Instant::now();
    let mut running = JoinSet::new();
    for partition in partitions {
        let pace = Pace::new(&plan, lanes, start);
        running.spawn(run_lane(plan.clone(), partition.partition, pace, start));
    }
    let mut total = Outcome::new()?;
    while let Some(outcome) = running.join_next().await {
        total.merge(&outcome.map_err(|error| panicked(&error))??)?;
    }
    Ok(total)
}

async fn run_lane(plan: Arc<ProducePlan>, partition: i32, pace: Pace, start: Instant) -> Result<Outcome, CliError> {
    let (outgoing, queued) = channel(1);
    let opening = v1::ProduceStreamRequest { message: Some(Message::Open(open(&plan))) };
    let requests = futures::stream::iter([opening]).chain(ReceiverStream::new(queued));
    let answers = ProducerClient::new(connect(&plan.address)?).produce_stream(requests).await;
    let answers = answers.map_err(|status| refused(&plan.address, &status))?.into_inner();
    let (queue, waiting) = channel(plan.in_flight.max(1));
    let reader = tokio::spawn(read_answers(plan.clone(), answers, waiting, start));
    let written = write_records(&plan, partition, pace, &outgoing, queue, start).await;
    drop(outgoing);
    let outcome = reader.await.map_err(|error| panicked(&error))??;
    written.map(|()| outcome)
}

fn open(plan: &ProducePlan) -> v1::ProduceStreamOpen {
    let acks = match plan.acks {
        0 => v1::Acks::None,
        1 => v1::Acks::Leader,
        _ => v1::Acks::All,
    };
    v1::ProduceStreamOpen { acks: acks.into(), timeout_ms: ACK_TIMEOUT_MS, producer: None }
}

async fn write_records(
    plan: &ProducePlan,
    partition: i32,
    mut pace: Pace,
    outgoing: &Sender<v1::ProduceStreamRequest>,
    queue: Sender<Sent>,
    start: Instant,
) -> Result<(), CliError> {
    let topic = v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(plan.topic.clone())) };
    let bytes = plan.workload.record_size as u64 * u64::from(plan.workload.records_per_batch);
    let mut next_offset = 0;
    for _ in 0..plan.batches_per_partition {
        if plan.is_over(start) {
            break;
        }
        let records = (0..plan.workload.records_per_batch)
            .map(|_| {
                let mut value = Vec::new();
                plan.workload.value(partition, next_offset, &mut value);
                let key = plan.workload.key(next_offset).map(Bytes::from);
                next_offset += 1;
                let timestamp_ms = Some(plan.workload.timestamp);
                v1::Record { key, value: Some(Bytes::from(value)), headers: Vec::new(), timestamp_ms }
            })
            .collect();
        let batch = v1::ProduceBatch {
            topic: Some(topic.clone()),
            partition: Some(partition),
            base_sequence: None,
            content: Some(v1::produce_batch::Content::Records(v1::RecordList { records })),
        };
        let at = pace.waited().await;
        // The queue is what bounds the messages in flight, so that place is taken first.
        if queue.send(Sent { at, bytes }).await.is_err() {
            break;
        }
        if outgoing.send(v1::ProduceStreamRequest { message: Some(Message::Batch(batch)) }).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn read_answers(
    plan: Arc<ProducePlan>,
    mut answers: Streaming<v1::ProduceStreamResponse>,
    mut waiting: Receiver<Sent>,
    start: Instant,
) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::new()?;
    while let Some(sent) = waiting.recv().await {
        let answer = answers.message().await.map_err(|status| refused(&plan.address, &status))?;
        let answer = answer.ok_or(ClientError::Closed)?;
        let error = answer.error.or_else(|| answer.results.into_iter().find_map(|result| result.error));
        if let Some(error) = error {
            return Err(failed(&plan.topic, &error));
        }
        outcome.add(u64::from(plan.workload.records_per_batch), sent.bytes, sent.at.elapsed());
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// Reads what `plan` says and checks that no offset is missing, and every record if the plan has what to expect. Latency is
/// how long each response was waited for.
///
/// # Errors
/// The first that the stream meets, or that a record is not what it should be.
pub(in crate::bench) fn consume(plan: &ConsumePlan) -> Result<Outcome, CliError> {
    run(consume_all(plan))
}

async fn consume_all(plan: &ConsumePlan) -> Result<Outcome, CliError> {
    let mut positions = positions(&client(&plan.address)?, plan).await?;
    let topic = v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(plan.topic.clone())) };
    let wanted = positions.iter().map(|position| v1::FetchPartition {
        topic: Some(topic.clone()),
        partition: position.partition,
        start: Some(v1::fetch_partition::Start::Offset(position.next)),
        current_leader_epoch: None,
    });
    let request = v1::FetchRequest {
        partitions: wanted.collect(),
        format: v1::FetchFormat::Records.into(),
        max_response_bytes: plan.max_bytes.unsigned_abs(),
        ..v1::FetchRequest::default()
    };
    let mut consumer = ConsumerClient::new(connect(&plan.address)?).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let start = Instant::now();
    let responses = consumer.fetch(request).await.map_err(|status| refused(&plan.address, &status))?;
    let mut responses = responses.into_inner();
    let mut outcome = Outcome::new()?;
    while !positions.iter().all(Position::is_done) {
        let asked = Instant::now();
        let response = timeout(PATIENCE, responses.message()).await.map_err(|_| starved(&positions))?;
        let response = response.map_err(|status| refused(&plan.address, &status))?.ok_or(ClientError::Closed)?;
        let latency = asked.elapsed();
        let position = positions.iter_mut().find(|position| position.partition == response.partition);
        if let (Some(position), Some(Content::Records(list))) = (position, response.content) {
            let (records, bytes) = take(plan, position, &list.records)?;
            outcome.add(records, bytes, latency);
        }
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// Checks the records that came and moves on; returns how many there were and the bytes of their values.
fn take(plan: &ConsumePlan, position: &mut Position, records: &[v1::StoredRecord]) -> Result<(u64, u64), CliError> {
    let mut bytes = 0;
    for record in records {
        if record.offset != position.next {
            let (partition, next) = (position.partition, position.next);
            let message = format!("{}-{partition}: offset {} in place of {next}", plan.topic, record.offset);
            return Err(CliError::Failed(message));
        }
        if let Some(workload) = &plan.verify {
            workload.verify_value(position.partition, record.offset, record.value.as_deref())?;
        }
        position.next += 1;
        bytes += record.value.as_ref().map_or(0, Bytes::len) as u64;
    }
    Ok((records.len() as u64, bytes))
}

fn connect(address: &str) -> Result<Channel, CliError> {
    let endpoint = Endpoint::from_str(&format!("http://{address}"))
        .map_err(|error| CliError::Usage(format!("{address:?} is not host:port: {error}")))?;
    Ok(endpoint
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .connect_lazy())
}

/// What a broken call means.
fn refused(address: &str, status: &Status) -> CliError {
    match error_of(status) {
        Some(error) => failed(address, &error),
        None => CliError::Protocol { what: address.to_owned(), reason: status.message().to_owned() },
    }
}

fn failed(what: &str, error: &v1::Error) -> CliError {
    let code = i16::try_from(error.code).ok().and_then(ErrorCode::from_code);
    CliError::Kafka { what: format!("{what}: {}", error.message), code: code.unwrap_or(ErrorCode::UnknownServerError) }
}
