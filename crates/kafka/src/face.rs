//! The Kafka face: binds a listener, accepts connections, and serves each until it ends.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use levada_broker::{Broker, Face, FaceError};
use levada_metadata::{Endpoint, EndpointProtocol};
use levada_service::net::Acceptor;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::complaints::Complaints;
use crate::connection::{self, Budget, BufferPool, Service, Shared};
use crate::handlers::Handlers;
use crate::listener::ListenerAddress;
use crate::metrics::FaceMetrics;
use crate::options::KafkaOptions;

/// How often receive buffers that nobody uses are given back to the system, memory is measured, and complaints are
/// summed up.
const TRIM_INTERVAL: Duration = Duration::from_secs(10);

/// The Kafka protocol over TCP.
#[derive(Debug)]
pub struct KafkaFace {
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
    options: KafkaOptions,
}

impl KafkaFace {
    /// Binds the listener of `options`.
    ///
    /// # Errors
    /// What the system says, and `InvalidInput` if an address cannot be read.
    pub async fn bind(options: KafkaOptions) -> io::Result<Self> {
        let wanted = ListenerAddress::parse(&options.listeners)?;
        let resolved = tokio::net::lookup_host((wanted.host.as_str(), wanted.port)).await?;
        let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "the listener's host has no address");
        for address in resolved {
            match listen(address, options.socket_listen_backlog_size) {
                Ok(listener) => return Self::bound(listener, &wanted, options),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn bound(listener: TcpListener, wanted: &ListenerAddress, options: KafkaOptions) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let mut advertised = match options.advertised_listeners.as_str() {
            "" => wanted.clone(),
            text => ListenerAddress::parse(text)?,
        };
        if advertised.port == 0 {
            advertised.port = address.port();
        }
        let endpoint = Endpoint {
            listener: wanted.name.clone(),
            host: advertised.host,
            port: advertised.port,
            protocol: EndpointProtocol::Plaintext,
        };
        Ok(Self { listener, address, endpoint, options })
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port whose last connections are still being forgotten can be bound again after a restart.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

impl Face for KafkaFace {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![self.endpoint.clone()]
    }

    fn serve(
        self: Box<Self>,
        broker: Arc<Broker>,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<(), FaceError>> + Send>> {
        let service = Handlers::new(broker, self.options.clone(), &self.endpoint.listener);
        Box::pin(async move {
            tokio::select! {
                never = service.clone().follow() => match never {},
                () = serve(self.listener, service, self.options, shutdown) => {}
            }
            Ok(())
        })
    }
}

/// Receive buffers are kept for reuse up to this part of the request memory.
const KEPT_PART: usize = 4;

/// Accepts connections until `shutdown`, then waits for those that are open to finish.
pub(crate) async fn serve<S: Service>(
    listener: TcpListener,
    service: S,
    options: KafkaOptions,
    shutdown: CancellationToken,
) {
    let memory = options.queued_bytes();
    let shared = Arc::new(Shared {
        service,
        // What is kept for reuse comes on top of what requests hold, so it is a part of it: many sizes that nobody asks
        // for again would double the memory.
        buffers: Arc::new(BufferPool::new(memory / KEPT_PART)),
        budget: Budget::new(memory),
        metrics: FaceMetrics::new(),
        shutdown: shutdown.clone(),
        options,
    });
    let complaints = Arc::new(Complaints::new());
    let open = Arc::new(OpenConnections::default());
    let tasks = TaskTracker::new();
    let mut listener = Acceptor::new(listener);
    let mut trim = tokio::time::interval(TRIM_INTERVAL);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = trim.tick() => {
                shared.metrics.receive_buffers.set(shared.buffers.trim() as f64);
                shared.metrics.request_memory.set(shared.budget.taken() as f64);
                complaints.sum_up();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(&shared, &complaints, &open, &tasks, stream, peer),
            Err(error) => complaints.not_accepted(&error),
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Serves a connection if the limits allow it; otherwise it is closed.
fn admit<S: Service>(
    shared: &Arc<Shared<S>>,
    complaints: &Arc<Complaints>,
    open: &Arc<OpenConnections>,
    tasks: &TaskTracker,
    stream: TcpStream,
    peer: SocketAddr,
) {
    shared.metrics.accepted.increment(1);
    let Some(place) = open.take(peer.ip(), &shared.options) else {
        complaints.refused(peer);
        return;
    };
    let (shared, complaints) = (Arc::clone(shared), Arc::clone(complaints));
    tasks.spawn(async move {
        shared.metrics.connections.increment(1.0);
        let end = connection::serve(Arc::clone(&shared), stream, peer).await;
        shared.metrics.connections.decrement(1.0);
        drop(place);
        complaints.ended(peer, &end);
    });
}

/// Counts the open connections, in all and by address.
#[derive(Debug, Default)]
struct OpenConnections {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// A connection's place under the limits.
#[derive(Debug)]
struct Place {
    open: Arc<OpenConnections>,
    ip: IpAddr,
}

impl OpenConnections {
    fn take(self: &Arc<Self>, ip: IpAddr, options: &KafkaOptions) -> Option<Place> {
        let mut counts = self.counts.lock();
        let mine = counts.by_ip.get(&ip).copied().unwrap_or(0);
        if counts.all >= options.max_connections || mine >= options.max_connections_per_ip {
            return None;
        }
        counts.all += 1;
        counts.by_ip.insert(ip, mine + 1);
        Some(Place { open: Arc::clone(self), ip })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.counts.lock();
        counts.all -= 1;
        if let Some(mine) = counts.by_ip.get_mut(&self.ip) {
            *mine -= 1;
            if *mine == 0 {
                counts.by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let open = Arc::new(OpenConnections::default());
        let options = KafkaOptions { max_connections: 3, max_connections_per_ip: 2, ..KafkaOptions::default() };
        let ip = |last| IpAddr::from([127, 0, 0, last]);
        let places = [open.take(ip(1), &options), open.take(ip(1), &options)];
        assert!(places.iter().all(Option::is_some));
        assert!(open.take(ip(1), &options).is_none(), "by address");
        let third = open.take(ip(2), &options);
        assert!(third.is_some() && open.take(ip(3), &options).is_none(), "in all");
        drop(places);
        assert!(open.take(ip(1), &options).is_some());
    }

    #[tokio::test]
    async fn the_advertised_port_is_the_one_that_was_bound() {
        let options = KafkaOptions {
            listeners: "PLAINTEXT://127.0.0.1:0".to_owned(),
            advertised_listeners: "PLAINTEXT://broker.example:0".to_owned(),
            ..KafkaOptions::default()
        };
        let face = KafkaFace::bind(options).await.expect("binds");
        let endpoint = &face.endpoints()[0];
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("broker.example", face.local_addr().port()));
        assert_ne!(endpoint.port, 0);
    }
}
