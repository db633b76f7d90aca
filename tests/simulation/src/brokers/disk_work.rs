//! What a broker's disk does, one thing after the other, each after a while.

use bytes::Bytes;
use levada_log::{AppendError, LogError};
use levada_replication::{Effect, Event};

use super::{Pace, Work, ends_of};
use crate::happening::{Happening, Hosting};
use crate::run::Failure;
use crate::universe::Universe;

/// How often it is looked whether a disk that stands still goes on.
const STANDSTILL_MS: i64 = 40;

/// Why a log could not be changed.
pub(super) enum Trouble {
    /// It takes nothing before it is opened again.
    Closed,
    /// Something that the directory's state tells of, or that passes.
    Other(String),
}

impl From<AppendError> for Trouble {
    fn from(error: AppendError) -> Self {
        if matches!(error, AppendError::Closed) { Self::Closed } else { Self::Other(error.to_string()) }
    }
}

impl From<LogError> for Trouble {
    fn from(error: LogError) -> Self {
        if matches!(error, LogError::Closed) { Self::Closed } else { Self::Other(error.to_string()) }
    }
}

impl Universe {
    /// Gives the disk something to do, after what it has to do already.
    pub(crate) fn give_work(&mut self, index: usize, work: Work) {
        let Some(hosted) = &mut self.brokers[index].hosted else { return };
        hosted.work.push_back(work);
        let at = Hosting { broker: index, number: hosted.number };
        if hosted.work.len() == 1 {
            let delay = self.disk_delay(index);
            self.after(delay, Happening::Work(at));
        }
    }

    fn disk_delay(&mut self, index: usize) -> i64 {
        match self.brokers[index].pace {
            Pace::Slow => self.between(5, 250),
            Pace::Usual | Pace::StandsStill => self.between(0, 2),
        }
    }

    /// The disk has done the oldest thing.
    pub(crate) fn work(&mut self, at: Hosting) -> Result<(), Failure> {
        if !self.is_hosted(at) {
            return Ok(());
        }
        if self.brokers[at.broker].pace == Pace::StandsStill {
            self.after(STANDSTILL_MS, Happening::Work(at));
            return Ok(());
        }
        let Some(hosted) = &mut self.brokers[at.broker].hosted else { return Ok(()) };
        let Some(work) = hosted.work.pop_front() else { return Ok(()) };
        if !hosted.work.is_empty() {
            let delay = self.disk_delay(at.broker);
            self.after(delay, Happening::Work(at));
        }
        self.brokers[at.broker].is_news = true;
        match work {
            Work::Produce(request) => self.append(at.broker, &request),
            Work::Change(effect, records) => self.change_log(at.broker, &effect, &records),
            Work::DeleteRecords => self.delete_records(at.broker),
            Work::Owner(word) => self.work_for_owner(at.broker, word),
        }
    }

    fn change_log(&mut self, index: usize, effect: &Effect, records: &Bytes) -> Result<(), Failure> {
        let now_ms = self.now_ms;
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        let (writer, end) = (&mut hosted.writer, hosted.reader.log_end_offset());
        let done = match effect {
            // What comes before it failed.
            Effect::Append { base_offset, .. } if *base_offset != end => Err(Trouble::Other(String::new())),
            Effect::Append { .. } => {
                hosted.appended += records.len();
                writer.append_as_follower(records, now_ms).map(|_| ()).map_err(Trouble::from)
            }
            Effect::Truncate { to, .. } => writer.truncate_to(*to, now_ms).map(|_| ()).map_err(Trouble::from),
            Effect::StartAt { offset, .. } => {
                writer.truncate_fully_and_start_at(*offset, now_ms).map_err(Trouble::from)
            }
            Effect::AdvanceLogStart { to } => writer.advance_log_start(*to).map(|_| ()).map_err(Trouble::from),
            _ => return Ok(()),
        };
        let ends = ends_of(&hosted.reader);
        let event = match (&done, effect) {
            // It is asked for again.
            (Err(_), Effect::AdvanceLogStart { .. }) => None,
            (Err(_), _) => Some(Event::LogFailed { ends }),
            (Ok(()), Effect::Append { .. }) => Some(Event::Appended { end: ends.end }),
            (Ok(()), Effect::AdvanceLogStart { .. }) => Some(Event::LogStartMoved { start: ends.start }),
            (Ok(()), _) => Some(Event::Truncated { ends }),
        };
        if let Err(trouble) = done {
            self.mind(index, &trouble);
        }
        event.map_or(Ok(()), |event| self.tell(index, event))
    }

    /// Something went wrong with a log: one that takes nothing more is opened again, by the next round.
    pub(super) fn mind(&mut self, index: usize, trouble: &Trouble) {
        match trouble {
            Trouble::Closed => self.brokers[index].hosted = None,
            Trouble::Other(text) => self.note(|| format!("broker {index}: {text}")),
        }
        self.mind_directories(index);
    }

    /// Begins a flush, unless one is under way: then another follows it.
    pub(super) fn begin_flush(&mut self, index: usize) -> Option<Event> {
        let now_ms = self.now_ms;
        let hosted = self.brokers[index].hosted.as_mut()?;
        hosted.flush_is_due = hosted.flushing.is_some();
        if hosted.flush_is_due {
            return None;
        }
        let at = Hosting { broker: index, number: hosted.number };
        match hosted.writer.begin_flush(now_ms) {
            Ok(Some(ticket)) => {
                hosted.flushing = Some(ticket);
                let delay = 1 + self.disk_delay(index) * 4;
                self.after(delay, Happening::Flush(at));
                None
            }
            Ok(None) => Some(Event::Flushed { end: ends_of(&hosted.reader).flushed }),
            Err(error) => {
                // The next round tries again.
                hosted.flush_is_due = true;
                self.mind(index, &error.into());
                None
            }
        }
    }

    /// Begins a flush that has failed once more.
    pub(super) fn flush_again(&mut self, index: usize) -> Result<(), Failure> {
        let is_due = |hosted: &super::Hosted| hosted.flush_is_due && hosted.flushing.is_none();
        if self.brokers[index].hosted.as_ref().is_some_and(is_due)
            && let Some(event) = self.begin_flush(index)
        {
            return self.tell(index, event);
        }
        Ok(())
    }

    /// The disk has carried out the flush that was begun.
    pub(crate) fn flush(&mut self, at: Hosting) -> Result<(), Failure> {
        if !self.is_hosted(at) {
            return Ok(());
        }
        if self.brokers[at.broker].pace == Pace::StandsStill {
            self.after(STANDSTILL_MS, Happening::Flush(at));
            return Ok(());
        }
        let Some(hosted) = &mut self.brokers[at.broker].hosted else { return Ok(()) };
        let Some(ticket) = hosted.flushing.take() else { return Ok(()) };
        match hosted.writer.flushed(ticket.run()) {
            Ok(end) => {
                let is_due = hosted.flush_is_due;
                self.tell(at.broker, Event::Flushed { end })?;
                if is_due && let Some(event) = self.begin_flush(at.broker) {
                    self.tell(at.broker, event)?;
                }
            }
            Err(error) => {
                hosted.flush_is_due = true;
                self.mind(at.broker, &error.into());
            }
        }
        Ok(())
    }
}
