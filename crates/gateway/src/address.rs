//! Addresses as clients write them.

use levada_metadata::Endpoint;

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn of_endpoint(endpoint: &Endpoint) -> String {
    if endpoint.host.contains(':') {
        format!("[{}]:{}", endpoint.host, endpoint.port)
    } else {
        format!("{}:{}", endpoint.host, endpoint.port)
    }
}

/// Host and port of `host:port`; brackets around an IPv6 address are taken off.
pub(crate) fn split(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { None } else { Some((host, port.parse().ok()?)) }
}

#[cfg(test)]
mod tests {
    use levada_metadata::EndpointProtocol;

    use super::*;

    #[test]
    fn ipv6_addresses_stand_in_brackets() {
        for (text, host) in [("[::1]:9090", "::1"), ("broker-0:9090", "broker-0")] {
            assert_eq!(split(text), Some((host, 9090)));
            let (listener, protocol) = ("GRPC".to_owned(), EndpointProtocol::Grpc);
            assert_eq!(of_endpoint(&Endpoint { listener, host: host.to_owned(), port: 9090, protocol }), text);
        }
        for text in ["", "host", ":9090", "host:port", "host:70000"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
