//! The arguments of the benchmarks.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use humantime::Duration;
use levada_records::Compression;

use super::protocol::Protocol;
use crate::CliError;
use crate::byte_size::ByteSize;
use crate::output::OutputArgs;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Produces as fast as the server takes it (or at --rate) and measures throughput, latency and the server's CPU time.
    Produce(ProduceArgs),
    /// Consumes a topic from its start, filling it first if it is empty.
    Consume(ConsumeArgs),
    /// Produces one record a request at a fixed rate and measures latency from when each was due.
    Latency(LatencyArgs),
    /// Produces one record after the other to each partition, tries again what failed, and tells of every time in which
    /// nothing was acknowledged: for someone who kills, stops or cuts off brokers meanwhile.
    Failover(FailoverArgs),
}

/// Whom to measure, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArgs {
    /// Over which protocol: `kafka`, `grpc` (record batches made by the client) or `grpc-records` (records one by one,
    /// batches made by the broker).
    #[arg(long, value_enum, default_value_t = Protocol::Kafka)]
    pub(super) protocol: Protocol,
    /// The server's address [default: 127.0.0.1:9092 for Kafka, 127.0.0.1:9090 for gRPC].
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) addr: Option<String>,
    /// The topic; created if it is not there, and then deleted at the end.
    #[arg(long, default_value = "levada-bench")]
    pub(super) topic: String,
    /// Partitions of a topic that is created.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(super) partitions: NonZero<i32>,
    /// Replicas of each partition of a topic that is created [default: what the cluster has as its default].
    #[arg(long, value_name = "N")]
    pub(super) replication_factor: Option<NonZero<i16>>,
    /// Connections to each broker.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(super) connections: usize,
    /// Do not delete the topic at the end.
    #[arg(long)]
    pub(super) keep_topic: bool,
    /// The server's process id, to measure its CPU time and memory.
    #[arg(long, value_name = "PID")]
    pub(super) server_pid: Option<u32>,
    /// Alternate with the bare loop of the same bytes and quote the ratio of CPU times.
    #[arg(long)]
    pub(super) bare: bool,
    /// Pairs of runs with --bare, after one that warms up.
    #[arg(long, default_value = "7", value_name = "N")]
    pub(super) pairs: NonZero<usize>,
    /// Where the bare loop keeps its file; best on the disk of the server's data.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(super) directory: PathBuf,
}

/// What to send.
#[derive(Debug, Clone, Args)]
pub(super) struct LoadArgs {
    /// Bytes of a record's value.
    #[arg(long, default_value = "1KiB", value_name = "SIZE")]
    pub(super) record_size: ByteSize,
    /// Bytes of a batch, before compression.
    #[arg(long, default_value = "64KiB", value_name = "SIZE")]
    pub(super) batch_size: ByteSize,
    /// How many records [default: as many as make --bytes].
    #[arg(long, value_name = "N")]
    pub(super) records: Option<u64>,
    /// How many bytes of values [default: 1GB].
    #[arg(long, value_name = "SIZE", conflicts_with = "records")]
    pub(super) bytes: Option<ByteSize>,
    /// What an acknowledgement waits for.
    #[arg(long, value_enum, default_value_t = Acks::One)]
    pub(super) acks: Acks,
    /// Requests of one connection that wait for their answers at most.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(super) in_flight: usize,
    /// How batches are compressed.
    #[arg(long, value_enum, default_value_t = Codec::None)]
    pub(super) compression: Codec,
}

/// Arguments of `bench produce`.
#[derive(Debug, Clone, Args)]
pub struct ProduceArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) load: LoadArgs,
    /// Stop after this time, such as 10s.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["records", "bytes"])]
    pub(super) duration: Option<Duration>,
    /// Records per second at most.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) rate: Option<f64>,
    /// Send records that all differ, read them back at the same time and compare each.
    #[arg(long, conflicts_with = "bare")]
    pub(super) verify: bool,
    /// Give each record one of so many keys, in turn, as compacted topics want it.
    #[arg(long, value_name = "N", conflicts_with = "verify")]
    pub(super) keys: Option<NonZero<u32>>,
    /// Bytes of a fetch with --verify.
    #[arg(long, default_value = "4MiB", value_name = "SIZE")]
    pub(super) fetch_bytes: ByteSize,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `bench consume`.
#[derive(Debug, Clone, Args)]
pub struct ConsumeArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// How an empty topic is filled.
    #[command(flatten)]
    pub(super) load: LoadArgs,
    /// Bytes of a fetch.
    #[arg(long, default_value = "1MiB", value_name = "SIZE")]
    pub(super) fetch_bytes: ByteSize,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `bench latency`.
#[derive(Debug, Clone, Args)]
pub struct LatencyArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Bytes of a record's value.
    #[arg(long, default_value = "1KiB", value_name = "SIZE")]
    pub(super) record_size: ByteSize,
    /// Records per second.
    #[arg(long, default_value = "1000", value_name = "N", value_parser = positive)]
    pub(super) rate: f64,
    /// For how long.
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub(super) duration: Duration,
    /// Give each record one of so many keys, in turn, as compacted topics want it.
    #[arg(long, value_name = "N")]
    pub(super) keys: Option<NonZero<u32>>,
    /// For how long before that without measuring.
    #[arg(long, default_value = "1s", value_name = "TIME")]
    pub(super) warm_up: Option<Duration>,
    /// What an acknowledgement waits for.
    #[arg(long, value_enum, default_value_t = Acks::All)]
    pub(super) acks: Acks,
    /// Requests of one connection that wait for their answers at most.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(super) in_flight: usize,
    /// How records are compressed.
    #[arg(long, value_enum, default_value_t = Codec::None)]
    pub(super) compression: Codec,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `bench failover`, which speaks the Kafka protocol.
#[derive(Debug, Clone, Args)]
pub struct FailoverArgs {
    /// A broker of the cluster; the others are learned from it [default: 127.0.0.1:9092].
    #[arg(long, value_name = "HOST:PORT", default_value = Protocol::Kafka.default_address())]
    pub(super) addr: String,
    /// The topic, which must exist. Every partition of it gets a record in each round.
    #[arg(long)]
    pub(super) topic: String,
    /// How many rounds a second, while all goes well.
    #[arg(long, default_value = "500", value_name = "N", value_parser = positive)]
    pub(super) rate: f64,
    /// How long to wait before what failed is tried again.
    #[arg(long, default_value = "10ms", value_name = "TIME")]
    pub(super) retry: Duration,
    /// Tell of a gap if it is longer than this, even if nothing failed.
    #[arg(long, default_value = "20ms", value_name = "TIME")]
    pub(super) longer_than: Duration,
    /// Bytes of a record's value.
    #[arg(long, default_value = "100B", value_name = "SIZE")]
    pub(super) record_size: ByteSize,
    /// What an acknowledgement waits for: the leader (`1`) or every in-sync replica (`all`).
    #[arg(long, value_enum, default_value_t = Acks::All)]
    pub(super) acks: Acks,
    /// For how long.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub(super) duration: Duration,
    /// How to tell of gaps: lines for people, or a JSON value a line.
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// What an acknowledgement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Acks {
    /// There is none.
    #[value(name = "0")]
    None,
    /// The leader has the records.
    #[value(name = "1")]
    One,
    /// Every in-sync replica has them.
    #[value(alias = "-1")]
    All,
}

/// How records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Codec {
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

impl TargetArgs {
    /// The address given, or the protocol's default.
    pub(super) fn address(&self) -> String {
        self.addr.clone().unwrap_or_else(|| self.protocol.default_address().to_owned())
    }
}

impl LoadArgs {
    pub(super) fn batch_size(&self) -> Result<usize, CliError> {
        self.batch_size.try_into()
    }

    /// What is sent when nothing says how much.
    pub(super) const fn default_bytes(&self) -> ByteSize {
        ByteSize(1_000_000_000)
    }
}

impl ProduceArgs {
    /// What fills an empty topic before it is consumed.
    pub(super) fn filling(args: &ConsumeArgs) -> Self {
        Self {
            target: args.target.clone(),
            load: args.load.clone(),
            duration: None,
            rate: None,
            verify: false,
            keys: None,
            fetch_bytes: args.fetch_bytes,
            output: args.output,
        }
    }
}

impl From<Acks> for i16 {
    fn from(acks: Acks) -> Self {
        match acks {
            Acks::None => 0,
            Acks::One => 1,
            Acks::All => -1,
        }
    }
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::None,
            Codec::Gzip => Self::Gzip,
            Codec::Snappy => Self::Snappy,
            Codec::Lz4 => Self::Lz4,
            Codec::Zstd => Self::Zstd,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("a number greater than 0 is wanted".to_owned()),
    }
}
