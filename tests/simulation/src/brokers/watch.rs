//! What a broker does with the metadata it sees: which replica it opens, and what becomes of the ones it should not have.

use levada_log::{DirectoryState, LogConfig, OpenLog};
use levada_metadata::Image;
use levada_replication::{Event, PartitionView, Replica, ReplicaConfig};
use levada_types::{DirectoryId, TopicId, TopicIdPartition, TopicName, TopicPartition};

use super::shard_log::ShardLog;
use super::{Hosted, ends_of};
use crate::run::Failure;
use crate::universe::Universe;

/// `replica.lag.time.max.ms` of the run: shorter than in the product, so that runs are short.
const LAG_TIME_MAX_MS: i64 = 1_000;

/// When what went unanswered is tried again.
const RETRY_MS: i64 = 100;

/// Session counters between two openings of a replica under one registration.
const SESSIONS_PER_REPLICA: u64 = 1 << 32;

impl Universe {
    pub(super) fn saw_image(&mut self, index: usize, image: Image) -> Result<(), Failure> {
        let broker = &mut self.brokers[index];
        if image.offset() <= broker.image.offset() {
            return Ok(());
        }
        broker.image = image;
        let Some(own) = broker.image.broker(broker.id).cloned() else { return Ok(()) };
        if own.incarnation != broker.incarnation {
            return match broker.epoch {
                Some(epoch) if own.epoch > epoch => Err(Failure::Stuck(format!("broker {index} was replaced"))),
                _ => Ok(()),
            };
        }
        broker.epoch = Some(own.epoch);
        broker.has_booted = false;
        broker.last_epoch = own.epoch;
        if own.stopping && own.fenced {
            self.finish_stop(index, own.epoch);
            return Ok(());
        }
        self.set_strays_aside(index);
        self.open_if_due(index)?;
        self.show(index)
    }

    /// Lets the replica know of the partition as the image has it.
    fn show(&mut self, index: usize) -> Result<(), Failure> {
        let fsync = self.settings.fsync;
        let broker = &mut self.brokers[index];
        let Some(hosted) = &mut broker.hosted else { return Ok(()) };
        let at = TopicIdPartition { topic_id: hosted.topic, partition: 0 };
        let Some(view) = PartitionView::of(&broker.image, at, fsync) else { return Ok(()) };
        hosted.proposals.retain(|proposal| proposal.partition_epoch >= view.partition_epoch);
        hosted.shown = Some(view.clone());
        self.tell(index, Event::Image(view))
    }

    /// The topic of which the image gives this broker a replica.
    fn assigned(&self, index: usize) -> Option<(TopicId, DirectoryId)> {
        let broker = &self.brokers[index];
        let topic = broker.image.topic_by_name(self.settings.topic())?;
        Some((topic.id(), topic.partition(0)?.directory_of(broker.id)?))
    }

    /// What the image, which is current, does not give to this broker is set aside, as is what does not say whose it is.
    fn set_strays_aside(&mut self, index: usize) {
        let assigned = self.assigned(index).map(|(topic, _)| topic);
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[index];
        if broker.hosted.as_ref().is_some_and(|hosted| Some(hosted.topic) != assigned) {
            broker.hosted = None;
        }
        let Some(store) = &broker.store else { return };
        for stray in store.partitions().iter().filter(|found| found.topic_id.is_none() || found.topic_id != assigned) {
            // On a disk that is full or has failed it goes later.
            let _ = store.mark_stray(&stray.partition, now_ms);
        }
    }

    /// Opens the replica that the image gives to this broker, where the image has it, if that directory is in use.
    pub(super) fn open_if_due(&mut self, index: usize) -> Result<(), Failure> {
        let Some((topic_id, directory)) = self.assigned(index) else { return Ok(()) };
        let (rules, now_ms, number) = (self.rules.replication, self.now_ms, self.fresh_number());
        let (retention_bytes, reuses_sessions) = (self.settings.retention_bytes, self.rules.reuses_sessions);
        let shards = self.rules.shards;
        let broker = &mut self.brokers[index];
        let (Some(epoch), Some(store), None) = (broker.epoch, &broker.store, &broker.hosted) else { return Ok(()) };
        let is_usable = |id| store.directories().iter().any(|d| d.id == Some(id) && d.state != DirectoryState::Offline);
        if directory != DirectoryId::UNASSIGNED && !is_usable(directory) {
            return Ok(());
        }
        let topic = TopicName::new(self.settings.topic()).map_err(|error| Failure::Stuck(error.to_string()))?;
        let name = TopicPartition { topic: topic.clone(), partition: 0 };
        let high_watermark = store.high_watermark(&name).unwrap_or(0);
        // Segments of some batches, so that rolling, cutting and deleting meet.
        let config = LogConfig {
            segment_bytes: 1_500,
            index_interval_bytes: 200,
            retention_bytes,
            file_delete_delay_ms: 300,
            ..LogConfig::default()
        };
        let partition = TopicIdPartition { topic_id, partition: 0 };
        let opened = match store.open_log(OpenLog { partition, topic, config, directory: Some(directory) }, now_ms) {
            Ok(opened) => opened,
            Err(error) => {
                self.note(|| format!("broker {index} cannot open its log: {error}"));
                return Ok(());
            }
        };
        let first_epoch = *broker.first_epoch.get_or_insert(epoch);
        let (broker_epoch, first_session) =
            if reuses_sessions { (first_epoch, 0) } else { (epoch, broker.opened * SESSIONS_PER_REPLICA) };
        let config = ReplicaConfig {
            broker: broker.id,
            broker_epoch,
            first_session,
            lag_time_max_ms: LAG_TIME_MAX_MS,
            retry_ms: RETRY_MS,
            rules,
        };
        broker.opened += 1;
        let replica = Replica::new(config, ends_of(&opened.reader), high_watermark);
        let shards = ShardLog::new(shards);
        broker.hosted = Some(Hosted::new(number, topic_id, opened.writer, opened.reader, replica, shards));
        broker.is_news = true;
        broker.lost = false;
        self.note(|| format!("broker {index} has opened its log, number {number}"));
        self.show(index)
    }
}
