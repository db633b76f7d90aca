//! How fast Levada is: by its own load generator, one node and a cluster, and beside a real Apache Kafka with librdkafka
//! driving both in turn.
//!
//! Figures are printed, never asserted. Two servers are measured in alternated pairs on the same machine in the same run,
//! and what is quoted is the median of the ratios, since absolute figures of a shared machine mislead.

mod cluster;
mod compaction;
mod figures;
mod groups;
mod kafka_server;
mod measure;
mod own;
mod page_cache;
mod pairs;
mod scale;
mod server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Levada, alone or beside another server.
#[derive(Parser)]
struct Arguments {
    /// How many alternated pairs.
    #[arg(long, default_value_t = 7)]
    pairs: u32,
    /// How much to produce and to consume in each measurement, in megabytes.
    #[arg(long, default_value_t = 512)]
    megabytes: u64,
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// `levada bench produce`, `consume` and `latency` against a node of its own.
    Own,
    /// 2,000 topics with 5 partitions: creation, stop, restart, memory, descriptors.
    Scale {
        /// One topic in this many gets records, in each of its partitions.
        #[arg(long, default_value_t = 1)]
        every: usize,
    },
    /// Three controllers and three brokers: failover, restarts, replication, many partitions, and full load.
    Cluster(cluster::Options),
    /// Consumer groups: heartbeats of many members, commits, rebalances, and a coordinator that dies.
    Groups(groups::Options),
    /// A topic of five gigabytes that is compacted, and a producer meanwhile.
    Compaction(compaction::Options),
    /// Beside Apache Kafka, whose jars are in the directory `LEVADA_KAFKA_JARS`.
    Kafka,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.subject {
        Subject::Own => own::run(arguments.pairs, arguments.megabytes),
        Subject::Scale { every } => scale::run(every),
        Subject::Cluster(options) => cluster::run(&options),
        Subject::Groups(options) => groups::run(&options),
        Subject::Compaction(options) => compaction::run(&options),
        Subject::Kafka => pairs::run(arguments.pairs, arguments.megabytes),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}
