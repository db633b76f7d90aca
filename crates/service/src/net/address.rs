//! An address in text: `HOST:PORT`, or `memory:NAME` within one process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MEMORY_PREFIX: &str = "memory:";

/// Where an internal service is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// `HOST:PORT`. The host may be a name or an IPv4 address; an IPv6 address stands in brackets.
    Tcp(String),
    /// A name in the [`super::Network`] of this process.
    Memory(String),
}

impl Address {
    /// The in-memory address `name`.
    #[must_use]
    pub fn memory(name: impl Into<String>) -> Self {
        Self::Memory(name.into())
    }
}

/// A text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address: write HOST:PORT, [IPV6]:PORT or memory:NAME")]
pub struct AddressError {
    /// The text.
    pub text: String,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = || AddressError { text: text.to_owned() };
        if let Some(name) = text.strip_prefix(MEMORY_PREFIX) {
            return if name.is_empty() { Err(refused()) } else { Ok(Self::Memory(name.to_owned())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || port.parse::<u16>().is_err() || (host.contains(':') && !bracketed) {
            return Err(refused());
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Memory(name) => write!(f, "{MEMORY_PREFIX}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_through_text() {
        for text in ["127.0.0.1:9092", "[::1]:9092", "broker-0.svc:0", "memory:broker-1"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "localhost", ":9092", "host:port", "host:65536", "::1:9092", "memory:"] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
