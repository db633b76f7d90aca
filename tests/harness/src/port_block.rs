//! Ports for one sandbox alone.
//!
//! `levada sandbox` takes ports that are free when it looks; a process of another sandbox that is down just then would not get
//! its own back.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::NodeError;

/// Where blocks begin: where `levada sandbox` looks for free ports too, below those that the kernel gives to outgoing
/// connections (32768 and up on Linux).
const FIRST: u16 = 10_000;

/// Ports of a block: four for each of 25 processes.
const BLOCK: u16 = 100;

/// How many blocks there are.
const BLOCKS: u16 = 220;

/// How many blocks this program has looked at.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// The first port of a block that is free as a whole, and that no other sandbox of this program gets before all others were.
pub(crate) fn port_block() -> Result<u16, NodeError> {
    // Programs that run beside each other begin at different places.
    let first = std::process::id();
    let next = || first.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed)) % u32::from(BLOCKS);
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..BLOCKS)
        .filter_map(|_| u16::try_from(next()).ok())
        .map(|block| FIRST + block * BLOCK)
        .find(|base| (*base..base + BLOCK).all(is_free))
        .ok_or(NodeError::NoPorts)
}
