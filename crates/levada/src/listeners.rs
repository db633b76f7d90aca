//! `listeners` and `advertised.listeners`: where clients connect, and what they are told.

use levada_service::options::{CommaList, OptionsError};
use serde::{Deserialize, Serialize};

/// The name of the listener of the public gRPC services. Every other name is a listener of Kafka's protocol.
const GRPC: &str = "GRPC";

/// Where Kafka clients connect by default: Kafka's own port, on this machine only.
pub(crate) const DEFAULT_KAFKA: &str = "127.0.0.1:9092";

/// Where gRPC clients connect by default, on this machine only.
pub(crate) const DEFAULT_GRPC: &str = "127.0.0.1:9090";

/// The only Kafka listener so far, named after its protocol as in Kafka.
const PLAINTEXT: &str = "PLAINTEXT";

/// The options, in Kafka's form: `NAME://HOST:PORT` with commas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListenerOptions {
    /// Where to listen. An empty host means every interface, port 0 a free port.
    #[serde(rename = "listeners")]
    pub(crate) listeners: CommaList,
    /// What clients are told instead, by listener name; port 0 stands for the bound port.
    #[serde(rename = "advertised.listeners")]
    pub(crate) advertised: CommaList,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        let listeners = CommaList::parse(&listeners_at(DEFAULT_KAFKA, DEFAULT_GRPC));
        Self { listeners, advertised: CommaList::default() }
    }
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerAddress {
    /// Its name.
    pub(crate) name: String,
    /// Where it listens, `host:port`.
    pub(crate) bind: String,
    /// What clients are told, `host:port`; `None` for the bound address.
    pub(crate) advertised: Option<String>,
}

/// The listeners of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listeners {
    /// Kafka's protocol.
    pub(crate) kafka: ListenerAddress,
    /// The public gRPC services.
    pub(crate) grpc: ListenerAddress,
}

impl ListenerOptions {
    /// Reads the options.
    pub(crate) fn read(&self) -> Result<Listeners, OptionsError> {
        let listeners = entries("listeners", &self.listeners)?;
        let advertised = entries("advertised.listeners", &self.advertised)?;
        let unknown = advertised.iter().chain(&listeners).find(|(name, _)| name != GRPC && name != PLAINTEXT);
        if let Some((name, _)) = unknown {
            let reason = format!("the listener {name:?} is not one of {PLAINTEXT} and {GRPC}");
            return Err(OptionsError::invalid("listeners", reason));
        }
        let one = |wanted: &str| {
            let mut bind = listeners.iter().filter(|(name, _)| name == wanted).map(|(_, address)| address);
            match (bind.next(), bind.next()) {
                (Some(bind), None) => Ok(ListenerAddress {
                    name: wanted.to_owned(),
                    bind: if bind.starts_with(':') { format!("0.0.0.0{bind}") } else { bind.clone() },
                    advertised: advertised.iter().find(|(name, _)| name == wanted).map(|(_, address)| address.clone()),
                }),
                _ => Err(OptionsError::invalid("listeners", format!("there must be one {wanted}://HOST:PORT"))),
            }
        };
        Ok(Listeners { kafka: one(PLAINTEXT)?, grpc: one(GRPC)? })
    }
}

/// `listeners` for a broker that listens at these two addresses.
pub(crate) fn listeners_at(kafka: &str, grpc: &str) -> String {
    format!("{PLAINTEXT}://{kafka},{GRPC}://{grpc}")
}

fn entries(option: &str, list: &CommaList) -> Result<Vec<(String, String)>, OptionsError> {
    list.iter()
        .map(|entry| {
            let (name, address) = entry.split_once("://").unwrap_or_default();
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if name.is_empty() || port.is_none() {
                return Err(OptionsError::invalid(option, format!("{entry:?} is not of the form NAME://HOST:PORT")));
            }
            Ok((name.to_ascii_uppercase(), address.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(listeners: &str, advertised: &str) -> Result<Listeners, String> {
        ListenerOptions { listeners: CommaList::parse(listeners), advertised: CommaList::parse(advertised) }
            .read()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_bring_addresses_and_what_clients_are_told_together() {
        let listeners = read("grpc://[::1]:9090, PLAINTEXT://:9092", "PLAINTEXT://broker-0.example:19092").unwrap();
        assert_eq!(listeners.kafka.bind, "0.0.0.0:9092");
        assert_eq!(listeners.kafka.advertised.as_deref(), Some("broker-0.example:19092"));
        assert_eq!((listeners.grpc.bind.as_str(), listeners.grpc.advertised), ("[::1]:9090", None));
    }

    #[test]
    fn the_default_is_the_local_host() {
        let listeners = ListenerOptions::default().read().unwrap();
        assert_eq!((listeners.kafka.bind.as_str(), listeners.grpc.bind.as_str()), (DEFAULT_KAFKA, DEFAULT_GRPC));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for listeners in [
            "PLAINTEXT://a:1",
            "PLAINTEXT://a:1,GRPC://a:2,PLAINTEXT://a:3",
            "PLAINTEXT://a:1,GRPC://a:2,SSL://a:3",
            "PLAINTEXT:a:1,GRPC://a:2",
            "PLAINTEXT://a,GRPC://a:2",
        ] {
            assert!(read(listeners, "").is_err(), "{listeners}");
        }
        assert!(read("PLAINTEXT://a:1,GRPC://a:2", "OTHER://a:1").is_err());
    }
}
