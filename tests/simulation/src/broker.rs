//! A broker: the shipped replica over the shipped log, and the little that is around them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use levada_log::sim::SimDisk;
use levada_log::{AppendBatch, Disk, LogConfig, LogReader, LogStore, LogWriter, OpenLog, Origin, StoreOptions};
use levada_metadata::{Command, Image, ItemError, LevelRange, NewBroker, Response, SubmitError};
use levada_records::{BatchBuilder, Compression};
use levada_replication::invariants::Batch;
use levada_replication::{
    Event, LogEnds, PartitionView, Proposal, ProposalAnswer, ProposalId, Replica, ReplicaConfig, SendWindow,
};
use levada_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition, TopicName, TopicPartition,
};
use uuid::Uuid;

use crate::happening::{Happening, Message, Party};
use crate::replica_steps::ends_of;
use crate::run::Failure;
use crate::universe::{TOPIC, Universe};

/// How often a broker says that it lives and looks at its replicas.
const ROUND_MS: i64 = 150;

/// `replica.lag.time.max.ms` of the run: shorter than in the product, so that runs are short.
const LAG_TIME_MAX_MS: i64 = 1_500;

/// When what went unanswered is tried again.
const RETRY_MS: i64 = 100;

/// Where a broker keeps its logs.
const DATA: &str = "/data";

pub(crate) struct Broker {
    pub(crate) id: BrokerId,
    disk: SimDisk,
    /// Counts power losses: what was written and not flushed survives a process, not a boot.
    boot: u64,
    pub(crate) up: bool,
    /// Counts starts; what was planned in an earlier life does not happen.
    pub(crate) life: u64,
    incarnation: Uuid,
    directory: Option<DirectoryId>,
    /// Its registration, once its image shows it.
    pub(crate) epoch: Option<BrokerEpoch>,
    /// The last registration that it had.
    pub(crate) last_epoch: BrokerEpoch,
    store: Option<LogStore>,
    pub(crate) log: Option<(LogWriter, LogReader)>,
    pub(crate) replica: Option<Replica>,
    image: Image,
    /// What the replica was shown last.
    pub(crate) shown: Option<PartitionView>,
    pub(crate) streams: BTreeMap<BrokerId, SendWindow>,
    /// Proposals that were sent and not answered, by the number they were sent under.
    pub(crate) asked: BTreeMap<u64, ProposalId>,
    /// Proposals that were not refused for certain.
    pub(crate) proposals: Vec<Proposal>,
    pub(crate) flush_is_due: bool,
    /// Bytes appended since the last acknowledgement.
    pub(crate) appended: usize,
    pub(crate) lost: bool,
    pub(crate) damaged: bool,
    /// What is on the disk, as last read.
    pub(crate) batches: Vec<Batch>,
    pub(crate) epochs: Vec<(LeaderEpoch, Offset)>,
    pub(crate) ends: LogEnds,
    /// The log has changed since it was read.
    pub(crate) is_news: bool,
}

impl Broker {
    pub(crate) fn new(id: BrokerId) -> Self {
        Self {
            id,
            disk: SimDisk::new(),
            boot: 0,
            up: false,
            life: 0,
            incarnation: Uuid::nil(),
            directory: None,
            epoch: None,
            last_epoch: BrokerEpoch(-1),
            store: None,
            log: None,
            replica: None,
            image: Image::new(),
            shown: None,
            streams: BTreeMap::new(),
            asked: BTreeMap::new(),
            proposals: Vec::new(),
            flush_is_due: false,
            appended: 0,
            lost: false,
            damaged: false,
            batches: Vec::new(),
            epochs: Vec::new(),
            ends: LogEnds::empty_at(0),
            is_news: false,
        }
    }

    /// The process ends in the middle of whatever it does; with `power`, the machine does.
    pub(crate) fn crash(&mut self, power: Option<u64>) {
        self.up = false;
        self.disk.crash_at(self.disk.operations() + 1);
        (self.log, self.store, self.replica, self.shown, self.epoch) = (None, None, None, None, None);
        self.streams.clear();
        self.asked.clear();
        self.proposals.clear();
        self.flush_is_due = false;
        match power {
            Some(seed) => {
                self.disk.restart(seed);
                self.boot += 1;
                self.lost = true;
            }
            None => self.disk.restart_process(),
        }
    }

    fn registration(&self) -> NewBroker {
        NewBroker {
            id: self.id,
            cluster_id: None,
            incarnation: self.incarnation,
            boot_id: Some(format!("boot-{}", self.boot)),
            clean_shutdown_epoch: None,
            directories: self.directory.into_iter().collect(),
            has_offline_directory: false,
            endpoints: Vec::new(),
            internal_address: String::new(),
            rack: None,
            levels: LevelRange::SUPPORTED,
        }
    }
}

impl Universe {
    /// Starts the process of a broker.
    pub(crate) fn start(&mut self, index: usize) {
        let (incarnation, directory) = (self.fresh_id(), self.fresh_id());
        let broker = &mut self.brokers[index];
        let options = StoreOptions {
            directories: vec![PathBuf::from(DATA)],
            cluster_id: None,
            node_id: broker.id,
            recovery_threads: 1,
            max_open_files: 64,
        };
        let disk = Arc::new(broker.disk.clone());
        // It is durable before anything is in it.
        let data = Path::new(DATA);
        if broker.life == 0 && disk.create_dir_all(data).and_then(|()| disk.sync_all(data)).is_err() {
            return;
        }
        let Ok(store) = LogStore::open(options, disk, &mut || DirectoryId(directory)) else { return };
        broker.directory = store.directories().first().and_then(|directory| directory.id);
        broker.store = Some(store);
        broker.up = true;
        broker.life += 1;
        broker.incarnation = incarnation;
        broker.image = Image::new();
        broker.damaged |= broker.lost;
        let life = broker.life;
        self.note(|| format!("broker {index} starts for the {life}. time"));
        self.after(1, Happening::Round { broker: index, life });
    }

    /// A broker's regular work.
    pub(crate) fn round(&mut self, index: usize, life: u64) -> Result<(), Failure> {
        if !self.brokers[index].up || self.brokers[index].life != life {
            return Ok(());
        }
        let delay = ROUND_MS + self.between(0, 20);
        self.after(delay, Happening::Round { broker: index, life });
        let (me, controller) = (Party::Broker(index), Party::Controller(self.raft.leader));
        let broker = &self.brokers[index];
        match broker.epoch {
            None => {
                let command = Command::RegisterBroker(broker.registration());
                self.next_number += 1;
                let number = self.next_number;
                self.send(me, controller, Message::Submit { number, command });
            }
            Some(epoch) => {
                let (broker, applied) = (broker.id, broker.image.offset());
                self.send(me, controller, Message::Heartbeat { broker, epoch, applied, ready: true });
            }
        }
        let image = self.raft.image.clone();
        self.send(controller, me, Message::Image(image));
        self.tell(index, Event::Tick, &Bytes::new())?;
        if self.one_in(4) {
            self.checkpoint(index);
        }
        Ok(())
    }

    fn checkpoint(&mut self, index: usize) {
        let broker = &self.brokers[index];
        if let (Some(store), Some(replica), Some((_, reader))) = (&broker.store, &broker.replica, &broker.log) {
            let marks = HashMap::from([(reader.topic_partition().clone(), replica.high_watermark())]);
            // One that fails is made up for by the next.
            let _ = store.checkpoint(&marks);
        }
    }

    pub(crate) fn received(&mut self, index: usize, message: Message) -> Result<(), Failure> {
        if !self.brokers[index].up {
            return Ok(());
        }
        let nothing = Bytes::new();
        match message {
            Message::Image(image) => self.saw_image(index, image),
            Message::Submitted { number, result } => match self.brokers[index].asked.remove(&number) {
                Some(id) => self.answered(index, id, &result),
                None => Ok(()),
            },
            Message::Attach(attach) => self.tell(index, Event::Attach(attach), &nothing),
            Message::Answer(answer) => self.tell(index, Event::Answer(answer), &nothing),
            Message::Frame(frame, records) => self.tell(index, Event::Frame(frame), &records),
            Message::Ack(ack, granted) => {
                if let Some(window) = self.brokers[index].streams.get_mut(&ack.follower)
                    && window.session() == ack.session
                {
                    window.grant(granted);
                }
                self.tell(index, Event::Ack(ack), &nothing)
            }
            Message::Detached(leader_epoch, session) => {
                self.tell(index, Event::Detached { leader_epoch, session }, &nothing)
            }
            Message::StreamEnded(follower, session) => {
                self.brokers[index].streams.retain(|_, window| window.session() != session);
                self.tell(index, Event::StreamEnded { follower, session }, &nothing)
            }
            Message::Submit { .. } | Message::Heartbeat { .. } => Ok(()),
        }
    }

    fn saw_image(&mut self, index: usize, image: Image) -> Result<(), Failure> {
        let partition = self.partition();
        let (fsync, rules, now_ms) = (self.fsync, self.rules, self.now_ms);
        let broker = &mut self.brokers[index];
        if image.offset() <= broker.image.offset() {
            return Ok(());
        }
        broker.image = image;
        let registered = broker.image.broker(broker.id);
        if broker.epoch.is_some_and(|epoch| registered.is_some_and(|own| own.epoch > epoch)) {
            // Somebody has registered under its number, be it a late message of its own past: it stops, and is started
            // again.
            broker.crash(None);
            self.note(|| format!("broker {index} finds itself replaced"));
            self.start(index);
            return Ok(());
        }
        let own = registered.filter(|own| own.incarnation == broker.incarnation);
        let Some(epoch) = own.map(|own| own.epoch) else { return Ok(()) };
        broker.epoch = Some(epoch);
        broker.last_epoch = epoch;
        let view = partition.and_then(|partition| PartitionView::of(&broker.image, partition, fsync));
        let Some((partition, view)) = partition.zip(view) else { return Ok(()) };
        if broker.log.is_none() && view.replica(broker.id).is_some() {
            let config = ReplicaConfig {
                broker: broker.id,
                broker_epoch: epoch,
                first_session: broker.life << 32,
                lag_time_max_ms: LAG_TIME_MAX_MS,
                retry_ms: RETRY_MS,
                rules,
            };
            open_replica(broker, partition, config, now_ms)?;
        }
        let partition_epoch = view.partition_epoch;
        broker.proposals.retain(|proposal| proposal.partition_epoch >= partition_epoch);
        broker.shown = Some(view.clone());
        self.tell(index, Event::Image(view), &Bytes::new())
    }

    fn answered(
        &mut self,
        index: usize,
        id: ProposalId,
        result: &Result<Response, SubmitError>,
    ) -> Result<(), Failure> {
        let answer = match result {
            Ok(Response::AlterPartition(Ok(items))) => match items.first() {
                Some(Ok(altered)) => ProposalAnswer::Committed { partition_epoch: altered.partition_epoch },
                Some(Err(refused)) => refusal(refused),
                None => ProposalAnswer::Unknown,
            },
            Ok(Response::AlterPartition(Err(refused))) => refusal(refused),
            Err(SubmitError::NotActive | SubmitError::Busy) => ProposalAnswer::NotApplied,
            Ok(_) | Err(SubmitError::Unknown) => ProposalAnswer::Unknown,
        };
        if answer == ProposalAnswer::NotApplied {
            self.brokers[index].proposals.retain(|proposal| proposal.id != id);
        }
        self.tell(index, Event::ProposalAnswered { id, answer }, &Bytes::new())
    }

    pub(crate) fn proposal_timeout(&mut self, index: usize, life: u64, id: ProposalId) -> Result<(), Failure> {
        let broker = &mut self.brokers[index];
        let number = broker.asked.iter().find(|(_, asked)| **asked == id).map(|(number, _)| *number);
        match number.filter(|_| broker.life == life) {
            Some(number) => {
                broker.asked.remove(&number);
                let answer = ProposalAnswer::Unknown;
                self.tell(index, Event::ProposalAnswered { id, answer }, &Bytes::new())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn flush(&mut self, index: usize, life: u64) -> Result<(), Failure> {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[index];
        if broker.life != life || !std::mem::take(&mut broker.flush_is_due) {
            return Ok(());
        }
        match broker.log.as_mut().map(|(writer, _)| writer.flush(now_ms)) {
            Some(Ok(end)) => self.tell(index, Event::Flushed { end }, &Bytes::new()),
            _ => Ok(()),
        }
    }

    /// A client appends at one of those that take it.
    pub(crate) fn produce_somewhere(&mut self) -> Result<(), Failure> {
        let delay = self.between(20, 160);
        self.after(delay, Happening::Produce);
        let acks_all = !self.one_in(3);
        let admits = |broker: &Broker| broker.replica.as_ref().is_some_and(|replica| replica.admit(acks_all).is_ok());
        let fit: Vec<usize> = (0..self.brokers.len()).filter(|index| admits(&self.brokers[*index])).collect();
        if fit.is_empty() {
            return Ok(());
        }
        let index = fit[self.below(fit.len())];
        self.produce(index, acks_all)
    }

    pub(crate) fn produce(&mut self, index: usize, acks_all: bool) -> Result<(), Failure> {
        let (now_ms, count) = (self.now_ms, self.between(1, 3));
        let mut builder = BatchBuilder::new();
        for _ in 0..count {
            let value = self.values.to_string();
            self.values += 1;
            let appended = builder.append(now_ms, None, Some(value.as_bytes()), &[]);
            appended.map_err(|error| Failure::Stuck(error.to_string()))?;
        }
        let records = builder.build(Compression::None, None).map_err(|error| Failure::Stuck(error.to_string()))?;
        let broker = &mut self.brokers[index];
        let admitted = broker.replica.as_ref().and_then(|replica| replica.admit(acks_all).ok());
        let (Some(epoch), Some((writer, _))) = (admitted, broker.log.as_mut()) else { return Ok(()) };
        let appended = writer.append(&[AppendBatch { records }], epoch, Origin::Client, now_ms);
        let Some(Ok(info)) = appended.first() else { return Ok(()) };
        let end = info.last_offset + 1;
        broker.is_news = true;
        self.tell(index, Event::Appended { end }, &Bytes::new())?;
        if acks_all { self.tell(index, Event::Awaited { end }, &Bytes::new()) } else { Ok(()) }
    }
}

fn open_replica(
    broker: &mut Broker,
    partition: TopicIdPartition,
    config: ReplicaConfig,
    now_ms: i64,
) -> Result<(), Failure> {
    let Some(store) = &broker.store else { return Ok(()) };
    let topic = TopicName::new(TOPIC).map_err(|error| Failure::Stuck(error.to_string()))?;
    let name = TopicPartition { topic: topic.clone(), partition: partition.partition };
    let high_watermark = store.high_watermark(&name).unwrap_or(0);
    // Segments of some batches, so that rolling and cutting meet.
    let log_config = LogConfig { segment_bytes: 1_500, index_interval_bytes: 200, ..LogConfig::default() };
    let request = OpenLog { partition, topic, config: log_config, directory: None };
    let opened = store.open_log(request, now_ms).map_err(|error| Failure::Stuck(error.to_string()))?;
    let ends = ends_of(&opened.reader);
    broker.replica = Some(Replica::new(config, ends, high_watermark));
    broker.log = Some((opened.writer, opened.reader));
    broker.is_news = true;
    broker.lost = false;
    Ok(())
}

fn refusal(refused: &ItemError) -> ProposalAnswer {
    match refused.code {
        ErrorCode::FencedLeaderEpoch
        | ErrorCode::InvalidUpdateVersion
        | ErrorCode::NewLeaderElected
        | ErrorCode::StaleBrokerEpoch
        | ErrorCode::UnknownTopicId
        | ErrorCode::UnknownTopicOrPartition => ProposalAnswer::Stale,
        _ => ProposalAnswer::NotApplied,
    }
}
