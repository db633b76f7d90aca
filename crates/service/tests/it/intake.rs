//! Requests that are none, on public and internal servers: what is answered, and that no handler sees them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::producer_server::{Producer, ProducerServer};
use levada_service::grpc::{GrpcOptions, GrpcServer, MessageLimit, Profile, unreadable};
use levada_service::net::{Address, Network};
use levada_service::shutdown::CancellationToken;
use levada_types::ErrorCode;
use prost::Message as _;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tower::{Service as _, ServiceExt as _};

const LIMIT: usize = 1_000;
const UNARY: &str = "Produce";
const STREAM: &str = "ProduceStream";

/// Counts the messages that reach it.
#[derive(Default, Clone)]
struct Counting(Arc<AtomicUsize>);

#[tonic::async_trait]
impl Producer for Counting {
    async fn init(&self, _request: Request<v1::InitRequest>) -> Result<Response<v1::InitResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn produce(&self, _request: Request<v1::ProduceRequest>) -> Result<Response<v1::ProduceResponse>, Status> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(v1::ProduceResponse::default()))
    }

    type ProduceStreamStream = Pin<Box<dyn Stream<Item = Result<v1::ProduceStreamResponse, Status>> + Send>>;

    async fn produce_stream(
        &self,
        request: Request<Streaming<v1::ProduceStreamRequest>>,
    ) -> Result<Response<Self::ProduceStreamStream>, Status> {
        let mut requests = request.into_inner();
        while requests.message().await.map_err(unreadable)?.is_some() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }
}

/// A message as gRPC frames it, with what is announced and what follows said apart.
fn framed(flag: u8, announced: usize, body: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(announced).unwrap().to_be_bytes(), body].concat()
}

fn sound() -> Vec<u8> {
    framed(0, 0, b"")
}

/// The status that a call with this body ends with.
async fn call(mut channel: Channel, method: &str, body: Vec<u8>) -> Status {
    let request = http::Request::post(format!("http://server/levada.v1.Producer/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(body))))
        .unwrap();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let trailers = response.into_body().collect().await.unwrap().trailers().cloned().unwrap();
    Status::from_header_map(&trailers).unwrap()
}

/// Calls a server of each kind with `body`; gives the status, which must be the same everywhere, and asserts how many
/// messages came through.
async fn outcome(body: &[u8], methods: &[&str], arrived: usize) -> Status {
    let options = GrpcOptions { max_message_bytes: LIMIT, ..GrpcOptions::default() };
    let public = GrpcServer::public(&options, &[]).unwrap();
    let internal = GrpcServer::internal(&options, Profile::Control);
    let mut last: Option<Status> = None;
    for (name, server) in [("public", public), ("internal", internal)] {
        let counting = Counting::default();
        let network = Network::new();
        let listener = network.bind(&Address::memory(name)).await.unwrap();
        let channel = network.dialer(Address::memory(name)).channel(Profile::Control);
        let shutdown = CancellationToken::new();
        let server = server.add_service(ProducerServer::new(counting.clone())).serve(listener, shutdown.clone());
        let serving = tokio::spawn(server);
        for method in methods {
            let before = counting.0.load(Ordering::Relaxed);
            let status = call(channel.clone(), method, body.to_vec()).await;
            assert_eq!(counting.0.load(Ordering::Relaxed) - before, arrived, "{name} {method}");
            if let Some(last) = &last {
                assert_eq!((last.code(), status::code_of(last)), (status.code(), status::code_of(&status)));
            }
            assert_eq!(call(channel.clone(), UNARY, sound()).await.code(), Code::Ok, "the connection goes on");
            last = Some(status);
        }
        drop(channel);
        shutdown.cancel();
        serving.await.unwrap().unwrap();
    }
    last.unwrap()
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_the_limit_and_its_setting() {
    for body in [framed(0, LIMIT + 1, &[0; LIMIT + 1]), framed(0, u32::MAX as usize, b""), framed(0, LIMIT + 1, b"x")] {
        let status = outcome(&body, &[UNARY, STREAM], 0).await;
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status::code_of(&status), Some(ErrorCode::MessageTooLarge));
        assert!(status.message().ends_with("takes at most 1000 (grpc.max.message.bytes)"), "{}", status.message());
    }
    let largest = v1::ProduceRequest {
        batch: Some(v1::ProduceBatch {
            topic: Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name("x".repeat(LIMIT - 12))) }),
            ..v1::ProduceBatch::default()
        }),
        ..v1::ProduceRequest::default()
    }
    .encode_to_vec();
    assert!((LIMIT - 8..=LIMIT).contains(&largest.len()), "{}", largest.len());
    assert_eq!(outcome(&framed(0, largest.len(), &largest), &[UNARY], 1).await.code(), Code::Ok);
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let garbage = framed(0, 8, &[0xff; 8]);
    let status = outcome(&garbage, &[UNARY, STREAM], 0).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status::code_of(&status), Some(ErrorCode::InvalidRequest));
    assert!(status.message().starts_with("the message is no valid Produce"), "{}", status.message());
    let status = outcome(&[sound(), garbage].concat(), &[STREAM], 1).await;
    assert_eq!(status.code(), Code::InvalidArgument, "behind a sound one");
}

#[tokio::test]
async fn a_request_that_ends_within_a_message_is_the_callers_fault() {
    for body in [framed(0, 100, &[0; 99]), b"\0\0".to_vec()] {
        let status = outcome(&body, &[UNARY, STREAM], 0).await;
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "the request ends within a message"));
        assert_eq!(status::code_of(&status), Some(ErrorCode::InvalidRequest));
    }
}

#[tokio::test]
async fn a_compression_flag_without_compression_is_refused_as_grpc_demands() {
    for flag in [1, 2, 0xff] {
        let status = outcome(&framed(flag, 3, b"abc"), &[UNARY, STREAM], 0).await;
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status::code_of(&status), Some(ErrorCode::InvalidRequest));
    }
}

#[tokio::test]
async fn a_service_may_have_a_limit_of_its_own() {
    let network = Network::new();
    let listener = network.bind(&Address::memory("server")).await.unwrap();
    let channel = network.dialer(Address::memory("server")).channel(Profile::Control);
    let shutdown = CancellationToken::new();
    let limit = MessageLimit { bytes: 10, setting: None };
    let server = GrpcServer::internal(&GrpcOptions::default(), Profile::Control)
        .add_service_within(ProducerServer::new(Counting::default()), limit);
    let serving = tokio::spawn(server.serve(listener, shutdown.clone()));
    let status = call(channel, UNARY, framed(0, 11, &[0; 11])).await;
    assert_eq!(status.message(), "a message of 11 bytes; this service takes at most 10");
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
