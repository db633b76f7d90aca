//! `levada bench`: the load generator.
//!
//! Produces and consumes over the Kafka protocol or over gRPC, and measures throughput, latency and what the server's
//! process took for it. `failover` tells for how long nothing was acknowledged. `--bare` alternates the server's runs with bare loops that move the same bytes on the same machine
//! with nothing but system calls, and quotes the median of the ratios.

mod args;
mod bare;
mod comparison;
mod failover;
mod grpc;
mod kafka;
mod outcome;
mod plan;
mod protocol;
mod reading;
mod report;
mod server;
mod workload;

pub use args::BenchCommand;

use std::num::NonZero;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use args::{ConsumeArgs, LatencyArgs, ProduceArgs, TargetArgs};
use comparison::Comparison;
use outcome::Outcome;
use plan::{ConsumePlan, ProducePlan, TopicPlan};
use report::{RunReport, VerifiedReport};
use server::Server;
use workload::Workload;

use crate::CliError;
use crate::clock::now_ms;
use crate::output::OutputArgs;

/// Bytes of a batch that are not values, roughly: the header, and some ten bytes for each record.
const RECORD_OVERHEAD: usize = 12;

/// Runs one of the benchmarks.
///
/// # Errors
/// If the server cannot be reached, refuses, or gives back something else than was sent.
pub(crate) fn run(command: BenchCommand) -> Result<(), CliError> {
    match command {
        BenchCommand::Produce(args) => produce(&args),
        BenchCommand::Consume(args) => consume(&args),
        BenchCommand::Latency(args) => latency(&args),
        BenchCommand::Failover(args) => failover::run(&args),
    }
}

fn produce(args: &ProduceArgs) -> Result<(), CliError> {
    let plan = produce_plan(args)?;
    let target = &args.target;
    if target.bare {
        let piece = args.load.batch_size()?;
        return compare(
            target,
            args.output,
            |bytes| bare::receive_and_append(&target.directory, bytes, piece),
            || with_topic(target, &plan.topic, || measured(target, || target.protocol.produce(&plan))),
        );
    }
    if args.verify {
        return produce_and_verify(args, &plan);
    }
    with_topic(target, &plan.topic, || {
        let report = measured(target, || target.protocol.produce(&plan))?;
        args.output.print(&report, RunReport::text)
    })
}

/// Produces distinct records, and at the same time reads them back and compares.
fn produce_and_verify(args: &ProduceArgs, plan: &ProducePlan) -> Result<(), CliError> {
    let target = &args.target;
    if plan.time_limit.is_some() {
        return Err(CliError::Usage("--verify needs a number of bytes or records, not a --duration".to_owned()));
    }
    if target.protocol.exists(&target.address(), &plan.topic)? {
        let message = format!("--verify needs a new topic; {} exists, choose another --topic", plan.topic);
        return Err(CliError::Usage(message));
    }
    let records_per_partition = plan.batches_per_partition.saturating_mul(u64::from(plan.workload.records_per_batch));
    let reading = ConsumePlan {
        address: plan.address.clone(),
        topic: plan.topic.clone(),
        records_per_partition: Some(i64::try_from(records_per_partition).unwrap_or(i64::MAX)),
        max_bytes: args.fetch_bytes.try_into()?,
        connections: plan.connections,
        verify: Some(plan.workload),
    };
    with_topic(target, &plan.topic, || {
        let (produced, consumed) = thread::scope(|scope| {
            let consumer = scope.spawn(|| target.protocol.consume(&reading));
            let produced = measured(target, || target.protocol.produce(plan));
            (produced, joined(consumer))
        });
        let report = VerifiedReport::new(produced?, &consumed?, target.protocol);
        args.output.print(&report, VerifiedReport::text)
    })
}

fn consume(args: &ConsumeArgs) -> Result<(), CliError> {
    let target = &args.target;
    let reading = ConsumePlan {
        address: target.address(),
        topic: target.topic.clone(),
        records_per_partition: None,
        max_bytes: args.fetch_bytes.try_into()?,
        connections: target.connections,
        verify: None,
    };
    let filling = produce_plan(&ProduceArgs::filling(args))?;
    with_topic(target, &target.topic, || {
        if target.protocol.is_empty(&target.address(), &target.topic)? {
            target.protocol.produce(&filling)?;
        }
        if target.bare {
            let piece = usize::try_from(args.fetch_bytes.0).unwrap_or(usize::MAX);
            return compare(
                target,
                args.output,
                |bytes| bare::send_file(&target.directory, bytes, piece),
                || measured(target, || target.protocol.consume(&reading)),
            );
        }
        let report = measured(target, || target.protocol.consume(&reading))?;
        args.output.print(&report, RunReport::text)
    })
}

/// One record a request at a fixed rate.
fn latency(args: &LatencyArgs) -> Result<(), CliError> {
    let target = &args.target;
    let plan = ProducePlan {
        address: target.address(),
        topic: target.topic.clone(),
        workload: Workload {
            record_size: args.record_size.try_into()?,
            records_per_batch: 1,
            compression: args.compression.into(),
            distinct: false,
            keys: args.keys,
            timestamp: now_ms(),
        },
        batches_per_partition: u64::MAX,
        time_limit: Some(*args.duration),
        acks: args.acks.into(),
        in_flight: args.in_flight,
        connections: target.connections,
        batch_rate: Some(args.rate),
    };
    with_topic(target, &target.topic, || {
        if let Some(warm_up) = args.warm_up.filter(|warm_up| !warm_up.is_zero()) {
            target.protocol.produce(&ProducePlan { time_limit: Some(*warm_up), ..plan.clone() })?;
        }
        let report = measured(target, || target.protocol.produce(&plan))?;
        args.output.print(&report, RunReport::text)
    })
}

fn produce_plan(args: &ProduceArgs) -> Result<ProducePlan, CliError> {
    let (target, load) = (&args.target, &args.load);
    let record_size: usize = load.record_size.try_into()?;
    let per_batch = (load.batch_size()? / (record_size + RECORD_OVERHEAD)).max(1);
    let records_per_batch =
        u32::try_from(per_batch).map_err(|_| CliError::Usage("--batch-size is too large".to_owned()))?;
    let partitions = u64::from(target.partitions.get().unsigned_abs());
    let total = match (load.records, load.bytes, args.duration) {
        (Some(records), ..) => Some(records),
        (None, Some(bytes), _) => Some(bytes.0 / record_size.max(1) as u64),
        (None, None, Some(_)) => None,
        (None, None, None) => Some(load.default_bytes().0 / record_size.max(1) as u64),
    };
    let batches_per_partition =
        total.map_or(u64::MAX, |total| total.div_ceil(u64::from(records_per_batch)).div_ceil(partitions).max(1));
    let workload = Workload {
        record_size,
        records_per_batch,
        compression: load.compression.into(),
        distinct: args.verify,
        keys: args.keys,
        timestamp: now_ms(),
    };
    workload.check()?;
    Ok(ProducePlan {
        address: target.address(),
        topic: target.topic.clone(),
        workload,
        batches_per_partition,
        time_limit: args.duration.map(|duration| *duration),
        acks: load.acks.into(),
        in_flight: load.in_flight,
        connections: target.connections,
        batch_rate: args.rate.map(|records| records / f64::from(records_per_batch)),
    })
}

/// Runs `work` with the topic there: creates it if need be, and deletes what it created unless that is to be kept.
fn with_topic<T>(target: &TargetArgs, topic: &str, work: impl FnOnce() -> Result<T, CliError>) -> Result<T, CliError> {
    let address = target.address();
    let created = !target.protocol.exists(&address, topic)?;
    if created {
        // Deleted files give their memory back at once, so that runs do not touch new memory each.
        let wanted = TopicPlan {
            name: topic,
            partitions: target.partitions.get(),
            replication_factor: target.replication_factor.map(NonZero::get),
            settings: &[("file.delete.delay.ms", "0")],
        };
        target.protocol.create(&address, &wanted)?;
    }
    let outcome = work();
    if created && !target.keep_topic {
        target.protocol.delete(&address, topic)?;
    }
    outcome
}

/// Runs `work` and adds what the server took meanwhile, if its process id is known.
fn measured(target: &TargetArgs, work: impl FnOnce() -> Result<Outcome, CliError>) -> Result<RunReport, CliError> {
    let server = target.server_pid.map(Server::new);
    server.map(Server::settle).transpose()?;
    let before = server.map(Server::cpu).transpose()?;
    let outcome = work()?;
    let after = server.map(Server::cpu).transpose()?;
    let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    let resident = server.map(Server::resident_bytes).transpose()?;
    Ok(RunReport::new(target.protocol, &outcome, cpu, resident))
}

/// Alternates `bare` and `served` in pairs and prints the medians.
fn compare(
    target: &TargetArgs,
    output: OutputArgs,
    bare: impl Fn(u64) -> Result<bare::BareRun, CliError>,
    served: impl Fn() -> Result<RunReport, CliError>,
) -> Result<(), CliError> {
    if target.server_pid.is_none() {
        return Err(CliError::Usage("--bare compares with the server's CPU time: give its --server-pid".to_owned()));
    }
    check_directory(&target.directory)?;
    let comparison = Comparison::run(target.pairs.get(), bare, served)?;
    output.print(&comparison, Comparison::text)
}

fn check_directory(directory: &Path) -> Result<(), CliError> {
    if directory.is_dir() {
        return Ok(());
    }
    Err(CliError::Usage(format!("--directory {} is no directory", directory.display())))
}

/// What a thread returned. A panic is a failure of the run, not of the program.
fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, CliError>>) -> Result<T, CliError> {
    thread.join().unwrap_or_else(|_| Err(CliError::Failed("a thread of the benchmark panicked".to_owned())))
}
