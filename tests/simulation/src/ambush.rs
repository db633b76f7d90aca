//! Faults that lie in wait, since what comes at random hardly ever meets a message on its way: the next one of its kind is
//! late, and overtaken by the restart of the broker that it tells of.

use levada_types::BrokerId;

use crate::happening::Happening;
use crate::message::{Message, Party, Word};
use crate::universe::Universe;

/// What is lain in wait for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ambush {
    /// A proposal that takes somebody into sync: who that is starts anew.
    proposal: bool,
    /// An acknowledgement: whoever gave it loses power.
    ack: bool,
    /// An append of a shard's owner: its stream breaks behind it.
    pub(crate) tail: bool,
}

/// How late the proposal is: the broker is in use again by then, and the leader still waits for its answer.
const LATE_PROPOSAL_MS: (i64, i64) = (500, 790);

/// How late the acknowledgement is: about then the broker follows again, with less than it had.
const LATE_ACK_MS: (i64, i64) = (150, 400);

impl Universe {
    /// Lies in wait.
    pub(crate) fn lie_in_wait(&mut self) {
        self.note(|| "a proposal and an acknowledgement will be overtaken".to_owned());
        self.ambush = Ambush { proposal: true, ack: true, ..self.ambush };
    }

    /// Sends what broker `index` proposes, which takes in `entrant`, if anybody.
    pub(crate) fn send_proposal_past_ambush(&mut self, index: usize, entrant: Option<BrokerId>, proposal: Message) {
        let (from, to) = (Party::Broker(index), Party::Controller(self.raft.leader));
        let entrant = entrant.and_then(|id| self.brokers.iter().position(|broker| broker.id == id && broker.up));
        let Some(entrant) = entrant.filter(|_| self.ambush.proposal) else { return self.send(from, to, proposal) };
        self.ambush.proposal = false;
        self.note(|| format!("broker {entrant} overtakes the proposal of broker {index}"));
        let delay = self.between(LATE_PROPOSAL_MS.0, LATE_PROPOSAL_MS.1);
        self.after(delay, Happening::Arrival { from, to, message: Box::new(proposal) });
        self.stop_suddenly(entrant);
        self.start(entrant);
    }

    /// Sends what broker `index` acknowledges.
    pub(crate) fn send_ack_past_ambush(&mut self, index: usize, to: Party, ack: Word) {
        let from = Party::Broker(index);
        let Some(topic) = self.hosted_topic(from).filter(|_| self.ambush.ack && self.may_lose(index)) else {
            return self.send_word(from, to, ack);
        };
        self.ambush.ack = false;
        self.note(|| format!("broker {index} loses power and overtakes what it has acknowledged"));
        let delay = self.between(LATE_ACK_MS.0, LATE_ACK_MS.1);
        self.after(delay, Happening::Arrival { from, to, message: Box::new(Message::Replica { topic, word: ack }) });
        let seed = self.seed();
        self.brokers[index].crash(Some(seed));
        self.start(index);
    }
}
