//! The topic of a run as somebody sees it who knows everything: what was ever committed and promised.

use levada_metadata::Partition;
use levada_replication::invariants::Checker;
use levada_types::{BrokerId, Offset, TopicIdPartition};

use crate::brokers::Broker;
use crate::history::History;
use crate::run::Failure;
use crate::universe::Universe;

/// The topic, from its creation to its deletion.
pub(crate) struct Topic {
    pub(crate) at: TopicIdPartition,
    pub(crate) checker: Checker,
    pub(crate) history: History,
    /// The partition after the last change of the metadata.
    partition: Partition,
    /// Who was in sync or eligible when there was a leader last.
    complete: Vec<BrokerId>,
    /// Elections after which committed records may be missing.
    pub(crate) losses: u32,
}

impl Topic {
    fn new(at: TopicIdPartition, partition: Partition) -> Self {
        let (checker, history) = (Checker::new(), History::default());
        Self { at, checker, history, partition, complete: Vec::new(), losses: 0 }
    }

    /// Whoever held the partition may leave it when all who came for that are complete and, of those who are left, the
    /// `minimum` is: so that a move leaves no fewer copies than the minimum promises, however it is interrupted. Whom an
    /// unfinished move has brought in may go at any time.
    fn follow_moves(&mut self, now: Partition, minimum: usize) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.partition, now);
        let now = &self.partition;
        let held = |id: &BrokerId| before.has_replica(*id) && !before.adding.contains(id);
        let mut all = before.replicas.iter().map(|replica| replica.broker);
        let Some(broker) = all.find(|id| held(id) && !now.has_replica(*id)) else { return Ok(()) };
        let (complete, others): (Vec<BrokerId>, Vec<BrokerId>) =
            now.replicas.iter().map(|replica| replica.broker).partition(|id| now.is_complete(*id));
        let needed = minimum.max(complete.len() + others.iter().filter(|id| !held(id)).count());
        if complete.len() >= needed {
            return Ok(());
        }
        Err(Failure::TakenOutTooEarly { broker, complete: complete.len(), needed })
    }
}

impl Universe {
    /// The one partition of the run as the controllers have it, once it exists.
    pub(crate) fn committed_partition(&self) -> Option<(TopicIdPartition, &Partition)> {
        let topic_id = self.raft.image.topics().next()?.id();
        let at = TopicIdPartition { topic_id, partition: 0 };
        self.raft.image.partition(topic_id, 0).map(|partition| (at, &**partition))
    }

    /// The metadata has changed: notes a new topic, and losses, if they had to be.
    pub(crate) fn follow_topic(&mut self) -> Result<(), Failure> {
        let Some((at, partition)) = self.committed_partition() else {
            self.topic = None;
            return Ok(());
        };
        let partition = partition.clone();
        let minimum = self.raft.image.min_isr(at.topic_id, &partition);
        let (leader, losses, epoch) = (partition.leader, partition.possible_losses, partition.leader_epoch);
        let complete: Vec<BrokerId> =
            partition.isr.iter().map(|member| member.broker).chain(partition.elr.iter().copied()).collect();
        if self.topic.as_ref().is_none_or(|topic| topic.at != at) {
            self.topic = Some(Topic::new(at, partition.clone()));
            for broker in &mut self.brokers {
                let known = self.raft.image.broker(broker.id);
                broker.meet_new_topic(known.and_then(|known| known.boot_id.as_deref()));
            }
            self.consumers.iter_mut().for_each(|consumer| consumer.position = 0);
            self.producers.iter_mut().for_each(crate::clients::Producer::begin_anew);
            self.note(|| format!("the topic is {at:?} now"));
        }
        let Some(topic) = &mut self.topic else { return Ok(()) };
        topic.follow_moves(partition, minimum)?;
        if losses > topic.losses {
            self.justify_loss(leader)?;
            self.note(|| format!("losses are possible since leader epoch {epoch}"));
        }
        if let Some(topic) = &mut self.topic {
            topic.losses = losses;
            if leader.is_some() {
                topic.complete = complete;
            }
        }
        Ok(())
    }

    /// An incomplete leader is elected only if everybody complete has lost bytes, or the topic's option allows it; one whose
    /// directory has failed counts as complete only if nobody else does. From then on what it has is what was committed.
    fn justify_loss(&mut self, leader: Option<BrokerId>) -> Result<(), Failure> {
        let Some(topic) = &mut self.topic else { return Ok(()) };
        let is_alone = topic.complete.len() == 1;
        let is_intact = |b: &Broker| !b.lost && !b.damaged && (is_alone || !b.unproven);
        let intact = |id: &&BrokerId| self.brokers.iter().any(|b| b.id == **id && is_intact(b));
        if let Some(complete) = topic.complete.iter().find(intact).filter(|_| !self.settings.unclean) {
            return Err(Failure::ElectedWithoutNeed { complete: *complete });
        }
        // Whoever was complete may have lost less than the others: all of them have come back before one is elected.
        let image = &self.raft.image;
        let is_back = |id: BrokerId| {
            let partition = image.partition(topic.at.topic_id, topic.at.partition);
            partition.is_none_or(|partition| !partition.has_replica(id) || image.can_lead(partition, id))
        };
        if let Some(absent) = topic.complete.iter().find(|id| !is_back(**id)).filter(|_| !self.settings.unclean) {
            return Err(Failure::ElectedTooEarly { absent: *absent });
        }
        let Some(leader) = self.brokers.iter_mut().find(|broker| Some(broker.id) == leader) else { return Ok(()) };
        leader.read(topic.at.topic_id)?;
        let end = leader.agrees_until(topic.checker.committed());
        topic.checker.admit_loss(end);
        // At the end of a batch, perhaps before it.
        let end = topic.checker.committed_end();
        topic.history.admit_loss(end);
        self.commits.admit_loss(end);
        // Who was elected too, until it leads: then what it has is committed, again perhaps.
        self.brokers.iter_mut().for_each(|broker| broker.is_of_the_past = true);
        self.note(|| format!("what lies at and behind {end} may be lost"));
        Ok(())
    }

    /// The offset from which on nothing is in any log any more.
    pub(crate) fn deleted_until(&self) -> Offset {
        self.brokers.iter().map(|broker| broker.holding.ends.start).max().unwrap_or(0)
    }
}
