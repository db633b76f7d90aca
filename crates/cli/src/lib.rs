//! Operator commands, as table or JSON, and the load generator.
//!
//! The `levada` binary embeds [`Command`] among its own subcommands and hands what was parsed to [`run`]. Everything goes
//! over the public gRPC API by `levada-client`, except `log`, which works on files, and the load generator, which speaks
//! the Kafka protocol too.

mod bench;
mod byte_size;
mod clock;
mod cluster;
mod config;
mod connect;
mod consume;
mod error;
mod group;
mod log;
mod log_dump;
mod log_import;
mod output;
mod produce;
mod segment_reader;
mod settings;
mod topic;
mod waiting;

pub use bench::BenchCommand;
pub use cluster::ClusterCommand;
pub use config::ConfigCommand;
pub use connect::ConnectArgs;
pub use consume::ConsumeArgs;
pub use error::CliError;
pub use group::GroupCommand;
pub use log::LogCommand;
pub use output::{Format, OutputArgs};
pub use produce::ProduceArgs;
pub use topic::TopicCommand;

use std::process::ExitCode;

use clap::Subcommand;

/// The operator's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Creates, lists, describes, alters and deletes topics.
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Produces lines of standard input, or files, to a topic.
    Produce(ProduceArgs),
    /// Consumes a topic to standard output.
    Consume(ConsumeArgs),
    /// Shows consumer groups and how far behind they are, and moves and deletes what they have committed.
    #[command(subcommand)]
    Group(GroupCommand),
    /// Shows the cluster, and moves, empties, elects and evens out what is in it.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Shows and changes settings of topics and brokers.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Looks at the files of a log, and takes over those of Kafka.
    #[command(subcommand)]
    Log(LogCommand),
    /// Measures a server: throughput, latency, and its CPU time beside bare loops.
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// Runs a command. Results go to standard output, errors to standard error as one line.
///
/// Exit codes: 0 success, 1 failure, 2 usage.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Topic(command) => topic::run(command),
        Command::Produce(args) => produce::run(&args),
        Command::Consume(args) => consume::run(&args),
        Command::Group(command) => group::run(command),
        Command::Cluster(command) => cluster::run(command),
        Command::Config(command) => config::run(command),
        Command::Log(command) => log::run(command),
        Command::Bench(command) => bench::run(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell(format_args!("{error}"));
            error.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    fn parses(line: &str) -> bool {
        Program::try_parse_from(std::iter::once("levada").chain(line.split(' '))).is_ok()
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Program::command().debug_assert();
    }

    #[test]
    fn lines_of_the_manual_are_understood() {
        for line in [
            "topic create orders --partitions 3 --config retention.ms=1000 --config cleanup.policy=compact",
            "topic list --internal --output json",
            "topic describe orders payments --offsets --server a:9090,b:9090",
            "topic alter orders --delete-config retention.ms",
            "topic delete orders --if-exists",
            "topic add-partitions orders --total 12",
            "topic add-partitions orders --replica-assignment 1:2,2:3",
            "topic create orders --replica-assignment 1:2:3,2:3:1",
            "topic describe --unhealthy --output json",
            "produce orders --key-separator : --compression zstd --acks 1",
            "produce sources --file crates --whole --partitioner crc32",
            "consume orders --from beginning --exit-at-end --format json",
            "consume orders --from -10 --max-records 10 --partition 0 --partition 2",
            "consume orders --group billing --from beginning --max-records 10",
            "group list --state Stable --state empty --type consumer --output json",
            "group describe billing shipping",
            "group describe --all-groups --state",
            "group describe billing --members --output json",
            "group reset-offsets billing --topic orders:0,1 --topic payments --to-earliest",
            "group reset-offsets billing --all-topics --to-datetime 2026-01-31T12:00:00.000 --execute",
            "group reset-offsets billing --all-topics --shift-by -10 --dry-run",
            "group reset-offsets billing --all-topics --by-duration PT15M --output json",
            "group reset-offsets billing --all-topics --to-current --export",
            "group reset-offsets billing --from-file offsets.csv --execute",
            "group reset-offsets billing --topic orders --to-offset 7",
            "group delete billing shipping",
            "group delete-offsets billing --topic orders:0 --topic payments",
            "cluster describe",
            "cluster brokers --output json",
            "cluster controllers",
            "cluster controllers --output json",
            "cluster controllers list --server a:9090",
            "cluster controllers add 4 --timeout 30s",
            "cluster controllers remove 3 --server a:9090",
            "cluster reassign --topic orders --partition 0 --replicas 1,2,3 --throttle 50MB --wait",
            "cluster reassign --file plan.json --keep-replication-factor",
            "cluster reassign --list --output json",
            "cluster reassign --list --topic orders",
            "cluster reassign --cancel",
            "cluster reassign --cancel --file plan.json",
            "cluster reassign --cancel --topic orders --partition 0",
            "cluster reassign --wait",
            "cluster reassign --clear-throttle",
            "cluster rebalance --throttle 50MB --wait",
            "cluster rebalance --show --output json",
            "cluster rebalance --cancel",
            "cluster elect-leaders --all",
            "cluster elect-leaders --topic orders --partition 0 --partition 1 --unclean",
            "cluster decommission",
            "cluster decommission 3 --wait",
            "cluster decommission 3 --show --output json",
            "cluster decommission 3 --cancel",
            "cluster unregister 3",
            "cluster features --output json",
            "cluster features --set metadata.level=2 --validate-only",
            "cluster log-dirs --broker 1 --topic orders --output json",
            "cluster move-replica --broker 1 --topic orders --partition 0 --log-dir /d2",
            "config get --topic orders retention.ms",
            "config set --all-brokers log.retention.ms=1000 --delete log.segment.bytes",
            "log dump data --batches --output json",
            "log import /var/lib/kafka --into levada-data/logs --topic orders --topic payments",
            "bench produce --bare --pairs 7 --server-pid 1 --record-size 1KiB --batch-size 64KiB --acks 1",
            "bench produce --verify --records 1000000 --record-size 100",
            "bench consume --fetch-bytes 1MiB --output json",
            "bench latency --rate 1000 --acks all --duration 10s",
            "bench produce --replication-factor 3 --acks all --in-flight 1",
            "bench failover --addr a:9092 --topic orders --retry 10ms --duration 1h --output json",
        ] {
            assert!(parses(line), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "topic create",
            "topic create orders --partitions 1 --replica-assignment 1",
            "topic create orders --replica-assignment 1;2",
            "topic add-partitions orders",
            "topic describe",
            "topic alter orders",
            "config get retention.ms",
            "config get --topic a --broker 1",
            "produce orders --whole",
            "produce orders --acks 2",
            "consume orders --from yesterday",
            "bench latency --rate 0",
            "cluster reassign",
            "cluster reassign --topic orders --replicas 1,2",
            "cluster reassign --cancel --topic orders --partition 0 --replicas 1,2",
            "cluster reassign --list --cancel",
            "cluster reassign --throttle 50MB",
            "cluster rebalance --show --wait",
            "cluster elect-leaders",
            "cluster elect-leaders --all --topic orders",
            "cluster decommission --wait",
            "cluster decommission --cancel",
            "cluster unregister",
            "cluster features --allow-downgrade",
            "cluster move-replica --broker 1 --topic orders --partition 0",
            "consume orders --group billing --partition 0",
            "consume orders --group billing --exit-at-end",
            "group describe",
            "group describe billing --all-groups",
            "group describe billing --members --state",
            "group list --type other",
            "group reset-offsets billing --to-earliest",
            "group reset-offsets billing --topic orders",
            "group reset-offsets billing --all-topics --topic orders --to-latest",
            "group reset-offsets billing --all-topics --to-latest --to-earliest",
            "group reset-offsets billing --from-file a.csv --topic orders",
            "group reset-offsets billing --from-file a.csv --to-latest",
            "group reset-offsets billing --all-topics --to-latest --execute --dry-run",
            "group reset-offsets billing --all-topics --to-offset -1",
            "group delete",
            "group delete-offsets billing",
            "bench failover",
            "bench produce --verify --bare",
        ] {
            assert!(!parses(line), "{line}");
        }
    }
}
