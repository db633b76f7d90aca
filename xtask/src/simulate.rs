//! `cargo xtask simulate`: the log's model over the simulated disk, then the simulated world of controllers and brokers,
//! with fresh seeds or with one given seed.
//!
//! A failing seed is printed by the test, with what replays it, and becomes a fixed one of the gate (`crates/log`,
//! `tests/simulation`).

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

/// The packages that are simulated, each with the names of its tests that draw from the seeds.
const SIMULATIONS: [(&str, &str); 2] = [("levada-log", "simulation"), ("levada-simulation", "the_rules_hold")];

/// Runs the lane. The second package runs even if the first fails, so that one failing seed hides no other.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    SIMULATIONS.map(|(package, tests)| simulate(workspace, options, package, tests)).into_iter().collect()
}

fn simulate(workspace: &Workspace, options: &Options, package: &str, tests: &str) -> Outcome {
    let test = workspace.cargo(&["test", "--locked", "--package", package, "--", "--nocapture", tests]);
    let outcome = match options.seed {
        Some(seed) => test.env("LEVADA_SIM_SEED", seed.to_string()),
        None => test.env("LEVADA_SIM_SEEDS", options.seeds.to_string()),
    }
    .run();
    if outcome.is_err() {
        eprintln!("`LEVADA_SIM_SEED=N` above names the seed that failed: `cargo xtask simulate --seed N` replays it");
    }
    outcome
}
