//! `levada.v1.Consumer`: reading records as a stream. Members of groups are served in `subscribe`.
//!
//! The service is written on the HTTP level instead of with tonic's generated server, because tonic's codec copies every
//! message into its own buffer, and record bytes are most of what a broker sends. The wire format is the same.

mod body;
mod frame;
mod position;
mod pump;
mod read_buffers;
mod records;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use http::{HeaderValue, Request, Response, header};
use levada_proto::codec::MessageCodec;
use levada_proto::v1;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec as _, Streaming};
use tonic::server::NamedService;
use tower::Service;

pub(crate) use frame::Frame;
pub(crate) use position::offset_spec;
pub(crate) use pump::read as read_slice;
pub(crate) use read_buffers::ReadBuffers;
pub(crate) use records::decode as decode_records;

use body::FetchBody;
use levada_service::net::Peer;
use pump::Pump;

use crate::gateway::Gateway;
use crate::inflow::Share;
use crate::subscribe::subscribe;

/// The service.
#[derive(Clone)]
pub(crate) struct ConsumerServer {
    gateway: Arc<Gateway>,
    max_request_bytes: usize,
}

impl ConsumerServer {
    pub(crate) fn new(gateway: Arc<Gateway>, max_request_bytes: usize) -> Self {
        Self { gateway, max_request_bytes }
    }

    async fn fetch(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let decoder = MessageCodec::<v1::FetchResponse, v1::FetchRequest>::default().decoder();
        let body = request.into_body();
        let mut requests = Streaming::new_request(decoder, body, None, Some(self.max_request_bytes));
        let request = requests.message().await?.ok_or_else(|| Status::invalid_argument("the request is missing"))?;
        let pump = Pump::open(self.gateway, request).await?;
        let frames = futures::stream::unfold(Some(pump), |pump| async move {
            let mut pump = pump?;
            match pump.next().await {
                Ok(Some(frame)) => Some((Ok::<Frame, Status>(frame), Some(pump))),
                Ok(None) => None,
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(streaming(Box::pin(frames)))
    }

    fn subscribe(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let share = request.extensions().get::<Arc<Share>>().cloned().unwrap_or_default();
        let peer = request.extensions().get::<Option<Peer>>().copied().flatten();
        let decoder = MessageCodec::<v1::SubscribeResponse, v1::SubscribeRequest>::default().decoder();
        let requests = Streaming::new_request(decoder, request.into_body(), None, Some(self.max_request_bytes));
        Ok(streaming(subscribe(&self.gateway, requests, share, peer)?))
    }
}

/// The response that streams `frames`.
fn streaming(frames: impl Stream<Item = Result<Frame, Status>> + Unpin + Send + 'static) -> Response<Body> {
    let mut response = Response::new(Body::new(FetchBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

impl NamedService for ConsumerServer {
    const NAME: &'static str = v1::consumer_server::SERVICE_NAME;
}

impl Service<Request<Body>> for ConsumerServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let answer = match request.uri().path() {
                "/levada.v1.Consumer/Fetch" => service.fetch(request).await,
                "/levada.v1.Consumer/Subscribe" => service.subscribe(request),
                _ => Err(Status::unimplemented("levada.v1.Consumer has no such method")),
            };
            Ok(answer.unwrap_or_else(|status| status.into_http()))
        })
    }
}
