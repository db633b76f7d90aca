//! `cargo xtask simulate`: the log's model test over the simulated disk, with fresh seeds or with one given seed.
//!
//! A failing seed is printed by the test and becomes a fixed one of the gate (`crates/log`).

use clap::Args;

use crate::{failure::Outcome, workspace::Workspace};

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// How many fresh seeds to run.
    #[arg(long, default_value_t = 100, conflicts_with = "seed")]
    seeds: u32,
    /// Run this seed alone, to replay a failure.
    #[arg(long)]
    seed: Option<u64>,
}

impl Options {
    /// `seeds` fresh seeds.
    pub(crate) fn fresh(seeds: u32) -> Self {
        Self { seeds, seed: None }
    }
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let test = workspace.cargo(&["test", "--locked", "--package", "levada-log", "--", "--nocapture", "simulation"]);
    match options.seed {
        Some(seed) => test.env("LEVADA_SIM_SEED", seed.to_string()),
        None => test.env("LEVADA_SIM_SEEDS", options.seeds.to_string()),
    }
    .run()
}
