//! Three controllers and three brokers, each on a machine of its own, under load while everything fails that can, and a
//! check of what the clients were told.
//!
//! Every topic has three replicas and a minimum of two in sync. Idempotent producers, one of them on a topic whose
//! acknowledgements mean synced, and a plain one with acks=all have nothing lost; the idempotent ones nothing twice and
//! nothing out of order. With acks=1 Kafka's promise ends at a failover: what is missing there is told, not judged.
//! Consumers, of every topic, see no gap and at no offset another record than before. At the end all replicas hold the
//! same bytes. Then all brokers lose power at once.
//!
//! With groups there are group coordinators too, which fail like the others, come and go, and consumer groups whose members
//! do: [`crate::groups`].
//!
//! The seed decides the faults, their victims by what these are, and their times. What processes do between two faults is
//! theirs.

mod clock;
mod fault;
mod inside;
mod line;
mod load;
mod power;
mod replicas;
mod report;
mod schedule;
mod standing;
mod strike;

use std::{collections::BTreeSet, path::Path, time::Instant};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Cluster, ClusterOptions, LossyVolume};

use self::{load::Load, report::Report, schedule::Schedule, strike::Striker};
use crate::{Arguments, groups::Groups};

/// Brokers show that they live so often and are fenced after such a silence, so that a frozen one is fenced in some steps
/// and not in others.
const CONTROLLER_SETTINGS: [(&str, &str); 2] =
    [("broker.heartbeat.interval.ms", "300"), ("broker.session.timeout.ms", "2000")];

/// A follower that is cut off leaves the in-sync set in some steps and not in others. Small segments roll often.
const BROKER_SETTINGS: [(&str, &str); 4] = [
    ("replica.lag.time.max.ms", "3000"),
    ("log.segment.bytes", "4194304"),
    // Few shards, so that each has something to do, and is compacted within minutes.
    ("offsets.topic.num.partitions", "6"),
    ("offsets.topic.segment.bytes", "1048576"),
];

/// With groups, how many group coordinators there are at most.
const COORDINATORS: u32 = 3;

/// Sessions of members that are over within a fault, so that some are thrown out and some are not.
const COORDINATOR_SETTINGS: [(&str, &str); 7] = [
    ("group.min.session.timeout.ms", "1000"),
    ("group.initial.rebalance.delay.ms", "200"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "4000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "400"),
    ("group.consumer.max.heartbeat.interval.ms", "5000"),
];

/// Runs in namespaces of its own, if they can be had; this does not return then until it does.
pub(crate) fn enter_namespaces() -> Outcome<bool> {
    inside::enter()
}

/// Goes through the schedule of `seed` while there are to be `more` than the `steps` so far, and checks everything.
pub(crate) fn run(
    arguments: &Arguments,
    seed: u64,
    inside: bool,
    more: impl Fn(usize) -> bool,
    steps: &mut usize,
) -> Outcome {
    let begun = Instant::now();
    let home = tempfile::Builder::new().prefix(&format!("levada-chaos-{seed}-")).tempdir()?;
    let mut report = Report::default();
    clock::start();
    let outcome = run_in(home.path(), arguments, seed, inside, more, steps, &mut report);
    println!("chaos: {steps} steps in {:.0} s", begun.elapsed().as_secs_f64());
    print!("{report}");
    if outcome.is_err() {
        println!("chaos: logs and data are kept in {}", home.keep().display());
    }
    outcome
}

fn run_in(
    home: &Path,
    arguments: &Arguments,
    seed: u64,
    inside: bool,
    more: impl Fn(usize) -> bool,
    steps: &mut usize,
    report: &mut Report,
) -> Outcome {
    let disks = disks_can_fail();
    if !inside {
        println!("chaos: this machine gives no namespaces: nobody is cut off from anybody");
    }
    let owned =
        |settings: &[(&str, &str)]| settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let mut cluster = Cluster::start(&ClusterOptions {
        home: home.to_owned(),
        controllers: 3,
        brokers: 3,
        group_coordinators: if arguments.groups { COORDINATORS } else { 0 },
        controller_settings: owned(&CONTROLLER_SETTINGS),
        broker_settings: owned(&BROKER_SETTINGS),
        group_coordinator_settings: owned(&COORDINATOR_SETTINGS),
        network: inside,
        disks,
        seed,
    })?;
    let bootstrap = *cluster.bootstrap().first().ok_or("there is no broker")?;
    let load = Load::start(bootstrap, arguments.rate, load::promises())?;
    standing::wait_until_in_sync(&cluster)?;
    let mut groups = match arguments.groups {
        true => Groups::start(&cluster.bootstrap(), load::PARTITIONS)?,
        false => Groups::default(),
    };
    let mut striker = Striker {
        cluster: &mut cluster,
        load: &load,
        groups: &mut groups,
        report: &mut *report,
        troubled: BTreeSet::new(),
        away: BTreeSet::new(),
    };
    let mut outcome = striker.groups.catch_up(bootstrap);
    for step in Schedule::new(seed, arguments.groups) {
        if outcome.is_err() || crate::interrupted() || !more(*steps) {
            break;
        }
        *steps += 1;
        outcome = striker.step(*steps, &step);
    }
    if let Err(error) = outcome.and_then(|()| striker.all_come()) {
        clock::say("something is wrong");
        groups.write_down(home)?;
        return fail(format!("{error}\n{}\n{}", load.findings(), cluster.log()));
    }
    check(&cluster, load, groups, home, report)?;
    if disks {
        power::run(&mut cluster, arguments.rate, seed, report)?;
    }
    nobody_panicked(&cluster)
}

/// Stops producing, and checks what the clients were told and what the brokers hold.
fn check(cluster: &Cluster, load: Load, mut groups: Groups, home: &Path, report: &mut Report) -> Outcome {
    let bootstrap = *cluster.bootstrap().first().ok_or("there is no broker")?;
    let stopped = load.stop()?;
    standing::wait_until_in_sync(cluster)?;
    if let Err(error) = groups.catch_up(bootstrap) {
        groups.write_down(home)?;
        return fail(format!("{error}\n{}", cluster.log()));
    }
    clock::say("every group has committed everything; what they saw is checked");
    for told in groups.finish(&stopped.produced(), &|number| stopped.print(number), home)? {
        report.note(told);
    }
    stopped.check(bootstrap, report)?;
    let partitions = replicas::check_equal(cluster)?;
    report.note(format!("the three replicas of {partitions} partitions hold the same bytes"));
    Ok(())
}

/// Whether volumes can be had that lose what was not synced; says why not.
fn disks_can_fail() -> bool {
    match LossyVolume::mount() {
        Ok(_) => true,
        Err(error) => {
            println!("chaos: this machine gives no FUSE: no disk fails, and nothing is lost: {error}");
            false
        }
    }
}

fn nobody_panicked(cluster: &Cluster) -> Outcome {
    for machine in cluster.machines() {
        if let Some(line) = machine.lines_with(&["panicked at"])?.first() {
            return fail(format!("{machine}: {line}"));
        }
    }
    Ok(())
}
