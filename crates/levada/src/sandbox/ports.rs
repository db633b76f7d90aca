//! Ports that nothing listens on.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// Where free ports are looked for: above the well-known ones, and below those that the kernel gives to outgoing
/// connections (32768 and up on Linux), any of which may be taken between now and the start of a process.
const RANGE: RangeInclusive<u16> = 10_000..=32_000;

/// Ports that are free now, from a place on that is another one each time.
pub(crate) fn free() -> impl Iterator<Item = u16> {
    let drawn = RandomState::new().build_hasher().finish();
    let skipped = usize::try_from(drawn % RANGE.len() as u64).unwrap_or(0);
    RANGE.cycle().skip(skipped).take(RANGE.len()).filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_none_of_them() {
        let port = free().next().expect("a port is free");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free");
        assert!(free().all(|free| free != port));
        drop(taken);
    }
}
