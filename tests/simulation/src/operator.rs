//! An operator, who moves, empties and stops things.

use levada_metadata::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigTarget, Election, Reassignment, TopicRef,
};
use levada_types::BrokerId;

use crate::happening::Happening;
use crate::message::Party;
use crate::universe::Universe;

impl Universe {
    /// The operator does something; whether it is done, or refused, nobody waits to see.
    pub(crate) fn operate(&mut self) {
        if self.healed {
            return;
        }
        let delay = self.between(1, 2 * self.settings.operator_ms);
        self.after(delay, Happening::Operation);
        let index = self.below(self.brokers.len());
        let broker = self.brokers[index].id;
        let command = match self.below(20) {
            0..=4 => self.another_minimum(),
            5..=8 => Command::ElectLeaders { election: Election::Preferred, partitions: None },
            9..=12 => self.other_replicas(),
            13 => self.reassign(None),
            14..=15 => {
                let draining = self.raft.image.brokers().find(|broker| broker.draining).map(|broker| broker.id);
                Command::DrainBroker { id: draining.unwrap_or(broker), drain: draining.is_none() }
            }
            16..=18 => return self.stop_cleanly(index),
            _ => Command::DeleteTopics { topics: vec![TopicRef::Name(self.settings.topic().to_owned())] },
        };
        self.note(|| format!("the operator asks for {command:?}"));
        self.submitted_at(self.raft.leader, Some((Party::Operator, 0)), command);
    }

    fn another_minimum(&mut self) -> Command {
        let minimum = self.between(1, 3).to_string();
        let changes = vec![("min.insync.replicas".to_owned(), ConfigChange::Set(minimum))];
        let resources =
            vec![ConfigAlteration { target: ConfigTarget::Topic(self.settings.topic().to_owned()), changes }];
        Command::AlterConfigs { resources, mode: AlterConfigsMode::Incremental, validate_only: false }
    }

    /// All brokers but one, in some order.
    fn other_replicas(&mut self) -> Command {
        let mut brokers: Vec<BrokerId> = self.brokers.iter().map(|broker| broker.id).collect();
        let left_out = self.below(brokers.len());
        brokers.remove(left_out);
        let first = self.below(brokers.len());
        brokers.rotate_left(first);
        self.reassign(Some(brokers))
    }

    fn reassign(&self, replicas: Option<Vec<BrokerId>>) -> Command {
        let topic = TopicRef::Name(self.settings.topic().to_owned());
        let reassignments = vec![Reassignment { topic, partition: 0, replicas }];
        Command::AlterPartitionReassignments { reassignments, allow_factor_change: true }
    }
}
