//! A blocking connection over the Kafka protocol, whose two directions two threads may use: the measured client is one
//! thread that writes and one that reads, with nothing between them and the socket.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use levada_types::ErrorCode;

use crate::CliError;

/// The name under which the load generator shows in the broker's metrics and logs.
const CLIENT_ID: &str = "levada-bench";

/// How long an answer may take; fetches wait at most half a second at the broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest response that is read: twice what a consumer asks for at most here.
const MAX_RESPONSE_BYTES: usize = 256 << 20;

/// The ApiVersions request that every broker since 0.10 reads, before anything is known of it.
const FIRST_API_VERSIONS: i16 = 0;

/// Both directions of a connection.
#[derive(Debug)]
pub(in crate::bench) struct Connection {
    pub(in crate::bench) sender: Sender,
    pub(in crate::bench) receiver: Receiver,
}

/// The writing direction.
#[derive(Debug)]
pub(in crate::bench) struct Sender {
    stream: TcpStream,
    address: Arc<str>,
    frame: BytesMut,
    correlation_id: i32,
    /// What the broker offers: API key to least and greatest version.
    offered: HashMap<i16, (i16, i16)>,
}

/// The reading direction.
#[derive(Debug)]
pub(in crate::bench) struct Receiver {
    stream: TcpStream,
    address: Arc<str>,
    buffer: BytesMut,
}

impl Connection {
    /// Connects and learns which versions the broker offers.
    pub(in crate::bench) fn open(address: &str) -> Result<Self, CliError> {
        let failed = || CliError::io(format!("connecting to {address}"));
        let stream = TcpStream::connect(address).map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(failed())?;
        let reading = stream.try_clone().map_err(failed())?;
        let address: Arc<str> = address.into();
        let mut connection = Self {
            sender: Sender {
                stream,
                address: address.clone(),
                frame: BytesMut::new(),
                correlation_id: 0,
                offered: HashMap::new(),
            },
            receiver: Receiver { stream: reading, address, buffer: BytesMut::new() },
        };
        let correlation_id = connection.sender.send(FIRST_API_VERSIONS, &ApiVersionsRequest::default())?;
        let answer = connection.receiver.receive::<ApiVersionsRequest>(FIRST_API_VERSIONS, correlation_id)?;
        check("ApiVersions", answer.error_code)?;
        connection.sender.offered =
            answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Ok(connection)
    }

    /// Sends one request and waits for its answer.
    pub(in crate::bench) fn call<R: Request>(&mut self, newest: i16, request: &R) -> Result<R::Response, CliError> {
        let version = self.sender.version::<R>(newest)?;
        let correlation_id = self.sender.send(version, request)?;
        self.receiver.receive::<R>(version, correlation_id)
    }
}

impl Sender {
    /// The newest version up to `newest` that both sides speak.
    pub(in crate::bench) fn version<R: Request>(&self, newest: i16) -> Result<i16, CliError> {
        let newest = newest.min(R::VERSIONS.max);
        match self.offered.get(&R::KEY) {
            Some(&(least, greatest)) if least <= newest && greatest >= R::VERSIONS.min => Ok(newest.min(greatest)),
            offered => Err(CliError::Protocol {
                what: self.address.to_string(),
                reason: format!("API key {} is offered as {offered:?}, wanted up to version {newest}", R::KEY),
            }),
        }
    }

    /// Writes a request and returns its correlation id.
    pub(in crate::bench) fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<i32, CliError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
        let encoding = |error| CliError::Protocol {
            what: format!("encoding a request of API key {}", R::KEY),
            reason: format!("{error:#}"),
        };
        self.frame.clear();
        self.frame.extend_from_slice(&[0; 4]);
        header.encode(&mut self.frame, R::header_version(version)).map_err(encoding)?;
        request.encode(&mut self.frame, version).map_err(encoding)?;
        let length = u32::try_from(self.frame.len() - 4)
            .map_err(|_| CliError::Usage("a request is larger than 4 GiB; choose smaller batches".to_owned()))?;
        self.frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&self.frame).map_err(CliError::io(format!("writing to {}", self.address)))?;
        Ok(self.correlation_id)
    }
}

impl Receiver {
    /// Reads the answer to the request with this correlation id. Answers come in the order of requests.
    pub(in crate::bench) fn receive<R: Request>(
        &mut self,
        version: i16,
        correlation_id: i32,
    ) -> Result<R::Response, CliError> {
        let mut frame = self.frame()?;
        let malformed = |reason: String| CliError::Protocol {
            what: format!("the answer of {} to API key {}", self.address, R::KEY),
            reason,
        };
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))
            .map_err(|error| malformed(format!("{error:#}")))?;
        if header.correlation_id != correlation_id {
            return Err(malformed(format!("correlation id {} in place of {correlation_id}", header.correlation_id)));
        }
        R::Response::decode(&mut frame, version).map_err(|error| malformed(format!("{error:#}")))
    }

    fn frame(&mut self) -> Result<Bytes, CliError> {
        let failed = || CliError::io(format!("reading from {}", self.address));
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(failed())?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_RESPONSE_BYTES {
            return Err(CliError::Protocol {
                what: self.address.to_string(),
                reason: format!("a response of {length} bytes is announced"),
            });
        }
        // The records of the last response were dropped by now, so that its memory is used again.
        self.buffer.clear();
        self.buffer.resize(length, 0);
        self.stream.read_exact(&mut self.buffer).map_err(failed())?;
        Ok(self.buffer.split().freeze())
    }
}

/// Turns an error code of a response into an error.
pub(in crate::bench) fn check(what: impl Into<String>, code: i16) -> Result<(), CliError> {
    match ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError) {
        ErrorCode::None => Ok(()),
        code => Err(CliError::Kafka { what: what.into(), code }),
    }
}
