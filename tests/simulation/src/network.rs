//! The network: delay, and with it reordering; doubles, losses, cuts.

use levada_metadata::SubmitError;

use crate::happening::{Happening, Message, Party};
use crate::universe::Universe;

impl Universe {
    /// Sends a message, which may be lost, doubled or late.
    pub(crate) fn send(&mut self, from: Party, to: Party, message: Message) {
        if self.cut.contains(&(from, to)) || (!self.healed && self.one_in(60)) {
            self.note(|| format!("{from:?} -> {to:?} lost {message:?}"));
            self.lose(from, to, &message);
            return;
        }
        if !self.healed && self.one_in(30) {
            let delay = self.between(1, 2_000);
            self.after(delay, Happening::Arrival { from, to, message: Box::new(message.clone()) });
        }
        let delay = match self.between(0, 20) {
            0 if !self.healed => self.between(1, 600),
            _ => self.between(1, 6),
        };
        self.after(delay, Happening::Arrival { from, to, message: Box::new(message) });
    }

    /// A connection loses nothing silently: what it carried is of unknown outcome, or its stream breaks at both ends.
    fn lose(&mut self, from: Party, to: Party, message: &Message) {
        let delay = self.between(1, 50);
        match message {
            Message::Submit { number, .. } => {
                let message = Message::Submitted { number: *number, result: Err(SubmitError::Unknown) };
                self.after(delay, Happening::Arrival { from: to, to: from, message: Box::new(message) });
            }
            Message::Submitted { number, .. } => {
                let message = Message::Submitted { number: *number, result: Err(SubmitError::Unknown) };
                self.after(delay, Happening::Arrival { from, to, message: Box::new(message) });
            }
            Message::Frame(frame, _) => {
                let Party::Broker(index) = to else { return };
                let ended = Message::StreamEnded(self.brokers[index].id, frame.session);
                self.after(delay, Happening::Arrival { from: to, to: from, message: Box::new(ended) });
                let detached = Message::Detached(frame.leader_epoch, frame.session);
                self.after(delay, Happening::Arrival { from, to, message: Box::new(detached) });
            }
            // The watch goes on where it stood: the newest image comes with the next round.
            _ => {}
        }
    }
}
