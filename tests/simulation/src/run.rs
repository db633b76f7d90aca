//! One run: faults for a while, then none, and then everything has to be well.

use levada_metadata::ApplyError;
use levada_replication::invariants::Violation;
use levada_replication::{Replica, Rules};

use crate::broker::Broker;
use crate::happening::Happening;
use crate::universe::Universe;

/// How long things go wrong.
const FAULTS_MS: i64 = 12_000;

/// How long things may take to be well again; far more than a healthy world needs.
const HEALING_MS: i64 = 30_000;

/// How often it is looked whether all is well.
const GLANCE_MS: i64 = 300;

/// How a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An invariant of replication did not hold.
    #[error(transparent)]
    Broken(#[from] Violation),
    /// The metadata log took an entry that does not build on it.
    #[error("an entry of the metadata does not fit: {0}")]
    Metadata(ApplyError),
    /// All faults were healed and not everything came together, or something that cannot fail did.
    #[error("{0}")]
    Stuck(String),
}

/// What a run was like.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub outcome: Result<(), Failure>,
    /// Everything that happened, in order.
    pub trace: Vec<String>,
    /// How many times something was acknowledged to clients that had asked for all replicas.
    pub acknowledged: u64,
}

/// Runs `seed` to its end, under these rules.
#[must_use]
pub fn run(seed: u64, rules: Rules) -> Report {
    let mut universe = Universe::new(seed, rules);
    let outcome = universe.live();
    Report { outcome, acknowledged: universe.acknowledged, trace: universe.trace }
}

impl Universe {
    fn live(&mut self) -> Result<(), Failure> {
        let beginning = self.now_ms;
        self.after(400, Happening::Produce);
        self.after(1_500, Happening::Fault);
        while self.step(beginning + FAULTS_MS)? {}
        self.heal();
        let healed = self.now_ms;
        let mut glance = healed;
        while glance < healed + HEALING_MS {
            glance += GLANCE_MS;
            while self.step(glance)? {}
            if self.complaint().is_none() {
                return Ok(());
            }
        }
        self.complaint().map_or(Ok(()), |complaint| Err(Failure::Stuck(complaint)))
    }

    fn heal(&mut self) {
        self.note(|| "all faults heal".to_owned());
        self.healed = true;
        self.cut.clear();
        for index in 0..self.brokers.len() {
            if !self.brokers[index].up {
                self.start(index);
            }
        }
    }

    /// What is not well. Clients go on producing, so followers may lack the last records, but no more.
    fn complaint(&self) -> Option<String> {
        let at = self.partition()?;
        let committed = self.raft.image.partition(at.topic_id, at.partition)?;
        let is_leader = |broker: &&Broker| Some(broker.id) == committed.leader;
        let leader = self.brokers.iter().find(is_leader).and_then(|broker| broker.replica.as_ref());
        let Some(leader) = leader.filter(|replica| replica.is_leader()) else {
            return Some(format!("nobody leads: {committed:?}"));
        };
        if committed.isr.len() < self.brokers.len() {
            return Some(format!("not all are in sync: {committed:?}"));
        }
        if leader.admit(true).is_err() {
            return Some("the leader takes nothing".to_owned());
        }
        let behind = |broker: &&Broker| {
            broker.replica.as_ref().map(Replica::high_watermark).unwrap_or(-1) < self.checker.committed_end() - 20
        };
        self.brokers.iter().find(behind).map(|broker| format!("broker {} is far behind", broker.id))
    }
}
