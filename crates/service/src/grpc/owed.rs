//! What a server that stops still owes its clients: answers that are being made, and bytes that are on their way.
//!
//! A connection ends by itself once its streams have ended and its client has taken note. A client that is frozen, or that
//! opened a connection and never said a word on it, takes no note, and every stop would sit out the whole drain for it.
//! So the server counts what it owes, and cuts off the connections that are left when there is nothing more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::{Layer, Service};

/// How long nothing may be owed and nothing sent until a client that keeps its connection is one that will not let go: a
/// few round trips around the world.
const QUIET: Duration = Duration::from_millis(500);

/// What a server owes. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Owed {
    /// A token for each handler that runs and each response body that has to bring its next frame. A body whose last
    /// frame the client has not taken yet holds none: it is the client's turn.
    turns: TaskTracker,
    sent: Arc<AtomicU64>,
}

impl Owed {
    /// Takes note of bytes that were sent.
    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Resolves once nothing has been owed and sent for a while.
    pub(super) async fn settled(&self) {
        self.turns.close();
        loop {
            self.turns.wait().await;
            let before = self.sent.load(Ordering::Relaxed);
            tokio::time::sleep(QUIET).await;
            if self.turns.is_empty() && self.sent.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

impl<S> Layer<S> for Owed {
    type Service = Owing<S>;

    fn layer(&self, inner: S) -> Owing<S> {
        Owing { inner, owed: self.clone() }
    }
}

/// A service whose answers are owed.
#[derive(Debug, Clone)]
pub(super) struct Owing<S> {
    inner: S,
    owed: Owed,
}

impl<S, B, R> Service<Request<B>> for Owing<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<OwedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let turns = self.owed.turns.clone();
        let turn = turns.token();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            drop(turn);
            Ok(response.map(|inner| OwedBody { inner, turns, turn: None }))
        })
    }
}

/// A response body that is owed while its next frame is awaited.
pub(super) struct OwedBody<B> {
    inner: B,
    turns: TaskTracker,
    turn: Option<TaskTrackerToken>,
}

impl<B: Body + Unpin> Body for OwedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        if this.turn.is_none() {
            this.turn = Some(this.turns.token());
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        this.turn = None;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
