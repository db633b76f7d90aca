//! The address that others are told to dial, which is not always the one that was bound.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Address;

/// No address was found that others could dial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bound} listens on every interface, and that is no address that others can dial; set internal.advertised.listener to \
     the HOST:PORT at which they reach this process"
)]
pub struct NoAdvertisedAddress {
    /// What was bound.
    pub bound: Address,
}

/// What others are told to dial for a listener that was asked for as `wanted` and is `bound`.
///
/// That is `advertised` if it is given, where port 0 stands for the bound port. Otherwise it is the configured host with
/// the bound port, since a name may mean more to others than the address that it stands for here. A listener on every
/// interface has no host of its own: then it is the name of this machine, which is what containers and pods are known by.
///
/// # Errors
/// [`NoAdvertisedAddress`] if the machine has no name either.
pub fn advertised(
    wanted: &Address,
    bound: Address,
    advertised: Option<&Address>,
) -> Result<Address, NoAdvertisedAddress> {
    let (Address::Tcp(wanted), Address::Tcp(bound_at)) = (wanted, &bound) else { return Ok(bound) };
    let bound_port = bound_at.rsplit_once(':').map_or("", |(_, port)| port);
    if let Some(Address::Tcp(advertised)) = advertised {
        return Ok(Address::Tcp(match advertised.rsplit_once(':') {
            Some((host, "0")) => format!("{host}:{bound_port}"),
            _ => advertised.clone(),
        }));
    }
    let host = wanted.rsplit_once(':').map_or(wanted.as_str(), |(host, _)| host);
    if !is_unspecified(host) {
        return Ok(Address::Tcp(format!("{host}:{bound_port}")));
    }
    match machine_name() {
        Some(name) => Ok(Address::Tcp(format!("{name}:{bound_port}"))),
        None => Err(NoAdvertisedAddress { bound }),
    }
}

fn is_unspecified(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address == Ipv4Addr::UNSPECIFIED,
        Ok(IpAddr::V6(address)) => address == Ipv6Addr::UNSPECIFIED,
        Err(_) => format!("{host}:0").parse::<SocketAddr>().is_ok_and(|address| address.ip().is_unspecified()),
    }
}

fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(wanted: &str, bound: &str, given: Option<&str>) -> String {
        let given: Option<Address> = given.map(|text| text.parse().unwrap());
        advertised(&wanted.parse().unwrap(), bound.parse().unwrap(), given.as_ref()).unwrap().to_string()
    }

    #[test]
    fn the_configured_host_is_told_with_the_bound_port() {
        assert_eq!(told("controller-0:0", "127.0.0.1:4711", None), "controller-0:4711");
        assert_eq!(told("127.0.0.1:9093", "127.0.0.1:9093", None), "127.0.0.1:9093");
        assert_eq!(told("memory:c-1", "memory:c-1", None), "memory:c-1");
    }

    #[test]
    fn what_is_advertised_counts_more() {
        assert_eq!(told("0.0.0.0:9093", "0.0.0.0:9093", Some("controller-0.levada:9093")), "controller-0.levada:9093");
        assert_eq!(told("0.0.0.0:0", "0.0.0.0:4711", Some("controller-0:0")), "controller-0:4711");
    }

    #[test]
    fn nobody_is_told_to_dial_every_interface() {
        for wanted in ["0.0.0.0:0", "[::]:0"] {
            let told = told(wanted, "0.0.0.0:4711", None);
            assert!(told.ends_with(":4711") && !told.starts_with("0.0.0.0") && !told.starts_with("[::]"), "{told}");
        }
    }
}
