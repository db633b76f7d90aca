//! A cluster of processes: how long writes stand still when a part of it dies or stops, what replication costs, and what
//! many partitions cost.

mod acks;
mod controllers;
mod gap_watch;
mod idle;
mod kills;
pub(crate) mod metrics;
mod partitions;
mod rdkafka_watch;
mod steady;
mod steady_groups;
mod stops;
mod subject;
pub(crate) mod table;
mod time_of_day;

use clap::{Args, ValueEnum};
use levada_end_to_end::Outcome;

/// What is measured, and how often.
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure, several times for several; everything but `steady` and `steady-groups` if it is not given.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Kills of the partition's leader.
    #[arg(long, default_value_t = 50)]
    leaders: u32,
    /// Kills of one of its followers.
    #[arg(long, default_value_t = 20)]
    followers: u32,
    /// Kills of its leader together with the active controller, and of the active controller alone.
    #[arg(long, default_value_t = 10)]
    controllers: u32,
    /// Rolling restarts of all brokers.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of each acknowledgement level, and of the measurement of latency.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Partitions, each with three replicas.
    #[arg(long, default_value_t = 10_000)]
    partitions: i32,
    /// Kills of a broker with a third of them.
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// Minutes of full load.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// A part of the measurements; each has a sandbox of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// SIGKILL of a partition's leader, of a follower, and of the leader with the active controller.
    Kills,
    /// SIGKILL of the active controller alone.
    Controllers,
    /// SIGTERM and start of every broker in turn.
    Stops,
    /// Throughput with acks=all beside acks=1, latency, and requests in flight.
    Acks,
    /// Many partitions: creation, idle, memory, failover.
    Partitions,
    /// What an idle cluster takes.
    Idle,
    /// Full load without faults, after which nothing has been fenced and no in-sync set has changed.
    Steady,
    /// The same while consumer groups read along, after which no coordinator has been counted out and no group has moved.
    SteadyGroups,
}

/// What runs when nothing is asked for.
const USUAL: [Part; 6] = [Part::Idle, Part::Kills, Part::Controllers, Part::Stops, Part::Acks, Part::Partitions];

/// Measures what was asked for and prints a table of each part.
pub(crate) fn run(options: &Options) -> Outcome {
    let parts = if options.part.is_empty() { &USUAL } else { options.part.as_slice() };
    table::head();
    parts.iter().try_for_each(|part| match part {
        Part::Kills => kills::run(options.leaders, options.followers, options.controllers),
        Part::Controllers => controllers::run(options.controllers),
        Part::Stops => stops::run(options.rounds),
        Part::Acks => acks::run(options.seconds),
        Part::Partitions => partitions::run(options.partitions, options.kills),
        Part::Idle => idle::run(),
        Part::Steady => steady::run(options.minutes, false),
        Part::SteadyGroups => steady::run(options.minutes, true),
    })
}
