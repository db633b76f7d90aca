//! `cargo xtask conformance`: foreign clients against a real `levada dev`.
//!
//! This lane installs what the clients need below `target/conformance` and writes a plan; the `conformance` program of
//! `tests/end-to-end` starts the node and carries the plan out. What every client program does is told in
//! `tests/conformance/README.md`.

mod clients;
mod examples;

use std::{fs, path::PathBuf};

use clap::Args;
use serde::Serialize;

use self::clients::{Client, Installation};
use crate::{
    bench::kafka_jars,
    failure::{Failure, Outcome},
    report::{NotRun, Report},
    workspace::Workspace,
};

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these clients, by name; may be given several times.
    #[arg(long = "client")]
    clients: Vec<String>,
    /// How much of the corpus to use, in megabytes.
    #[arg(long, default_value_t = 100)]
    corpus_mb: u64,
    /// Run the clients' groups against a real Kafka, to see that what is asked of Levada is what Kafka does.
    #[arg(long)]
    groups_of_kafka: bool,
    /// Install the clients, write the plan, and stop.
    #[arg(long)]
    install_only: bool,
}

impl Options {
    /// Every client with the whole corpus.
    pub(crate) fn everything() -> Self {
        Self { clients: Vec::new(), corpus_mb: 100, groups_of_kafka: false, install_only: false }
    }

    fn wants(&self, name: &str) -> bool {
        self.clients.is_empty() || self.clients.iter().any(|wanted| wanted == name)
    }
}

/// What `tests/end-to-end`'s `conformance` program is to do.
#[derive(Serialize)]
struct Plan {
    corpus_mb: u64,
    kafka_jars: Option<PathBuf>,
    clients: Vec<Client>,
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome<NotRun> {
    let directory = workspace.target().join("conformance");
    fs::create_dir_all(&directory).map_err(Failure::io(directory.display()))?;
    let mut report = Report::new("conformance");
    let kafka_jars = options.groups_of_kafka.then(|| kafka_jars(workspace)).transpose()?;
    let mut plan = Plan { corpus_mb: options.corpus_mb, kafka_jars, clients: Vec::new() };

    for toolchain in clients::TOOLCHAINS {
        if !toolchain.clients.iter().any(|name| options.wants(name)) {
            continue;
        }
        match toolchain.install(workspace, &directory) {
            Ok(Installation::Ready(clients)) => {
                plan.clients.extend(clients.into_iter().filter(|client| options.wants(&client.name)));
            }
            Ok(Installation::Missing(reason)) => report.not_run(toolchain.clients.join(", "), reason),
            Err(failure) => report.step(toolchain.clients.join(", "), || Err(failure)),
        }
    }
    let path = directory.join("plan.json");
    let json = serde_json::to_vec_pretty(&plan).map_err(|error| Failure::new(format!("the plan: {error}")))?;
    fs::write(&path, json).map_err(Failure::io(path.display()))?;
    if !options.install_only {
        let levada = workspace.build_levada(true)?;
        report.step("round trips", || {
            workspace
                .cargo(&[
                    "run",
                    "--locked",
                    "--release",
                    "--package",
                    "levada-end-to-end",
                    "--bin",
                    "conformance",
                    "--",
                ])
                .args([&path])
                .env("LEVADA_BIN", &levada)
                .run()
        });
    }
    report.finish()
}
