//! How the cluster stands: who leads, who is in sync, which controller is active.

use std::{
    thread,
    time::{Duration, Instant},
};

use levada_end_to_end::{Metadata, Outcome, Standing, fail, metric_at};
use levada_harness::{Cluster, Role};

/// How long a broker may take to tell.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How long replicas may take to get in sync once everything runs.
const SYNC_LIMIT: Duration = Duration::from_secs(90);

/// How often is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// How the partitions of the topics of a run stand, as a broker tells that.
pub(super) struct Partitions(Vec<Standing>);

impl Partitions {
    /// Asks one broker after the other until one tells.
    pub(super) fn told(cluster: &Cluster) -> Outcome<Self> {
        let mut last = "there is no broker".to_owned();
        for address in cluster.bootstrap() {
            match Metadata::told_by(address, ANSWER_LIMIT) {
                Ok(told) if told.partitions.is_empty() => last = format!("{address} knows of no topic"),
                Ok(told) => return Ok(Self(told.partitions)),
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
