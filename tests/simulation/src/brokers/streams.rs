//! What a broker receives, and the streams of frames that a leader keeps.

use bytes::Bytes;
use levada_log::ReadError;
use levada_replication::{Due, Event};
use levada_types::{BrokerId, Offset, TopicId};

use super::{Work, ends_of};
use crate::message::{Message, Party, ToLeader, Word};
use crate::run::Failure;
use crate::universe::Universe;

/// Bytes of records in one frame: some batches.
const FRAME_BYTES: usize = 300;

impl Universe {
    pub(crate) fn received(&mut self, index: usize, message: Message) -> Result<(), Failure> {
        if !self.brokers[index].up {
            return Ok(());
        }
        match message {
            Message::Image(image) => self.saw_image(index, *image),
            Message::Submitted { number, result } => self.answered(index, number, &result),
            Message::Replica { topic, word } if self.hosted_topic(Party::Broker(index)) == Some(topic) => {
                self.heard_word(index, word)
            }
            Message::Produce(request) if self.hosted_topic(Party::Broker(index)) == Some(request.topic) => {
                self.give_work(index, Work::Produce(request));
                Ok(())
            }
            Message::ToLeader { topic, word } if self.hosted_topic(Party::Broker(index)) == Some(topic) => {
                self.asked_by_owner(index, word)
            }
            Message::ToLeader { word: ToLeader::Open { caller, .. } | ToLeader::Read { caller, .. }, .. } => {
                self.lose_link(caller.coordinator, caller.link, false);
                Ok(())
            }
            Message::ToLeader { word: ToLeader::Confirm { caller, number, .. }, .. } => {
                let (from, to) = (Party::Broker(index), Party::Coordinator(caller.coordinator));
                self.send(from, to, Message::Confirmed { number, is_newest: false });
                Ok(())
            }
            Message::Mandate { epoch, until_ms } => {
                let broker = &mut self.brokers[index];
                if broker.epoch == Some(epoch) {
                    broker.mandate_until_ms = broker.mandate_until_ms.max(Some(until_ms));
                }
                Ok(())
            }
            Message::Answer { number, answer } => {
                self.committer_hears(number, &answer);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn heard_word(&mut self, index: usize, word: Word) -> Result<(), Failure> {
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        match word {
            Word::Attach(attach) => self.tell(index, Event::Attach(attach)),
            Word::Answer(answer) => self.tell(index, Event::Answer(answer)),
            Word::Frame(frame, records) => self.tell_with(index, Event::Frame(frame), &records),
            Word::Ack(ack, granted) => {
                if let Some(window) = hosted.streams.get_mut(&ack.follower).filter(|w| w.session() == ack.session) {
                    window.grant(granted);
                }
                self.tell(index, Event::Ack(ack))
            }
            Word::Detached(leader_epoch, session) => self.tell(index, Event::Detached { leader_epoch, session }),
            Word::StreamEnded(follower, session) => {
                hosted.streams.retain(|_, window| window.session() != session);
                self.tell(index, Event::StreamEnded { follower, session })
            }
        }
    }

    /// Sends what is due on every stream of a leader.
    pub(super) fn pump(&mut self, index: usize) -> Result<(), Failure> {
        let hosted = self.brokers[index].hosted.as_ref();
        let followers: Vec<BrokerId> = hosted.map(|h| h.streams.keys().copied().collect()).unwrap_or_default();
        for follower in followers {
            while let Some(word) = self.due(index, follower)? {
                self.send_word(Party::Broker(index), self.party(follower), word);
            }
        }
        Ok(())
    }

    fn due(&mut self, index: usize, follower: BrokerId) -> Result<Option<Word>, Failure> {
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(None) };
        let (ends, high_watermark) = (ends_of(&hosted.reader), hosted.replica.high_watermark());
        let Some(window) = hosted.streams.get_mut(&follower) else { return Ok(None) };
        match window.due(ends, high_watermark) {
            Due::Nothing => Ok(None),
            Due::Marks => {
                let frame = window.frame(window.next(), 0, high_watermark, ends.start);
                Ok(Some(Word::Frame(frame, Bytes::new())))
            }
            Due::Records { from, max_bytes } => {
                let read = match hosted.reader.read(from, max_bytes.min(FRAME_BYTES), Offset::MAX, true) {
                    Ok(read) => read,
                    Err(ReadError::DirectoryOffline) => return Ok(None),
                    Err(error) => return Err(Failure::Stuck(error.to_string())),
                };
                let Ok(records) = read.slice.to_bytes() else { return Ok(None) };
                let frame = window.frame(read.next_offset, records.len(), high_watermark, ends.start);
                Ok(Some(Word::Frame(frame, records)))
            }
            Due::Gone => {
                let (session, epoch) = (window.session(), hosted.replica.leading_epoch());
                hosted.streams.remove(&follower);
                self.tell(index, Event::StreamEnded { follower, session })?;
                Ok(epoch.map(|epoch| Word::Detached(epoch, session)))
            }
        }
    }

    pub(crate) fn party(&self, id: BrokerId) -> Party {
        Party::Broker(self.brokers.iter().position(|broker| broker.id == id).unwrap_or(usize::MAX))
    }

    /// The topic that somebody holds a replica of.
    pub(crate) fn hosted_topic(&self, party: Party) -> Option<TopicId> {
        let Party::Broker(index) = party else { return None };
        self.brokers.get(index)?.hosted.as_ref().map(|hosted| hosted.topic)
    }
}
