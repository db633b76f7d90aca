//! Consumer groups: heartbeats of many members, commits as fast as they go, rebalances, and a coordinator that dies.

mod commits;
mod idle_members;
mod member;
mod rebalance;
mod takeover;
mod times;
mod wire;

use clap::{Args, ValueEnum};
use levada_end_to_end::Outcome;
use tokio::runtime::Builder;

use crate::cluster::table;

/// What is measured, and how much of it.
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure, several times for several; everything if it is not given.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Members, in groups of five.
    #[arg(long, default_value_t = 10_000)]
    members: usize,
    /// Members of the group of which one comes and goes.
    #[arg(long, default_value_t = 100)]
    consumers: usize,
    /// Partitions that they share.
    #[arg(long, default_value_t = 500)]
    partitions: i32,
    /// How often one comes and goes.
    #[arg(long, default_value_t = 5)]
    times: u32,
    /// Groups that commit at once.
    #[arg(long, default_value_t = 100)]
    groups: usize,
    /// Offsets that a coordinator has behind it when it dies.
    #[arg(long, default_value_t = 1_000_000)]
    offsets: usize,
    /// Minutes of commits before it dies.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// A part of the measurements.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Heartbeats of idle groups on two coordinators.
    Members,
    /// Offsets committed in a second.
    Commits,
    /// One member more and one less of a large group.
    Rebalance,
    /// SIGKILL of a coordinator.
    Takeover,
}

/// Measures what was asked for and prints a table.
pub(crate) fn run(options: &Options) -> Outcome {
    let all = [Part::Members, Part::Commits, Part::Rebalance, Part::Takeover];
    let parts = if options.part.is_empty() { all.as_slice() } else { options.part.as_slice() };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    table::head();
    parts.iter().try_for_each(|part| match part {
        Part::Members => runtime.block_on(idle_members::run(options.members)),
        Part::Commits => runtime.block_on(commits::run(options.groups)),
        Part::Rebalance => runtime.block_on(rebalance::run(options.consumers, options.partitions, options.times)),
        Part::Takeover => runtime.block_on(takeover::run(options.offsets, options.minutes)),
    })
}
