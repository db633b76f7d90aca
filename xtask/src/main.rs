//! The lanes of development: `cargo xtask lint`, `test`, `conformance`, `bench` and the rest.
//!
//! A lane is a module with one `run` function. Lanes start other programs and read files; they hold no logic of the
//! product, and this crate depends on none of it, so that it builds in seconds.

mod bench;
mod chaos;
mod charts;
mod ci;
mod conformance;
mod failure;
mod fuzz;
mod lint;
mod program;
mod report;
mod simulate;
mod test;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};

use crate::{failure::Outcome, workspace::Workspace};

/// The lanes of development.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    lane: Lane,
}

#[derive(Subcommand)]
enum Lane {
    /// Format, clippy with warnings denied, tidy, and rustdoc with warnings denied.
    Lint,
    /// Layering, purity, inherited lints, file lengths, names, headers and leftovers.
    Tidy,
    /// The gate: unit, property and end-to-end tests, fixed seeds, replay of the fuzz corpora.
    Test(test::Options),
    /// Foreign clients against a real `levada dev`; installs what it needs and says what it could not run.
    Conformance(conformance::Options),
    /// The log over the simulated disk and the simulated cluster, with fresh seeds or one given seed.
    Simulate(simulate::Options),
    /// Kills, restarts and freezes a node or a cluster under load and checks what the clients saw.
    Chaos(chaos::Options),
    /// Criterion benches and `levada bench`, or a comparison with another server.
    Bench(bench::Options),
    /// Explores the fuzz targets where nightly and cargo-fuzz exist; replays the corpora elsewhere.
    Fuzz(fuzz::Options),
    /// Renders the Helm chart and compares it with the golden files.
    Charts(charts::Options),
    /// Everything: lint, test, conformance, a minute of each fuzz target, fresh seeds, charts.
    Ci(ci::Options),
}

fn main() -> Outcome {
    let workspace = Workspace::locate();
    match Arguments::parse().lane {
        Lane::Lint => lint::run(&workspace).map(drop),
        Lane::Tidy => tidy::run(&workspace),
        Lane::Test(options) => test::run(&workspace, &options),
        Lane::Conformance(options) => conformance::run(&workspace, &options).map(drop),
        Lane::Simulate(options) => simulate::run(&workspace, &options),
        Lane::Chaos(options) => chaos::run(&workspace, &options),
        Lane::Bench(options) => bench::run(&workspace, &options),
        Lane::Fuzz(options) => fuzz::run(&workspace, &options).map(drop),
        Lane::Charts(options) => charts::run(&workspace, &options).map(drop),
        Lane::Ci(options) => ci::run(&workspace, &options).map(drop),
    }
}
