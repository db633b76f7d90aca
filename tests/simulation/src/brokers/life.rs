//! A broker's life: start, regular work, clean stop.

use std::collections::HashMap;
use std::sync::Arc;

use levada_log::{DirectoryState, LogStore, StoreOptions};
use levada_metadata::{Command, ReplicaDirectory};
use levada_replication::Event;
use levada_types::{BrokerEpoch, DirectoryId, Offset, TopicPartition};

use super::{Pace, ends_of};
use crate::happening::Happening;
use crate::message::{Message, Party};
use crate::run::Failure;
use crate::universe::Universe;

/// How often a broker says that it lives and looks at its replica.
const ROUND_MS: i64 = 150;

impl Universe {
    /// Starts the process of a broker, unless all its disks have failed.
    pub(crate) fn start(&mut self, index: usize) {
        let (incarnation, directories) = (self.fresh_id(), [self.fresh_id(), self.fresh_id()]);
        let broker = &mut self.brokers[index];
        let options = StoreOptions {
            directories: broker.volumes.directories(),
            cluster_id: None,
            node_id: broker.id,
            recovery_threads: 1,
            max_open_files: 64,
        };
        let mut fresh = directories.into_iter();
        let disk = Arc::new(broker.volumes.clone());
        let opened = LogStore::open(options, disk, &mut || DirectoryId(fresh.next().unwrap_or(incarnation)));
        let Ok(store) = opened else {
            self.note(|| format!("broker {index} cannot start"));
            return;
        };
        broker.store = Some(store);
        broker.up = true;
        broker.life += 1;
        broker.opened = 0;
        broker.incarnation = incarnation;
        broker.image = levada_metadata::Image::new();
        broker.damaged |= broker.lost;
        let life = broker.life;
        self.note(|| format!("broker {index} starts for the {life}. time"));
        if !self.healed && self.one_in(3) {
            // Much is read at first.
            self.slow_down(index, Pace::Slow);
        }
        self.after(1, Happening::Round { broker: index, life });
    }

    /// A broker's regular work.
    pub(crate) fn round(&mut self, index: usize, life: u64) -> Result<(), Failure> {
        if !self.brokers[index].up || self.brokers[index].life != life {
            return Ok(());
        }
        let delay = ROUND_MS + self.between(0, 20);
        self.after(delay, Happening::Round { broker: index, life });
        let image = self.raft.image.clone();
        self.send(Party::Controller(self.raft.leader), Party::Broker(index), Message::Image(Box::new(image)));
        self.mind_directories(index);
        if !self.brokers[index].up {
            return Ok(());
        }
        self.speak_to_the_controller(index);
        self.tell(index, Event::Tick)?;
        self.keep_house(index)?;
        self.flush_again(index)?;
        if self.brokers[index].hosted.is_none() {
            self.open_if_due(index)?;
        }
        Ok(())
    }

    fn speak_to_the_controller(&mut self, index: usize) {
        let (me, controller) = (Party::Broker(index), Party::Controller(self.raft.leader));
        let broker = &self.brokers[index];
        let Some(epoch) = broker.epoch else {
            if broker.image.offset().0 > 0 {
                let command = Command::RegisterBroker(broker.registration());
                self.submit(index, command);
            }
            return;
        };
        let (id, applied) = (broker.id, broker.image.offset());
        let sent_ms = self.now_ms;
        self.send(me, controller, Message::Heartbeat { broker: id, epoch, applied, ready: true, sent_ms });
        for command in self.reports(index, epoch) {
            self.submit(index, command);
        }
    }

    fn submit(&mut self, index: usize, command: Command) {
        let number = self.fresh_number();
        let message = Message::Submit { number, command };
        self.send(Party::Broker(index), Party::Controller(self.raft.leader), message);
    }

    /// What the controllers have to hear until the image shows it: that it stops, which directories are online, where its
    /// replica lies.
    fn reports(&self, index: usize, epoch: BrokerEpoch) -> Vec<Command> {
        let broker = &self.brokers[index];
        let id = broker.id;
        let mut reports = Vec::new();
        let Some(registered) = broker.image.broker(id).filter(|registered| registered.epoch == epoch) else {
            return reports;
        };
        if broker.is_stopping {
            reports.push(Command::StopBroker { id, epoch });
        }
        let (online, has_offline_directory) = broker.online();
        if online.len() != registered.directories.len() || !online.iter().all(|d| registered.directories.contains(d)) {
            reports.push(Command::ReportDirectories { id, epoch, online, has_offline_directory });
        }
        if let Some(hosted) = &broker.hosted {
            let known = broker.image.partition(hosted.topic, 0).and_then(|partition| partition.directory_of(id));
            let directory = hosted.reader.directory_id();
            if known.is_some_and(|known| known != directory) {
                let assignments = vec![ReplicaDirectory { topic: hosted.topic, partition: 0, directory }];
                reports.push(Command::AssignReplicasToDirs { broker: id, epoch, assignments });
            }
        }
        reports
    }

    /// Lets go of a replica whose directory has failed; a broker without any directory ends.
    pub(super) fn mind_directories(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[index];
        if let Some(store) = &broker.store {
            store.probe(now_ms);
        }
        if broker.hosted.as_ref().is_some_and(|h| h.reader.directory_state() == DirectoryState::Offline) {
            broker.hosted = None;
            broker.unproven = true;
            self.note(|| format!("broker {index} has lost the directory of its replica"));
        }
        let broker = &mut self.brokers[index];
        if broker.up && broker.online().0.is_empty() {
            broker.crash(None);
            self.note(|| format!("broker {index} has no directory left and ends"));
        }
    }

    /// Checkpoints, retention, removal of what is deleted.
    fn keep_house(&mut self, index: usize) -> Result<(), Failure> {
        let (checkpoints, retains) = (self.one_in(4), self.one_in(4));
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[index];
        if let Some(store) = &broker.store {
            store.purge(now_ms);
        }
        if checkpoints {
            self.checkpoint(index);
        }
        let Some(hosted) = self.brokers[index].hosted.as_mut().filter(|h| retains && h.replica.is_leader()) else {
            return Ok(());
        };
        let deleted = hosted.writer.enforce_retention(hosted.replica.high_watermark(), now_ms).unwrap_or_default();
        if deleted.is_empty() {
            return Ok(());
        }
        let start = ends_of(&hosted.reader).start;
        self.brokers[index].is_news = true;
        self.tell(index, Event::LogStartMoved { start })
    }

    fn marks(&self, index: usize) -> HashMap<TopicPartition, Offset> {
        let hosted = self.brokers[index].hosted.iter();
        hosted.map(|h| (h.reader.topic_partition().clone(), h.replica.high_watermark())).collect()
    }

    fn checkpoint(&mut self, index: usize) {
        let marks = self.marks(index);
        if let Some(store) = &self.brokers[index].store {
            // One that fails is made up for by the next.
            let _ = store.checkpoint(&marks);
        }
    }

    /// An operator tells a broker to stop.
    pub(crate) fn stop_cleanly(&mut self, index: usize) {
        let broker = &mut self.brokers[index];
        broker.is_stopping = broker.epoch.is_some();
        self.note(|| format!("broker {index} is told to stop"));
    }

    /// A broker that was told to stop leads nothing any more: it closes its log and ends. Its machine may boot, since
    /// everything is on the disks then.
    pub(super) fn finish_stop(&mut self, index: usize, epoch: BrokerEpoch) {
        let marks = self.marks(index);
        let (boots, seed, now_ms) = (self.one_in(2), self.seed(), self.now_ms);
        let broker = &mut self.brokers[index];
        let closed = broker.hosted.take().is_none_or(|hosted| hosted.writer.close(now_ms).is_ok());
        let is_clean = closed && broker.store.as_ref().is_some_and(|store| store.close(&marks, epoch.0).is_ok());
        broker.end();
        if is_clean && boots {
            broker.boot(seed);
        } else {
            broker.crash(None);
        }
        self.note(|| format!("broker {index} has stopped, cleanly: {is_clean}"));
        self.start(index);
    }
}
