//! A store on a simulated disk, the work that is done with it, and what must hold after each stop.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use levada_log::sim::SimDisk;
use levada_log::{
    AppendBatch, AppendError, AppendInfo, DirectoryState, Disk, FlushTicket, LogError, LogReader, LogStore, LogWriter,
    OpenedLog, Origin,
};
use levada_records::{BatchBuilder, Compression};
use levada_types::{DirectoryId, LeaderEpoch, Offset};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{Before, Known, Model, ModelBatch};
use super::settings::Settings;
use crate::support::{NOW, options, read_all, records_of, request};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The machine loses power: what was not synced may be lost.
    PowerLoss,
    /// The process is killed: what was written stays.
    Kill,
    /// One operation finds no space.
    Full,
    /// One operation meets an I/O error.
    IoError,
    /// One operation finds no space, and if it is a sync, what it was to write never gets to the device. The machine loses
    /// power in the end.
    DroppedSync,
}

pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) settings: Settings,
    pub(super) random: StdRng,
    /// What has to do with time is chosen apart, so that it changes nothing else.
    pub(super) ageing: StdRng,
    seed: u64,
    pub(super) stop: Stop,
    pub(super) store: Option<LogStore>,
    pub(super) log: Option<OpenedLog>,
    pub(super) model: Model,
    pub(super) epoch: i32,
    pub(super) now: i64,
    /// For each segment the greatest age at which it was not rolled, and the least at which it was.
    pub(super) ages: HashMap<Offset, (i64, i64)>,
    /// Batches whose fate is not known: their append was cut off.
    pub(super) doubtful: Vec<ModelBatch>,
    /// Logs that a power loss may leave in place of the model's, and from where on they differ: a write that failed was
    /// taken back, but neither is durable before the next sync.
    alternatives: Vec<(Offset, Before)>,
    /// Flushes that were begun, and whether what they are to make durable is still in the log.
    pub(super) tickets: Vec<(FlushTicket, bool)>,
    /// What was done, and what the log was expected to hold before: told when a run fails.
    history: Vec<(&'static str, Offset, Offset)>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("done so far (operation, log start, log end): {:?}", self.history);
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, settings: Settings) -> Self {
        let disk = SimDisk::new();
        // The directory itself outlives everything.
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.sync_all(Path::new("/data")).unwrap();
        let mut world = Self {
            disk,
            settings,
            random: StdRng::seed_from_u64(seed),
            ageing: StdRng::seed_from_u64(seed.rotate_left(32)),
            seed,
            stop: Stop::Kill,
            store: None,
            log: None,
            model: Model::default(),
            epoch: 0,
            now: NOW,
            ages: HashMap::new(),
            doubtful: Vec::new(),
            alternatives: Vec::new(),
            tickets: Vec::new(),
            history: Vec::new(),
        };
        world.open();
        world
    }

    pub(super) fn plan(&mut self, operation: u64, stop: Stop) {
        self.stop = stop;
        // Opening has used up some numbers already.
        let operation = operation + self.disk.operations();
        match stop {
            Stop::PowerLoss | Stop::Kill => self.disk.crash_at(operation),
            Stop::Full => self.disk.fill_at(operation),
            Stop::IoError => self.disk.fail_at(operation),
            Stop::DroppedSync => self.disk.drop_at(operation),
        }
    }

    pub(super) fn operations(&self) -> u64 {
        self.disk.operations()
    }

    fn open(&mut self) {
        self.try_open().unwrap();
    }

    fn try_open(&mut self) -> Result<(), String> {
        let mut new_id = || DirectoryId(uuid::Uuid::from_u128(1));
        let disk = Arc::new(self.disk.clone());
        let store =
            LogStore::open(options(&[Path::new("/data")]), disk, &mut new_id).map_err(|error| error.to_string())?;
        let log =
            store.open_log(request("t", 0, &self.settings.config()), self.now).map_err(|error| error.to_string())?;
        (self.store, self.log) = (Some(store), Some(log));
        Ok(())
    }

    pub(super) fn writer(&mut self) -> &mut LogWriter {
        &mut self.log.as_mut().unwrap().writer
    }

    pub(super) fn reader(&self) -> &LogReader {
        &self.log.as_ref().unwrap().reader
    }

    pub(super) fn is_down(&self) -> bool {
        let crashed = self.disk.has_crashed();
        let offline = self.reader().directory_state() == DirectoryState::Offline;
        let failed = self.stop == Stop::IoError || self.disk.has_failed_sync();
        assert!(!offline || crashed || failed, "the directory went offline without an I/O error");
        crashed || offline
    }

    /// Notes what is done next.
    pub(super) fn note(&mut self, operation: &'static str) {
        self.history.push((operation, self.model.log_start, self.model.end()));
    }

    /// Random operations, until they are done or nothing goes any more.
    pub(super) fn work(&mut self, steps: usize) {
        for step in 1..=steps {
            self.pass_time();
            let choice = self.random.random_range(0..100);
            let (name, operation): (_, fn(&mut Self) -> bool) = match choice {
                0..55 => ("append", Self::append),
                55..67 => ("flush", Self::flush),
                67..72 => ("flush closed", Self::flush_closed),
                72..77 => ("checkpoint", Self::checkpoint),
                77..82 => ("roll", Self::roll),
                82..88 => ("delete records", Self::delete_records),
                88..94 => ("truncate", Self::truncate),
                94..96 => ("purge", Self::purge),
                _ => ("restart cleanly", Self::restart_cleanly),
            };
            self.note(name);
            let done = operation(self);
            // What only tidies up, as a purge does, meets a stop without a word: it is not what it reports that counts.
            if !done || self.is_down() {
                return;
            }
            if !self.come_of_age() || self.is_down() {
                return;
            }
            self.check();
            if step % 5 == 0 {
                self.check_contents();
            }
        }
    }

    fn append(&mut self) -> bool {
        let count = self.random.random_range(1..5);
        let mut batches = Vec::new();
        let mut expected: Vec<ModelBatch> = Vec::new();
        let mut sequences: HashMap<i64, i32> = self.model.last_sequences_from(0).into_iter().collect();
        let mut end = self.model.end();
        for _ in 0..count {
            let values: Vec<String> = (0..self.random.random_range(1..4))
                .map(|_| format!("{:x}{}", self.random.random::<u64>(), "y".repeat(self.random.random_range(0..60))))
                .collect();
            let producer = self.random.random_bool(0.6).then(|| self.random.random_range(1..4i64));
            let first = producer.map(|id| sequences.get(&id).map_or(0, |last| last + 1));
            if let (Some(id), Some(first)) = (producer, first) {
                sequences.insert(id, first + values.len() as i32 - 1);
            }
            let producer = producer.zip(first);
            let times = values.iter().map(|_| self.record_time()).collect();
            let batch = ModelBatch { base: end, values, times, epoch: self.epoch, producer };
            batches.push(AppendBatch { records: self.batch(&batch) });
            end = batch.end();
            expected.push(batch);
        }
        let (epoch, now) = (LeaderEpoch(self.epoch), self.now);
        let results = self.writer().append(&batches, epoch, Origin::Client, now);
        self.check_flush(&results);
        let mut refused = false;
        for (mut batch, result) in expected.into_iter().zip(results) {
            match result {
                Ok(info) => {
                    assert!(!info.duplicate);
                    batch.base = self.model.end();
                    assert_eq!((info.base_offset, info.last_offset + 1), (batch.base, batch.end()));
                    // What was refused before is not in the log: this takes its place.
                    self.replace_doubtful();
                    self.model.push(batch, now);
                }
                // It is in the log all the same.
                Err(AppendError::NotFlushed(_)) => {
                    batch.base = self.model.end();
                    self.replace_doubtful();
                    self.model.push(batch, now);
                }
                // A predecessor of the same producer was refused.
                Err(AppendError::OutOfOrderSequence { .. }) => assert!(refused),
                Err(AppendError::DiskFull | AppendError::DirectoryOffline | AppendError::Closed) => {
                    refused = true;
                    if self.is_down() || self.loses_power_in_the_end() {
                        batch.base = self.doubtful.last().map_or(self.model.end(), ModelBatch::end);
                        self.doubtful.push(batch);
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        !self.is_down()
    }

    /// Whether a power loss comes last, whatever has stopped the work before.
    pub(super) fn loses_power_in_the_end(&self) -> bool {
        self.stop == Stop::DroppedSync || self.settings.is_replica
    }

    /// Something else has taken the place of what was refused.
    pub(super) fn replace_doubtful(&mut self) {
        let doubtful = std::mem::take(&mut self.doubtful);
        if self.loses_power_in_the_end() && !doubtful.is_empty() {
            let batches = self.model.batches.iter().cloned().chain(doubtful).collect();
            let log_start = self.model.log_start;
            self.alternatives.push((self.model.end(), Before { log_start, batches }));
        }
    }

    pub(super) fn record_time(&mut self) -> i64 {
        match self.settings.spread_ms {
            0 => self.now,
            spread => self.now + self.ageing.random_range(-spread..=spread / 4),
        }
    }

    pub(super) fn batch(&self, batch: &ModelBatch) -> Bytes {
        let mut builder = BatchBuilder::new();
        if let Some((id, sequence)) = batch.producer {
            builder.set_producer(id, 0, sequence);
        }
        for (value, time) in batch.values.iter().zip(&batch.times) {
            builder.append(*time, None, Some(value.as_bytes()), &[]).unwrap();
        }
        builder.build(Compression::None, None).unwrap()
    }

    /// Where `flush.messages` has asked for a flush, what is acknowledged is flushed.
    pub(super) fn check_flush(&mut self, results: &[Result<AppendInfo, AppendError>]) {
        let (recovery_point, end) = (self.reader().recovery_point(), self.reader().log_end_offset());
        let Some(limit) = self.settings.flush_messages else { return };
        if end - recovery_point >= limit as i64 {
            let wrong = results.iter().flatten().find(|info| info.last_offset >= recovery_point);
            assert!(wrong.is_none(), "{wrong:?} was acknowledged, and {recovery_point} is where the flush got");
        }
        self.model.flushed = self.model.flushed.max(recovery_point);
    }

    fn flush(&mut self) -> bool {
        let now = self.now;
        match self.writer().flush(now) {
            Ok(end) => {
                assert_eq!(end, self.model.end());
                self.model.flushed = end;
                true
            }
            Err(error) => self.survives(&error),
        }
    }

    fn flush_closed(&mut self) -> bool {
        match self.reader().flush_closed_segments() {
            Ok(()) => {
                self.model.flushed = self.model.flushed.max(self.reader().recovery_point());
                true
            }
            Err(error) => self.survives(&error),
        }
    }

    fn checkpoint(&mut self) -> bool {
        match self.store.as_ref().unwrap().checkpoint(&HashMap::new()) {
            Ok(()) => {
                self.model.least_start = self.model.log_start;
                true
            }
            Err(error) => self.survives(&error),
        }
    }

    fn purge(&mut self) -> bool {
        self.store.as_ref().unwrap().purge(self.now);
        true
    }

    fn roll(&mut self) -> bool {
        let now = self.now;
        match self.writer().roll(now) {
            Ok(_) => true,
            Err(error) => self.survives(&error),
        }
    }

    fn delete_records(&mut self) -> bool {
        let offset = self.random.random_range(self.model.log_start..=self.model.end());
        if self.random.random_bool(0.5) {
            self.writer().advance_log_start(offset).unwrap();
            self.model.log_start = offset;
        }
        self.retain(Offset::MAX)
    }

    fn truncate(&mut self) -> bool {
        let end = self.model.end();
        let offset = self.random.random_range(self.model.log_start.max(end - 12).min(end)..=end);
        let offset = self.model.outside_gaps(offset);
        let before = self.model.so_far();
        let now = self.now;
        self.epoch += 1;
        match self.writer().truncate_to(offset, now) {
            Ok(cut) => {
                self.tickets.iter_mut().for_each(|ticket| ticket.1 &= !cut);
                self.model.truncate(offset);
                if cut {
                    self.model.reload_producers(now);
                }
                true
            }
            Err(error) => {
                self.model.before = Some(before);
                self.model.truncate(offset);
                // Whatever was left half done, the log has to be opened again.
                self.survives(&error) && self.stop_here()
            }
        }
    }

    fn restart_cleanly(&mut self) -> bool {
        let log = self.log.take().unwrap();
        let store = self.store.take().unwrap();
        let closed = log.writer.close(self.now).and_then(|()| store.close(&HashMap::new(), 1));
        self.log = None;
        if self.disk.has_crashed() {
            return false;
        }
        drop(store);
        match (closed, self.try_open()) {
            (Ok(()), Ok(())) => {
                self.model.flushed = self.model.end();
                self.model.least_start = self.model.log_start;
                self.tickets.iter_mut().for_each(|ticket| ticket.1 = false);
                self.model.reload_producers(self.now);
                true
            }
            // An error on the way down or up: the process ends, and is started again.
            _ => false,
        }
    }

    /// Whether work goes on after an error: not if the disk is gone.
    pub(super) fn survives(&self, error: &LogError) -> bool {
        assert!(
            matches!(error, LogError::DiskFull | LogError::DirectoryOffline | LogError::Closed | LogError::Read(_)),
            "{error}"
        );
        !self.is_down()
    }

    pub(super) fn stop_here(&mut self) -> bool {
        false
    }

    /// What holds at every moment.
    fn check(&self) {
        let reader = self.reader();
        assert_eq!(reader.log_end_offset(), self.model.end());
        assert!(reader.log_start_offset() >= self.model.log_start);
    }

    /// Reads, epochs, indexes and producers are those of the model's batches.
    fn check_contents(&mut self) {
        let reader = self.reader();
        let start = reader.log_start_offset();
        let (found, expected) = (read_all(reader), self.model.records_from(start));
        let differ = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        assert!(differ.is_none() && found.len() == expected.len(), "the log differs from record {differ:?} on");
        for batch in self.model.batches.iter().filter(|batch| batch.base >= start) {
            let info = reader.read(batch.end() - 1, 1, Offset::MAX, true).unwrap();
            let records: Vec<_> = (batch.base..).zip(batch.values.iter().cloned()).collect();
            assert_eq!(records_of(&info.slice), records);
            assert_eq!(reader.epoch_for_offset(batch.base), Some(LeaderEpoch(batch.epoch)));
        }
        let epochs = self.model.epochs_from(start);
        for (i, (epoch, _)) in epochs.iter().enumerate() {
            let end = epochs.get(i + 1).map_or(self.model.end(), |next| next.1);
            assert_eq!(reader.end_offset_for_epoch(LeaderEpoch(*epoch)).unwrap().end_offset, end);
        }
        for time in self.newest_times() {
            let found = reader.offset_for_timestamp(time, Offset::MAX).unwrap().map(|found| found.offset);
            assert_eq!(found, self.model.first_at(time, start), "looking for {time}");
        }
        let producers = self.log.as_ref().unwrap().writer.active_producers();
        let producers: Vec<_> = producers.iter().map(|p| (p.producer_id, p.last_sequence)).collect();
        // One whose batches are all deleted may be forgotten when a crash takes its last snapshot, never misremembered.
        let (all, kept) = (self.model.last_sequences_from(0), self.model.last_sequences_from(start));
        assert!(producers.iter().all(|producer| all.contains(producer)), "{producers:?} are not all among {all:?}");
        let heard = |id: i64| matches!(self.model.producers.get(&id), Some(Known::Heard(_)));
        let missing = kept.iter().find(|producer| heard(producer.0) && !producers.contains(producer));
        assert!(missing.is_none(), "{missing:?} of {kept:?} is not among {producers:?}");
        let forgotten = |id: i64| self.model.producers.get(&id) == Some(&Known::Forgotten);
        let remembered = producers.iter().find(|producer| forgotten(producer.0));
        assert!(remembered.is_none(), "{remembered:?} has expired");
        self.check_ages();
    }

    /// Stops as planned, starts again, and checks what is there.
    pub(super) fn stop_and_check(&mut self, is_last: bool) {
        self.note("stop");
        let stopped = self.disk.has_crashed();
        if !stopped && self.log.as_ref().is_some_and(|log| log.reader.directory_state() != DirectoryState::Offline) {
            // It was refused and taken back.
            self.replace_doubtful();
        }
        self.tickets.clear();
        (self.log, self.store) = (None, None);
        let lossy = (self.stop == Stop::PowerLoss && stopped)
            || self.stop == Stop::DroppedSync
            || (is_last && self.settings.is_replica);
        if lossy {
            self.disk.restart(self.seed ^ self.disk.operations());
        } else {
            self.disk.restart_process();
        }
        self.open();
        let (start, end) = (self.reader().log_start_offset(), self.reader().log_end_offset());
        let found = read_all(self.reader());
        let doubtful = std::mem::take(&mut self.doubtful);
        let now = std::mem::take(&mut self.model.batches);
        let flushed = self.model.flushed;
        let mut alternatives = if lossy { std::mem::take(&mut self.alternatives) } else { Vec::new() };
        alternatives.retain(|(from, _)| *from >= flushed);
        if self.model.before.is_none() {
            let least = self.model.least_start;
            let most = alternatives.iter().map(|(_, before)| before.log_start).max().max(Some(self.model.log_start));
            assert!(start >= least && Some(start) <= most, "the log starts at {start}, not at {least} or later");
        }
        // Of a log that was being emptied any part may be left, of one that was being cut all that was to stay.
        let half_done = self.model.before.is_some();
        let least_end = now.last().map_or(0, ModelBatch::end);
        assert!(!half_done || lossy || flushed == Offset::MIN || end >= least_end, "{end} instead of {least_end}");
        let shortened = lossy || half_done;
        if let Some(before) = self.model.before.as_ref().filter(|_| !lossy && self.settings.is_replica) {
            // What was cut off is not durable, and nobody was told that it is. An emptied log holds nothing below its start.
            self.alternatives.push((least_end.max(self.model.log_start), before.clone()));
        }
        let half_cut = self.model.before.take().map(|before| before.batches);
        let candidates: Vec<Vec<ModelBatch>> = [half_cut, Some(now)]
            .into_iter()
            .flatten()
            .chain(alternatives.into_iter().map(|(_, before)| before.batches))
            .filter(|batches| shortened || batches.last().map_or(0, ModelBatch::end) <= end)
            .map(|batches| batches.into_iter().chain(doubtful.iter().cloned()).collect())
            .collect();
        let ends: Vec<_> = candidates.iter().map(|batches| batches.last().map_or(0, ModelBatch::end)).collect();
        // Whole batches from the front of what was appended: none torn, none missing in between, none from elsewhere.
        let matching = candidates.into_iter().find_map(|batches| {
            let batches: Vec<_> = batches.into_iter().take_while(|batch| batch.end() <= end).collect();
            let model = Model { batches, log_start: start, ..Model::default() };
            (model.end() == end && model.records_from(start) == found).then_some(model.batches)
        });
        let Some(batches) = matching else {
            panic!("the log [{start}, {end}) is none of those that may be found, which end at {ends:?}")
        };
        assert!(end >= flushed, "flushed up to {flushed}, found up to {end}");
        self.model.batches = batches;
        if !lossy {
            self.model.flushed = self.model.flushed.min(end);
        }
        self.model.log_start = start;
        self.model.least_start = self.model.least_start.min(start);
        self.model.reload_producers(self.now);
        self.epoch += 1;
        self.check_contents();
    }
}
