//! The network: delay, and with it reordering; doubles, losses, cuts.

use levada_metadata::SubmitError;
use levada_types::BrokerId;

use crate::happening::Happening;
use crate::message::{Message, Party, Word};
use crate::universe::Universe;

/// How long everything takes on a connection that keeps order.
const IN_ORDER_MS: i64 = 3;

impl Universe {
    /// Sends a message, which may be lost, doubled or late.
    pub(crate) fn send(&mut self, from: Party, to: Party, message: Message) {
        if self.cut.contains(&(from, to)) || (!self.healed && self.one_in(60)) {
            self.note(|| format!("{from:?} -> {to:?} loses {}", name_of(&message)));
            self.lose(from, to, &message);
            return;
        }
        if !self.healed && message.may_be_doubled() && self.one_in(self.settings.doubled) {
            let delay = self.between(1, 3 * self.settings.late_ms);
            self.after(delay, Happening::Arrival { from, to, message: Box::new(message.clone()) });
        }
        let delay = match self.between(0, 20) {
            0 if !self.healed => self.between(1, self.settings.late_ms),
            // Connections keep order. The world is harsher than that until it heals; were it so for ever, a follower that is
            // far behind might never come to the end of what is sent to it.
            _ if self.healed && matches!(message, Message::Replica { .. }) => IN_ORDER_MS,
            _ => self.between(1, 6),
        };
        self.after(delay, Happening::Arrival { from, to, message: Box::new(message) });
    }

    /// Sends a message on a stream, behind what arrives at `last_ms` at the earliest. Gives the time at which it arrives; none
    /// if it is lost, and with it everything behind it.
    pub(crate) fn send_in_order(&mut self, from: Party, to: Party, message: Message, last_ms: i64) -> Option<i64> {
        if self.cut.contains(&(from, to)) || (!self.healed && self.one_in(80)) {
            self.note(|| format!("{from:?} -> {to:?} loses {}", name_of(&message)));
            return None;
        }
        let delay = match self.between(0, 20) {
            0 if !self.healed => self.between(1, self.settings.late_ms),
            _ => self.between(1, 6),
        };
        let arrives_ms = last_ms.max(self.now_ms + delay);
        self.after(arrives_ms - self.now_ms, Happening::Arrival { from, to, message: Box::new(message) });
        Some(arrives_ms)
    }

    pub(crate) fn send_word(&mut self, from: Party, to: Party, word: Word) {
        if let Some(topic) = self.hosted_topic(from) {
            self.send(from, to, Message::Replica { topic, word });
        }
    }

    /// A connection loses nothing silently: what it carried is of unknown outcome, or its stream breaks at both ends.
    fn lose(&mut self, from: Party, to: Party, message: &Message) {
        let delay = self.between(1, 50);
        let mut tell = |from, to, message| {
            self.after(delay, Happening::Arrival { from, to, message: Box::new(message) });
        };
        match message {
            Message::Submit { number, .. } => {
                tell(to, from, Message::Submitted { number: *number, result: Err(SubmitError::Unknown) });
            }
            Message::Submitted { number, .. } => {
                tell(from, to, Message::Submitted { number: *number, result: Err(SubmitError::Unknown) });
            }
            Message::Replica { topic, word: Word::Frame(frame, _) } => {
                let ended = Word::StreamEnded(id_of(to), frame.session);
                tell(to, from, Message::Replica { topic: *topic, word: ended });
                let detached = Word::Detached(frame.leader_epoch, frame.session);
                tell(from, to, Message::Replica { topic: *topic, word: detached });
            }
            // The watch goes on where it stood: the newest image comes with the next round. A producer asks again.
            _ => {}
        }
    }
}

/// Brokers are numbered from 1 on, in their order.
fn id_of(party: Party) -> BrokerId {
    match party {
        Party::Broker(index) => BrokerId(index as i32 + 1),
        _ => BrokerId(-1),
    }
}

fn name_of(message: &Message) -> &'static str {
    match message {
        Message::Submit { .. } => "a command",
        Message::Submitted { .. } => "an answer of the controller",
        Message::Heartbeat { .. } => "a heartbeat",
        Message::Image(_) => "an image",
        Message::Replica { word: Word::Frame(..), .. } => "a frame",
        Message::Replica { .. } => "a word between replicas",
        Message::Produce(_) => "a batch",
        Message::Produced { .. } => "an answer to a producer",
        Message::Mandate { .. } | Message::Lease { .. } => "an answer to a sign of life",
        Message::LeaseAsked { .. } => "a coordinator's sign of life",
        Message::Ask(_) => "a request",
        Message::Answer { .. } => "an answer",
        Message::ToLeader { .. } => "what a coordinator says",
        Message::Heard { .. } | Message::Confirmed { .. } => "what a leader says",
    }
}
