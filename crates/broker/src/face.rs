//! What a face is to a broker: something that serves clients of one protocol until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use levada_metadata::Endpoint;
use tokio_util::sync::CancellationToken;

use crate::Broker;

/// A face that has bound its listener and only waits for its broker. Bound first, so that the address a broker
/// registers is one it really has.
pub trait Face: Send + 'static {
    /// A short name for logs and metrics, such as `kafka`.
    fn name(&self) -> &'static str;

    /// The address that clients connect to.
    fn local_addr(&self) -> SocketAddr;

    /// Where clients are told to reach it: its listeners with their *advertised* addresses (`advertised.listeners`, or
    /// the bound address with its real port). The broker registers them before it serves.
    fn endpoints(&self) -> Vec<Endpoint>;

    /// Serves until `shutdown` is cancelled, then finishes what is in flight within the bounds of its options.
    fn serve(
        self: Box<Self>,
        broker: Arc<Broker>,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<(), FaceError>> + Send>>;
}

/// A face stopped serving although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[error("the {face} face stopped: {reason}")]
pub struct FaceError {
    /// Which face.
    pub face: &'static str,
    /// What happened.
    pub reason: String,
}
