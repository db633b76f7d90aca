//! Machines of a network that exists only here, whose packets can be made to vanish.
//!
//! Each host is a network namespace with one link into a common bridge. A packet from one host to another vanishes when the
//! sender believes that the receiver has a hardware address that nobody has: silently, in that direction alone, and for
//! connections that exist too. No packet filter is needed.

use std::{
    fs::File,
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use nix::sched::{CloneFlags, setns};

/// A hardware address that no link has: locally administered, and not among those that the kernel draws.
const NOBODY: &str = "02:00:00:00:00:99";

/// The last byte of the address of the machine outside.
const OUTSIDE_BYTE: u8 = 254;

/// How many networks there may be at a time: each has a number, which is the third byte of its addresses.
const NETWORKS: u8 = 250;

/// A network with its hosts, numbered from 1, and this very machine as host [`Network::OUTSIDE`]. Dropping it removes them;
/// what still runs there loses its links.
#[derive(Debug)]
pub struct Network {
    number: u8,
    hosts: u8,
}

impl Network {
    /// The host that whoever makes the network is: tests and their clients.
    pub const OUTSIDE: u8 = 0;

    /// Makes a network with so many hosts, at most 200.
    ///
    /// # Errors
    /// Where network namespaces are not allowed, or there is no `ip`.
    pub fn new(hosts: u8) -> io::Result<Self> {
        if hosts > 200 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a network has at most 200 hosts"));
        }
        // The name of the bridge is taken by whoever comes first.
        let mut made = Err(io::Error::other("every network is taken"));
        for number in 1..=NETWORKS {
            made = ip(&format!("link add {} type bridge", bridge(number))).map(|()| number);
            if made.is_ok() {
                break;
            }
        }
        let mut network = Self { number: made?, hosts: 0 };
        ip(&format!("address add {}/24 dev {}", network.address(Self::OUTSIDE), bridge(network.number)))?;
        ip(&format!("link set {} up", bridge(network.number)))?;
        for host in 1..=hosts {
            network.hosts = host;
            network.add(host)?;
        }
        Ok(network)
    }

    fn add(&self, host: u8) -> io::Result<()> {
        let (name, link, bridge) = (self.namespace(host), self.link(host), bridge(self.number));
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {link} type veth peer name eth0 netns {name}"))?;
        ip(&format!("link set {link} master {bridge} up"))?;
        ip(&format!("-n {name} address add {}/24 dev eth0", self.address(host)))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} link set lo up"))
    }

    fn namespace(&self, host: u8) -> String {
        format!("levada-{}-{host}", self.number)
    }

    fn link(&self, host: u8) -> String {
        format!("lv{}h{host}", self.number)
    }

    /// The address of a host.
    pub fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 231, self.number, if host == Self::OUTSIDE { OUTSIDE_BYTE } else { host })
    }

    /// A command that runs a program on a host; its process is the program's own.
    pub fn command(&self, host: u8, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host)]).arg(program);
        command
    }

    /// Runs `work` on a host, on a thread of its own. Sockets that it opens belong to the host from then on.
    pub fn on<T: Send>(&self, host: u8, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let enter = self.way_in(host);
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter()?;
                work()
            });
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the work on the host panicked")))
        })
    }

    /// What puts the thread that calls it on a host, for the rest of its life.
    pub(crate) fn way_in(&self, host: u8) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let path = PathBuf::from("/var/run/netns").join(self.namespace(host));
        move || Ok(setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?)
    }

    /// Makes every packet from one host to another vanish.
    pub fn cut(&self, from: u8, to: u8) -> io::Result<()> {
        let (host, link) = self.neighbours(from);
        ip(&format!("{host}neighbour replace {} lladdr {NOBODY} dev {link} nud permanent", self.address(to)))
    }

    /// Lets packets from one host to another through again.
    pub fn heal(&self, from: u8, to: u8) -> io::Result<()> {
        let (host, link) = self.neighbours(from);
        ip(&format!("{host}neighbour del {} dev {link}", self.address(to)))
    }

    /// Where `ip` finds what a host believes of its neighbours, and by which link it sends to them.
    fn neighbours(&self, host: u8) -> (String, String) {
        match host {
            Self::OUTSIDE => (String::new(), bridge(self.number)),
            _ => (format!("-n {} ", self.namespace(host)), "eth0".to_owned()),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let gone = (1..=self.hosts).map(|host| format!("netns del {}", self.namespace(host)));
        for command in gone.chain([format!("link del {}", bridge(self.number))]) {
            if let Err(error) = ip(&command) {
                eprintln!("{error}");
            }
        }
    }
}

fn bridge(number: u8) -> String {
    format!("levada{number}")
}

/// Runs `ip`, whose arguments hold no spaces.
fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {arguments}: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn packets_vanish_in_the_direction_that_is_cut() {
        let network = match Network::new(2) {
            Ok(network) => network,
            Err(error) => return println!("no network namespaces here: {error}"),
        };
        let socket = |host| {
            let address = (network.address(host), 7000);
            network.on(host, move || UdpSocket::bind(address)).expect("nothing else is there")
        };
        let (one, two) = (socket(1), socket(2));
        let send = |from: &UdpSocket, to: u8, text: &str| {
            from.send_to(text.as_bytes(), (network.address(to), 7000)).expect("the sender is not told");
        };
        let received = |socket: &UdpSocket| {
            let mut buffer = [0; 16];
            let length = socket.recv(&mut buffer).expect("a packet comes");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        send(&one, 2, "whole");
        assert_eq!(received(&two), "whole");

        network.cut(1, 2).expect("the hosts are there");
        send(&one, 2, "vanishes");
        send(&two, 1, "other way");
        assert_eq!(received(&one), "other way");

        network.heal(1, 2).expect("it was cut");
        send(&one, 2, "healed");
        assert_eq!(received(&two), "healed", "what was sent meanwhile has vanished");

        let here = UdpSocket::bind((network.address(Network::OUTSIDE), 7000)).expect("this machine is a host too");
        network.cut(Network::OUTSIDE, 2).expect("the host is there");
        send(&here, 2, "vanishes");
        send(&two, Network::OUTSIDE, "comes out");
        assert_eq!(received(&here), "comes out");
        network.heal(Network::OUTSIDE, 2).expect("it was cut");
        send(&here, 2, "goes in");
        assert_eq!(received(&two), "goes in");
    }
}
