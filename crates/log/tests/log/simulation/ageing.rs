//! What comes of age: segments that are rolled and deleted in time, producers that are forgotten; and resent batches.

use std::ops::Range;
use std::path::Path;

use levada_log::{AppendBatch, AppendError, DeletedSegment, DeletionReason, Disk, Origin};
use levada_types::{LeaderEpoch, Offset};
use rand::Rng;

use super::model::{Known, ModelBatch};
use super::world::World;

/// The log's directory.
const LOG: &str = "/data/t-0";

impl World {
    /// Lets some time pass.
    pub(super) fn pass_time(&mut self) {
        self.now += match self.settings.longest_pause_ms {
            0 => 7,
            longest => self.ageing.random_range(1..=longest),
        };
    }

    /// What maintenance does, now and then. As every operation it says whether work goes on.
    pub(super) fn come_of_age(&mut self) -> bool {
        if !self.settings.has_time() {
            return true;
        }
        match self.ageing.random_range(0..100) {
            0..15 => {
                self.note("roll if due");
                self.roll_if_due()
            }
            15..35 => {
                self.note("retain");
                let any = self.ageing.random_range(self.model.log_start..=self.model.end());
                let high_watermark = if self.ageing.random_bool(0.3) { any } else { Offset::MAX };
                self.retain(high_watermark)
            }
            35..50 => self.expire_producers(),
            50..65 => {
                self.note("resend");
                self.resend()
            }
            _ => self.be_a_replica(),
        }
    }

    /// The offsets at which the log's segments start, as their files say.
    fn segment_starts(&self) -> Vec<Offset> {
        let names = self.disk.list(Path::new(LOG)).unwrap_or_default();
        let mut starts: Vec<Offset> =
            names.iter().filter_map(|entry| entry.name.strip_suffix(".log")?.parse().ok()).collect();
        starts.sort_unstable();
        starts
    }

    fn batches_in(&self, range: Range<Offset>) -> impl Iterator<Item = &ModelBatch> {
        self.model.batches.iter().filter(move |batch| range.contains(&batch.base))
    }

    fn roll_if_due(&mut self) -> bool {
        let active = self.segment_starts().last().copied().unwrap_or(0);
        let first = self.batches_in(active..Offset::MAX).next().map(ModelBatch::time);
        let now = self.now;
        match (self.writer().roll_if_due(now), first) {
            (Ok(rolled), Some(first)) => {
                self.note_age(active, now - first, rolled);
                true
            }
            (Ok(rolled), None) => {
                assert!(!rolled, "a segment without records was rolled");
                true
            }
            (Err(error), _) => self.survives(&error),
        }
    }

    /// The age at which a segment is rolled lies between `segment.ms` less the jitter and `segment.ms`; and it is one
    /// age, whenever and by whichever process it is asked for.
    fn note_age(&mut self, start: Offset, age: i64, rolled: bool) {
        let most = self.settings.segment_ms;
        let least = most - self.settings.segment_jitter_ms.min(most);
        assert!(rolled || age <= most, "the segment at {start} is {age} ms old and was not rolled");
        assert!(!rolled || age > least, "the segment at {start} was rolled when it was {age} ms old");
        let (kept, due) = self.ages.entry(start).or_insert((i64::MIN, i64::MAX));
        if rolled {
            *due = age.min(*due);
        } else {
            *kept = age.max(*kept);
        }
        assert!(*kept < *due, "the segment at {start} is due after {due} ms, and is not after {kept} ms");
    }

    /// The ranges of offsets that the log's segments hold.
    fn segments(&self) -> Vec<Range<Offset>> {
        let mut starts = self.segment_starts();
        starts.push(Offset::MAX);
        starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }

    /// The greatest timestamp in each segment: what its age is told by.
    pub(super) fn newest_times(&self) -> Vec<i64> {
        let newest = |segment| self.batches_in(segment).map(ModelBatch::time).max();
        self.segments().into_iter().filter_map(newest).collect()
    }

    /// Segments whose records are of very different age were to be rolled between them.
    pub(super) fn check_ages(&mut self) {
        for segment in self.segments() {
            let times: Vec<i64> = self.batches_in(segment.clone()).map(ModelBatch::time).collect();
            if let (Some(first), Some(newest)) = (times.first(), times.iter().max()) {
                self.note_age(segment.start, newest - first, false);
            }
        }
    }

    /// Whether retention may delete a batch, as far as its age goes.
    fn is_old(&self, batch: &ModelBatch) -> bool {
        self.settings.retention_ms.is_some_and(|limit| self.now - batch.time() > limit)
    }

    /// Enforces retention: whatever goes must be old, or lie below the log start, and nothing of that kind may stay.
    pub(super) fn retain(&mut self, high_watermark: Offset) -> bool {
        let now = self.now;
        let size = self.reader().size_bytes();
        let result = self.writer().enforce_retention(high_watermark, now);
        let (before, start) = (self.model.log_start, self.reader().log_start_offset());
        if let Ok(deleted) = &result {
            self.check_excess(size, deleted);
        }
        for batch in self.batches_in(Offset::MIN..start).filter(|batch| batch.end() > before && batch.end() <= start) {
            assert!(self.is_old(batch) || self.settings.retention_bytes.is_some(), "{batch:?} was deleted too early");
            assert!(batch.end() <= high_watermark, "{batch:?} was deleted above the high watermark {high_watermark}");
        }
        self.model.log_start = start;
        match result {
            Ok(_) => {
                if let [first, second, ..] = self.segment_starts()[..] {
                    let kept = self.batches_in(first..second).any(|batch| !self.is_old(batch));
                    let wanted = second > start && kept && !self.is_in_excess(first);
                    assert!(wanted || second > high_watermark, "the segment [{first}, {second}) was not deleted");
                }
                true
            }
            Err(error) => self.survives(&error),
        }
    }

    /// What was deleted for its size was more than `retention.bytes`, and what for its age was old.
    fn check_excess(&self, mut size: u64, deleted: &[DeletedSegment]) {
        let ends = deleted.iter().skip(1).map(|next| next.base_offset).chain([self.reader().log_start_offset()]);
        for (segment, end) in deleted.iter().zip(ends) {
            size -= segment.bytes;
            match segment.reason {
                DeletionReason::Size => {
                    let limit = self.settings.retention_bytes;
                    assert!(limit.is_some_and(|limit| size >= limit), "{segment:?} has left {size} of {limit:?} bytes");
                }
                DeletionReason::Time => {
                    let young = self.batches_in(segment.base_offset..end).find(|batch| !self.is_old(batch));
                    assert!(young.is_none(), "{young:?} was deleted too early");
                }
                DeletionReason::LogStart => {}
            }
        }
    }

    /// Whether the log has as many bytes as retention keeps without its first segment.
    fn is_in_excess(&self, first: Offset) -> bool {
        let bytes = self.disk.stat(&Path::new(LOG).join(format!("{first:020}.log"))).unwrap().len;
        self.settings.retention_bytes.is_some_and(|limit| self.reader().size_bytes() >= limit + bytes)
    }

    fn expire_producers(&mut self) -> bool {
        let (now, limit) = (self.now, self.settings.producer_id_expiration_ms);
        self.writer().expire_producers(now);
        self.model.expire_producers(now, limit);
        true
    }

    /// Sends the last batch of a producer again.
    fn resend(&mut self) -> bool {
        let heard: Vec<i64> = self
            .model
            .producers
            .iter()
            .filter_map(|(id, known)| matches!(known, Known::Heard(_)).then_some(*id))
            .collect();
        if heard.is_empty() {
            return true;
        }
        let id = heard[self.ageing.random_range(0..heard.len())];
        let mut of_it = self.model.batches.iter().rev().filter(|batch| batch.producer.is_some_and(|(of, _)| of == id));
        let mut last = of_it.next();
        if self.settings.is_replica {
            // Of what was appended since the log was opened the last five are known.
            let since = self.model.reloaded_at.max(self.model.forgotten_at.get(&id).copied().unwrap_or(0));
            let earlier = of_it.take(4).filter(|batch| batch.base >= since).last();
            last = earlier.filter(|_| self.ageing.random_bool(0.7)).or(last);
        }
        // A crash may have taken what was known of one whose records are deleted.
        let Some(last) = last.filter(|batch| batch.base >= self.reader().log_start_offset()).cloned() else {
            return true;
        };
        let records = self.batch(&last);
        let (epoch, now) = (LeaderEpoch(self.epoch), self.now);
        let results = self.writer().append(&[AppendBatch { records }], epoch, Origin::Client, now);
        self.check_flush(&results);
        match &results[0] {
            Ok(info) => {
                assert!(info.duplicate, "{last:?} was appended again, at {}", info.base_offset);
                assert_eq!((info.base_offset, info.last_offset + 1), (last.base, last.end()));
            }
            Err(AppendError::NotFlushed(_) | AppendError::DiskFull | AppendError::DirectoryOffline) => {}
            Err(error) => panic!("{error}"),
        }
        !self.is_down()
    }
}
