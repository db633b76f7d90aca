//! A proxy before a process, which makes what passes late, slow or lost, for one sender or for all of them.

mod relay;
mod weather;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use tokio::{net::TcpListener, sync::watch};

pub use self::weather::{Way, Weather};
use crate::{Network, seeded::Seeded};

/// Where a proxy listens, and where it passes on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it passes on to.
    pub upstream: SocketAddr,
}

/// The weather for everybody.
#[derive(Debug, Clone, Default)]
struct Sky {
    /// For those who come from an address of which nothing is said.
    everywhere: Weather,
    by_source: BTreeMap<IpAddr, Weather>,
    /// How often the connections from an address, or all of them, were ended.
    resets: BTreeMap<Option<IpAddr>, u64>,
    /// Connections with lower numbers are held.
    held_below: u64,
    closing: bool,
}

/// One of those who connect.
#[derive(Debug, Clone, Copy)]
struct Caller {
    source: IpAddr,
    /// In the order in which they came.
    number: u64,
}

impl Sky {
    fn weather(&self, source: IpAddr) -> Weather {
        self.by_source.get(&source).copied().unwrap_or(self.everywhere)
    }

    fn is_stalled(&self, way: Way, caller: Caller) -> bool {
        let is_held = way == Way::There && caller.number < self.held_below;
        is_held || self.weather(caller.source).is_stalled(way)
    }

    fn resets(&self, source: IpAddr) -> u64 {
        [None, Some(source)].iter().filter_map(|key| self.resets.get(key)).sum()
    }
}

/// A proxy, on a thread of its own. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    sky: watch::Sender<Sky>,
    /// How many have connected.
    callers: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one for these routes, on a host of `network` if one is given. `seed` decides what chance decides.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub fn start(routes: Vec<Route>, network: Option<(&Network, u8)>, seed: u64) -> io::Result<Self> {
        let (sky, seen) = watch::channel(Sky::default());
        let enter = network.map(|(network, host)| network.way_in(host));
        let callers = Arc::<AtomicU64>::default();
        let count = Arc::clone(&callers);
        let (told, listening) = mpsc::channel();
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            let started = (|| {
                enter.map_or(Ok(()), |enter| enter())?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let mut listeners = Vec::new();
                for route in routes {
                    listeners.push((runtime.block_on(TcpListener::bind(route.listen))?, route.upstream));
                }
                Ok((runtime, listeners))
            })();
            match started {
                Ok((runtime, listeners)) => {
                    // Whoever starts a proxy waits for this.
                    let _ = told.send(Ok(()));
                    runtime.block_on(serve(listeners, seen, count, Seeded::new(seed)));
                }
                Err(error) => drop(told.send(Err(error))),
            }
        })?;
        listening.recv().unwrap_or_else(|_| Err(io::Error::other("the proxy ended at once")))?;
        Ok(Self { sky, callers, thread: Some(thread) })
    }

    /// The weather for those who come from `source`, or for everybody of whom nothing else is said.
    pub fn set(&self, source: Option<IpAddr>, weather: Weather) {
        self.sky.send_modify(|sky| match source {
            None => sky.everywhere = weather,
            Some(source) => drop(sky.by_source.insert(source, weather)),
        });
    }

    /// Fair weather for everybody.
    pub fn clear(&self) {
        self.sky.send_modify(|sky| {
            sky.everywhere = Weather::default();
            sky.by_source.clear();
        });
    }

    /// Lets nothing pass there on the connections that there are, until [`Proxy::release`]; those that come later are not held.
    pub fn hold(&self) {
        self.sky.send_modify(|sky| sky.held_below = self.callers.load(Ordering::Relaxed));
    }

    /// Lets pass what was held, and what comes after it.
    pub fn release(&self) {
        self.sky.send_modify(|sky| sky.held_below = 0);
    }

    /// Ends the connections of those who come from `source`, or all of them; what is under way is lost.
    pub fn reset(&self, source: Option<IpAddr>) {
        self.sky.send_modify(|sky| *sky.resets.entry(source).or_default() += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.sky.send_modify(|sky| sky.closing = true);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("a proxy panicked");
        }
    }
}

/// Takes connections until the proxy is closed.
async fn serve(
    listeners: Vec<(TcpListener, SocketAddr)>,
    mut sky: watch::Receiver<Sky>,
    callers: Arc<AtomicU64>,
    mut random: Seeded,
) {
    for (listener, upstream) in listeners {
        let (sky, callers, mut random) = (sky.clone(), Arc::clone(&callers), Seeded::new(random.number()));
        tokio::spawn(async move {
            loop {
                // Too many open files and the like pass; the client tries again.
                let Ok((client, source)) = listener.accept().await else { continue };
                let caller = Caller { source: source.ip(), number: callers.fetch_add(1, Ordering::Relaxed) };
                tokio::spawn(relay::relay(client, upstream, caller, sky.clone(), Seeded::new(random.number())));
            }
        });
    }
    // An error means that the proxy is gone, which is the same.
    let _ = sky.wait_for(|sky| sky.closing).await;
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{Ipv4Addr, TcpListener as Listener, TcpStream},
        time::Duration,
    };

    use super::*;

    /// A proxy before a server, and where it listens.
    fn before(server: &Listener) -> (Proxy, SocketAddr) {
        let free = Listener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let listen = free.local_addr().expect("it is bound");
        drop(free);
        let route = Route { listen, upstream: server.local_addr().expect("it is bound") };
        (Proxy::start(vec![route], None, 1).expect("it listens"), listen)
    }

    /// A proxy, a client of it, and the connection as the server has it.
    fn connected() -> (Proxy, TcpStream, TcpStream) {
        let server = Listener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (proxy, listen) = before(&server);
        let client = TcpStream::connect(listen).expect("the proxy takes it");
        let (served, _) = server.accept().expect("the proxy comes");
        (proxy, client, served)
    }

    fn read(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
        let mut buffer = vec![0; bytes];
        stream.read_exact(&mut buffer).expect("it comes");
        buffer
    }

    #[test]
    fn everything_passes_both_ways_in_order_and_so_does_the_end() {
        let (proxy, mut client, mut served) = connected();
        let delay = (Duration::ZERO, Duration::from_millis(2));
        proxy.set(None, Weather { delay, ..Weather::default() });
        let sent: Vec<u8> = (0..500_000_u32).map(|number| (number % 251) as u8).collect();
        let all = sent.clone();
        let writer = thread::spawn(move || {
            client.write_all(&all).expect("somebody reads");
            client.shutdown(std::net::Shutdown::Write).expect("it is open");
            read(&mut client, 4)
        });
        let mut received = Vec::new();
        served.read_to_end(&mut received).expect("it ends");
        assert!(received == sent);
        served.write_all(b"back").expect("somebody reads");
        assert_eq!(writer.join().expect("no panic"), b"back");
    }

    #[test]
    fn what_is_stalled_one_way_passes_the_other_way_and_comes_when_it_clears() {
        let (proxy, mut client, mut served) = connected();
        let source = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        proxy.set(source, Weather { stalled_there: true, ..Weather::default() });
        client.write_all(b"late").expect("the proxy takes it");
        served.write_all(b"back").expect("the proxy takes it");
        assert_eq!(read(&mut client, 4), b"back");
        served.set_nonblocking(true).expect("a socket");
        assert!(served.read(&mut [0; 4]).is_err(), "nothing passes there");
        served.set_nonblocking(false).expect("a socket");
        proxy.clear();
        assert_eq!(read(&mut served, 4), b"late");
    }

    #[test]
    fn what_is_held_comes_when_it_is_released_and_later_connections_are_not_held() {
        let server = Listener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (proxy, listen) = before(&server);
        let mut client = TcpStream::connect(listen).expect("the proxy takes it");
        let (mut held, _) = server.accept().expect("the proxy comes");
        proxy.hold();
        client.write_all(b"late").expect("the proxy takes it");
        held.write_all(b"back").expect("the proxy takes it");
        assert_eq!(read(&mut client, 4), b"back");
        let mut later = TcpStream::connect(listen).expect("the proxy takes it");
        later.write_all(b"soon").expect("the proxy takes it");
        let (mut served, _) = server.accept().expect("the proxy comes");
        assert_eq!(read(&mut served, 4), b"soon");
        held.set_nonblocking(true).expect("a socket");
        assert!(held.read(&mut [0; 4]).is_err(), "nothing passes there");
        held.set_nonblocking(false).expect("a socket");
        proxy.release();
        assert_eq!(read(&mut held, 4), b"late");
    }

    #[test]
    fn a_reset_ends_what_there_is_and_nothing_that_comes_later() {
        let (proxy, mut client, mut served) = connected();
        proxy.set(None, Weather { stalled_there: true, ..Weather::default() });
        client.write_all(b"lost").expect("the proxy takes it");
        proxy.reset(None);
        assert!(client.read(&mut [0; 1]).is_err(), "it is no orderly end");
        assert!(served.read(&mut [0; 4]).is_err(), "what was under way is lost");
    }
}
