//! One stream to a coordinator, and the requests on it.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use levada_proto::internal as pb;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_stream::Stream;

use crate::parcels::{Load, Outbox};

/// Numbers that nobody waits for any more that leave in one message. Their cost is next to nothing; many may come at once
/// when a client goes, and none gather.
const MAX_ABANDONED: usize = 10_000;

/// A request has no answer because of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// It was not done.
    NotDone(String),
    /// It may have been done, or may still be.
    Unknown(String),
    /// The coordinator cannot be spoken to.
    Refused(String),
}

/// The encoded answer to a request.
type Answer = Result<Bytes, Lost>;

/// What somebody on a stream is sent by: the queue of what has not been handed to the transport, and who waits for what has.
/// A request is numbered when it comes; where it ends up when the stream ends says whether it may have been done.
#[derive(Debug, Default)]
pub(super) struct GroupStream(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    next_number: u64,
    /// What has not been handed to the transport as a whole.
    outbox: Outbox<Waiting>,
    /// Who waits for an answer to what has.
    sent: HashMap<u64, oneshot::Sender<Answer>>,
    /// What has been sent and nobody waits for any more, which the coordinator has to be told.
    abandoned: VecDeque<u64>,
    /// The side of the transport that sends, if it waits for something to send.
    sender: Option<Waker>,
    /// It has something to send, and has let others go first.
    has_given_way: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The coordinator has not said that it takes the stream; until then nothing is sent.
    #[default]
    Opening,
    Open,
    Ended,
}

/// Who waits for a request that is queued.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    /// The request's place among what is queued.
    _room: OwnedSemaphorePermit,
}

impl GroupStream {
    /// Queues a request; gives its place back if the stream has ended.
    pub(super) fn ask(
        self: &Arc<Self>,
        request: &Bytes,
        room: OwnedSemaphorePermit,
    ) -> Result<Asked, OwnedSemaphorePermit> {
        let mut state = self.state();
        if state.phase == Phase::Ended {
            return Err(room);
        }
        let (answer, answered) = oneshot::channel();
        let number = state.next_number;
        state.next_number += 1;
        state.outbox.push(number, request.clone(), Waiting { answer, _room: room });
        wake(state);
        Ok(Asked { stream: Arc::clone(self), number, answered })
    }

    /// The coordinator takes the stream.
    pub(super) fn open(&self) {
        let mut state = self.state();
        if state.phase == Phase::Opening {
            state.phase = Phase::Open;
            wake(state);
        }
    }

    /// Hands on answers. One that nobody waits for is dropped: the request was abandoned meanwhile.
    ///
    /// # Errors
    /// The number of an answer to what nobody has asked.
    pub(super) fn answer(&self, answers: impl IntoIterator<Item = (u64, Bytes)>) -> Result<(), u64> {
        let mut state = self.state();
        for (number, answer) in answers {
            if number >= state.next_number {
                return Err(number);
            }
            if let Some(waiting) = state.sent.remove(&number) {
                // Who has gone hears nothing.
                drop(waiting.send(Ok(answer)));
            }
        }
        Ok(())
    }

    /// Ends the stream: what was sent is lost with `sent`, and what was not with `unsent`.
    pub(super) fn end(&self, sent: &Lost, unsent: &Lost) {
        let mut state = self.state();
        state.phase = Phase::Ended;
        let (outbox, waiting) = (std::mem::take(&mut state.outbox), std::mem::take(&mut state.sent));
        state.abandoned.clear();
        wake(state);
        for waiting in waiting.into_values() {
            drop(waiting.send(Err(sent.clone())));
        }
        for waiting in outbox.into_marks() {
            drop(waiting.answer.send(Err(unsent.clone())));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the side of the transport that sends.
fn wake(mut state: MutexGuard<'_, State>) {
    let sender = state.sender.take();
    drop(state);
    if let Some(sender) = sender {
        sender.wake();
    }
}

impl State {
    /// Whether more may come to what waits if the tasks that are ready go first. One turn of theirs costs no time that anybody
    /// could measure, and a message costs the same whether one request leaves in it or many.
    fn gives_way(&mut self) -> bool {
        let has_little = !(self.outbox.is_full() || self.outbox.is_empty() && self.abandoned.is_empty());
        self.has_given_way = has_little && !self.has_given_way;
        self.has_given_way
    }

    /// What leaves next, if anything does.
    fn load(&mut self) -> Option<pb::GroupRequests> {
        let Load { parcels, sent, cut_short } = self.outbox.load(|waiting| !waiting.answer.is_closed());
        self.sent.extend(sent.into_iter().map(|(number, waiting)| (number, waiting.answer)));
        // Before what comes after it in parts.
        cut_short.into_iter().for_each(|number| self.abandoned.push_front(number));
        let abandoned: Vec<u64> = self.abandoned.drain(..self.abandoned.len().min(MAX_ABANDONED)).collect();
        let is_empty = abandoned.is_empty() && parcels.is_empty();
        (!is_empty).then_some(pb::GroupRequests { abandoned, requests: parcels })
    }
}

/// What is sent on a stream. Whatever is queued when the transport asks leaves together.
#[derive(Debug)]
pub(super) struct Sending(pub(super) Arc<GroupStream>);

impl Stream for Sending {
    type Item = pb::GroupRequests;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<pb::GroupRequests>> {
        let mut state = self.0.state();
        if state.phase == Phase::Ended {
            return Poll::Ready(None);
        }
        if state.phase == Phase::Open {
            if state.gives_way() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(message) = state.load() {
                return Poll::Ready(Some(message));
            }
        }
        state.sender = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A request on a stream. Dropped before it is answered, it is abandoned, at the coordinator too.
#[derive(Debug)]
pub(super) struct Asked {
    stream: Arc<GroupStream>,
    number: u64,
    answered: oneshot::Receiver<Answer>,
}

impl Asked {
    /// The answer.
    pub(super) async fn answer(&mut self) -> Answer {
        // The other end is kept until it is used.
        (&mut self.answered).await.unwrap_or_else(|_| Err(Lost::Unknown("the stream has vanished".to_owned())))
    }

    /// What it means that it is given up now for this reason.
    pub(super) fn given_up(&self, reason: &str) -> Lost {
        let was_sent = self.stream.state().sent.contains_key(&self.number);
        if was_sent { Lost::Unknown(reason.to_owned()) } else { Lost::NotDone(reason.to_owned()) }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.stream.state();
        if state.sent.remove(&self.number).is_some() {
            state.abandoned.push_back(self.number);
            wake(state);
        }
    }
}

#[cfg(test)]
mod tests;
