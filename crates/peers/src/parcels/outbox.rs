//! What waits to leave on a stream.

use std::collections::VecDeque;

use bytes::Bytes;
use levada_proto::internal::GroupParcel;

use super::PACK_BYTES;

/// Messages that wait to leave, each with its number and a mark `M` that its sender keeps with it. The small ones leave in the
/// order in which they came, and so do the large ones beside them.
#[derive(Debug)]
pub struct Outbox<M> {
    small: VecDeque<Waiting<M>>,
    /// The first of them may have left in part.
    large: VecDeque<Waiting<M>>,
    is_begun: bool,
    /// Bytes that wait in both.
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<M> {
    number: u64,
    /// What has not left.
    bytes: Bytes,
    mark: M,
}

/// What leaves in one message.
#[derive(Debug)]
pub struct Load<M> {
    /// The parcels.
    pub parcels: Vec<GroupParcel>,
    /// The messages that have left as a whole with these.
    pub sent: Vec<(u64, M)>,
    /// A message of which a part has left and the rest does not. The other side has to be told before `parcels`.
    pub cut_short: Option<u64>,
}

impl<M> Default for Outbox<M> {
    fn default() -> Self {
        Self { small: VecDeque::new(), large: VecDeque::new(), is_begun: false, bytes: 0 }
    }
}

impl<M> Outbox<M> {
    /// Puts a message behind the others.
    pub fn push(&mut self, number: u64, bytes: Bytes, mark: M) {
        self.bytes += bytes.len();
        let queue = if bytes.len() > PACK_BYTES { &mut self.large } else { &mut self.small };
        queue.push_back(Waiting { number, bytes, mark });
    }

    /// Whether as much waits as leaves together, or more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= PACK_BYTES
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// Takes what leaves next, but for messages that nobody wants any more by their mark; nothing if nothing waits.
    pub fn load(&mut self, is_wanted: impl Fn(&M) -> bool) -> Load<M> {
        let mut load = Load { parcels: Vec::new(), sent: Vec::new(), cut_short: None };
        let mut room = PACK_BYTES;
        while room > 0
            && let Some(Waiting { number, bytes, mark }) = self.small.pop_front()
        {
            self.bytes -= bytes.len();
            if is_wanted(&mark) {
                room = room.saturating_sub(bytes.len());
                load.parcels.push(GroupParcel { number, bytes, continues: false });
                load.sent.push((number, mark));
            }
        }
        self.drop_unwanted(is_wanted, &mut load);
        self.load_part(&mut load);
        load
    }

    /// The marks of all messages that wait, which do not leave.
    pub fn into_marks(self) -> impl Iterator<Item = M> {
        self.small.into_iter().chain(self.large).map(|waiting| waiting.mark)
    }

    /// Drops large messages at the front that nobody wants any more.
    fn drop_unwanted(&mut self, is_wanted: impl Fn(&M) -> bool, load: &mut Load<M>) {
        while let Some(unwanted) = self.large.pop_front_if(|first| !is_wanted(&first.mark)) {
            self.bytes -= unwanted.bytes.len();
            if std::mem::take(&mut self.is_begun) {
                load.cut_short = Some(unwanted.number);
            }
        }
    }

    /// Adds the next part of the large message at the front.
    fn load_part(&mut self, load: &mut Load<M>) {
        let Some(first) = self.large.front_mut() else { return };
        let part = first.bytes.split_to(first.bytes.len().min(PACK_BYTES));
        self.bytes -= part.len();
        self.is_begun = !first.bytes.is_empty();
        load.parcels.push(GroupParcel { number: first.number, bytes: part, continues: self.is_begun });
        if !self.is_begun {
            load.sent.extend(self.large.pop_front().map(|whole| (whole.number, whole.mark)));
        }
    }
}
