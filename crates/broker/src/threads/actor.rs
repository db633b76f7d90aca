//! The actor of one partition replica: the only one who writes its log.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::Arc;

use levada_log::{AppendBatch, AppendError, AppendInfo, LogError, LogWriter, Origin};
use levada_replication::{Attach, Effect, Event, Replica};
use levada_shard::AppendGate;
use levada_types::{BrokerEpoch, ErrorCode, LeaderEpoch, Offset};

use super::complaints::Complaints;
use super::gather::Slot;
use super::job::{Append, Attached, DeleteRecords, FindReader, Frame, Job, Sight};
use super::replica_steps::Baggage;
use super::uncommitted::{self, Uncommitted};
use crate::api::{Acks, DescribedProducer, PartitionError, Produced};
use crate::clock::{now_ms, uptime_ms};
use crate::partition::{Health, Partition};
use crate::replication::{Replication, Sending};
use crate::telemetry::BrokerMetrics;

/// The writing side of one replica. It lives on one log thread and does one job after the other.
pub(super) struct Actor {
    pub(super) partition: Arc<Partition>,
    pub(super) writer: LogWriter,
    pub(super) replication: Arc<Replication>,
    /// The state machine, once there is an image that holds this broker's registration.
    pub(super) replica: Option<Replica>,
    /// The registration that it runs under.
    pub(super) broker_epoch: BrokerEpoch,
    /// The epoch under which this replica leads, if it does.
    pub(super) leads: Option<LeaderEpoch>,
    /// Appended with `acks=all` and not yet committed.
    pub(super) uncommitted: Uncommitted,
    /// The append session of the owner of the shard here, if this is a partition of coordinators.
    pub(super) gate: AppendGate,
    /// Log starts that wait for the other replicas. Bounded likewise.
    deletions: Vec<Deletion>,
    /// Followers that frames go out to.
    pub(super) sendings: Vec<Arc<Sending>>,
    /// The last attachment was asked for without credit, since the disk is full.
    pub(super) starved: Option<Attach>,
    /// Bytes of frames that were appended and not yet granted to the leader again.
    pub(super) owed_credit: u32,
    /// Appends wait for an fsync, which is begun after the jobs at hand.
    pub(super) wants_flush: bool,
    /// An fsync could not even be tried, and is with the next tick.
    pub(super) flushes_at_tick: bool,
    /// An fsync is under way. What is appended meanwhile shares the next one.
    pub(super) is_flushing: bool,
    /// It waits for something, and is to get a tick soon.
    pub(super) is_restless: bool,
    /// The last frame could not be appended, which was logged.
    pub(super) has_complained: bool,
    /// Which operations fail, as was logged.
    pub(super) complaints: Complaints,
    /// Room for what the replica wants done, and for what that leads to.
    pub(super) effects: Vec<Effect>,
    pub(super) events: VecDeque<Event>,
}

struct Deletion {
    before: Offset,
    answer: Slot<Result<Offset, PartitionError>>,
}

/// What one log thread lends its actors, so that they allocate nothing per drain.
#[derive(Default)]
pub(super) struct Scratch {
    batches: Vec<AppendBatch>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    append_acks: Acks,
    answer: Slot<Result<Produced, PartitionError>>,
    share: super::in_flight::Share,
}

/// The last job of an actor.
pub(super) enum End {
    /// See [`Job::Close`].
    Close(Slot<bool>),
    /// See [`Job::Abandon`].
    Abandon(Slot<bool>),
}

impl Actor {
    pub(super) fn new(partition: Arc<Partition>, writer: LogWriter, replication: Arc<Replication>) -> Self {
        Self {
            partition,
            writer,
            replication,
            replica: None,
            broker_epoch: BrokerEpoch(-1),
            leads: None,
            uncommitted: Uncommitted::default(),
            gate: AppendGate::default(),
            deletions: Vec::new(),
            sendings: Vec::new(),
            starved: None,
            owed_credit: 0,
            wants_flush: false,
            flushes_at_tick: false,
            is_flushing: false,
            is_restless: false,
            has_complained: false,
            complaints: Complaints::default(),
            effects: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Does these jobs in order, up to the last one an actor can get. Appends that stand next to each other become one
    /// write, and all that have to be fsynced, and those that come while another fsync is under way, one fsync.
    pub(super) fn run(&mut self, jobs: &mut Vec<Job>, scratch: &mut Scratch, metrics: &BrokerMetrics) -> Option<End> {
        for job in jobs.drain(..) {
            let job = match job {
                Job::Append(append) => {
                    self.gather(append, scratch);
                    continue;
                }
                other => other,
            };
            self.write(scratch, metrics);
            match job {
                // An append was dealt with above, and a log is opened by its thread.
                Job::Append(_) | Job::Open(_) => {}
                Job::See(sight) => {
                    let Sight { view, broker_epoch } = *sight;
                    self.count_changes(&view, metrics);
                    self.see(view, broker_epoch);
                }
                Job::Replica(event) => self.feed(event, Baggage::default()),
                Job::Flushed(flushed) => self.flushed(*flushed),
                Job::Attach(attached) => {
                    let Attached { attach, credit, link } = *attached;
                    self.attach(attach, credit, link);
                }
                Job::Frame(frame) => {
                    let Frame { head, records, share } = *frame;
                    self.feed(Event::Frame(head), Baggage { records, ..Baggage::default() });
                    drop(share);
                }
                Job::DeleteRecords(delete) => self.delete_records(delete),
                Job::FindReader(FindReader { among, offset, answer }) => {
                    answer.fill(self.replica.as_ref().and_then(|replica| replica.reading_replica(&among, offset)));
                }
                Job::OpenSession(open) => self.open_session(open),
                Job::AppendInSession(append) => self.append_in_session(*append, metrics),
                Job::ConfirmSession(confirm) => self.confirm_session(confirm),
                Job::Reach(answer) => answer.fill(()),
                Job::DescribeProducers(answer) => answer.fill(Some(self.describe_producers())),
                Job::Configure(config) => self.writer.update_config(*config),
                Job::Maintain { now_ms } => self.maintain(now_ms, metrics),
                Job::FlushIfDue { now_ms } => {
                    let flushed = self.writer.flush_if_due(now_ms);
                    self.note(flushed.map(drop), "flush");
                }
                Job::BeginCleaning(answer) => answer.fill(self.writer.begin_cleaning()),
                Job::Swap(swap) => self.swap(*swap),
                Job::Close(answer) => return Some(End::Close(answer)),
                Job::Abandon(answer) => return Some(End::Abandon(answer)),
                Job::HandOver(answer) if self.replica.as_ref().is_some_and(Replica::awaits_controller) => {
                    answer.fill(false);
                }
                Job::HandOver(answer) => return Some(End::Abandon(answer)),
            }
        }
        self.write(scratch, metrics);
        self.begin_flush();
        None
    }

    /// Does the last job.
    pub(super) fn end(mut self, end: End) {
        self.let_go();
        match end {
            End::Close(answer) => {
                let closed = self.writer.close(now_ms());
                if let Err(error) = &closed {
                    tracing::error!(partition = %self.partition.name(), %error, "the log was not closed cleanly");
                }
                answer.fill(closed.is_ok());
            }
            End::Abandon(answer) => {
                // The writer goes before the answer, so that whoever waits may delete the log.
                drop(self);
                answer.fill(true);
            }
        }
    }

    /// Puts an append beside those that will be written with it, or refuses it.
    fn gather(&self, append: Append, scratch: &mut Scratch) {
        if self.leads != Some(append.leader_epoch) {
            append.answer.fill(Err(self.not_leader()));
            return;
        }
        if append.acks == Acks::All
            && let Some(Err(refusal)) = self.replica.as_ref().map(|replica| replica.admit(true))
        {
            append.answer.fill(Err(PartitionError::new(refusal.code(), refusal.to_string())));
            return;
        }
        scratch.batches.push(AppendBatch { records: append.records });
        scratch.waiting.push(Waiting { append_acks: append.acks, answer: append.answer, share: append.share });
    }

    pub(super) fn not_leader(&self) -> PartitionError {
        PartitionError::with_leader(ErrorCode::NotLeaderOrFollower, self.partition.role().hint())
    }

    /// Writes what was gathered, all of it with one call, and answers.
    fn write(&mut self, scratch: &mut Scratch, metrics: &BrokerMetrics) {
        let Some(epoch) = self.leads.filter(|_| !scratch.batches.is_empty()) else { return };
        let results = self.writer.append(&scratch.batches, epoch, Origin::Client, now_ms());
        metrics.appends_per_write.record(scratch.batches.len() as f64);
        scratch.batches.clear();

        let (mut bytes, mut records) = (0u64, 0u64);
        for info in results.iter().flatten().filter(|info| !info.duplicate) {
            bytes += info.bytes as u64;
            records += (info.last_offset - info.base_offset + 1).unsigned_abs();
        }
        metrics.bytes_in.increment(bytes);
        metrics.messages_in.increment(records);
        // Before the answers, so that who is told of an offset can read it.
        let end = self.writer.log_end_offset();
        self.feed(Event::Appended { end }, Baggage { gained: bytes, ..Baggage::default() });
        self.sendings.iter().for_each(Sending::wake);

        let committed = self.partition.high_watermark();
        let mut awaited = None;
        for (waiting, result) in scratch.waiting.drain(..).zip(results) {
            drop(waiting.share);
            match result {
                Ok(info) => awaited = awaited.max(self.answer(waiting.append_acks, info, committed, waiting.answer)),
                Err(error) => {
                    metrics.produce_errors.increment(1);
                    self.mind(&error);
                    waiting.answer.fill(Err(error.into()));
                }
            }
        }
        if let Some(end) = awaited {
            self.feed(Event::Awaited { end }, Baggage::default());
        }
    }

    /// Answers an append, or keeps the answer until it is committed; then gives the offset that it waits for.
    fn answer(
        &mut self,
        acks: Acks,
        info: AppendInfo,
        committed: Offset,
        answer: Slot<Result<Produced, PartitionError>>,
    ) -> Option<Offset> {
        let produced = Produced {
            base_offset: info.base_offset,
            log_append_time: info.log_append_time,
            log_start_offset: info.log_start_offset,
        };
        let end = info.last_offset + 1;
        if acks == Acks::All && end > committed {
            self.uncommitted.keep(end, uncommitted::Waiting::Client(produced, answer));
            return Some(end);
        }
        answer.fill(Ok(produced));
        None
    }

    /// Answers everybody who waits for replicas with this error.
    pub(super) fn fail_uncommitted(&mut self, code: ErrorCode) {
        self.uncommitted.fail(code, self.partition.role().hint());
    }

    /// What a leader kept for its clients is over.
    pub(super) fn stop_leading(&mut self) {
        self.leads = None;
        self.gate.close();
        self.partition.stop_leading();
        self.fail_uncommitted(ErrorCode::NotLeaderOrFollower);
        for deletion in take(&mut self.deletions) {
            deletion.answer.fill(Err(self.not_leader()));
        }
    }

    fn delete_records(&mut self, delete: DeleteRecords) {
        if self.leads != Some(delete.leader_epoch) {
            delete.answer.fill(Err(self.not_leader()));
            return;
        }
        let high_watermark = self.partition.high_watermark();
        let before = delete.before.unwrap_or(high_watermark);
        if before > high_watermark || before < 0 {
            let message = format!("offset {before} is outside the log, whose high watermark is {high_watermark}");
            delete.answer.fill(Err(PartitionError::new(ErrorCode::OffsetOutOfRange, message)));
            return;
        }
        // At or below the log start there is nothing to delete; the answer is where the logs start.
        if before > self.partition.reader().log_start_offset()
            && let Err(error) = self.writer.advance_log_start(before)
        {
            self.mind_log(&error);
            delete.answer.fill(Err(PartitionError::new(error.code(), error.to_string())));
            return;
        }
        self.deletions.push(Deletion { before, answer: delete.answer });
        self.log_start_moved();
        self.answer_deleted();
    }

    /// The log starts later now, perhaps.
    pub(super) fn log_start_moved(&mut self) {
        let start = self.partition.reader().log_start_offset();
        self.feed(Event::LogStartMoved { start }, Baggage::default());
        self.sendings.iter().for_each(Sending::wake);
        self.partition.waiters().look_again();
    }

    /// Answers those whose records are deleted at every live replica by now.
    pub(super) fn answer_deleted(&mut self) {
        let Some(low_watermark) = self.replica.as_ref().and_then(Replica::low_watermark) else { return };
        for deletion in self.deletions.extract_if(.., |deletion| deletion.before <= low_watermark) {
            deletion.answer.fill(Ok(low_watermark));
        }
    }

    fn describe_producers(&self) -> Vec<DescribedProducer> {
        let describe = |producer: levada_log::ActiveProducer| DescribedProducer {
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            last_sequence: producer.last_sequence,
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            current_txn_start_offset: producer.current_txn_first_offset,
        };
        self.writer.active_producers().into_iter().map(describe).collect()
    }

    fn maintain(&mut self, now_ms: i64, metrics: &BrokerMetrics) {
        let rolled = self.writer.roll_if_due(now_ms);
        self.note(rolled.map(drop), "roll");
        let deleted = self.writer.enforce_retention(self.partition.high_watermark(), now_ms);
        if let Ok(deleted) = &deleted
            && !deleted.is_empty()
        {
            metrics.retention_deleted.increment(deleted.len() as u64);
            for segment in deleted {
                tracing::info!(
                    partition = %self.partition.name(),
                    base_offset = segment.base_offset,
                    bytes = segment.bytes,
                    reason = ?segment.reason,
                    "segment deleted"
                );
            }
            self.log_start_moved();
        }
        self.note(deleted.map(drop), "retention");
        self.writer.expire_producers(now_ms);
    }

    /// Logs a failed operation of maintenance, now and then; it is tried again the next time.
    pub(super) fn note(&mut self, result: Result<(), LogError>, operation: &'static str) {
        let Err(error) = result else { return self.complaints.settle(operation) };
        self.mind_log(&error);
        if self.complaints.is_news(operation, &error.to_string(), uptime_ms()) {
            tracing::warn!(partition = %self.partition.name(), operation, %error, "maintenance of a log failed");
        }
    }

    pub(super) fn mind(&self, error: &AppendError) {
        match error {
            AppendError::Closed => self.mind_log(&LogError::Closed),
            AppendError::NotFlushed(error) => self.mind_log(error),
            AppendError::DirectoryOffline => self.mind_log(&LogError::DirectoryOffline),
            _ => {}
        }
    }

    /// Some errors end the use of the log, for good or until it is opened anew.
    fn mind_log(&self, error: &LogError) {
        match error {
            LogError::DirectoryOffline => self.partition.turn(Health::Failed),
            LogError::Closed => self.replication.closed_logs.add(&self.partition),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use levada_log::sim::SimDisk;
    use levada_log::{LogConfig, LogStore, OpenLog, OpenedLog, StoreOptions};
    use levada_records::{BatchBuilder, Compression};
    use levada_types::{BrokerId, DirectoryId, TopicId, TopicIdPartition, TopicName, TopicPartition};
    use uuid::Uuid;

    use super::super::{Flushers, Gather, InFlight};
    use super::*;
    use crate::BrokerOptions;
    use crate::mandate::Mandate;
    use crate::partition::Role;
    use levada_replication::{IsrMember, PartitionView, ReplicaView};
    use levada_types::PartitionEpoch;

    const EPOCH: LeaderEpoch = LeaderEpoch(3);

    fn actor(disk: &SimDisk) -> Actor {
        let options = StoreOptions {
            directories: vec![PathBuf::from("/data")],
            cluster_id: None,
            node_id: BrokerId(1),
            recovery_threads: 1,
            max_open_files: 8,
        };
        let store = LogStore::open(options, Arc::new(disk.clone()), &mut || DirectoryId(Uuid::new_v4())).unwrap();
        let topic = TopicName::new("orders").unwrap();
        let id = TopicIdPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: 0 };
        let request = OpenLog { partition: id, topic: topic.clone(), config: LogConfig::default(), directory: None };
        let OpenedLog { writer, reader, directory, .. } = store.open_log(request, now_ms()).unwrap();
        let role = Role {
            leader: Some(BrokerId(1)),
            leader_epoch: EPOCH,
            leads: true,
            in_sync: 1,
            replicas: 1,
            min_in_sync: 1,
        };
        let name = TopicPartition { topic, partition: 0 };
        let partition = Partition::new(id, name, directory, reader, role, 0, Arc::default());
        let flushers = Flushers::start(&[directory]).unwrap();
        let options = BrokerOptions { node_id: 1, ..BrokerOptions::default() };
        let replication = Replication::new(&options, Mandate::default(), flushers);
        let mut actor = Actor::new(Arc::new(partition), writer, replication);
        actor.see(view(Some(BrokerId(1)), EPOCH), BrokerEpoch(1));
        actor
    }

    /// A partition that broker 1 alone holds.
    fn view(leader: Option<BrokerId>, leader_epoch: LeaderEpoch) -> PartitionView {
        let (broker, epoch) = (BrokerId(1), BrokerEpoch(1));
        PartitionView {
            leader,
            leader_epoch,
            partition_epoch: PartitionEpoch(leader_epoch.0),
            replicas: vec![ReplicaView { broker, epoch: Some(epoch), live: true }],
            isr: vec![IsrMember { broker, epoch }],
            elr: Vec::new(),
            min_insync_replicas: 1,
            fsync: false,
            recovering: false,
        }
    }

    /// Posts one append for each epoch; gives the disk operations that they took and the answers.
    fn append(actor: &mut Actor, disk: &SimDisk, epochs: &[LeaderEpoch]) -> (u64, Vec<Result<Offset, ErrorCode>>) {
        let (gather, slots) = Gather::new(vec![None; epochs.len()], || Err(ErrorCode::UnknownServerError.into()));
        let in_flight = InFlight::new(1 << 20);
        let mut jobs = Vec::new();
        for (answer, leader_epoch) in slots.into_iter().zip(epochs) {
            let mut builder = BatchBuilder::new();
            builder.append(now_ms(), None, Some(b"value"), &[]).unwrap();
            let records = builder.build(Compression::None, None).unwrap();
            let share = in_flight.take(records.len());
            let append = Append { records, acks: Acks::Leader, leader_epoch: *leader_epoch, answer, share };
            jobs.push(Job::Append(append));
        }
        let before = disk.operations();
        assert!(actor.run(&mut jobs, &mut Scratch::default(), &BrokerMetrics::new()).is_none());
        gather.wait();
        let answers = gather.give_up(|| Err(ErrorCode::RequestTimedOut.into()));
        assert_eq!(in_flight.queued(), 0);
        let answers = answers.into_iter().map(|answer| answer.map(|p| p.base_offset).map_err(|e| e.code)).collect();
        (disk.operations() - before, answers)
    }

    #[test]
    fn appends_that_wait_together_are_one_write() {
        let disk = SimDisk::new();
        let mut actor = actor(&disk);
        append(&mut actor, &disk, &[EPOCH]);
        let (operations, answers) = append(&mut actor, &disk, &[EPOCH; 20]);
        assert_eq!(operations, 1);
        assert_eq!(answers, (1..21).map(Ok).collect::<Vec<_>>());
        assert_eq!(actor.partition.high_watermark(), 21);
    }

    #[test]
    fn an_append_that_was_let_in_under_another_leader_epoch_is_refused() {
        let disk = SimDisk::new();
        let mut actor = actor(&disk);
        let (_, answers) = append(&mut actor, &disk, &[LeaderEpoch(2), EPOCH, LeaderEpoch(4)]);
        let refused = Err(ErrorCode::NotLeaderOrFollower);
        assert_eq!(answers, [refused, Ok(0), refused]);
        actor.see(view(None, LeaderEpoch(4)), BrokerEpoch(1));
        assert_eq!(append(&mut actor, &disk, &[EPOCH]).1, [refused]);
    }

    /// Posts one append with `acks=all`; gives where its answer will be.
    fn append_for_all(actor: &mut Actor) -> Gather<Result<Produced, PartitionError>> {
        let (gather, mut slots) = Gather::new(vec![None], || Err(ErrorCode::UnknownServerError.into()));
        let mut builder = BatchBuilder::new();
        builder.append(now_ms(), None, Some(b"value"), &[]).unwrap();
        let records = builder.build(Compression::None, None).unwrap();
        let share = InFlight::new(1 << 20).take(records.len());
        let append = Append { records, acks: Acks::All, leader_epoch: EPOCH, answer: slots.remove(0), share };
        let mut jobs = vec![Job::Append(append)];
        assert!(actor.run(&mut jobs, &mut Scratch::default(), &BrokerMetrics::new()).is_none());
        gather
    }

    #[test]
    fn what_was_let_in_before_the_lease_lapsed_is_not_acknowledged_after_it() {
        let mut actor = actor(&SimDisk::new());
        let alone = PartitionView {
            replicas: [BrokerId(1), BrokerId(2)]
                .map(|broker| ReplicaView { broker, epoch: Some(BrokerEpoch(1)), live: true })
                .to_vec(),
            partition_epoch: PartitionEpoch(EPOCH.0 + 1),
            ..view(Some(BrokerId(1)), EPOCH)
        };
        actor.see(alone.clone(), BrokerEpoch(1));
        // The process was stopped for longer than its session lasts.
        actor.replication.mandate.hold(Arc::new(levada_peers::Lease::new()));
        let answer = append_for_all(&mut actor);
        assert_eq!((actor.writer.log_end_offset(), actor.partition.high_watermark()), (1, 0));
        assert!(actor.partition.set_restless(true), "it is told of time, since the lease may come back");
        let elsewhere = PartitionView {
            leader: Some(BrokerId(2)),
            leader_epoch: LeaderEpoch(EPOCH.0 + 1),
            partition_epoch: PartitionEpoch(EPOCH.0 + 2),
            ..alone
        };
        actor.see(elsewhere, BrokerEpoch(1));
        answer.wait();
        let answers = answer.give_up(|| Err(ErrorCode::RequestTimedOut.into()));
        assert_eq!(answers[0].as_ref().map_err(|error| error.code), Err(ErrorCode::NotLeaderOrFollower));
    }

    #[test]
    fn a_follower_without_an_answer_is_told_of_time_whatever_the_image_says_meanwhile() {
        let mut actor = actor(&SimDisk::new());
        let mut followed = PartitionView {
            replicas: [BrokerId(1), BrokerId(2)]
                .map(|broker| ReplicaView { broker, epoch: Some(BrokerEpoch(1)), live: true })
                .to_vec(),
            ..view(Some(BrokerId(2)), LeaderEpoch(EPOCH.0 + 1))
        };
        actor.see(followed.clone(), BrokerEpoch(1));
        // The tick that it was promised is on its way; the in-sync set changes before the leader answers.
        assert!(actor.partition.set_restless(false));
        followed.partition_epoch = PartitionEpoch(followed.partition_epoch.0 + 1);
        actor.see(followed, BrokerEpoch(1));
        assert!(actor.partition.set_restless(true), "or it would never ask again");
    }

    #[test]
    fn a_follower_in_a_failed_directory_is_told_of_time_no_more() {
        let disk = SimDisk::new();
        let mut actor = actor(&disk);
        disk.set_broken(true);
        assert_eq!(append(&mut actor, &disk, &[EPOCH]).1, [Err(ErrorCode::KafkaStorageError)]);
        actor.see(view(Some(BrokerId(2)), LeaderEpoch(EPOCH.0 + 1)), BrokerEpoch(1));
        assert!(actor.replica.as_ref().is_some_and(Replica::awaits_leader));
        assert!(!actor.partition.set_restless(true), "nothing leads on from there but a new start");
    }

    #[test]
    fn a_replica_on_a_full_disk_asks_for_nothing_until_there_is_space() {
        let disk = SimDisk::new();
        let mut actor = actor(&disk);
        append(&mut actor, &disk, &[EPOCH]);
        disk.set_capacity(0);
        let (_, answers) = append(&mut actor, &disk, &[EPOCH]);
        assert_eq!(answers, [Err(ErrorCode::KafkaStorageError)]);
        actor.see(view(Some(BrokerId(2)), LeaderEpoch(EPOCH.0 + 1)), BrokerEpoch(1));
        assert!(actor.starved.is_some());
        disk.set_capacity(u64::MAX);
        actor.feed(Event::Tick, Baggage::default());
        assert!(actor.starved.is_some(), "nobody has found that there is space yet");
    }
}
