//! Streams that stand for as long as their client likes, ended when the server stops.
//!
//! The house's own streams watch the shutdown themselves. Those of health and reflection, which are libraries', do not: a
//! load balancer that watches the health would make every stop last as long as the drain may.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

/// A service whose streams end with UNAVAILABLE when the server stops and they have nothing to say.
#[derive(Debug, Clone)]
pub(super) struct Standing<S> {
    inner: S,
    ending: CancellationToken,
}

impl<S> Standing<S> {
    /// Lets the streams of `inner` end with `ending`.
    pub(super) fn new(inner: S, ending: CancellationToken) -> Self {
        Self { inner, ending }
    }
}

impl<S: NamedService> NamedService for Standing<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Standing<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ending = self.ending.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            let stand = |inner| StandingBody { inner, ending: Box::pin(ending.cancelled_owned()), is_over: false };
            Ok(response.map(|inner| Body::new(stand(inner))))
        })
    }
}

struct StandingBody {
    inner: Body,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
}

impl http_body::Body for StandingBody {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        // What there is to say is said first: that the server does not serve any more, to who watches its health.
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(this.ending.as_mut().poll(cx));
        this.is_over = true;
        let mut trailers = HeaderMap::new();
        let status = Status::unavailable("the server is shutting down");
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
