//! Bad input over gRPC: a status that says whose fault it is and which limit counts, a process that stays up, nothing
//! stored.
//!
//! The bytes of the requests are made by hand over HTTP/2, since generated stubs refuse to send what these tests send.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use levada_end_to_end::{Outcome, fail};
use levada_harness::{Node, NodeOptions};
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, Status, body::Body, transport::Channel};
use tower::{Service as _, ServiceExt as _};

use crate::{
    metrics::{lines_with, metric},
    wire::{Batch, Connection, code::NONE},
};

const TOPIC: &str = "hostile";

/// `grpc.max.message.bytes` of the nodes here.
const LIMIT: usize = 1 << 20;

const PRODUCE: &str = "levada.v1.Producer/Produce";
const PRODUCE_STREAM: &str = "levada.v1.Producer/ProduceStream";
const FETCH: &str = "levada.v1.Consumer/Fetch";
const CREATE_TOPIC: &str = "levada.v1.Admin/CreateTopic";

const METHODS: [&str; 4] = [PRODUCE, PRODUCE_STREAM, FETCH, CREATE_TOPIC];

/// Calls methods with bytes.
struct Caller {
    runtime: Runtime,
    channel: Channel,
}

impl Caller {
    fn connect(address: SocketAddr) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let channel = runtime.block_on(Channel::from_shared(format!("http://{address}"))?.connect())?;
        Ok(Self { runtime, channel })
    }

    /// The status that a call ends with.
    fn call(&mut self, method: &str, body: Vec<u8>) -> Outcome<Status> {
        let request = http::Request::post(format!("http://levada/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::new(Full::new(Bytes::from(body))))?;
        let channel = &mut self.channel;
        self.runtime.block_on(async {
            let response = channel.ready().await?.call(request).await?;
            if let Some(status) = Status::from_header_map(response.headers()) {
                return Ok(status);
            }
            let body = response.into_body().collect().await?;
            match body.trailers().and_then(Status::from_header_map) {
                Some(status) => Ok(status),
                None => fail("a call without a status"),
            }
        })
    }
}

/// A message as gRPC frames it: a flag, a length that need not be true, and bytes.
fn framed(flag: u8, announced: usize, body: &[u8]) -> Vec<u8> {
    let announced = u32::try_from(announced).unwrap_or(u32::MAX);
    [&[flag][..], &announced.to_be_bytes(), body].concat()
}

#[test]
fn a_bad_grpc_request_is_refused_as_the_callers_fault() -> Outcome {
    let mut node = Node::start_with(NodeOptions::default().set("grpc.max.message.bytes", &LIMIT.to_string()))?;
    let mut kafka = Connection::open(node.kafka()?)?;
    assert_eq!(kafka.create_topic(TOPIC, &[])?, NONE);
    let garbage = [0xff; 64];
    let too_large = "this service takes at most 1048576 (grpc.max.message.bytes)";
    let truncated = "the request ends within a message";

    // The specification of gRPC's compression asks for INTERNAL where a flag stands without a compression.
    let cases: Vec<(&str, Vec<u8>, Code, &str)> = vec![
        ("announced too large", framed(0, usize::MAX, b""), Code::ResourceExhausted, too_large),
        ("one byte too large", framed(0, LIMIT + 1, &vec![0; LIMIT + 1]), Code::ResourceExhausted, too_large),
        ("much too large", framed(0, 8 * LIMIT, &vec![0; 8 * LIMIT]), Code::ResourceExhausted, too_large),
        ("garbage", framed(0, garbage.len(), &garbage), Code::InvalidArgument, "the message is no valid "),
        ("cut off", framed(0, 100, &[0; 99]), Code::InvalidArgument, truncated),
        ("cut off at once", vec![0, 0], Code::InvalidArgument, truncated),
        ("a compression flag", framed(1, 3, b"abc"), Code::Internal, "compression flag 1"),
        ("a flag that is none", framed(7, 3, b"abc"), Code::Internal, "compression flag 7"),
    ];
    let count = u64::try_from(cases.len() * METHODS.len())?;
    for (name, body, code, text) in cases {
        for method in METHODS {
            let status = Caller::connect(node.grpc()?)?
                .call(method, body.clone())
                .map_err(|error| format!("{name}, {method}: {error}"))?;
            assert_eq!(status.code(), code, "{name}, {method}: {status:?}");
            assert!(status.message().contains(text), "{name}, {method}: {status:?}");
            assert!(!status.details().is_empty(), "{name}, {method}: no details");
        }
    }

    assert!(node.is_running()?, "the node is down; it wrote:\n{}", node.log());
    let counted: u64 = ["too large", "unreadable", "truncated", "compressed"]
        .iter()
        .map(|reason| metric(&node, &format!("levada_grpc_server_invalid_requests_total{{reason=\"{reason}\"}}")))
        .sum::<Outcome<u64>>()?;
    assert_eq!(counted, count, "each is counted");
    assert!(lines_with(&node, "a gRPC request was refused") > 0, "the log says nothing:\n{}", node.log());
    assert_eq!(kafka.end_offset(TOPIC)?, 0, "nothing was stored");
    assert_eq!(kafka.produce(TOPIC, &Batch::sound().encode())?, (NONE, 0), "and all goes on");
    Ok(())
}

#[test]
fn a_flood_of_bad_grpc_requests_does_not_fill_the_log() -> Outcome {
    const REQUESTS: u64 = 2_000;
    let node = Node::start()?;
    let mut caller = Caller::connect(node.grpc()?)?;
    for _ in 0..REQUESTS {
        assert_eq!(caller.call(PRODUCE, framed(0, 8, &[0xff; 8]))?.code(), Code::InvalidArgument);
    }
    assert_eq!(metric(&node, "levada_grpc_server_invalid_requests_total{reason=\"unreadable\"}")?, REQUESTS);
    // Ten lines in ten seconds; a machine that takes many minutes for the requests is not what is tested.
    let lines = lines_with(&node, "a gRPC request was refused");
    assert!((1..500).contains(&lines), "{lines} lines");
    Ok(())
}
