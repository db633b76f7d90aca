//! A connection of the Kafka protocol that carries the requests of many members at once.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use levada_end_to_end::{Outcome, fail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, oneshot},
};

/// The largest answer that is asked for here.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Answers come in the order of the requests.
type Waiting = Arc<std::sync::Mutex<VecDeque<oneshot::Sender<Bytes>>>>;

/// One connection; clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    writer: Arc<Mutex<OwnedWriteHalf>>,
    waiting: Waiting,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let waiting = Waiting::default();
        tokio::spawn(read(reader, Arc::clone(&waiting)));
        Ok(Self { writer: Arc::new(Mutex::new(writer)), waiting })
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn call<R: Request>(&self, request: &R, version: i16) -> Outcome<R::Response> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_client_id(Some(StrBytes::from_static_str("levada-bench")));
        let mut frame = BytesMut::from(&[0; 4][..]);
        header.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let length = i32::try_from(frame.len() - 4)?.to_be_bytes();
        frame[..4].copy_from_slice(&length);

        let (answered, answer) = oneshot::channel();
        {
            let mut writer = self.writer.lock().await;
            // Under the same lock, so that who waits stands in the order of what was sent.
            self.waiting.lock().map_err(|_| "a reader has panicked")?.push_back(answered);
            writer.write_all(&frame).await?;
        }
        let mut answer = answer.await.map_err(|_| "the connection was closed")?;
        ResponseHeader::decode(&mut answer, R::Response::header_version(version))?;
        Ok(R::Response::decode(&mut answer, version)?)
    }
}

/// Hands out answers until the connection ends; then nobody waits any more.
async fn read(reader: OwnedReadHalf, waiting: Waiting) {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    // Whoever waits is told by the end of the channel.
    let _ended = answers(&mut reader, &waiting).await;
    if let Ok(mut waiting) = waiting.lock() {
        waiting.clear();
    }
}

async fn answers(reader: &mut BufReader<OwnedReadHalf>, waiting: &Waiting) -> Outcome {
    loop {
        let length = usize::try_from(reader.read_i32().await?)?;
        if length > MAX_ANSWER_BYTES {
            return fail(format!("an answer of {length} bytes"));
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).await?;
        let next = waiting.lock().map_err(|_| "a caller has panicked")?.pop_front();
        let next = next.ok_or_else(|| io::Error::other("an answer that nobody waits for"))?;
        // Who has given up does not listen.
        let _given_up = next.send(answer.into());
    }
}
