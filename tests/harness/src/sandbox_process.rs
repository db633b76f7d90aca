//! One process of a sandbox.

use std::{
    fmt, fs,
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::RecvTimeoutError,
    thread,
    time::Duration,
};

use nix::{errno::Errno, sys::signal::Signal};
use serde::Deserialize;

use crate::{
    NodeError, ProcessFacts, binary::without_options, log_tail::log_tail, process::signal_process,
    stdout_lines::stdout_lines,
};

/// How long a process may take to get ready again before a test gives up.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What a process of a sandbox does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Cluster metadata on Raft.
    Controller,
    /// Consumer groups and committed offsets.
    GroupCoordinator,
    /// Partition logs, and the faces that clients see.
    Broker,
}

/// One process of a sandbox, as `sandbox.json` tells of it.
///
/// The sandbox started it; if it is started again after it was killed, this value did, and kills it when it is dropped.
#[derive(Debug, Deserialize)]
pub struct SandboxProcess {
    /// What it does.
    pub role: Role,
    /// Its number: the `node.id` of roles that have one.
    pub id: u32,
    pid: u32,
    kafka: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
    /// Metrics and health.
    pub http: SocketAddr,
    /// What other roles ask.
    pub internal: SocketAddr,
    log_file: PathBuf,
    argv: Vec<String>,
    /// The process, if it is one of ours and not the sandbox's.
    #[serde(skip)]
    own: Option<Child>,
    #[serde(skip)]
    gone: bool,
}

impl SandboxProcess {
    /// The address of the Kafka protocol; an error for a role that has none.
    pub fn kafka(&self) -> Result<SocketAddr, NodeError> {
        self.kafka.ok_or(NodeError::WrongState("without a Kafka listener"))
    }

    /// The address of the public gRPC services; an error for a role that has none.
    pub fn grpc(&self) -> Result<SocketAddr, NodeError> {
        self.grpc.ok_or(NodeError::WrongState("without public gRPC services"))
    }

    /// Where it keeps everything.
    pub fn directory(&self) -> &Path {
        self.log_file.parent().unwrap_or(Path::new("."))
    }

    /// The process id.
    pub fn pid(&self) -> Result<u32, NodeError> {
        if self.gone { Err(NodeError::WrongState("not running")) } else { Ok(self.pid) }
    }

    /// What the kernel tells of the process now.
    pub fn facts(&self) -> Result<ProcessFacts, NodeError> {
        Ok(ProcessFacts::read(self.pid()?)?)
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), NodeError> {
        self.signal(Signal::SIGKILL)?;
        self.wait()
    }

    /// Asks it to shut down (SIGTERM) and waits until it has.
    pub fn terminate(&mut self) -> Result<(), NodeError> {
        self.signal(Signal::SIGTERM)?;
        self.wait()
    }

    /// Freezes it (SIGSTOP): its sockets stay open, and nothing answers.
    pub fn freeze(&self) -> Result<(), NodeError> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) -> Result<(), NodeError> {
        self.signal(Signal::SIGCONT)
    }

    /// Starts it again after it stopped, as the sandbox had, and waits until it serves.
    pub fn start_again(&mut self) -> Result<(), NodeError> {
        if !self.gone {
            return Err(NodeError::WrongState("running already"));
        }
        let (program, arguments) = self.argv.split_first().ok_or(NodeError::WrongState("without argv"))?;
        let log = File::options().create(true).append(true).open(&self.log_file)?;
        let mut command = Command::new(program);
        without_options(&mut command);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|source| NodeError::Start { path: program.into(), source })?;
        let lines = stdout_lines(child.stdout.take());
        self.pid = child.id();
        self.own = Some(child);
        self.gone = false;
        match lines.recv_timeout(READY_LIMIT) {
            Ok(_) => Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                self.kill()?;
                Err(NodeError::NotReady { limit: READY_LIMIT, log: self.log() })
            }
            Err(RecvTimeoutError::Disconnected) => {
                let mut child = self.own.take().ok_or(NodeError::WrongState("not running"))?;
                self.gone = true;
                Err(NodeError::EndedEarly { status: child.wait()?, log: self.log() })
            }
        }
    }

    /// The end of what it wrote to stderr since it was first started.
    pub fn log(&self) -> String {
        log_tail(&self.log_file)
    }

    fn signal(&self, signal: Signal) -> Result<(), NodeError> {
        signal_process(self.pid()?, signal)
    }

    /// Waits until it is gone. The sandbox reaps what it started.
    fn wait(&mut self) -> Result<(), NodeError> {
        match self.own.take() {
            Some(mut child) => drop(child.wait()?),
            None => wait_until_gone(self.pid)?,
        }
        self.gone = true;
        Ok(())
    }

    /// Waits until it is gone after the sandbox was killed, or kills it if it was started again by this value.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self.own.take() {
            Some(mut child) => child.kill().and_then(|()| child.wait()).map(drop),
            None if self.gone => Ok(()),
            None => wait_until_gone(self.pid),
        }
    }
}

impl fmt::Display for SandboxProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.role, self.id)
    }
}

/// Waits for the end of a process that another one reaps. The kernel wakes nobody else for it.
fn wait_until_gone(pid: u32) -> io::Result<()> {
    let status = Path::new("/proc").join(pid.to_string()).join("stat");
    loop {
        match fs::read_to_string(&status) {
            // The state stands behind the name, which is in parentheses and may hold anything.
            Ok(stat) if stat.rsplit(')').next().is_some_and(|rest| !rest.starts_with(" Z")) => thread::yield_now(),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
