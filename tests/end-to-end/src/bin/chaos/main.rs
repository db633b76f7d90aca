//! One node, or with `--cluster` three controllers and three brokers, under load while everything fails, and a check of
//! what the clients were told.

mod cluster;
mod groups;
mod one_node;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, Subcommand};
use levada_end_to_end::Outcome;
use tokio::signal::unix::{SignalKind, signal};

/// Whether the run was asked to stop.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Has processes fail under load and checks what the clients saw.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    program: Option<Program>,
    /// How long to go on.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// How many faults, or steps of a cluster, in place of a time: what replays a run.
    #[arg(long, conflicts_with = "minutes")]
    faults: Option<usize>,
    /// SIGKILL also loses what was not synced; takes FUSE and the right to mount.
    #[arg(long)]
    loss: bool,
    /// Three controllers and three brokers in place of one node, which lose power, connections, disks and each other.
    #[arg(long, conflicts_with = "loss")]
    cluster: bool,
    /// Group coordinators too, and consumer groups whose members come, go, die and freeze.
    #[arg(long, requires = "cluster")]
    groups: bool,
    /// How many records a second each producer of a cluster sends.
    #[arg(long, default_value_t = 400)]
    rate: u32,
    /// The seed of the faults; without it one is drawn.
    #[arg(long)]
    seed: Option<u64>,
}

/// What this program is besides.
#[derive(Subcommand)]
enum Program {
    /// One member of a group, which a run starts.
    #[command(hide = true)]
    Member(groups::MemberArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Program::Member(member)) = &arguments.program {
        return match groups::run_member(member) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let inside = if arguments.cluster { cluster::enter_namespaces() } else { Ok(false) };
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = arguments.seed.unwrap_or(drawn);
    println!("chaos: seed {seed}");
    let begun = Instant::now();
    let more = |faults: usize| match arguments.faults {
        Some(limit) => faults < limit,
        None => begun.elapsed() < Duration::from_secs(arguments.minutes * 60),
    };
    let mut faults = 0;
    let outcome = listen_for_signals().and(inside).and_then(|inside| {
        if arguments.cluster {
            cluster::run(&arguments, seed, inside, more, &mut faults)
        } else {
            one_node::run(&arguments, seed, more, &mut faults)
        }
    });
    let kind = match (arguments.cluster, arguments.loss) {
        (true, _) if arguments.groups => " --cluster --groups",
        (true, _) => " --cluster",
        (_, true) => " --loss",
        _ => "",
    };
    println!("chaos: the same faults again: cargo xtask chaos{kind} --seed {seed} --faults {faults}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: seed {seed}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the run was asked to stop: what was acknowledged is still checked.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Has SIGINT and SIGTERM end the run in order, so that nothing is left behind.
fn listen_for_signals() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(guard);
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(())
}
