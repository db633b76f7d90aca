//! gRPC's framing, followed as bytes arrive: each message is a flag, a length and so many bytes.

/// A flag and a length of four bytes stand before each message.
const PREFIX_LEN: usize = 5;

/// The flag of a message that is not compressed. No server of the house accepts another.
const PLAIN: u8 = 0;

/// What is wrong with a request's framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FramingError {
    /// A message is announced that is larger than the service takes.
    #[error("a message of {0} bytes")]
    TooLarge(usize),
    /// The flag says that a message is compressed.
    #[error("a message with compression flag {0}, and no compression was agreed on")]
    Compressed(u8),
    /// The request ended within a message.
    #[error("the request ends within a message")]
    Truncated,
}

/// Where in the messages of one request the bytes that have arrived end.
#[derive(Debug)]
pub(super) struct Framing {
    limit: usize,
    prefix: [u8; PREFIX_LEN],
    /// Bytes of the prefix that have arrived.
    prefix_len: usize,
    /// Bytes of the message that have not.
    missing: usize,
}

impl Framing {
    /// The beginning of a request whose messages have at most `limit` bytes each.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, prefix: [0; PREFIX_LEN], prefix_len: 0, missing: 0 }
    }

    /// Follows the bytes that have arrived.
    pub(super) fn advance(&mut self, mut piece: &[u8]) -> Result<(), FramingError> {
        while !piece.is_empty() {
            if self.missing > 0 {
                let skipped = self.missing.min(piece.len());
                self.missing -= skipped;
                piece = piece.get(skipped..).unwrap_or_default();
                continue;
            }
            let (&byte, rest) = piece.split_first().unwrap_or((&PLAIN, &[]));
            piece = rest;
            if let Some(place) = self.prefix.get_mut(self.prefix_len) {
                *place = byte;
                self.prefix_len += 1;
            }
            if self.prefix_len == PREFIX_LEN {
                self.prefix_len = 0;
                self.missing = self.announced()?;
            }
        }
        Ok(())
    }

    fn announced(&self) -> Result<usize, FramingError> {
        let [flag, length @ ..] = self.prefix;
        if flag != PLAIN {
            return Err(FramingError::Compressed(flag));
        }
        let len = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if len > self.limit { Err(FramingError::TooLarge(len)) } else { Ok(len) }
    }

    /// The request is over.
    pub(super) fn end(&self) -> Result<(), FramingError> {
        if self.missing > 0 || self.prefix_len > 0 { Err(FramingError::Truncated) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(flag: u8, announced: u32, body: &[u8]) -> Vec<u8> {
        [&[flag][..], &announced.to_be_bytes(), body].concat()
    }

    /// What is said of `bytes`, whole and in pieces of every size.
    fn outcome(bytes: &[u8]) -> Result<(), FramingError> {
        let read = |size: usize| {
            let mut framing = Framing::new(10);
            bytes.chunks(size).try_for_each(|piece| framing.advance(piece))?;
            framing.end()
        };
        let whole = read(bytes.len().max(1));
        assert!((1..=bytes.len()).all(|size| read(size) == whole), "pieces make a difference");
        whole
    }

    #[test]
    fn sound_messages_pass_however_they_arrive() {
        let messages = [message(0, 3, b"abc"), message(0, 0, b""), message(0, 10, &[7; 10])].concat();
        assert_eq!(outcome(&messages), Ok(()));
        assert_eq!(outcome(b""), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let sound = message(0, 3, b"abc");
        let after = |bytes: Vec<u8>| outcome(&[sound.clone(), bytes].concat());
        assert_eq!(after(message(0, 11, &[7; 11])), Err(FramingError::TooLarge(11)));
        assert_eq!(after(message(0, u32::MAX, b"")), Err(FramingError::TooLarge(u32::MAX as usize)), "announced only");
        assert_eq!(after(message(1, 3, b"abc")), Err(FramingError::Compressed(1)));
        assert_eq!(after(message(0xff, 3, b"abc")), Err(FramingError::Compressed(0xff)));
        assert_eq!(after(message(0, 3, b"ab")), Err(FramingError::Truncated));
        assert_eq!(after(b"\0\0".to_vec()), Err(FramingError::Truncated), "within the prefix");
    }
}
