//! Which topic: the identity that outlives no deletion.

use std::fmt;

use uuid::Uuid;

/// A topic's identity (KIP-516), chosen at its creation. A topic that is deleted and created again under the same name
/// is another topic with another id.
///
/// Written as Kafka writes it: 22 characters of URL-safe base64 without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// Kafka's "no id" (all zeros).
    pub const ZERO: Self = Self(Uuid::nil());

    /// Reads the 22-character form that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode_base64(text).map(Self)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base64(self.0))
    }
}

/// The URL-safe alphabet of RFC 4648, section 5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 16 bytes are 128 bits: 21 characters of 6 bits and one of 2.
const ENCODED_LEN: usize = 22;

pub(crate) fn encode_base64(id: Uuid) -> String {
    let bits = id.as_u128();
    (0..ENCODED_LEN)
        .map(|i| {
            let index = if i < 21 { (bits >> (122 - 6 * i)) & 0x3f } else { (bits << 4) & 0x3f };
            char::from(ALPHABET[index as usize])
        })
        .collect()
}

pub(crate) fn decode_base64(text: &str) -> Option<Uuid> {
    if text.len() != ENCODED_LEN {
        return None;
    }
    let mut bits = 0u128;
    for (i, c) in text.bytes().enumerate() {
        let index = ALPHABET.iter().position(|&a| a == c)? as u128;
        if i < 21 {
            bits = (bits << 6) | index;
        } else if index & 0x0f == 0 {
            bits = (bits << 2) | (index >> 4);
        } else {
            return None;
        }
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_written_as_kafka_writes_it() {
        let id = TopicId(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f));
        assert_eq!(id.to_string(), "AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn refuses_what_is_no_id() {
        for text in ["", "short", "AAECAwQFBgcICQoLDA0OD!", "AAECAwQFBgcICQoLDA0ODx", "AAECAwQFBgcICQoLDA0ODwAA"] {
            assert_eq!(TopicId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(bits: u128) {
            let id = TopicId(Uuid::from_u128(bits));
            prop_assert_eq!(TopicId::parse(&id.to_string()), Some(id));
        }
    }
}
