//! Where roles listen and how they reach each other: TCP between processes, in-memory streams within one.
//!
//! [`Network`] is a value that a process makes once and hands to every role it starts; it binds [`Listener`]s and makes
//! [`Dialer`]s from addresses in text. So the roles of `levada dev` run the very code of separate processes, and two
//! such processes in one test do not see each other's memory addresses.

mod acceptor;
mod address;
mod advertised;
mod connection;
mod dialer;
mod listener;
mod memory;

pub use acceptor::Acceptor;
pub use address::{Address, AddressError};
pub use advertised::{NoAdvertisedAddress, advertised};
pub use connection::{Connection, Peer};
pub use dialer::Dialer;
pub(crate) use dialer::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};
pub use listener::Listener;
pub use memory::Network;
