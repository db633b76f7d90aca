//! The cluster that is measured: three controllers and three brokers, each a process of its own.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Metadata, Outcome, Standing, fail};
use levada_harness::{Role, Sandbox, SandboxOptions};

use super::metrics::metric;

pub(crate) const BROKERS: [u32; 3] = [1, 2, 3];
const REPLICAS: i32 = 3;

/// How long the cluster may take to become what is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at the cluster: what waits here is not measured, and looking costs the brokers time.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long a broker may take to tell how the partitions stand: one that is being killed never does.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A cluster with one topic.
pub(crate) struct Subject {
    pub(crate) sandbox: Sandbox,
    topic: &'static str,
    /// Where each broker is asked how the partitions stand.
    asked: Vec<SocketAddr>,
}

impl Subject {
    /// Starts three controllers and three brokers with these options of the brokers, creates a topic with three replicas
    /// and waits until all are in sync.
    pub(crate) fn start(
        topic: &'static str,
        partitions: i32,
        topic_settings: &[(&str, &str)],
        broker_settings: &[(&str, &str)],
    ) -> Outcome<Self> {
        let options = SandboxOptions::new(3, 3);
        let options = broker_settings.iter().fold(options, |options, (key, value)| options.set_brokers(key, value));
        let mut sandbox = Sandbox::start(&options)?;
        let admin = Admin::connect(sandbox.broker(1)?.kafka()?)?;
        admin.create_replicated_topic(topic, (partitions, REPLICAS), topic_settings)?;
        let asked = BROKERS.into_iter().map(|id| Ok(sandbox.broker(id)?.kafka()?)).collect::<Outcome<_>>()?;
        let subject = Self { sandbox, topic, asked };
        subject.wait_until_in_sync()?;
        Ok(subject)
    }

    pub(crate) fn topic(&self) -> &'static str {
        self.topic
    }

    /// Every broker's address, as librdkafka takes them.
    pub(crate) fn bootstrap(&self) -> String {
        self.asked.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
    }

    /// The leader of partition 0.
    pub(crate) fn leader(&self) -> Outcome<u32> {
        match self.partitions()?.first() {
            Some(partition) => Ok(u32::try_from(partition.leader)?),
            None => fail("the topic has no partition"),
        }
    }

    /// A broker that does not lead partition 0.
    pub(crate) fn follower(&self) -> Outcome<u32> {
        let leader = self.leader()?;
        BROKERS.into_iter().find(|id| *id != leader).ok_or_else(|| "no follower".into())
    }

    /// The controller that says of itself that it is the active one.
    pub(crate) fn active_controller(&self) -> Outcome<u32> {
        self.wait_for("an active controller", |subject| {
            for process in subject.sandbox.processes().iter().filter(|process| process.role == Role::Controller) {
                if metric(process.http, "levada_controller_active").is_ok_and(|value| value == Some(1)) {
                    return Ok(Some(process.id));
                }
            }
            Ok(None)
        })
    }

    /// How many entries the metadata log has: it grows with every fencing and every change of an in-sync set.
    pub(crate) fn metadata_offset(&self) -> Outcome<u64> {
        Ok(self.metadata_offsets()?.last().copied().unwrap_or(0))
    }

    /// Waits until every controller has all of the metadata log.
    pub(crate) fn wait_until_controllers_agree(&self) -> Outcome {
        self.wait_for("controllers that agree", |subject| {
            let offsets = subject.metadata_offsets()?;
            Ok((offsets.first() == offsets.last()).then_some(()))
        })
    }

    /// The end of each controller's metadata log, the least first.
    fn metadata_offsets(&self) -> Outcome<Vec<u64>> {
        let mut offsets = Vec::new();
        for process in self.sandbox.processes().iter().filter(|process| process.role == Role::Controller) {
            let offset = metric(process.http, "levada_controller_metadata_offset")?;
            offsets.push(offset.ok_or("no levada_controller_metadata_offset")?);
        }
        offsets.sort_unstable();
        Ok(offsets)
    }

    /// Waits until every partition has a leader and all its replicas in sync.
    pub(crate) fn wait_until_in_sync(&self) -> Outcome {
        let everybody = BROKERS.into_iter().map(i32::try_from).collect::<Result<BTreeSet<_>, _>>()?;
        self.wait_for("full in-sync sets", |subject| {
            let partitions = subject.partitions()?;
            let whole = |partition: &Standing| partition.in_sync == everybody && everybody.contains(&partition.leader);
            Ok((!partitions.is_empty() && partitions.iter().all(whole)).then_some(()))
        })
    }

    /// Waits until a broker leads nothing and is in sync nowhere.
    pub(crate) fn wait_until_out(&self, broker: u32) -> Outcome {
        let broker = i32::try_from(broker)?;
        self.wait_for("a dead broker to be out of every in-sync set", |subject| {
            let partitions = subject.partitions()?;
            let without = |partition: &Standing| partition.leader != broker && !partition.in_sync.contains(&broker);
            Ok((!partitions.is_empty() && partitions.iter().all(without)).then_some(()))
        })
    }

    /// How the partitions stand, as the first broker tells it that answers.
    fn partitions(&self) -> Outcome<Vec<Standing>> {
        let told = self.asked.iter().find_map(|broker| Metadata::told_by(*broker, ANSWER_LIMIT).ok());
        let mut partitions = told.ok_or("no broker tells how the partitions stand")?.partitions;
        partitions.retain(|partition| partition.topic == self.topic);
        partitions.sort_by_key(|partition| partition.partition);
        Ok(partitions)
    }

    fn wait_for<T>(&self, what: &str, look: impl Fn(&Self) -> Outcome<Option<T>>) -> Outcome<T> {
        let begun = Instant::now();
        loop {
            match look(self) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) if begun.elapsed() < PATIENCE => thread::sleep(LOOK_AGAIN),
                Err(_) if begun.elapsed() < PATIENCE => thread::sleep(LOOK_AGAIN),
                Ok(None) => return fail(format!("{PATIENCE:?} without {what}\n{}", self.sandbox.log())),
                Err(error) => return fail(format!("{PATIENCE:?} without {what}: {error}\n{}", self.sandbox.log())),
            }
        }
    }
}
