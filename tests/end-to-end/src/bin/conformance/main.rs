//! Runs foreign clients against real nodes, as a plan that `cargo xtask conformance` wrote tells.
//!
//! For each client: a corpus goes in with every compression type that the client has and comes back byte for byte, to the
//! client itself and to librdkafka; again after a clean restart; and again after SIGKILL in the middle of producing, when
//! everything that was acknowledged must be in its place. Beside them, clients are members of
//! consumer groups, clients that administer do so with a cluster, and a data directory of a real Kafka is opened. What a client program does is told in `tests/conformance/README.md`.

mod cluster;
mod contents;
mod groups;
mod kafka_directory;
mod plan;
mod program;
mod round_trip;

use std::{env, process::ExitCode, time::Instant};

use levada_end_to_end::Outcome;
use levada_harness::Corpus;

use crate::{
    plan::{Plan, Subject},
    program::CorpusList,
};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<bool> {
    let path = env::args_os().nth(1).ok_or("usage: conformance PLAN.json")?;
    let plan = Plan::read(path.as_ref())?;
    let corpus = Corpus::load(plan.corpus_mb << 20)?;
    let list = CorpusList::write(&corpus)?;
    println!("corpus: {} files, {:.1} MB", corpus.files().len(), corpus.bytes() as f64 / 1e6);

    let mut all_passed = true;
    for client in &plan.clients {
        let begun = Instant::now();
        let outcome = match client.subject {
            Subject::RoundTrip => round_trip::run(client, &corpus, &list),
            Subject::KafkaDirectory => kafka_directory::run(client),
            Subject::Cluster => cluster::run(client),
            Subject::Groups => groups::run(client, plan.kafka_jars.as_deref()),
            Subject::Script => program::run_script(client),
        };
        let seconds = begun.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("passed  {:<16} {seconds:.1} s  {}", client.name, client.variants().join(" ")),
            Err(error) => {
                all_passed = false;
                println!("FAILED  {:<16} {seconds:.1} s  {error}", client.name);
            }
        }
    }
    Ok(all_passed)
}
