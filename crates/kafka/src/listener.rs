//! The address of a listener, as Kafka writes it: `NAME://host:port`.

use std::io;

/// A listener's name, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerAddress {
    /// Its name; `PLAINTEXT` if none is given.
    pub(crate) name: String,
    /// Host name or address, without brackets.
    pub(crate) host: String,
    /// 0 lets the system choose.
    pub(crate) port: u16,
}

impl ListenerAddress {
    /// Reads `NAME://host:port` or `host:port`; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// `InvalidInput` if it is neither.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        let invalid = || {
            let message =
                format!("'{text}' is no listener; write NAME://host:port, such as PLAINTEXT://127.0.0.1:9092");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        };
        let (name, address) = text.split_once("://").unwrap_or(("PLAINTEXT", text));
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        // An empty host means every interface, as in Kafka.
        let host = if bare.is_empty() { "0.0.0.0" } else { bare };
        let port = port.parse().map_err(|_| invalid())?;
        if name.is_empty() || host.contains(['/', '[', ']']) {
            return Err(invalid());
        }
        Ok(Self { name: name.to_owned(), host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, String, u16)> {
        ListenerAddress::parse(text).ok().map(|address| (address.name, address.host, address.port))
    }

    #[test]
    fn addresses_are_read_as_kafka_writes_them() {
        let address = |name: &str, host: &str, port| Some((name.to_owned(), host.to_owned(), port));
        assert_eq!(parsed("127.0.0.1:9092"), address("PLAINTEXT", "127.0.0.1", 9092));
        assert_eq!(parsed("EXTERNAL://broker-1.example:19092"), address("EXTERNAL", "broker-1.example", 19092));
        assert_eq!(parsed("PLAINTEXT://[::1]:0"), address("PLAINTEXT", "::1", 0));
        assert_eq!(parsed("PLAINTEXT://:9092"), address("PLAINTEXT", "0.0.0.0", 9092));
        for text in ["", "localhost", "://h:1", "A://h:port", "A://h:70000", "A://h/x:1"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
