//! The command line of `levada sandbox`.

use std::path::PathBuf;

use clap::{Args, value_parser};

/// Arguments of `levada sandbox`.
#[derive(Debug, Args)]
pub(crate) struct SandboxArguments {
    /// Where everything is kept: data, configuration and log file of each process, and sandbox.json
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// How many controllers
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u32).range(1..=9))]
    pub(crate) controllers: u32,
    /// How many brokers
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u32).range(1..=99))]
    pub(crate) brokers: u32,
    /// How many group coordinators; more and fewer as you like at each start
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = value_parser!(u32).range(0..=99))]
    pub(crate) group_coordinators: u32,
    /// The first of the ports, which is where Kafka clients reach the first broker; the others follow it. By default
    /// free ones are taken. A sandbox that exists keeps the ports it has
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    pub(crate) base_port: Option<u16>,
    /// Over how many racks the brokers are spread, in turn; by default they have none
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..=99))]
    pub(crate) racks: Option<u32>,
    /// One option of every controller; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) controller_set: Vec<String>,
    /// One option of every broker; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) broker_set: Vec<String>,
    /// One option of every group coordinator; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) group_coordinator_set: Vec<String>,
}
