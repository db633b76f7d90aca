//! One run: faults for a while, then none, and then everything has to be well.

use levada_metadata::ApplyError;
use levada_replication::invariants::Violation;
use levada_types::BrokerId;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::happening::Happening;
use crate::rules::Rules;
use crate::settings::Settings;
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
    /// Invariant 8: what is kept beside a log is not what a replay of it makes.
    #[error("invariant 8: broker {broker} keeps {kept} beside its log, whose replay makes {replayed}")]
    NotReplayed {
        /// Whose log.
        broker: BrokerId,
        /// What it keeps.
        kept: String,
        /// What it should.
        replayed: String,
    },
    /// The metadata log took an entry that does not build on it.
    #[error("an entry of the metadata does not fit: {0}")]
    Metadata(ApplyError),
    /// A rule of shards did not hold.
    #[error("shards: {0}")]
    Shards(#[from] levada_metadata::shards::invariants::Broken),
    /// Somebody was made leader as if nobody complete was left, and somebody is.
    #[error("broker {complete} has everything that was committed, and an incomplete leader was elected")]
    ElectedWithoutNeed {
        /// Who was complete.
        complete: BrokerId,
    },
    /// All who were complete have lost bytes, and one was elected before all of them were back.
    #[error("an incomplete leader was elected before broker {absent}, which was complete, was back")]
    ElectedTooEarly {
        /// Who was not back.
        absent: BrokerId,
    },
    /// A reassignment took out somebody who held the partition before those who came, or enough of those who stay, were
    /// complete.
    #[error("broker {broker} was taken out when {complete} of those who are left were complete, and not {needed}")]
    TakenOutTooEarly {
        /// Who was taken out.
        broker: BrokerId,
        /// How many were complete then.
        complete: usize,
        /// How many should have been.
        needed: usize,
    },
    /// What a client was told is not so.
    #[error("a client was told what is not so: {0}")]
    Untrue(String),
    /// Whoever serves a shard does not have what its log says.
    #[error("a shard is not what its log says: {0}")]
    ShardDiffers(String),
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

/// Whether the world of `seed` has shards.
#[must_use]
pub fn has_shards(seed: u64) -> bool {
    Settings::draw(&mut StdRng::seed_from_u64(seed)).of_shards
}

impl Universe {
    fn live(&mut self) -> Result<(), Failure> {
        let beginning = self.now_ms;
        if self.settings.of_shards {
            for committer in 0..self.committers.len() {
                self.after(400, Happening::Commit { committer });
            }
            self.after(1_500, Happening::ShardFault);
        } else {
            for producer in 0..self.producers.len() {
                self.after(400, Happening::Produce { producer });
            }
        }
        for consumer in 0..self.consumers.len() {
            self.after(500, Happening::Consume { consumer });
        }
        self.after(1_500, Happening::Fault);
        self.after(1_500, Happening::Operation);
        while self.step(beginning + FAULTS_MS)? {}
        self.heal();
        self.wait_until(Self::complaint)?;
        // Clients cease, so that all replicas can have all.
        self.quiet = true;
        self.wait_until(Self::difference)?;
        self.everything_is_readable()
    }

    /// Goes on until there is nothing to be said against the world.
    fn wait_until(&mut self, complaint: fn(&Self) -> Option<String>) -> Result<(), Failure> {
        let limit = self.now_ms + HEALING_MS;
        let mut glance = self.now_ms;
        while glance < limit {
            glance += GLANCE_MS;
            while self.step(glance)? {}
            if complaint(self).is_none() {
                return Ok(());
            }
        }
        complaint(self).map_or(Ok(()), |complaint| Err(Failure::Stuck(complaint)))
    }

    /// What is not well, while clients go on.
    fn complaint(&self) -> Option<String> {
        let Some((_, committed)) = self.committed_partition() else { return Some("there is no topic".to_owned()) };
        let leader = self.brokers.iter().find(|broker| Some(broker.id) == committed.leader);
        let Some(leader) = leader.and_then(|broker| broker.hosted.as_ref()).filter(|h| h.replica.is_leader()) else {
            return Some(format!("nobody leads: {committed:?}"));
        };
        if committed.isr.len() < committed.replicas.len() || committed.is_reassigning() {
            return Some(format!("not all are in sync: {committed:?}"));
        }
        if leader.replica.admit(true).is_err() {
            return Some("the leader takes nothing".to_owned());
        }
        let idle = self.raft.image.brokers().find(|b| !b.is_live() || b.draining);
        let idle = idle.map(|broker| format!("broker {} is not in use", broker.id));
        idle.or_else(|| self.settings.of_shards.then(|| self.shard_complaint()).flatten())
    }

    /// In what the replicas differ, while clients are quiet.
    fn difference(&self) -> Option<String> {
        let complaint = self.complaint();
        if complaint.is_some() {
            return complaint;
        }
        if let Some(producer) = self.producers.iter().position(|producer| producer.waits()) {
            return Some(format!("producer {producer} waits for its answer"));
        }
        let (at, committed) = self.committed_partition()?;
        let hosted = |id: BrokerId| self.brokers.iter().find(|broker| broker.id == id)?.hosted.as_ref();
        let leader = hosted(committed.leader?)?.replica.log_ends();
        for replica in &committed.replicas {
            let Some(hosted) = hosted(replica.broker).filter(|hosted| hosted.topic == at.topic_id) else {
                return Some(format!("broker {} has no replica", replica.broker));
            };
            let (ends, high_watermark) = (hosted.replica.log_ends(), hosted.replica.high_watermark());
            if ends.end != leader.end || high_watermark != leader.end {
                return Some(format!(
                    "broker {} stands at {ends:?}, {high_watermark}; the leader at {leader:?}",
                    replica.broker
                ));
            }
        }
        self.settings.of_shards.then(|| self.shard_difference(leader.end)).flatten()
    }
}
