//! A real Apache Kafka: one combined KRaft node with its default JVM settings.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use levada_harness::ask_to_stop;
use rdkafka::producer::{BaseProducer, Producer};
use tempfile::TempDir;

use crate::{Outcome, client_config, fail};

/// The heap that Kafka's own start script gives a server, and its collector settings.
const JVM_SETTINGS: [&str; 7] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// How long Kafka may take to serve.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// A Kafka with a data directory of its own, running or not. Dropping it kills the process and removes the data.
pub struct KafkaServer {
    jars: PathBuf,
    home: TempDir,
    address: SocketAddr,
    process: Option<Child>,
}

impl KafkaServer {
    /// Formats a data directory for a node on ports that are free now. `jars` is the directory with Kafka's server and all
    /// that it needs.
    pub fn prepare(jars: &Path) -> Outcome<Self> {
        Self::prepare_with(jars, &[])
    }

    /// The same with settings of its own.
    pub fn prepare_with(jars: &Path, settings: &[(&str, &str)]) -> Outcome<Self> {
        let home = tempfile::Builder::new().prefix("kafka-").tempdir()?;
        let kafka = Self { jars: jars.to_owned(), home, address: free_address()?, process: None };
        let (address, controller) = (kafka.address, free_address()?);
        fs::write(
            kafka.properties(),
            format!(
                "process.roles=broker,controller\nnode.id=1\n\
                 controller.quorum.voters=1@{controller}\n\
                 listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
                 controller.listener.names=CONTROLLER\n\
                 listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
                 log.dirs={}\noffsets.topic.replication.factor=1\n{}",
                kafka.data_dir().display(),
                settings.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>()
            ),
        )?;
        let status = kafka
            .java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config"])
            .arg(kafka.properties())
            .status()?;
        if status.success() { Ok(kafka) } else { fail(format!("formatting Kafka's directory: {status}")) }
    }

    /// Starts it, for the first time or again, and waits until it serves.
    pub fn start(&mut self) -> Outcome {
        self.process = Some(self.java("kafka.Kafka").arg(self.properties()).spawn()?);
        let begun = Instant::now();
        let probe: BaseProducer = client_config(self.address).create()?;
        while probe.client().fetch_metadata(None, Duration::from_millis(200)).is_err() {
            if begun.elapsed() > READY_LIMIT {
                return fail("Kafka did not get ready");
            }
        }
        Ok(())
    }

    /// Asks it to shut down and waits until it has.
    pub fn terminate(&mut self) -> Outcome<ExitStatus> {
        let mut process = self.process.take().ok_or("Kafka is not running")?;
        ask_to_stop(&process)?;
        Ok(process.wait()?)
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Outcome<ExitStatus> {
        let mut process = self.process.take().ok_or("Kafka is not running")?;
        process.kill()?;
        Ok(process.wait()?)
    }

    /// Where it serves its protocol.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id.
    pub fn pid(&self) -> Outcome<u32> {
        Ok(self.process.as_ref().map(Child::id).ok_or("Kafka is not running")?)
    }

    /// Its one data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn properties(&self) -> PathBuf {
        self.home.path().join("server.properties")
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(JVM_SETTINGS).arg("-cp").arg(self.jars.join("*")).arg(class);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Nothing is left to do about a process that is gone already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// An address that nobody listens on at this moment; Kafka cannot tell which port it chose.
fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
