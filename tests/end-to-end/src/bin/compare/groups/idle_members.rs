//! Many groups of which nothing is asked but to know that their members live.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{ProcessFacts, Sandbox, SandboxOptions, SandboxProcess};
use tokio::{sync::watch, task::JoinSet, time};

use super::{
    member::{Member, REBALANCE_IN_PROGRESS},
    times,
    wire::Connection,
};
use crate::cluster::table::row;

/// How many members each group has. Each is on a connection of another set, since one that waits for its group holds
/// everything behind it on its connection.
const OF_A_GROUP: usize = 5;

/// How many connections each set has: members are multiplexed.
const CONNECTIONS: usize = 16;

/// Kafka's default `heartbeat.interval.ms`.
const INTERVAL: Duration = Duration::from_secs(3);

/// Between the heartbeats of members whose group is not complete.
const GATHERING: Duration = Duration::from_millis(500);

/// How long heartbeats are measured.
const TIME: Duration = Duration::from_secs(60);

/// `members` members in groups of five, on two coordinators.
pub(super) async fn run(members: usize) -> Outcome {
    let options = SandboxOptions::new(1, 1)
        .set_brokers("offsets.topic.replication.factor", "1")
        .set_group_coordinators("group.initial.rebalance.delay.ms", "50");
    let mut sandbox = Sandbox::start(&options)?;
    let kafka = sandbox.broker(1)?.kafka()?;
    let mut connections = Vec::new();
    for _ in 0..OF_A_GROUP * CONNECTIONS {
        connections.push(Connection::open(kafka).await?);
    }

    let begun = Instant::now();
    let mut joined = Vec::with_capacity(members);
    let groups = members / OF_A_GROUP;
    // Groups that share connections join one after the other.
    let mut lanes = JoinSet::new();
    for lane in 0..CONNECTIONS {
        let mine: Vec<Connection> =
            (0..OF_A_GROUP).filter_map(|set| connections.get(set * CONNECTIONS + lane).cloned()).collect();
        lanes.spawn(async move {
            let mut joined = Vec::new();
            for group in (lane..groups).step_by(CONNECTIONS) {
                joined.extend(join_together(&mine, &format!("group-{group}")).await?);
            }
            Outcome::Ok(joined)
        });
    }
    while let Some(lane) = lanes.join_next().await {
        joined.extend(lane??);
    }
    row(
        &format!("{groups} groups, {} members: joined within", joined.len()),
        &format!("{:.1} s", begun.elapsed().as_secs_f64()),
        "",
    );

    let over = Arc::new(AtomicBool::new(false));
    let mut beating = JoinSet::new();
    let count = joined.len();
    for (number, member) in joined.into_iter().enumerate() {
        let over = Arc::clone(&over);
        beating.spawn(async move {
            // Spread over the interval, as members that came one after the other are.
            time::sleep(INTERVAL.mul_f64(number as f64 / count as f64)).await;
            let mut times = Vec::new();
            let mut ticks = time::interval(INTERVAL);
            while !over.load(Ordering::Relaxed) {
                ticks.tick().await;
                let asked = Instant::now();
                match member.heartbeat().await? {
                    0 => times.push(asked.elapsed()),
                    code => return fail(format!("a heartbeat: error {code}")),
                }
            }
            Ok(times)
        });
    }
    time::sleep(INTERVAL * 2).await;
    let before = cpu(&sandbox)?;
    time::sleep(TIME).await;
    let cpu = cpu(&sandbox)?.saturating_sub(before);
    over.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    while let Some(member) = beating.join_next().await {
        times.extend(member??);
    }
    row("their heartbeats, every 3 s each, multiplexed over 80 connections", &times::told(times), "p99 < 20 ms");
    let share = cpu.as_secs_f64() / TIME.as_secs_f64();
    row("all server processes together", &format!("{share:.2} of a core"), "< 0.5");
    Ok(())
}

/// A member for each connection joins the group. On a busy machine one may come when the others have an assignment already;
/// they notice by their heartbeats, and all join again.
async fn join_together(connections: &[Connection], group: &str) -> Outcome<Vec<Member>> {
    let (generations, _) = watch::channel(BTreeMap::<usize, i32>::new());
    let mut joining = JoinSet::new();
    for (number, connection) in connections.iter().cloned().enumerate() {
        let (group, generations, count) = (group.to_owned(), generations.clone(), connections.len());
        joining.spawn(async move {
            let mut known = generations.subscribe();
            let mut member = Member::join(connection, &group).await?;
            loop {
                generations.send_modify(|generations| _ = generations.insert(number, member.generation()));
                let are_together = |generations: &BTreeMap<usize, i32>| {
                    generations.len() == count && generations.values().all(|one| *one == member.generation())
                };
                if let Ok(gathered) = time::timeout(GATHERING, known.wait_for(are_together)).await {
                    gathered?;
                    return Outcome::Ok(member);
                }
                match member.heartbeat().await? {
                    0 => {}
                    REBALANCE_IN_PROGRESS => {
                        generations.send_modify(|generations| _ = generations.remove(&number));
                        member.join_generation().await?;
                    }
                    code => return fail(format!("a heartbeat in {group}: error {code}")),
                }
            }
        });
    }
    let mut joined = Vec::new();
    while let Some(member) = joining.join_next().await {
        joined.push(member??);
    }
    Ok(joined)
}

fn cpu(sandbox: &Sandbox) -> Outcome<Duration> {
    let facts = sandbox.processes().iter().map(SandboxProcess::facts).collect::<Result<Vec<ProcessFacts>, _>>()?;
    Ok(facts.iter().map(|facts| facts.cpu).sum())
}
