//! How messages are read from and written to a gRPC stream: as protobuf, and a message that is none can be told from
//! every other failure.

use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;

use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

/// A message that arrived is none of the type that was expected. The source of the status that a stream fails with then,
/// whose code is INTERNAL: for a client that is what it is, and a server makes INVALID_ARGUMENT of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the message is no valid {name}: {source}")]
pub struct UnreadableMessage {
    name: &'static str,
    source: prost::DecodeError,
}

/// The codec of all generated stubs.
#[derive(Debug, Clone)]
pub struct MessageCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for MessageCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for MessageCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = MessageDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

/// Reads messages of one type.
#[derive(Debug, Clone)]
pub struct MessageDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for MessageDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(bytes).map(Some).map_err(|source| {
            let name = type_name::<U>().rsplit("::").next().unwrap_or_default();
            let error = UnreadableMessage { name, source };
            let mut status = Status::internal(error.to_string());
            status.set_source(Arc::new(error));
            status
        })
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}
