//! One connection: frames in, requests started, answers out, all in one task.

mod budget;
mod buffer_pool;
mod frame_reader;
mod outbox;
mod pipeline;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_util::sync::CancellationToken;

pub(crate) use budget::Budget;
pub(crate) use buffer_pool::BufferPool;
pub(crate) use service::{Outcome, Service};

use crate::metrics::FaceMetrics;
use crate::options::KafkaOptions;
use crate::wire::answer::Answer;
use crate::wire::request::{Call, Head, Request, RequestError};
use budget::Share;
use frame_reader::{Frame, FrameError, FrameReader, Step};
use outbox::Outbox;
use pipeline::{Bounds, Order, Pipeline};
use service::order_of;

/// What all connections of a face share.
pub(crate) struct Shared<S> {
    pub(crate) service: S,
    pub(crate) options: KafkaOptions,
    pub(crate) buffers: Arc<BufferPool>,
    pub(crate) budget: Budget,
    pub(crate) metrics: FaceMetrics,
    pub(crate) shutdown: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The client closed it, or nothing is left to do at shutdown.
    #[error("it was closed")]
    Closed,
    /// Nothing happened for `connections.max.idle.ms`.
    #[error("nothing happened for connections.max.idle.ms")]
    Idle,
    /// A shutdown, or a client that has closed its side, did not wait longer.
    #[error("requests were open when connection.shutdown.wait.ms had passed")]
    DrainDeadline,
    /// There was no memory for its request for `queued.max.wait.ms`.
    #[error("queued.max.request.bytes was used up for queued.max.wait.ms")]
    NoMemory,
    /// It holds request memory for a frame that does not go on, and others wait for memory.
    #[error("a request stopped arriving for queued.max.wait.ms while memory for requests was scarce")]
    Stalled,
    /// The length of a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What a frame says.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An error that has no answer.
    #[error("{0}")]
    Refused(String),
    /// The socket, or a log on the way to it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl End {
    /// Whether the client sent what no client should.
    pub(crate) fn is_clients_fault(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Request(_) | Self::Refused(_) | Self::NoMemory | Self::Stalled)
    }
}

enum Event {
    Done(u64, Finished),
    Granted(Option<Share>, usize),
    Room,
    IdleCheck,
    Shutdown,
    Deadline,
}

/// A request that is over, and what is left to do about it.
struct Finished {
    head: Head,
    outcome: Outcome,
}

/// Why the connection is not read just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    /// Waits for a share of the request memory.
    Grant,
    /// At a bound, behind a request that goes alone, or the broker wants no more records just now.
    Paused,
}

/// A request that was read and may not start yet.
struct Held {
    call: Call,
    order: Order,
    share: Share,
    size: usize,
}

/// How many requests are open.
#[derive(Debug, Default)]
struct Open {
    produces: usize,
    /// Those that wait for something that may not come for long: for records, or for other members of a group.
    waiting: usize,
    others: usize,
}

impl Open {
    fn of(&mut self, head: Head) -> &mut usize {
        match head.api().key {
            ApiKey::Produce => &mut self.produces,
            ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup => &mut self.waiting,
            _ => &mut self.others,
        }
    }
}

struct Connection<S> {
    shared: Arc<Shared<S>>,
    peer: SocketAddr,
    frames: FrameReader,
    pipeline: Pipeline<Finished>,
    outbox: Outbox,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    held: Option<Held>,
    waits_for_grant: bool,
    waits_for_room: bool,
    draining: bool,
    /// Requests without an answer, by what a close or a shutdown does to them.
    open: Open,
    /// The peer has closed its side, and what it sent before is still read.
    peer_closed: bool,
    last_activity: Instant,
}

/// Serves one connection until it ends.
pub(crate) async fn serve<S: Service>(shared: Arc<Shared<S>>, stream: TcpStream, peer: SocketAddr) -> End {
    let options = &shared.options;
    let bounds =
        Bounds { requests: options.connection_queued_max_requests, bytes: options.connection_queued_max_request_bytes };
    let connection = Connection {
        peer,
        frames: FrameReader::new(Arc::clone(&shared.buffers), options.socket_request_max_bytes),
        pipeline: Pipeline::new(bounds),
        outbox: Outbox::new(options.fetch_sendfile_enable),
        events: FuturesUnordered::new(),
        held: None,
        waits_for_grant: false,
        waits_for_room: false,
        draining: false,
        open: Open::default(),
        peer_closed: false,
        last_activity: Instant::now(),
        shared,
    };
    match connection.run(stream).await {
        Ok(()) => End::Closed,
        Err(end) => end,
    }
}

impl<S: Service> Connection<S> {
    async fn run(mut self, stream: TcpStream) -> Result<(), End> {
        let shutdown = self.shared.shutdown.clone();
        self.events.push(Box::pin(async move {
            shutdown.cancelled().await;
            Event::Shutdown
        }));
        self.watch_idleness();
        let (mut read, write) = stream.into_split();
        loop {
            self.collect_answers()?;
            let reading = self.start_requests()?;
            if self.draining && self.is_drained() {
                return Ok(());
            }
            let socket: &TcpStream = write.as_ref();
            tokio::select! {
                biased;
                Some(event) = self.events.next() => self.handle(event)?,
                written = self.outbox.write_some(socket), if !self.outbox.is_empty() => {
                    written?;
                    self.last_activity = Instant::now();
                }
                received = receive(&mut read, &mut self.frames), if reading == Reading::Open && !self.draining => {
                    if received? == 0 {
                        // The client may have closed only its side and wait for what it asked before.
                        self.peer_closed = true;
                        self.drain();
                    }
                    self.last_activity = Instant::now();
                }
                () = closed(socket), if (reading != Reading::Open || self.draining) && !self.peer_closed => {
                    // Nobody waits for what is open. But records that were sent before the close (acks=0 needs no
                    // answer) are still taken in, and the queue before them moves by itself.
                    if self.open.waiting + self.open.others > 0 || self.draining {
                        return Ok(());
                    }
                    // A frame that waits for memory while its sender is gone would hold what others wait for.
                    if self.waits_for_grant && self.open.produces == 0 {
                        return Ok(());
                    }
                    self.peer_closed = true;
                }
            }
        }
    }

    /// Starts every request that has arrived and may start.
    fn start_requests(&mut self) -> Result<Reading, End> {
        loop {
            if self.draining || self.waits_for_room {
                return Ok(Reading::Paused);
            }
            if let Some(held) = self.held.take() {
                if !self.pipeline.may_start(held.order) {
                    self.held = Some(held);
                    return Ok(Reading::Paused);
                }
                self.start(held);
                continue;
            }
            if self.waits_for_grant {
                return Ok(Reading::Grant);
            }
            if !self.pipeline.has_room() {
                return Ok(Reading::Paused);
            }
            match self.frames.next()? {
                Step::Receive => return Ok(Reading::Open),
                Step::Grant(bytes) => match self.shared.budget.try_take(bytes) {
                    Some(share) => self.frames.grant(share, bytes),
                    None => self.wait_for_grant(bytes),
                },
                Step::Frame(frame) => self.held = Some(self.read_request(frame)?),
            }
        }
    }

    fn read_request(&self, frame: Frame) -> Result<Held, End> {
        let size = frame.bytes.len();
        let call = Call::read(frame.bytes).inspect_err(|_| self.shared.metrics.invalid.increment(1))?;
        self.shared.metrics.request(call.head.api, size);
        Ok(Held { order: order_of(&call.request), call, share: frame.share, size })
    }

    fn start(&mut self, held: Held) {
        let Held { call, order, share, size } = held;
        let head = call.head;
        let is_produce = matches!(call.request, Request::Produce(_));
        *self.open.of(head) += 1;
        let begun = Instant::now();
        let number = self.pipeline.start(order, size);
        let work = self.shared.service.start(call, self.peer);
        let shared = Arc::clone(&self.shared);
        self.events.push(Box::pin(async move {
            let outcome = work.await;
            drop(share);
            shared.metrics.answered(head.api, begun.elapsed());
            Event::Done(number, Finished { head, outcome })
        }));
        if is_produce {
            self.wait_for_room();
        }
    }

    /// Pauses reading if the broker has enough records to write.
    fn wait_for_room(&mut self) {
        let mut room = self.shared.service.room();
        if futures::FutureExt::now_or_never(&mut room).is_none() {
            self.waits_for_room = true;
            self.events.push(Box::pin(async move {
                room.await;
                Event::Room
            }));
        }
    }

    fn wait_for_grant(&mut self, bytes: usize) {
        self.waits_for_grant = true;
        let budget = self.shared.budget.clone();
        let wait = self.shared.options.queued_max_wait();
        self.events.push(Box::pin(async move {
            let share = tokio::time::timeout(wait, budget.take(bytes)).await.ok();
            Event::Granted(share, bytes)
        }));
    }

    /// Looks at the connection again when it could have been idle, or stalled, for long enough.
    fn watch_idleness(&mut self) {
        let options = &self.shared.options;
        let at = Instant::now() + options.max_idle().min(options.queued_max_wait());
        self.wake_at(at, Event::IdleCheck);
    }

    fn check_idleness(&mut self) -> Result<(), End> {
        let options = &self.shared.options;
        let quiet = self.last_activity.elapsed();
        let is_stuck = self.frames.holds_share() && !self.waits_for_grant;
        if is_stuck && quiet >= options.queued_max_wait() && self.shared.budget.is_scarce() {
            return Err(End::Stalled);
        }
        // A request that is open is the broker's to finish; an answer that does not leave is the client's.
        if quiet >= options.max_idle() && (self.pipeline.is_empty() || !self.outbox.is_empty()) {
            return Err(End::Idle);
        }
        self.watch_idleness();
        Ok(())
    }

    /// Reads no more, and gives what is open a limited time.
    fn drain(&mut self) {
        if !self.draining {
            self.draining = true;
            self.wake_at(Instant::now() + self.shared.options.shutdown_wait(), Event::Deadline);
        }
    }

    /// Whether a drained connection need not wait: all answers have left, or nothing is open but what waits for records or
    /// for members.
    fn is_drained(&self) -> bool {
        let waits = self.open.produces + self.open.others > 0 || self.pipeline.has_ready();
        !waits && self.outbox.is_empty()
    }

    fn wake_at(&mut self, at: Instant, event: Event) {
        self.events.push(Box::pin(async move {
            tokio::time::sleep_until(at.into()).await;
            event
        }));
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Done(number, finished) => {
                *self.open.of(finished.head) -= 1;
                self.pipeline.complete(number, finished);
            }
            Event::Granted(None, _) => return Err(End::NoMemory),
            Event::Granted(Some(share), bytes) => {
                self.waits_for_grant = false;
                self.frames.grant(share, bytes);
            }
            Event::Room => self.waits_for_room = false,
            Event::IdleCheck => self.check_idleness()?,
            Event::Shutdown => self.drain(),
            Event::Deadline => return Err(End::DrainDeadline),
        }
        Ok(())
    }

    /// Moves the answers that are ready into the outbox, in order.
    fn collect_answers(&mut self) -> Result<(), End> {
        while self.outbox.wants_more() {
            let Some(Finished { head, outcome }) = self.pipeline.pop_ready() else { break };
            match outcome {
                Outcome::Answer(answer) => self.send(head, answer),
                Outcome::Silent => {}
                Outcome::Close(reason) => return Err(End::Refused(reason)),
            }
        }
        Ok(())
    }

    fn send(&mut self, head: Head, answer: Answer) {
        let bytes = self.outbox.push(answer);
        self.shared.metrics.response(head.api, bytes);
    }
}

/// Receives what the socket has; 0 is the end. A connection at rest holds no buffer while it waits.
async fn receive(read: &mut OwnedReadHalf, frames: &mut FrameReader) -> std::io::Result<usize> {
    if !frames.is_mid_frame() {
        frames.release();
        read.readable().await?;
        frames.prepare();
    }
    read.read_buf(&mut frames.room()).await
}

/// Resolves when the peer has closed the connection although it is not read.
async fn closed(socket: &TcpStream) {
    // Data that waits to be read makes a socket readable, which says nothing here. "Priority" is ready when the other
    // side has closed, and is not used for anything else since nobody sends urgent data.
    let closed = socket.ready(Interest::PRIORITY | Interest::ERROR).await;
    drop(closed);
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
