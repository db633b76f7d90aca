//! Commits as fast as they go.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Outcome, fail};
use levada_harness::{Node, Role, Sandbox, SandboxOptions};
use tokio::{
    task::{self, JoinSet},
    time,
};

use super::{member::commit_alone, times, wire::Connection};
use crate::cluster::table::row;

/// How many offsets one request commits.
const OF_A_REQUEST: i32 = 10;

/// How long commits are measured.
const TIME: Duration = Duration::from_secs(20);

/// The topic of which offsets are committed.
const TOPIC: &str = "orders";

/// `groups` groups commit, each with one request under way: at one node, and with three replicas.
pub(super) async fn run(groups: usize) -> Outcome {
    let node = Node::start()?;
    let kafka = node.kafka()?;
    task::block_in_place(|| Admin::connect(kafka)?.create_topic(TOPIC, OF_A_REQUEST, &[]))?;
    measure(&[kafka], groups, "one node", "20,000/s").await?;
    drop(node);

    let sandbox = Sandbox::start(&SandboxOptions::new(3, 3))?;
    let brokers = sandbox.processes().iter().filter(|process| process.role == Role::Broker);
    let brokers: Vec<SocketAddr> = brokers.map(|broker| broker.kafka()).collect::<Result<_, _>>()?;
    let first = *brokers.first().ok_or("no broker")?;
    task::block_in_place(|| Admin::connect(first)?.create_replicated_topic(TOPIC, (OF_A_REQUEST, 3), &[]))?;
    measure(&brokers, groups, "three brokers, replication factor 3", "").await
}

async fn measure(brokers: &[SocketAddr], groups: usize, name: &str, goal: &str) -> Outcome {
    let over = Arc::new(AtomicBool::new(false));
    let mut committing = JoinSet::new();
    for (group, broker) in (0..groups).zip(brokers.iter().cycle()) {
        let connection = Connection::open(*broker).await?;
        let over = Arc::clone(&over);
        let group = format!("group-{group}");
        committing.spawn(async move {
            let mut times = Vec::new();
            let mut offset = 0;
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                match commit_alone(&connection, &group, TOPIC, 0..OF_A_REQUEST, offset).await? {
                    0 => times.push((asked, asked.elapsed())),
                    // The coordinators' topic is being created, or a shard is being loaded, at the beginning only.
                    14..=16 if times.is_empty() => time::sleep(Duration::from_millis(50)).await,
                    code => return fail(format!("a commit of {group}: error {code}")),
                }
                offset += 1;
            }
            Ok(times)
        });
    }
    // Until every shard is loaded and every cache is warm.
    time::sleep(Duration::from_secs(5)).await;
    let begun = Instant::now();
    time::sleep(TIME).await;
    over.store(true, Ordering::Relaxed);
    let ended = Instant::now();
    let mut times = Vec::new();
    while let Some(group) = committing.join_next().await {
        times.extend(group??.into_iter().filter(|(asked, _)| (begun..ended).contains(asked)).map(|(_, time)| time));
    }
    let rate = times.len() as f64 * f64::from(OF_A_REQUEST) / (ended - begun).as_secs_f64();
    row(&format!("{groups} groups commit 10 offsets a request, {name}"), &format!("{rate:.0} offsets/s"), goal);
    row("the same, a request", &times::told(times), "");
    Ok(())
}
