//! The stream of one broker: its requests, and the answers as they come.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use levada_groups::api::Response as Answer;
use levada_peers::parcels::{Inbox, MAX_GROUP_MESSAGE_BYTES, Outbox};
use levada_proto::internal as pb;
use levada_service::grpc::unreadable;
use levada_service::shutdown::CancellationToken;
use levada_types::ErrorCode;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, Streaming};

/// Requests that may be under way at one time, over all streams; more are refused as not done. Ten thousand members may wait
/// for their groups at once, on the one stream of a broker.
const MAX_UNDER_WAY: usize = 100_000;

/// Bytes of requests that may be under way, over all streams: several of the largest. More are refused as not done.
const MAX_BYTES_UNDER_WAY: usize = 4 * MAX_GROUP_MESSAGE_BYTES;

/// What answers a request.
pub(crate) type Ask = Arc<dyn Fn(pb::GroupRequest) -> BoxFuture<'static, Answer> + Send + Sync>;

/// What all streams share.
#[derive(Clone)]
pub(crate) struct Common {
    ask: Ask,
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Common {
    /// For streams whose requests `ask` answers. Once `stop` is cancelled they take no more of them, and end when those are
    /// answered that they took.
    pub(crate) fn new(ask: Ask, stop: CancellationToken) -> Self {
        let semaphore = |room| Arc::new(Semaphore::new(room));
        Self { ask, requests: semaphore(MAX_UNDER_WAY), bytes: semaphore(MAX_BYTES_UNDER_WAY), stop }
    }

    /// A place for a request of so many bytes, if there is one.
    fn place(&self, bytes: usize) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let request = Arc::clone(&self.requests).try_acquire_owned().ok()?;
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()?;
        Some((request, bytes))
    }
}

/// The stream of one broker. It moves only while the transport asks for its next message, that is while the broker reads: of
/// one that does not take its answers no more requests are taken.
pub(crate) struct Conversation {
    common: Common,
    messages: Streaming<pb::GroupRequests>,
    inbox: Inbox,
    under_way: FuturesUnordered<Abortable<BoxFuture<'static, (u64, Answer)>>>,
    /// The requests that are under way, by their numbers.
    numbers: HashMap<u64, AbortHandle>,
    outbox: Outbox<()>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Requests are taken.
    Open,
    /// No more are taken, and those that were are answered.
    Closing,
    Over,
}

impl Conversation {
    /// Of the broker that sends these messages.
    pub(crate) fn new(common: Common, messages: Streaming<pb::GroupRequests>) -> Self {
        Self {
            common,
            messages,
            inbox: Inbox::default(),
            under_way: FuturesUnordered::new(),
            numbers: HashMap::new(),
            outbox: Outbox::default(),
            phase: Phase::Open,
        }
    }

    /// The next message to the broker; none when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Result<pb::GroupResponses, Status>> {
        while self.phase != Phase::Over {
            let responses = self.outbox.load(|()| true).parcels;
            let closing = self.phase == Phase::Closing && self.under_way.is_empty() && responses.is_empty();
            if closing {
                self.phase = Phase::Over;
            }
            if closing || !responses.is_empty() {
                return Some(Ok(pb::GroupResponses { responses, closing }));
            }
            if let Err(status) = self.go_on().await {
                self.phase = Phase::Over;
                return Some(Err(status));
            }
        }
        None
    }

    /// Waits until something happens, and takes in what has.
    async fn go_on(&mut self) -> Result<(), Status> {
        let is_open = self.phase == Phase::Open;
        tokio::select! {
            Some(done) = self.under_way.next() => self.answer(done),
            message = self.messages.message(), if is_open => match message.map_err(unreadable)? {
                Some(message) => self.take(message)?,
                // Who asks nothing more still wants the answers.
                None => self.phase = Phase::Closing,
            },
            () = self.common.stop.cancelled(), if is_open => self.phase = Phase::Closing,
        }
        // Shards that are about to answer do so first, and what is answered then leaves together.
        if !self.outbox.is_empty() && !self.under_way.is_empty() {
            give_way().await;
        }
        while !self.outbox.is_full()
            && let Poll::Ready(Some(done)) = futures::poll!(self.under_way.next())
        {
            self.answer(done);
        }
        Ok(())
    }

    fn take(&mut self, message: pb::GroupRequests) -> Result<(), Status> {
        for number in message.abandoned {
            self.inbox.abandon(number);
            if let Some(request) = self.numbers.remove(&number) {
                request.abort();
            }
        }
        for parcel in message.requests {
            let whole = self.inbox.take(parcel).map_err(|error| Status::invalid_argument(error.to_string()))?;
            if let Some((number, request)) = whole {
                self.ask(number, request)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, number: u64, request: Bytes) -> Result<(), Status> {
        if self.numbers.contains_key(&number) {
            return Err(Status::invalid_argument(format!("request {number} is under way already")));
        }
        let Some(place) = self.common.place(request.len()) else {
            self.say(number, Answer::Failed(ErrorCode::CoordinatorNotAvailable));
            return Ok(());
        };
        let Ok(request) = pb::GroupRequest::decode(request) else {
            self.say(number, Answer::Failed(ErrorCode::InvalidRequest));
            return Ok(());
        };
        let answer = (self.common.ask)(request);
        let answered = async move {
            let answer = answer.await;
            drop(place);
            (number, answer)
        };
        let (handle, registration) = AbortHandle::new_pair();
        self.under_way.push(Abortable::new(answered.boxed(), registration));
        self.numbers.insert(number, handle);
        Ok(())
    }

    /// Takes in that a request has been answered, or abandoned.
    fn answer(&mut self, done: Result<(u64, Answer), Aborted>) {
        if let Ok((number, answer)) = done
            && self.numbers.remove(&number).is_some()
        {
            self.say(number, answer);
        }
    }

    /// Has an answer leave.
    fn say(&mut self, number: u64, answer: Answer) {
        let mut bytes = pb::GroupResponse::from(answer).encode_to_vec();
        if bytes.len() > MAX_GROUP_MESSAGE_BYTES {
            bytes = pb::GroupResponse::from(Answer::Failed(ErrorCode::MessageTooLarge)).encode_to_vec();
        }
        self.outbox.push(number, bytes.into(), ());
    }
}

/// Lets the tasks that are ready go first, once.
async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
