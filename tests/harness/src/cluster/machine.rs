//! One machine of a cluster: a process of ours, with a disk and a network of its own, all of which can fail.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};

use nix::sys::signal::Signal;

use super::ports;
use crate::{
    LossyVolume, Lost, Network, NodeError, Proxy, Role, binary::without_options, launched::Launched, levada_binary,
    log_tail::log_tail,
};

/// How long a process may take to get ready before it is given up.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// One machine of a cluster. Dropping it kills its process.
#[derive(Debug)]
pub struct Machine {
    role: Role,
    id: u32,
    address: Ipv4Addr,
    home: PathBuf,
    options: Vec<(String, String)>,
    /// How often it lost power: whoever drops bytes tells so by another boot id.
    losses: u32,
    // The process goes before its disk and what passes on to it: fields are dropped in order.
    process: Process,
    proxy: Proxy,
    volume: Option<LossyVolume>,
    network: Option<(Arc<Network>, u8)>,
}

/// The process of a machine, killed when it is dropped.
#[derive(Debug, Default)]
struct Process(Option<Launched>);

impl Machine {
    /// A machine whose process does not run yet.
    pub(super) fn new(
        (role, id): (Role, u32),
        address: Ipv4Addr,
        home: PathBuf,
        options: Vec<(String, String)>,
        proxy: Proxy,
        volume: Option<LossyVolume>,
        network: Option<(Arc<Network>, u8)>,
    ) -> Self {
        Self { role, id, address, home, options, losses: 0, process: Process::default(), proxy, volume, network }
    }

    /// What its process does.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its number: the `node.id` of roles that have one.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address.into()
    }

    /// Where clients reach the Kafka protocol of a broker, through the proxy.
    pub fn kafka(&self) -> SocketAddr {
        (self.address, ports::KAFKA_PROXY).into()
    }

    /// Where its metrics are.
    pub fn http(&self) -> SocketAddr {
        (self.address, ports::HTTP).into()
    }

    /// What passes on to it.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Its disk, if that can fail.
    pub fn volume(&self) -> Option<&LossyVolume> {
        self.volume.as_ref()
    }

    /// Where its process stores what it stores, as it is on the disk below.
    pub fn data_dir(&self) -> PathBuf {
        self.home.join("disk").join("data")
    }

    /// Starts the process and does not wait until it serves. Nothing happens if it runs.
    pub fn launch(&mut self) -> Result<(), NodeError> {
        if self.process.0.is_some() {
            return Ok(());
        }
        let binary = levada_binary()?;
        let mut command = match &self.network {
            Some((network, host)) => network.command(*host, &binary),
            None => Command::new(&binary),
        };
        without_options(&mut command);
        command.arg(match self.role {
            Role::Controller => "controller",
            Role::GroupCoordinator => "group-coordinator",
            Role::Broker => "broker",
        });
        for (name, value) in &self.options {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        if self.role == Role::Broker {
            command.arg("--set").arg(format!("boot.id=boot-{}", self.losses));
        }
        self.process.0 = Some(Launched::start(command, &self.log_file())?);
        Ok(())
    }

    /// Waits until a process that was launched serves; one that did so before is not waited for.
    ///
    /// # Errors
    /// If it has ended, or does not get ready.
    pub fn wait_until_ready(&mut self) -> Result<(), NodeError> {
        let log = self.log_file();
        let process = self.process.0.as_mut().ok_or(NodeError::WrongState("not running"))?;
        let outcome = process.wait_until_ready(READY_LIMIT, &log);
        if matches!(outcome, Err(NodeError::EndedEarly { .. })) {
            self.process.0 = None;
        }
        outcome
    }

    /// Whether its process runs; tells how it ended, once, if it has ended by itself.
    pub fn has_ended(&mut self) -> Result<Option<ExitStatus>, NodeError> {
        let ended = match &mut self.process.0 {
            Some(process) => process.ended()?,
            None => None,
        };
        if ended.is_some() {
            self.process.0 = None;
        }
        Ok(ended)
    }

    /// Whether its process was started and has not been ended or seen to end.
    pub fn is_running(&self) -> bool {
        self.process.0.is_some()
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.0.as_ref().map(Launched::pid)
    }

    /// Kills the process (SIGKILL), if it runs, and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), NodeError> {
        self.end(Signal::SIGKILL).map(drop)
    }

    /// Asks the process to stop (SIGTERM), if it runs, and waits until it has. One that is frozen has to be thawed.
    pub fn terminate(&mut self) -> Result<Option<ExitStatus>, NodeError> {
        self.end(Signal::SIGTERM)
    }

    fn end(&mut self, signal: Signal) -> Result<Option<ExitStatus>, NodeError> {
        match self.process.0.take() {
            Some(process) => {
                process.signal(signal)?;
                process.wait().map(Some)
            }
            None => Ok(None),
        }
    }

    /// Freezes the process (SIGSTOP), if it runs: its sockets stay open, and nothing answers.
    pub fn freeze(&self) -> Result<(), NodeError> {
        self.process.0.as_ref().map_or(Ok(()), |process| process.signal(Signal::SIGSTOP))
    }

    /// Lets the process go on (SIGCONT), if it runs.
    pub fn thaw(&self) -> Result<(), NodeError> {
        self.process.0.as_ref().map_or(Ok(()), |process| process.signal(Signal::SIGCONT))
    }

    /// Loses what was not synced, as [`LossyVolume::lose_unsynced`] does. The process has to be gone, and the next one
    /// knows that power was lost.
    ///
    /// # Errors
    /// If the process runs, or the disk loses nothing.
    pub fn lose_unsynced(&mut self, survives: impl FnMut(u64) -> u64) -> Result<Lost, NodeError> {
        if self.process.0.is_some() {
            return Err(NodeError::WrongState("running"));
        }
        let volume = self.volume.as_ref().ok_or(NodeError::WrongState("on a disk that loses nothing"))?;
        self.losses += 1;
        Ok(volume.lose_unsynced(survives)?)
    }

    /// What the process wrote to stderr since it was first started.
    pub fn log_file(&self) -> PathBuf {
        self.home.join("levada.log")
    }

    /// The end of that.
    pub fn log(&self) -> String {
        log_tail(&self.log_file())
    }

    /// The lines of that which hold one of these texts.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn lines_with(&self, texts: &[&str]) -> Result<Vec<String>, NodeError> {
        let log = fs::read(self.log_file())?;
        let log = String::from_utf8_lossy(&log);
        Ok(log.lines().filter(|line| texts.iter().any(|text| line.contains(text))).map(str::to_owned).collect())
    }

    /// Where its files are.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Controller => write!(f, "controller {}", self.id),
            Role::GroupCoordinator => write!(f, "group coordinator {}", self.id),
            Role::Broker => write!(f, "broker {}", self.id),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(process) = self.0.take() else { return };
        let pid = process.pid();
        if let Err(error) = process.signal(Signal::SIGKILL).and_then(|()| process.wait()) {
            eprintln!("process {pid} could not be stopped: {error}");
        }
    }
}
