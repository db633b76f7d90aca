//! One `levada dev` process.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    NodeError, NodeOptions, ProcessFacts, ReadyLine, binary::without_options, levada_binary, log_tail::log_tail,
    process::signal_process, stdout_lines::stdout_lines,
};

/// How long a node may take to get ready before a test gives up; a hang becomes a failure that shows the log.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// One `levada dev` process, with its data directory and its addresses.
///
/// Dropping it kills the process and, unless the directory was given, removes the data. If the thread is panicking, the
/// end of the log is printed first.
#[derive(Debug)]
pub struct Node {
    options: NodeOptions,
    home: TempDir,
    addresses: Option<ReadyLine>,
    process: Option<Child>,
    /// Where the first line of a process that was launched and not awaited yet will come.
    launched: Option<Receiver<String>>,
}

impl Node {
    /// Starts a node with a data directory of its own and waits until it serves.
    pub fn start() -> Result<Self, NodeError> {
        Self::start_with(NodeOptions::default())
    }

    /// Starts a node and waits until it serves.
    pub fn start_with(options: NodeOptions) -> Result<Self, NodeError> {
        let home = tempfile::Builder::new().prefix("levada-").tempdir()?;
        let mut node = Self { options, home, addresses: None, process: None, launched: None };
        node.start_again()?;
        Ok(node)
    }

    /// Starts the node again after it stopped, on the same data and the same ports, and waits until it serves.
    pub fn start_again(&mut self) -> Result<(), NodeError> {
        self.launch()?;
        self.wait_until_ready()
    }

    /// Starts the process and does not wait: the node may still be recovering, and can be killed while it does.
    pub fn launch(&mut self) -> Result<(), NodeError> {
        if self.process.is_some() {
            return Err(NodeError::WrongState("running already"));
        }
        let binary = levada_binary()?;
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut child = self
            .command(&binary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|source| NodeError::Start { path: binary, source })?;
        self.launched = Some(stdout_lines(child.stdout.take()));
        self.process = Some(child);
        Ok(())
    }

    /// Waits until a launched node says where it serves.
    pub fn wait_until_ready(&mut self) -> Result<(), NodeError> {
        let lines = self.launched.take().ok_or(NodeError::WrongState("not starting"))?;
        let line = match lines.recv_timeout(READY_LIMIT) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                self.kill()?;
                return Err(NodeError::NotReady { limit: READY_LIMIT, log: self.log() });
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.wait()?;
                return Err(NodeError::EndedEarly { status, log: self.log() });
            }
        };
        self.addresses = Some(line.parse()?);
        Ok(())
    }

    fn command(&self, binary: &Path) -> Command {
        let mut command = self.options.command(binary);
        without_options(&mut command);
        command.arg("dev").arg("--data-dir").arg(self.data_dir());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let addresses = self.addresses.unwrap_or(ReadyLine { kafka: any, grpc: any, http: any });
        command.arg("--kafka-addr").arg(addresses.kafka.to_string());
        command.arg("--grpc-addr").arg(addresses.grpc.to_string());
        command.arg("--http-addr").arg(addresses.http.to_string());
        for (key, value) in &self.options.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command
    }

    /// The address of the Kafka protocol.
    pub fn kafka(&self) -> Result<SocketAddr, NodeError> {
        Ok(self.ready_line()?.kafka)
    }

    /// The address of the public gRPC services.
    pub fn grpc(&self) -> Result<SocketAddr, NodeError> {
        Ok(self.ready_line()?.grpc)
    }

    /// The address of metrics and health.
    pub fn http(&self) -> Result<SocketAddr, NodeError> {
        Ok(self.ready_line()?.http)
    }

    fn ready_line(&self) -> Result<ReadyLine, NodeError> {
        self.addresses.ok_or(NodeError::WrongState("not ready"))
    }

    /// Where the node keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.options.data_dir.clone().unwrap_or_else(|| self.home.path().join("data"))
    }

    /// The process id.
    pub fn pid(&self) -> Result<u32, NodeError> {
        self.process.as_ref().map(Child::id).ok_or(NodeError::WrongState("not running"))
    }

    /// What the kernel tells of the process now.
    pub fn facts(&self) -> Result<ProcessFacts, NodeError> {
        Ok(ProcessFacts::read(self.pid()?)?)
    }

    /// Whether the process is alive; a node that ended by itself is noticed here.
    pub fn is_running(&mut self) -> Result<bool, NodeError> {
        match &mut self.process {
            Some(child) => Ok(child.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// Asks the node to shut down (SIGTERM) and waits until it has.
    pub fn terminate(&mut self) -> Result<ExitStatus, NodeError> {
        self.signal(Signal::SIGTERM)?;
        self.wait()
    }

    /// Kills the node (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<ExitStatus, NodeError> {
        self.signal(Signal::SIGKILL)?;
        self.wait()
    }

    /// Freezes the process (SIGSTOP): its sockets stay open, and nothing answers.
    pub fn freeze(&self) -> Result<(), NodeError> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&self) -> Result<(), NodeError> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), NodeError> {
        signal_process(self.pid()?, signal)
    }

    fn wait(&mut self) -> Result<ExitStatus, NodeError> {
        let mut child = self.process.take().ok_or(NodeError::WrongState("not running"))?;
        self.launched = None;
        Ok(child.wait()?)
    }

    /// The end of what the node wrote to stderr since it was first started.
    pub fn log(&self) -> String {
        log_tail(&self.log_path())
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("levada.log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test harness captures what this thread prints and shows it with the failure.
            println!("the node wrote:\n{}", self.log());
        }
        if let Some(mut child) = self.process.take() {
            let gone: io::Result<ExitStatus> = child.kill().and_then(|()| child.wait());
            if let Err(error) = gone {
                eprintln!("the node of {} could not be stopped: {error}", self.data_dir().display());
            }
        }
    }
}
