//! `cargo xtask ci`: every lane that says whether the tree is good.

use clap::Args;

use crate::{
    charts, conformance,
    failure::Outcome,
    fuzz, lint,
    report::{NotRun, Report},
    simulate, test,
    workspace::Workspace,
};

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// Seconds of exploration for each fuzz target.
    #[arg(long, default_value_t = 60)]
    fuzz_seconds: u32,
    /// How many fresh seeds to simulate.
    #[arg(long, default_value_t = 20)]
    seeds: u32,
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome<NotRun> {
    let mut report = Report::new("ci");
    report.lane("lint", || lint::run(workspace));
    report.step("test", || test::run(workspace, &test::Options::everything()));
    report.lane("conformance", || conformance::run(workspace, &conformance::Options::everything()));
    report.lane("fuzz", || fuzz::run(workspace, &fuzz::Options::for_seconds(options.fuzz_seconds)));
    report.step("simulate", || simulate::run(workspace, &simulate::Options::fresh(options.seeds)));
    report.lane("charts", || charts::run(workspace, &charts::Options::compare()));
    report.finish()
}
