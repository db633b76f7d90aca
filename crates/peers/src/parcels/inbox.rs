//! What arrives on a stream, put together.

use bytes::{Bytes, BytesMut};
use levada_proto::internal::GroupParcel;

use super::MAX_GROUP_MESSAGE_BYTES;

/// Puts together what arrives in parts. It holds one message at most, and takes memory as its parts arrive.
#[derive(Debug, Default)]
pub struct Inbox {
    /// The message of which more is to come, and its number.
    begun: Option<(u64, BytesMut)>,
}

/// The other side breaks the rules, so that the stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    /// A message in parts begins within another one.
    #[error("message {begins} begins in parts within message {within}")]
    Within {
        /// The number of the message that begins.
        begins: u64,
        /// The number of the one that is not over.
        within: u64,
    },
    /// A message is too large.
    #[error("message {number} has more than {MAX_GROUP_MESSAGE_BYTES} bytes")]
    TooLarge {
        /// Its number.
        number: u64,
    },
}

impl Inbox {
    /// Takes in a parcel; returns the message that is whole with it, and its number.
    ///
    /// # Errors
    /// [`ParcelError`] if no peer would send this.
    pub fn take(&mut self, parcel: GroupParcel) -> Result<Option<(u64, Bytes)>, ParcelError> {
        let GroupParcel { number, bytes, continues } = parcel;
        let Some((within, begun)) = self.begun.as_mut().filter(|(begun, _)| continues || *begun == number) else {
            if continues {
                self.begun = Some((number, BytesMut::from(bytes)));
                return Ok(None);
            }
            return Ok(Some((number, bytes)));
        };
        if *within != number {
            return Err(ParcelError::Within { begins: number, within: *within });
        }
        if begun.len() + bytes.len() > MAX_GROUP_MESSAGE_BYTES {
            return Err(ParcelError::TooLarge { number });
        }
        begun.extend_from_slice(&bytes);
        if continues {
            return Ok(None);
        }
        Ok(self.begun.take().map(|(number, whole)| (number, whole.freeze())))
    }

    /// The rest of this message does not come; it may be another one, or none, whose parts were arriving.
    pub fn abandon(&mut self, number: u64) {
        self.begun.take_if(|(begun, _)| *begun == number);
    }
}
