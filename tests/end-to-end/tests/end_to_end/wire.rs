//! Kafka frames and record batches made by hand, so that they can be wrong in every way.
//!
//! Nothing here uses the project's own encoders: what they would refuse to build is what these tests send.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use levada_end_to_end::{Outcome, fail};

/// How long a connection may stay silent before a test gives up on it.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);

/// API keys.
pub(crate) mod api {
    pub(crate) const PRODUCE: i16 = 0;
    pub(crate) const LIST_OFFSETS: i16 = 2;
    pub(crate) const METADATA: i16 = 3;
    pub(crate) const API_VERSIONS: i16 = 18;
    pub(crate) const CREATE_TOPICS: i16 = 19;
}

/// Error codes.
pub(crate) mod code {
    pub(crate) const NONE: i16 = 0;
    pub(crate) const CORRUPT_MESSAGE: i16 = 2;
    pub(crate) const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    pub(crate) const MESSAGE_TOO_LARGE: i16 = 10;
    pub(crate) const INVALID_TOPIC: i16 = 17;
    pub(crate) const UNSUPPORTED_VERSION: i16 = 35;
    pub(crate) const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
    pub(crate) const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    pub(crate) const INVALID_RECORD: i16 = 87;
}

/// Bytes under construction, big-endian as the protocol has them.
#[derive(Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn i8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn string(self, value: &str) -> Self {
        let length = i16::try_from(value.len()).unwrap_or(i16::MAX);
        self.i16(length).raw(value.as_bytes())
    }

    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        self.i32(length(value)).raw(value)
    }

    /// A zigzag varint.
    pub(crate) fn varint(mut self, value: i64) -> Self {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    pub(crate) fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }
}

fn length(value: &[u8]) -> i32 {
    i32::try_from(value.len()).unwrap_or(i32::MAX)
}

/// A request with header version 1, as every version used here has it, without its length.
pub(crate) fn request(key: i16, version: i16, body: &Bytes) -> Vec<u8> {
    Bytes::default().i16(key).i16(version).i32(7).string("by hand").raw(&body.0).0
}

/// A request with header version 2, as the flexible versions have it, without its length.
pub(crate) fn flexible_request(key: i16, version: i16, body: &Bytes) -> Vec<u8> {
    Bytes::default().i16(key).i16(version).i32(7).string("by hand").i8(0).raw(&body.0).0
}

/// A Produce v7 request for partition 0 of `topic`.
pub(crate) fn produce(topic: &str, records: &[u8]) -> Vec<u8> {
    let body = Bytes::default()
        .i16(-1) // no transactional id
        .i16(-1) // acks: all
        .i32(10_000)
        .i32(1)
        .string(topic)
        .i32(1)
        .i32(0)
        .bytes(records);
    request(api::PRODUCE, 7, &body)
}

/// Puts the length before a request.
pub(crate) fn framed(request: &[u8]) -> Vec<u8> {
    Bytes::default().bytes(request).0
}

/// A record batch whose every field can be set; the length and the checksum are right unless set too.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) length: Option<i32>,
    pub(crate) magic: i8,
    pub(crate) crc: Option<u32>,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) timestamp: i64,
    pub(crate) count: i32,
    pub(crate) records: Vec<u8>,
}

impl Batch {
    /// A sound batch with one record.
    pub(crate) fn sound() -> Self {
        Self {
            length: None,
            magic: 2,
            crc: None,
            attributes: 0,
            last_offset_delta: 0,
            timestamp: 1_700_000_000_000,
            count: 1,
            records: record(b"key", b"value"),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let covered = Bytes::default()
            .i16(self.attributes)
            .i32(self.last_offset_delta)
            .i64(self.timestamp)
            .i64(self.timestamp)
            .i64(-1) // no producer id
            .i16(-1)
            .i32(-1)
            .i32(self.count)
            .raw(&self.records);
        let crc = self.crc.unwrap_or_else(|| crc32c::crc32c(&covered.0));
        let after_length = Bytes::default().i32(-1).i8(self.magic).raw(&crc.to_be_bytes()).raw(&covered.0);
        Bytes::default().i64(0).i32(self.length.unwrap_or(length(&after_length.0))).raw(&after_length.0).0
    }
}

/// One record with offset and timestamp delta 0.
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = Bytes::default()
        .i8(0)
        .varint(0)
        .varint(0)
        .varint(key.len() as i64)
        .raw(key)
        .varint(value.len() as i64)
        .raw(value)
        .varint(0);
    Bytes::default().varint(body.0.len() as i64).raw(&body.0).0
}

/// A zstd frame of a few kilobytes that decompresses to `mebibytes` MiB of zeros: one run-length block for each 128 KiB.
pub(crate) fn zstd_bomb(mebibytes: usize) -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    const RUN_LENGTH: u32 = 1;
    // Magic number; a frame header that tells no content size; a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let blocks = mebibytes * 8;
    for index in 1..=blocks {
        let header = (BLOCK << 3) | (RUN_LENGTH << 1) | u32::from(index == blocks);
        frame.extend(header.to_le_bytes().into_iter().take(3));
        frame.push(0);
    }
    frame
}

/// A connection that speaks frames.
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SILENCE_LIMIT))?;
        stream.set_write_timeout(Some(SILENCE_LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends bytes as they are. A peer that has closed already is no error: that is one of the right answers.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.write_all(bytes) {
            Err(error) if is_closed(&error) => Ok(()),
            outcome => outcome,
        }
    }

    /// Says that nothing more will come, without closing the other direction.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self.stream.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            outcome => outcome,
        }
    }

    /// The next frame; `None` if the peer closed the connection.
    pub(crate) fn receive(&mut self) -> Outcome<Option<Vec<u8>>> {
        let mut length = [0; 4];
        if !self.fill(&mut length)? {
            return Ok(None);
        }
        let length = usize::try_from(i32::from_be_bytes(length))?;
        if length > 1 << 20 {
            return fail(format!("a frame of {length} bytes in answer to almost nothing"));
        }
        let mut frame = vec![0; length];
        Ok(self.fill(&mut frame)?.then_some(frame))
    }

    /// Reads and drops everything until the peer closes the connection.
    pub(crate) fn drain(&mut self) -> Outcome {
        while self.receive()?.is_some() {}
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        match self.stream.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if is_closed(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a request and returns the body of its answer, after the correlation id.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Outcome<Vec<u8>> {
        self.send(&framed(request))?;
        match self.receive()? {
            Some(answer) if answer.get(..4) == Some(&7_i32.to_be_bytes()) => {
                Ok(answer.get(4..).unwrap_or_default().to_vec())
            }
            Some(answer) => fail(format!("an answer with another correlation id: {answer:?}")),
            None => fail("the connection was closed in place of an answer"),
        }
    }

    /// Produces `records` to partition 0 of `topic` and returns error code and base offset.
    pub(crate) fn produce(&mut self, topic: &str, records: &[u8]) -> Outcome<(i16, i64)> {
        let mut answer = Answer::new(self.ask(&produce(topic, records))?);
        answer.skip(4 + 2 + topic.len() + 4 + 4)?; // one topic, its name, one partition, its index
        Ok((answer.i16()?, answer.i64()?))
    }

    /// The log end offset of partition 0 of `topic`.
    pub(crate) fn end_offset(&mut self, topic: &str) -> Outcome<i64> {
        let body = Bytes::default().i32(-1).i32(1).string(topic).i32(1).i32(0).i64(-1);
        let mut answer = Answer::new(self.ask(&request(api::LIST_OFFSETS, 1, &body))?);
        answer.skip(4 + 2 + topic.len() + 4 + 4)?;
        match answer.i16()? {
            code::NONE => {}
            other => return fail(format!("the end offset of {topic}: error {other}")),
        }
        answer.i64()?; // no timestamp
        answer.i64()
    }

    /// Creates a topic with one partition and returns the error code.
    pub(crate) fn create_topic(&mut self, name: &str, configs: &[(&str, &str)]) -> Outcome<i16> {
        let body = Bytes::default().i32(1).string(name).i32(1).i16(1).i32(0).i32(i32::try_from(configs.len())?);
        let body = configs.iter().fold(body, |body, (key, value)| body.string(key).string(value));
        let mut answer = Answer::new(self.ask(&request(api::CREATE_TOPICS, 2, &body.i32(10_000).i8(0)))?);
        answer.skip(4 + 4 + 2 + name.len())?; // throttle time, one topic, its name
        answer.i16()
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// An answer that is read from front to back.
pub(crate) struct Answer(std::vec::IntoIter<u8>);

impl Answer {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into_iter())
    }

    pub(crate) fn skip(&mut self, bytes: usize) -> Outcome {
        (0..bytes).try_for_each(|_| self.0.next().map(drop).ok_or_else(|| "the answer is too short".into()))
    }

    pub(crate) fn i16(&mut self) -> Outcome<i16> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    pub(crate) fn i32(&mut self) -> Outcome<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(crate) fn i64(&mut self) -> Outcome<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.0.next().ok_or("the answer is too short")?;
        }
        Ok(bytes)
    }
}
