//! What a replica does with its log beside leading: follow, start afresh, flush while it appends, be put down and taken up.

use bytes::{Bytes, BytesMut};
use levada_log::AppendError;
use levada_records::{BatchHeader, STAMP_LEN, stamp};
use levada_types::Offset;
use rand::Rng;

use super::model::ModelBatch;
use super::world::World;
use crate::support::request;

impl World {
    /// One of these, now and then. As every operation it says whether work goes on.
    pub(super) fn be_a_replica(&mut self) -> bool {
        if !self.settings.is_replica {
            return true;
        }
        let (name, operation): (_, fn(&mut Self) -> bool) = match self.ageing.random_range(0..100) {
            0..25 => ("begin flush", Self::begin_flush),
            25..45 => ("finish flush", Self::finish_flush),
            45..70 => ("follow", Self::follow),
            70..74 => ("start afresh", Self::start_afresh),
            74..82 => ("reopen", Self::reopen),
            _ => return true,
        };
        self.note(name);
        operation(self)
    }

    fn begin_flush(&mut self) -> bool {
        let (now, end) = (self.now, self.model.end());
        match self.writer().begin_flush(now) {
            Ok(Some(ticket)) => {
                assert_eq!(ticket.end_offset(), end);
                self.tickets.push((ticket, true));
                true
            }
            Ok(None) => {
                assert_eq!(self.reader().recovery_point(), end);
                self.model.flushed = end;
                true
            }
            Err(error) => self.survives(&error),
        }
    }

    fn finish_flush(&mut self) -> bool {
        if self.tickets.is_empty() {
            return true;
        }
        let any = self.ageing.random_range(0..self.tickets.len());
        let (ticket, stands) = self.tickets.swap_remove(any);
        let end = ticket.end_offset();
        match self.writer().flushed(ticket.run()) {
            Ok(recovery_point) => {
                assert_eq!(recovery_point, self.reader().recovery_point());
                assert!(recovery_point <= self.model.end(), "what was truncated counts as durable");
                assert!(!stands || recovery_point >= end, "a flush up to {end} got to {recovery_point}");
                self.model.flushed = self.model.flushed.max(recovery_point);
                true
            }
            Err(error) => self.survives(&error),
        }
    }

    /// Appends what a leader has appended: some batches, of this epoch or the next, sometimes behind a gap.
    fn follow(&mut self) -> bool {
        let mut base = self.model.end();
        if self.ageing.random_bool(0.2) {
            base += self.ageing.random_range(1..4);
        }
        let mut sequences: std::collections::HashMap<i64, i32> =
            self.model.last_sequences_from(0).into_iter().collect();
        let (mut records, mut batches) = (BytesMut::new(), Vec::new());
        for _ in 0..self.ageing.random_range(1..4) {
            self.epoch += i32::from(self.ageing.random_bool(0.2));
            let count = self.ageing.random_range(1..4);
            let values: Vec<String> = (0..count).map(|_| format!("{:x}", self.ageing.random::<u64>())).collect();
            let times = values.iter().map(|_| self.record_time()).collect();
            let producer = self.ageing.random_bool(0.5).then(|| {
                let id = self.ageing.random_range(1..4i64);
                let first = sequences.get(&id).map_or(0, |last| last + 1);
                sequences.insert(id, first + count - 1);
                (id, first)
            });
            let batch = ModelBatch { base, values, times, epoch: self.epoch, producer };
            records.extend_from_slice(&self.replicated(&batch));
            base = batch.end();
            batches.push(batch);
        }
        let now = self.now;
        let result = self.writer().append_as_follower(&records.freeze(), now);
        let end = self.reader().log_end_offset();
        for batch in batches {
            if batch.end() <= end {
                self.replace_doubtful();
                self.model.push(batch, now);
            } else if self.is_down() || self.loses_power_in_the_end() {
                self.doubtful.push(batch);
            }
        }
        self.model.flushed = self.model.flushed.max(self.reader().recovery_point());
        match result {
            Ok(info) => assert_eq!(info.last_offset + 1, self.model.end()),
            Err(AppendError::NotFlushed(_) | AppendError::DiskFull | AppendError::DirectoryOffline) => {}
            Err(error) => panic!("{error}"),
        }
        !self.is_down()
    }

    /// The batch as its leader has it in its log.
    fn replicated(&self, batch: &ModelBatch) -> Bytes {
        let produced = self.batch(batch);
        let header = BatchHeader::parse(&produced).unwrap();
        let mut bytes = BytesMut::from(&stamp(batch.base, header.batch_length, batch.epoch)[..]);
        bytes.extend_from_slice(&produced[STAMP_LEN..]);
        bytes.freeze()
    }

    /// Empties the log, to go on where the leader's starts.
    fn start_afresh(&mut self) -> bool {
        let offset = self.ageing.random_range(0..=self.model.end() + 5);
        let (before, now) = (self.model.so_far(), self.now);
        self.tickets.iter_mut().for_each(|ticket| ticket.1 = false);
        self.epoch += 1;
        self.ages.clear();
        let result = self.writer().truncate_fully_and_start_at(offset, now);
        self.model.reset(offset);
        match result {
            Ok(()) => {
                assert_eq!(self.reader().log_start_offset(), offset);
                true
            }
            Err(error) => {
                self.model.before = Some(before);
                self.model.flushed = Offset::MIN;
                self.survives(&error) && self.stop_here()
            }
        }
    }

    /// Gives the log up, closed or not, and opens it again in the same process.
    fn reopen(&mut self) -> bool {
        let closes = self.ageing.random_bool(0.5);
        let Some(log) = self.log.take() else { return false };
        let flushed = log.reader.recovery_point();
        let closed = if closes {
            log.writer.close(self.now)
        } else {
            drop(log.writer);
            Ok(())
        };
        self.tickets.iter_mut().for_each(|ticket| ticket.1 = false);
        let config = self.settings.config();
        match (closed, self.store.as_ref().unwrap().open_log(request("t", 0, &config), self.now)) {
            (Ok(()), Ok(log)) => {
                assert!(log.reader.recovery_point() <= flushed, "nothing was flushed");
                self.log = Some(log);
                self.model.reload_producers(self.now);
                !self.is_down()
            }
            // An error on the way down or up: the process ends, and is started again.
            _ => false,
        }
    }
}
