//! What the active controller minds by itself: sessions, elections from logs, brokers that are emptied, the topic.

use levada_metadata::rebalance::{Plan, PlanOptions};
use levada_metadata::{Command, CoordinatorKind, LogElection, NewTopic, ReplicaEnd, WaitingFor, Waiver};
use levada_types::{BrokerId, LeaderEpoch};

use crate::happening::Happening;
use crate::universe::Universe;

/// After how long a silence a broker is fenced. Shorter than in the product, so that runs are short.
pub(crate) const SESSION_MS: i64 = 900;

/// How often sessions are looked at.
const SUPERVISION_MS: i64 = 200;

/// How many replicas the topic of the run has.
const REPLICATION_FACTOR: i16 = 3;

impl Universe {
    /// A node looks at everything; only the active one does something, and waits until that is done.
    pub(crate) fn supervise(&mut self, node: usize) {
        self.after(SUPERVISION_MS, Happening::Supervision { node });
        let controller = &self.controllers[node];
        if self.raft.leader != node || !controller.proposer.is_running() || !controller.busy.is_empty() {
            return;
        }
        let mut commands = self.sessions(node);
        commands.extend(self.coordinator_sessions(node));
        commands.extend(self.elections());
        commands.extend(self.moves());
        if self.raft.image.topic_count() == 0 && self.raft.image.live_brokers().count() >= 3 {
            commands.push(self.new_topic());
        }
        for command in commands {
            self.note(|| format!("controller {node} decides {command:?}"));
            self.submitted_at(node, None, command);
        }
    }

    /// Fences who is silent, unfences who is ready.
    fn sessions(&self, node: usize) -> Vec<Command> {
        let mut commands = Vec::new();
        for broker in self.raft.image.brokers() {
            let (id, epoch) = (broker.id, broker.epoch);
            let Some(heard) = self.controllers[node].heard.get(&id) else { continue };
            let is_late = self.now_ms - heard.at_ms > SESSION_MS;
            if is_late && !broker.fenced {
                commands.push(Command::FenceBroker { id, epoch });
            } else if !is_late
                && heard.epoch == epoch
                && broker.fenced
                && !broker.stopping
                && heard.ready
                && heard.applied.0 > 0
            {
                commands.push(Command::UnfenceBroker { id, epoch });
            }
        }
        commands
    }

    /// Counts out coordinators that are silent, or whose process is gone: its port refuses.
    fn coordinator_sessions(&self, node: usize) -> Vec<Command> {
        let mut commands = Vec::new();
        for known in self.raft.image.coordinators(CoordinatorKind::Group) {
            let Some(at_ms) = self.controllers[node].heard_coordinators.get(&known.epoch) else { continue };
            let runs = self.coordinators.iter().any(|c| c.up && c.incarnation == known.incarnation);
            if !runs || self.now_ms - at_ms > SESSION_MS {
                commands.push(Command::RemoveCoordinator { epoch: known.epoch });
            }
        }
        commands
    }

    /// Elects from logs where nobody complete is left, or where the topic's option does not want to wait for them.
    fn elections(&self) -> Vec<Command> {
        let mut elections = Vec::new();
        for waiting in self.raft.image.waiting() {
            let waiver = match waiting.waiting_for {
                WaitingFor::Logs => Waiver::AllReturned,
                _ if waiting.unclean_allowed => Waiver::UncleanByConfig,
                _ => continue,
            };
            let at = waiting.partition;
            let Some(partition) = self.raft.image.partition(at.topic_id, at.partition) else { continue };
            let live: Vec<BrokerId> = self.raft.image.live_replicas(partition).collect();
            let ends: Vec<ReplicaEnd> = live.iter().filter_map(|id| self.replica_end(*id)).collect();
            if ends.len() == live.len() && !ends.is_empty() {
                let (topic, partition, leader_epoch) = (at.topic_id, at.partition, partition.leader_epoch);
                elections.push(LogElection { topic, partition, leader_epoch, ends, waiver });
            }
        }
        if elections.is_empty() { Vec::new() } else { vec![Command::ElectFromLogs { elections }] }
    }

    fn replica_end(&self, id: BrokerId) -> Option<ReplicaEnd> {
        let broker = self.brokers.iter().find(|broker| broker.id == id && broker.up)?;
        let reader = &broker.hosted.as_ref()?.reader;
        Some(ReplicaEnd {
            broker: id,
            broker_epoch: broker.epoch?,
            last_epoch: reader.latest_epoch().unwrap_or(LeaderEpoch(-1)),
            log_end: reader.log_end_offset(),
        })
    }

    /// Moves replicas off brokers that are being emptied. When all faults heal, nobody is.
    fn moves(&self) -> Vec<Command> {
        let image = &self.raft.image;
        let draining = image.brokers().filter(|broker| broker.draining);
        if self.healed {
            return draining.map(|broker| Command::DrainBroker { id: broker.id, drain: false }).collect();
        }
        if draining.count() == 0 || image.reassigning().len() > 0 {
            return Vec::new();
        }
        let options = PlanOptions { balance: false, max_moves: 1 };
        let reassignments = Plan::new(image, options).moves;
        if reassignments.is_empty() {
            return Vec::new();
        }
        vec![Command::AlterPartitionReassignments { reassignments, allow_factor_change: true }]
    }

    fn new_topic(&self) -> Command {
        let mut configs = vec![("min.insync.replicas".to_owned(), self.settings.minimum.to_string())];
        if self.settings.unclean {
            configs.push(("unclean.leader.election.enable".to_owned(), "true".to_owned()));
        }
        let topic = NewTopic {
            name: self.settings.topic().to_owned(),
            partitions: Some(1),
            replication_factor: Some(REPLICATION_FACTOR),
            assignments: Vec::new(),
            configs,
        };
        Command::CreateTopics { topics: vec![topic], validate_only: false }
    }
}
