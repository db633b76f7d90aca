//! What is sent to one replica in one session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use levada_log::{ReadError, Slice};
use levada_records::Batches;
use levada_replication::{Due, Event, Frame, Lane, LogEnds, SendWindow, Session};
use levada_types::{BrokerId, LeaderEpoch, Offset};
use parking_lot::Mutex;

use super::FollowerLink;
use crate::partition::Partition;
use crate::replication::wire::Attachment;

/// The most bytes that one frame brings of one replica, if its batches are not larger: others of the same stream have
/// their turn in between.
const FRAME_BYTES: usize = 1 << 20;

/// One attachment that frames go out to.
pub(crate) struct Sending {
    partition: Arc<Partition>,
    follower: BrokerId,
    leader_epoch: LeaderEpoch,
    session: Session,
    lane: Lane,
    window: Mutex<SendWindow>,
    link: Weak<FollowerLink>,
    /// It stands in its lane's list, or its lane's task will look again.
    queued: AtomicBool,
    /// The follower grants nothing for now: its throttle has the replica wait, or its disk is full.
    withheld: AtomicBool,
    /// The leader's throttle has it wait.
    held: AtomicBool,
    /// Nothing more may go out. Set before the log is changed by a follower's rules.
    ended: AtomicBool,
}

/// What there is to send.
pub(super) enum Next {
    /// A frame.
    Frame(Frame, Bytes),
    /// Nothing, for now or for good.
    Nothing,
    /// The log starts later than the session stands, which is over.
    Gone,
}

/// How a frame's records are to be read.
pub(super) enum Read {
    /// They are likely in memory.
    Now,
    /// They may have to be waited for.
    Blocking,
}

impl Sending {
    pub(crate) fn new(
        partition: Arc<Partition>,
        (follower, leader_epoch, session): (BrokerId, LeaderEpoch, Session),
        (from, lane): (Offset, Lane),
        credit: u32,
        link: &Arc<FollowerLink>,
    ) -> Arc<Self> {
        let window = SendWindow::new(leader_epoch, session, from, usize::try_from(credit).unwrap_or(usize::MAX));
        Arc::new(Self {
            partition,
            follower,
            leader_epoch,
            session,
            lane,
            window: Mutex::new(window),
            link: Arc::downgrade(link),
            queued: AtomicBool::new(false),
            withheld: AtomicBool::new(credit == 0),
            held: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    pub(crate) fn follower(&self) -> BrokerId {
        self.follower
    }

    pub(crate) fn session(&self) -> Session {
        self.session
    }

    pub(super) fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    pub(crate) fn attachment(&self) -> Attachment {
        Attachment { partition: self.partition.id(), leader_epoch: self.leader_epoch, session: self.session }
    }

    /// There may be something to send.
    pub(crate) fn wake(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel)
            && let Some(link) = self.link.upgrade()
        {
            link.ready(self.lane).push(Arc::clone(self));
        }
    }

    /// The follower grants more credit, if any, and `withheld` says that its throttle lets it grant no more for now.
    pub(crate) fn grant(self: &Arc<Self>, bytes: u32, withheld: bool) {
        self.withheld.store(withheld, Ordering::Relaxed);
        if bytes > 0 {
            self.window.lock().grant(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.wake();
        }
    }

    /// The leader's throttle has it wait, or lets it go on.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// What the replica is to be told of it before a tick: that it has to wait for a throttle, on whichever side, if it does.
    pub(crate) fn excuse(&self) -> Option<Event> {
        let is_throttled = self.held.load(Ordering::Relaxed) || self.withheld.load(Ordering::Relaxed);
        is_throttled.then_some(Event::Throttled { follower: self.follower, session: self.session })
    }

    /// Sends nothing more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// The lane's task has taken it out of the list, and looks at it now.
    pub(super) fn looked_at(&self) {
        self.queued.store(false, Ordering::Release);
    }

    /// Whether finding what is next, or reading it, may wait for the device.
    pub(super) fn read(&self) -> Read {
        let from = self.window.lock().next();
        if self.partition.reader().is_in_active_segment(from) { Read::Now } else { Read::Blocking }
    }

    /// The next frame. Only the lane's task calls this. With [`Read::Now`] it gives `None` if the records are not likely
    /// in memory.
    pub(super) fn next(&self, read: &Read) -> Result<Option<Next>, ReadError> {
        let reader = self.partition.reader();
        let (due, high_watermark, log_start) = {
            let window = self.window.lock();
            // The high watermark first: it is never beyond the log end that is seen after it.
            let high_watermark = self.partition.high_watermark();
            let (start, end) = (reader.log_start_offset(), reader.log_end_offset());
            let due = window.due(LogEnds { start, end, flushed: start.min(end) }, high_watermark);
            (due, high_watermark, start)
        };
        let frame = |end_offset, bytes| self.window.lock().frame(end_offset, bytes, high_watermark, log_start);
        Ok(Some(match due {
            Due::Nothing => Next::Nothing,
            Due::Gone => Next::Gone,
            Due::Marks => {
                let at = self.window.lock().next();
                Next::Frame(frame(at, 0), Bytes::new())
            }
            Due::Records { from, max_bytes } => {
                let found = match reader.read(from, max_bytes.min(FRAME_BYTES), Offset::MAX, true) {
                    Ok(found) => found,
                    Err(ReadError::OffsetOutOfRange { .. }) => return Ok(Some(Next::Gone)),
                    Err(error) => return Err(error),
                };
                if matches!(read, Read::Now) && !found.slice.is_likely_cached() {
                    return Ok(None);
                }
                let records = bytes_of(&found.slice)?;
                // What was read while the log was still this leader's is this leader's.
                if self.has_ended() || records.is_empty() {
                    return Ok(Some(Next::Nothing));
                }
                Next::Frame(frame(end_of(&records), records.len()), records)
            }
        }))
    }
}

/// The offset after the last of these batches: where a log ends that has appended them. Where the reader goes on may lie
/// further behind, if compaction has left a gap.
fn end_of(records: &Bytes) -> Offset {
    let batches = Batches::new(records).filter_map(Result::ok);
    batches.last().map_or(0, |batch| batch.header().next_offset())
}

fn bytes_of(slice: &Slice) -> Result<Bytes, ReadError> {
    slice.to_bytes().map_err(|error| ReadError::Io(Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use levada_records::{BatchBuilder, Compression};

    use super::*;

    #[test]
    fn a_frame_ends_where_its_last_batch_does() {
        let batch = |base_offset| {
            let mut builder = BatchBuilder::new();
            builder.set_position(base_offset, 1);
            builder.append(0, Some(b"k"), None, &[]).unwrap();
            builder.build(Compression::None, None).unwrap()
        };
        let mut records = BytesMut::from(&batch(10)[..]);
        records.extend_from_slice(&batch(20));
        assert_eq!(end_of(&records.freeze()), 21);
    }
}
