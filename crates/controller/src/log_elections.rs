//! Elections by what the logs hold, while this controller is active: where nobody is left who is known to be complete, and
//! where the topic lets somebody lead who may not be.
//!
//! What each partition waits for is told by the metadata ([`levada_metadata::WaitingFor`]); this asks the live replicas where
//! their logs end, each under its broker epoch, and submits the answers. Nothing is remembered but since when a partition
//! has been waiting, so that a new active controller goes on where the old one stopped.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use levada_metadata::{
    BrokerRegistration, Command, ElectedLeader, Election, Image, ItemError, LogElection, NamedPartition, ReplicaEnd,
    Response, Waiting, WaitingFor, Waiver,
};
use levada_peers::{ReplicaLog, ReplicaLogs};
use levada_types::{BrokerId, TopicIdPartition};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::active::{Active, Answer};
use crate::feed::Feed;

/// The pause between looks at the partitions that have no leader.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a broker may take to tell where its logs end.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Partitions in one command, so that its entry stays small.
const PER_COMMAND: usize = 1_000;

/// Elections after which acknowledged records may be missing, by why they were held.
const ELECTIONS: &str = "levada_controller_log_elections_total";

/// Holds elections. Clones do the same.
#[derive(Debug, Clone)]
pub(crate) struct LogElections {
    active: Active,
    feed: Feed,
    logs: ReplicaLogs,
    /// How long a partition that may have an unclean leader waits for one that is complete.
    unclean_wait: Duration,
}

/// An election to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    partition: TopicIdPartition,
    waiver: Waiver,
}

/// Since when partitions have been without a leader, as far as this controller has seen.
type Since = HashMap<TopicIdPartition, Instant>;

impl LogElections {
    pub(crate) fn new(active: Active, feed: Feed, logs: ReplicaLogs, unclean_wait: Duration) -> Self {
        Self { active, feed, logs, unclean_wait }
    }

    /// Holds every election that is due, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.hold_all() => {}
        }
    }

    async fn hold_all(&self) {
        let (mut offset, mut active, mut since) = (self.feed.offset(), self.active.state(), Since::new());
        loop {
            offset.borrow_and_update();
            active.borrow_and_update();
            let image = self.feed.image();
            let waits = self.active.is_active() && image.leaderless().len() > 0;
            if waits {
                let due = self.due(&image, &mut since, Instant::now());
                for elected in self.hold(&image, &due).await.values().flatten() {
                    tracing::debug!(leader = %elected, "elected by its log");
                }
                tokio::time::sleep(PAUSE).await;
            } else {
                since.clear();
                tokio::select! {
                    changed = offset.changed() => if changed.is_err() { return },
                    changed = active.changed() => if changed.is_err() { return },
                }
            }
        }
    }

    /// What is to be elected now.
    fn due(&self, image: &Image, since: &mut Since, now: Instant) -> Vec<Due> {
        let waiting: Vec<Waiting> = image.waiting().collect();
        since.retain(|partition, _| {
            image.partition(partition.topic_id, partition.partition).is_some_and(|p| p.leader.is_none())
        });
        let due = waiting.into_iter().filter_map(|waiting| {
            let begun = *since.entry(waiting.partition).or_insert(now);
            let is_over = waiting.unclean_allowed && now.duration_since(begun) >= self.unclean_wait;
            let waiver = match waiting.waiting_for {
                // Also where all are back: one of them may never tell what its log holds.
                _ if is_over => Waiver::UncleanByConfig,
                WaitingFor::Logs => Waiver::AllReturned,
                _ => return None,
            };
            Some(Due { partition: waiting.partition, waiver })
        });
        due.collect()
    }

    /// Asks the live replicas and has the leaders elected; gives what became of each partition that was asked about.
    async fn hold(&self, image: &Image, due: &[Due]) -> BTreeMap<TopicIdPartition, Result<BrokerId, ItemError>> {
        let mut outcomes = BTreeMap::new();
        if due.is_empty() {
            return outcomes;
        }
        let ends = self.ask(image, due).await;
        let elections = due.iter().filter_map(|due| {
            let known = image.partition(due.partition.topic_id, due.partition.partition)?;
            Some(LogElection {
                topic: due.partition.topic_id,
                partition: due.partition.partition,
                leader_epoch: known.leader_epoch,
                ends: ends.get(&due.partition).cloned()?,
                waiver: due.waiver,
            })
        });
        let elections: Vec<LogElection> = elections.collect();
        for some in elections.chunks(PER_COMMAND) {
            let command = Command::ElectFromLogs { elections: some.to_vec() };
            let Ok((Response::ElectFromLogs(results), _)) = self.active.submit(command).await else { break };
            for (election, result) in some.iter().zip(results) {
                let partition = TopicIdPartition { topic_id: election.topic, partition: election.partition };
                tell(image, partition, election.waiver, &result);
                outcomes.insert(partition, result);
            }
        }
        outcomes
    }

    /// Where the logs of the live replicas end, as far as their brokers tell.
    async fn ask(&self, image: &Image, due: &[Due]) -> HashMap<TopicIdPartition, Vec<ReplicaEnd>> {
        let mut by_broker: BTreeMap<BrokerId, Vec<TopicIdPartition>> = BTreeMap::new();
        for Due { partition, .. } in due {
            let Some(known) = image.partition(partition.topic_id, partition.partition) else { continue };
            for broker in image.live_replicas(known) {
                by_broker.entry(broker).or_default().push(*partition);
            }
        }
        let asked = by_broker.iter().filter_map(|(id, partitions)| {
            let broker: Arc<BrokerRegistration> = Arc::clone(image.broker(*id)?);
            Some(async move {
                let told = self.logs.ask(&broker, image.offset(), partitions, ASK_TIMEOUT).await;
                (broker, told)
            })
        });
        let mut ends: HashMap<TopicIdPartition, Vec<ReplicaEnd>> = HashMap::new();
        for (broker, told) in join_all(asked).await {
            match told {
                Ok(logs) => logs.into_iter().for_each(|log: ReplicaLog| {
                    let (last_epoch, log_end) = (log.last_epoch, log.log_end);
                    let end = ReplicaEnd { broker: broker.id, broker_epoch: broker.epoch, last_epoch, log_end };
                    ends.entry(log.partition).or_default().push(end);
                }),
                Err(error) => tracing::debug!(%error, "an election has to do without it"),
            }
        }
        ends
    }

    /// Elects by hand: those whose logs can be compared by their logs, the others without.
    pub(crate) async fn elect_unclean(&self, request: Uuid, named: Option<Vec<NamedPartition>>) -> Answer {
        let image = self.feed.image();
        let wanted: Vec<TopicIdPartition> = match &named {
            None => image.leaderless().collect(),
            Some(named) => named.iter().filter_map(|partition| find(&image, partition)).collect(),
        };
        let leaderless = wanted.into_iter().filter(|at| {
            image.partition(at.topic_id, at.partition).is_some_and(|partition| partition.leader.is_none())
        });
        let due: Vec<Due> = leaderless.map(|partition| Due { partition, waiver: Waiver::UncleanByHand }).collect();
        let elected = if self.active.is_active() { self.hold(&image, &due).await } else { BTreeMap::new() };
        let command = Command::ElectLeaders { election: Election::Unclean, partitions: named.clone() };
        let (response, offset) = self.active.submit_as(request, command).await?;
        let Response::ElectLeaders(mut answers) = response else { return Ok((response, offset)) };
        // What the logs decided is what was asked for.
        for (at, leader) in elected.into_iter().filter_map(|(at, result)| Some((at, result.ok()?))) {
            let Some(topic) = image.topic(at.topic_id) else { continue };
            let partition = NamedPartition { topic: topic.name().to_string(), partition: at.partition };
            match answers.iter_mut().find(|answer| answer.partition == partition) {
                Some(answer) => answer.result = Ok(leader),
                None => answers.push(ElectedLeader { partition, result: Ok(leader) }),
            }
        }
        Ok((Response::ElectLeaders(answers), offset))
    }
}

fn find(image: &Image, named: &NamedPartition) -> Option<TopicIdPartition> {
    let topic_id = image.topic_id(&named.topic)?;
    Some(TopicIdPartition { topic_id, partition: named.partition })
}

fn tell(image: &Image, at: TopicIdPartition, waiver: Waiver, result: &Result<BrokerId, ItemError>) {
    let topic = image.topic(at.topic_id).map(|topic| topic.name().to_string());
    let why = match waiver {
        Waiver::AllReturned => "all_returned",
        Waiver::UncleanByConfig => "unclean_by_config",
        Waiver::UncleanByHand => "unclean_by_hand",
    };
    match result {
        Ok(leader) => {
            metrics::counter!(ELECTIONS, "why" => why).increment(1);
            tracing::warn!(topic, partition = at.partition, %leader, why, "elected by what the logs hold; acknowledged records may be missing");
        }
        Err(error) => tracing::debug!(topic, partition = at.partition, why, %error, "not elected"),
    }
}
