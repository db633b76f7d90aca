//! How the cluster stands: who leads, who is in sync, which controller is active.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, client_config, fail, metric_at};
use levada_harness::{Cluster, Role};
use rdkafka::consumer::{BaseConsumer, Consumer};

/// How long a broker may take to tell.
const TELLING: Duration = Duration::from_secs(5);

/// How long replicas may take to get in sync once everything runs.
const SYNC_LIMIT: Duration = Duration::from_secs(90);

/// How often is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// How one partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    topic: String,
    partition: i32,
    /// Who leads it, -1 for nobody.
    leader: i32,
    replicas: BTreeSet<i32>,
    in_sync: BTreeSet<i32>,
}

/// How the partitions of the topics of a run stand, as a broker tells that.
pub(super) struct Partitions(Vec<Standing>);

impl Partitions {
    /// Asks one broker after the other until one tells.
    pub(super) fn told(cluster: &Cluster) -> Outcome<Self> {
        let mut last = "there is no broker".to_owned();
        for address in cluster.bootstrap() {
            match ask(address) {
                Ok(standing) => return Ok(Self(standing)),
                Err(error) => last = error.to_string(),
            }
        }
        fail(format!("no broker tells how the partitions stand: {last}"))
    }

    /// The leader of the partition with this number.
    pub(super) fn leader(&self, drawn: u64) -> Option<i32> {
        Some(self.pick(drawn)?.leader).filter(|leader| *leader >= 0)
    }

    /// A broker that follows in the partition with this number.
    pub(super) fn follower(&self, drawn: u64) -> Option<i32> {
        let standing = self.pick(drawn)?;
        let followers: Vec<i32> = standing.replicas.iter().copied().filter(|id| *id != standing.leader).collect();
        followers.get(modulo(drawn >> 32, followers.len())?).copied()
    }

    fn pick(&self, drawn: u64) -> Option<&Standing> {
        self.0.get(modulo(drawn, self.0.len())?)
    }

    /// Those that do not have all their replicas in sync, or no leader.
    fn wanting(&self) -> impl Iterator<Item = &Standing> {
        self.0.iter().filter(|standing| standing.leader < 0 || standing.in_sync != standing.replicas)
    }
}

fn ask(address: SocketAddr) -> Outcome<Vec<Standing>> {
    let client: BaseConsumer = client_config(address).set("group.id", "none").create()?;
    let metadata = client.fetch_metadata(None, TELLING)?;
    let mut all = Vec::new();
    for topic in metadata.topics() {
        all.extend(topic.partitions().iter().map(|partition| Standing {
            topic: topic.name().to_owned(),
            partition: partition.id(),
            leader: partition.leader(),
            replicas: partition.replicas().iter().copied().collect(),
            in_sync: partition.isr().iter().copied().collect(),
        }));
    }
    if all.is_empty() { fail("it knows of no topic") } else { Ok(all) }
}

/// Waits until every replica of every partition is in sync.
///
/// # Errors
/// If they do not get there, with those that do not.
pub(super) fn wait_until_in_sync(cluster: &Cluster) -> Outcome {
    let begun = Instant::now();
    loop {
        let told = Partitions::told(cluster);
        let wanting: Vec<&Standing> = told.iter().flat_map(Partitions::wanting).collect();
        if told.is_ok() && wanting.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > SYNC_LIMIT {
            told.as_ref().map_err(ToString::to_string)?;
            return fail(format!("after {SYNC_LIMIT:?} in which everything runs, not in sync: {wanting:#?}"));
        }
        thread::sleep(PAUSE);
    }
}

/// The index of the machine whose controller says that it is the active one.
pub(super) fn active_controller(cluster: &Cluster) -> Option<usize> {
    cluster.machines().iter().position(|machine| {
        machine.role() == Role::Controller
            && metric_at(machine.http(), "levada_controller_active").is_ok_and(|active| active == 1)
    })
}

/// A number in `0..count`; `None` if there is none.
pub(super) fn modulo(drawn: u64, count: usize) -> Option<usize> {
    usize::try_from(drawn.checked_rem(u64::try_from(count).ok()?)?).ok()
}
