//! `levada produce TOPIC`: lines or whole files become records.

mod input;
mod progress;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::DecimalBytes;
use levada_client::{Acks, ClientError, Compression, Delivery, Partitioner, Producer, ProducerRecord};
use serde::Serialize;

use crate::CliError;
use crate::byte_size::ByteSize;
use crate::connect::{ConnectArgs, runtime};
use crate::output::{OutputArgs, counted};
use crate::settings::Assignment;
use input::{Input, Piece};
use progress::Progress;

/// Records whose acknowledgement is waited for at a time. The producer's own memory bound is what usually holds.
const MAX_UNACKNOWLEDGED: usize = 100_000;

/// Arguments of `produce`.
#[derive(Debug, Args)]
pub struct ProduceArgs {
    /// The topic.
    topic: String,
    /// Read this file in place of standard input; may be repeated. With --whole a directory stands for all files in it.
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Each file is one record, with its path as the key, in place of each line.
    #[arg(long, requires = "files", conflicts_with = "key_separator")]
    whole: bool,
    /// What stands between key and value of a line. A line without it is an error.
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// The key of every record.
    #[arg(long, conflicts_with_all = ["key_separator", "whole"])]
    key: Option<String>,
    /// The partition of every record [default: the partitioner decides].
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// A header of every record; may be repeated.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<Assignment>,
    /// How batches are compressed.
    #[arg(long, value_enum, default_value_t = Codec::None)]
    compression: Codec,
    /// The codec's own level.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    compression_level: Option<i32>,
    /// What an acknowledgement waits for. With `all`, retries neither duplicate nor reorder records.
    #[arg(long, value_enum, default_value_t = AcksArg::All)]
    acks: AcksArg,
    /// Which partition a key goes to: `murmur2` as Kafka's Java client does it, `crc32` as librdkafka does by default.
    #[arg(long, value_enum, default_value_t = PartitionerArg::Murmur2)]
    partitioner: PartitionerArg,
    /// Bytes of a batch, before compression.
    #[arg(long, value_name = "SIZE", default_value = "256KiB")]
    batch_size: ByteSize,
    /// How long a batch waits for more records.
    #[arg(long, value_name = "TIME", default_value = "5ms")]
    linger: humantime::Duration,
    /// Bytes of a record at most. The topic has a limit of its own, max.message.bytes.
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    max_record_size: ByteSize,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What an acknowledgement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AcksArg {
    /// There is none.
    #[value(name = "0")]
    None,
    /// The leader has the record.
    #[value(name = "1")]
    Leader,
    /// Every in-sync replica has it.
    #[value(alias = "-1")]
    All,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Codec {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Which partition a key goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartitionerArg {
    /// As Kafka's Java client, kafkajs, franz-go and Levada's brokers.
    Murmur2,
    /// As librdkafka and what is built on it.
    Crc32,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Summary {
    topic: String,
    /// Records that were acknowledged (with acks=0: sent).
    records: u64,
    /// Bytes of their keys and values.
    bytes: u64,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(args: &ProduceArgs) -> Result<(), CliError> {
    // One thread reads input and fills batches, the other moves them.
    runtime(2)?.block_on(produce(args))
}

async fn produce(args: &ProduceArgs) -> Result<(), CliError> {
    let input = Input::open(args)?;
    let producer = args.producer().await?;
    let start = Instant::now();
    let mut summary = Summary { topic: args.topic.clone(), ..Summary::default() };
    let progress = Progress::new(input.total_bytes());
    let mut unacknowledged = VecDeque::new();
    let mut outcome = send_all(args, input, &producer, &mut unacknowledged, &mut summary, &progress).await;
    producer.flush().await;
    for waiting in unacknowledged {
        let counted = count(waiting, &mut summary).await;
        outcome = outcome.and(counted.map_err(CliError::from));
    }
    producer.close().await;
    progress.finish();
    summary.seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => args.output.print(&summary, Summary::text),
        Err(error) => Err(CliError::Failed(format!("{error} (records acknowledged: {})", summary.records))),
    }
}

/// A record that waits for its acknowledgement, and its bytes.
type Waiting = (Delivery, u64);

/// Sends everything there is; what is left in `unacknowledged` was sent and not yet looked at.
async fn send_all(
    args: &ProduceArgs,
    input: Input<'_>,
    producer: &Producer,
    unacknowledged: &mut VecDeque<Waiting>,
    summary: &mut Summary,
    progress: &Progress,
) -> Result<(), CliError> {
    for piece in input {
        let piece = piece?;
        let bytes = piece.bytes();
        unacknowledged.push_back((producer.send(args.record(piece)).await?, bytes));
        progress.advance(bytes);
        if unacknowledged.len() < MAX_UNACKNOWLEDGED {
            continue;
        }
        if let Some(oldest) = unacknowledged.pop_front() {
            count(oldest, summary).await?;
        }
    }
    Ok(())
}

async fn count((delivery, bytes): Waiting, summary: &mut Summary) -> Result<(), ClientError> {
    delivery.await?;
    summary.records += 1;
    summary.bytes += bytes;
    Ok(())
}

impl ProduceArgs {
    async fn producer(&self) -> Result<Producer, CliError> {
        let (acks, idempotence) = match self.acks {
            AcksArg::None => (Acks::None, false),
            AcksArg::Leader => (Acks::Leader, false),
            AcksArg::All => (Acks::All, true),
        };
        let compression = match self.compression {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        };
        let partitioner = match self.partitioner {
            PartitionerArg::Murmur2 => Partitioner::Murmur2,
            PartitionerArg::Crc32 => Partitioner::ConsistentRandom,
        };
        let linger: Duration = *self.linger;
        let client = self.connect.client()?;
        let producer = client
            .producer()
            .acks(acks)
            .idempotence(idempotence)
            .compression(compression, self.compression_level)
            .partitioner(partitioner)
            .batch_size(self.batch_size.try_into()?)
            .linger(linger)
            .max_request_size(self.max_record_size.try_into()?);
        Ok(producer.build().await?)
    }

    fn record(&self, piece: Piece) -> ProducerRecord {
        let mut record = ProducerRecord::to(&self.topic).value(piece.value);
        if let Some(key) = piece.key {
            record = record.key(key);
        } else if let Some(key) = &self.key {
            record = record.key(key.clone());
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        for Assignment { name, value } in &self.headers {
            record = record.header(name, Some(value.clone().into()));
        }
        record
    }
}

impl Summary {
    fn text(&self) -> String {
        let rate = (self.bytes as f64 / self.seconds.max(f64::MIN_POSITIVE)) as u64;
        format!(
            "{}, {}, to {} in {:.2} s ({}/s)",
            counted(usize::try_from(self.records).unwrap_or(usize::MAX), "record", "records"),
            DecimalBytes(self.bytes),
            self.topic,
            self.seconds,
            DecimalBytes(rate)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_are_told_as_few_bytes() {
        let summary = Summary { topic: "t".to_owned(), records: 1, bytes: 12, seconds: 0.5 };
        assert_eq!(summary.text(), "1 record, 12 B, to t in 0.50 s (24 B/s)");
        let summary = Summary { records: 2, bytes: 3_000_000, ..summary };
        assert_eq!(summary.text(), "2 records, 3.00 MB, to t in 0.50 s (6.00 MB/s)");
    }
}
