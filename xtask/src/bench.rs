//! `cargo xtask bench`: how fast it is, and how fast beside another server.
//!
//! The figures are printed, never asserted: whoever changes a hot path reads them and writes what was seen into
//! `docs/performance.md`.

use std::{fs, path::PathBuf};

use clap::{Args, ValueEnum};

use crate::{
    failure::{Failure, Outcome},
    program::{self, Program},
    report::Report,
    workspace::Workspace,
};

/// The crates with criterion benches.
const BENCHED: [&str; 3] = ["levada-records", "levada-log", "levada-groups"];

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// Another server to compare with, in place of the benches.
    #[arg(long)]
    against: Option<Other>,
    /// A cluster of processes in place of the benches: failover, restarts, replication, many partitions, full load.
    #[arg(long, conflicts_with = "against", group = "subject")]
    cluster: bool,
    /// Consumer groups in place of the benches: heartbeats of many members, commits, rebalances, a coordinator that dies.
    #[arg(long, conflicts_with_all = ["against", "cluster"], group = "subject")]
    groups: bool,
    /// A large compacted topic in place of the benches: how fast it is compacted, in how much memory, and what a producer
    /// feels of it.
    #[arg(long, conflicts_with_all = ["against", "cluster", "groups"], group = "subject")]
    compaction: bool,
    /// With --cluster, --groups or --compaction: what to measure and how much of it, such as `-- --part kills --leaders 50`;
    /// `-- --help` tells all.
    #[arg(last = true, requires = "subject")]
    arguments: Vec<String>,
    /// How many alternated pairs to measure; the median is printed.
    #[arg(long, default_value_t = 7)]
    pairs: u32,
    /// How much to produce and to consume in each measurement, in megabytes.
    #[arg(long, default_value_t = 512)]
    megabytes: u32,
}

/// A server that Levada is measured against.
#[derive(Clone, Copy, ValueEnum)]
enum Other {
    /// Apache Kafka, one combined KRaft node with its default JVM settings.
    Kafka,
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    match options.against {
        Some(Other::Kafka) => against_kafka(workspace, options),
        None if options.cluster => part(workspace, options, "cluster"),
        None if options.groups => part(workspace, options, "groups"),
        None if options.compaction => part(workspace, options, "compaction"),
        None => benches(workspace, options),
    }
}

fn benches(workspace: &Workspace, options: &Options) -> Outcome {
    let mut report = Report::new("bench");
    for package in BENCHED {
        report.step(package, || workspace.cargo(&["bench", "--locked", "--package", package]).run());
    }
    let levada = workspace.build_levada(true)?;
    report.step("levada bench", || comparison(workspace, options).args(["own"]).env("LEVADA_BIN", &levada).run());
    report.step("many topics", || comparison(workspace, options).args(["scale"]).env("LEVADA_BIN", &levada).run());
    report.finish().map(drop)
}

fn part(workspace: &Workspace, options: &Options, subject: &str) -> Outcome {
    let levada = workspace.build_levada(true)?;
    comparison(workspace, options).args([subject]).args(&options.arguments).env("LEVADA_BIN", levada).run()
}

fn against_kafka(workspace: &Workspace, options: &Options) -> Outcome {
    for needed in ["java", "mvn"] {
        if program::find(needed).is_none() {
            let mut report = Report::new("bench");
            report.not_run("against kafka", format!("`{needed}` is not on this machine"));
            return report.finish().map(drop);
        }
    }
    let jars = kafka_jars(workspace)?;
    let levada = workspace.build_levada(true)?;
    comparison(workspace, options).args(["kafka"]).env("LEVADA_BIN", levada).env("LEVADA_KAFKA_JARS", jars).run()
}

fn comparison(workspace: &Workspace, options: &Options) -> Program {
    workspace
        .cargo(&["run", "--locked", "--release", "--package", "levada-end-to-end", "--bin", "compare", "--"])
        .args(["--pairs", &options.pairs.to_string(), "--megabytes", &options.megabytes.to_string()])
}

/// Kafka's server and what it needs at run time, fetched from its registry.
pub(crate) fn kafka_jars(workspace: &Workspace) -> Outcome<PathBuf> {
    let pom = workspace.root().join("tests/conformance/kafka-server/pom.xml");
    let built = workspace.target().join("kafka");
    fs::create_dir_all(&built).map_err(Failure::io(built.display()))?;
    Program::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .args([&pom])
        .args([format!("-Dlevada.build={}", built.display())])
        .args(["package"])
        .run()?;
    Ok(built.join("lib"))
}
