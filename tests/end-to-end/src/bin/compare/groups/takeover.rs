//! A coordinator dies with many offsets and a history of commits behind it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Outcome, fail};
use levada_harness::{Role, Sandbox, SandboxOptions};
use tokio::{
    task::{self, JoinSet},
    time,
};

use super::{
    member::{Member, commit_alone, committed},
    wire::Connection,
};
use crate::{cluster::table::row, figures::percentile};

/// Partitions of which each group commits; a request commits them all.
const PARTITIONS: i32 = 1_000;

const TOPIC: &str = "orders";

/// How many groups commit at one time.
const AT_ONCE: usize = 8;

/// Shards there are: Kafka's default, which the sandbox leaves as it is. One group of each has a member whose heartbeats and
/// commits are timed.
const SHARDS: i32 = 50;

/// Between two tries of what has failed.
const RETRY: Duration = Duration::from_millis(10);

/// How long a group may stay without its coordinator before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many offsets are to be there, and for how long commits go on before the kill.
pub(super) async fn run(offsets: usize, minutes: u64) -> Outcome {
    let options = SandboxOptions::new(3, 3).set_group_coordinators("group.initial.rebalance.delay.ms", "0");
    let mut sandbox = Sandbox::start(&options)?;
    let kafka = sandbox.broker(1)?.kafka()?;
    task::block_in_place(|| Admin::connect(kafka)?.create_replicated_topic(TOPIC, (PARTITIONS, 3), &[]))?;
    let groups = offsets / PARTITIONS as usize;
    commit_everywhere(kafka, groups, 1).await?;

    let mut watched = Vec::new();
    for shard in 0..SHARDS {
        let name = (0..).map(|number| format!("watched-{shard}-{number}")).find(|name| shard_of(name) == shard);
        watched.push(Member::join(Connection::open(kafka).await?, &name.unwrap_or_default()).await?);
    }
    let begun = Instant::now();
    let mut round = 1;
    while begun.elapsed() < Duration::from_secs(minutes * 60) {
        round += 1;
        commit_everywhere(kafka, groups, round).await?;
    }

    let mut coordinators = sandbox.processes_mut().iter_mut().filter(|process| process.role == Role::GroupCoordinator);
    let (Some(first), Some(second)) = (coordinators.next(), coordinators.next()) else {
        return fail("there are not two group coordinators");
    };
    let at = Instant::now();
    first.kill()?;
    let (heartbeats, commits) = first_words(&watched, kafka, at).await?;
    let what = format!("{} offsets, {round} commits of each: SIGKILL of a coordinator", groups * PARTITIONS as usize);
    let whom = format!("of one group in each of {SHARDS} shards, half of which were its");
    row(&format!("{what} to the first heartbeat {whom}"), &told(heartbeats), "< 1,000 ms");
    row("the same to the first commit", &told(commits), "< 1,000 ms");
    // Nobody has followed.
    second.kill()?;
    let at = Instant::now();
    first.start_again()?;
    let (heartbeats, commits) = first_words(&watched, kafka, at).await?;
    row("the other one killed too: start of one, alone, to the first heartbeat", &told(heartbeats), "");
    row("the same to the first commit", &told(commits), "");

    let connection = Connection::open(kafka).await?;
    let mut wrong = 0;
    for group in 0..groups {
        let found = match committed(&connection, &name(group)).await? {
            Ok(found) => found,
            Err(code) => return fail(format!("OffsetFetch of {}: error {code}", name(group))),
        };
        wrong += PARTITIONS as usize - found.iter().filter(|(_, offset)| *offset == round).count();
    }
    row("committed offsets that are lost or moved back", &wrong.to_string(), "0");
    Ok(())
}

/// How long after `at` each member has its first heartbeat answered, and its first commit.
async fn first_words(watched: &[Member], kafka: SocketAddr, at: Instant) -> Outcome<(Vec<Duration>, Vec<Duration>)> {
    let mut waiting = JoinSet::new();
    for member in watched {
        // Each over a connection of its own: neither waits behind the other.
        let (mut member, mut other) = (member.clone(), member.clone());
        waiting.spawn(async move {
            member.reconnect(kafka).await?;
            other.reconnect(kafka).await?;
            let heartbeat = until_it_works(at, || member.heartbeat());
            let commit = until_it_works(at, || other.commit(TOPIC, 0..10, 7));
            tokio::try_join!(heartbeat, commit)
        });
    }
    let (mut heartbeats, mut commits) = (Vec::new(), Vec::new());
    while let Some(times) = waiting.join_next().await {
        let (heartbeat, commit) = times??;
        heartbeats.push(heartbeat);
        commits.push(commit);
    }
    Ok((heartbeats, commits))
}

/// The shard that a group belongs to, as Kafka has it.
fn shard_of(group: &str) -> i32 {
    let hash = group.bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    hash.checked_abs().unwrap_or(0) % SHARDS
}

fn told(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share| percentile(&times, share).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    let of = times.len();
    format!("median {:.0} ms, p99 {:.0} ms, greatest {:.0} ms of {of}", at(0.5), at(0.99), at(1.0))
}

fn name(group: usize) -> String {
    format!("group-{group}")
}

/// Every group commits `offset` in all partitions.
async fn commit_everywhere(kafka: SocketAddr, groups: usize, offset: i64) -> Outcome {
    let mut lanes = JoinSet::new();
    for lane in 0..AT_ONCE {
        let connection = Connection::open(kafka).await?;
        lanes.spawn(async move {
            for group in (lane..groups).step_by(AT_ONCE) {
                let name = name(group);
                until_it_works(Instant::now(), || commit_alone(&connection, &name, TOPIC, 0..PARTITIONS, offset))
                    .await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

/// Asks until the answer has no error, and tells how long after `since` that was.
async fn until_it_works<F: Future<Output = Outcome<i16>>>(
    since: Instant,
    mut ask: impl FnMut() -> F,
) -> Outcome<Duration> {
    let begun = Instant::now();
    loop {
        match ask().await? {
            0 => return Ok(since.elapsed()),
            // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR.
            14..=16 if begun.elapsed() < PATIENCE => time::sleep(RETRY).await,
            code => return fail(format!("error {code} after {:?}", begun.elapsed())),
        }
    }
}
