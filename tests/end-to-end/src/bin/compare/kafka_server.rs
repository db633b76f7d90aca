//! A real Apache Kafka: one combined KRaft node with its default JVM settings.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::ProcessFacts;
use rdkafka::producer::{BaseProducer, Producer};
use tempfile::TempDir;

use crate::server::Server;

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

/// A running Kafka, gone when it is dropped.
pub(crate) struct KafkaServer {
    process: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl KafkaServer {
    /// A directory formatted for a node on ports that are free now.
    pub(crate) fn prepare() -> Outcome<Prepared> {
        let jars = env::var_os("LEVADA_KAFKA_JARS").map(PathBuf::from).ok_or("LEVADA_KAFKA_JARS is not set")?;
        let home = tempfile::Builder::new().prefix("kafka-").tempdir()?;
        let address = free_address()?;
        let controller = free_address()?;
        let properties = home.path().join("server.properties");
        let data = home.path().join("data");
        fs::write(
            &properties,
            format!(
                "process.roles=broker,controller\nnode.id=1\n\
                 controller.quorum.voters=1@{controller}\n\
                 listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
                 controller.listener.names=CONTROLLER\n\
                 listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
                 log.dirs={}\noffsets.topic.replication.factor=1\n",
                data.display()
            ),
        )?;
        let prepared = Prepared { jars, home, properties, address };
        let status = prepared
            .java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config"])
            .arg(&prepared.properties)
            .status()?;
        if status.success() { Ok(prepared) } else { fail(format!("formatting Kafka's directory: {status}")) }
    }
}

/// A formatted Kafka that has not been started.
pub(crate) struct Prepared {
    jars: PathBuf,
    home: TempDir,
    properties: PathBuf,
    address: SocketAddr,
}

impl Prepared {
    /// Starts it and waits until it serves.
    pub(crate) fn start(self) -> Outcome<KafkaServer> {
        let process = self.java("kafka.Kafka").arg(&self.properties).spawn()?;
        let server = KafkaServer { process, address: self.address, _home: self.home };
        let begun = Instant::now();
        let probe: BaseProducer = levada_end_to_end::client_config(server.address).create()?;
        while probe.client().fetch_metadata(None, Duration::from_millis(200)).is_err() {
            if begun.elapsed() > READY_LIMIT {
                return fail("Kafka did not get ready");
            }
        }
        Ok(server)
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(JVM_SETTINGS).arg("-cp").arg(classpath(&self.jars)).arg(class);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Server for KafkaServer {
    fn kafka(&self) -> Outcome<SocketAddr> {
        Ok(self.address)
    }

    fn facts(&self) -> Outcome<ProcessFacts> {
        Ok(ProcessFacts::read(self.process.id())?)
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        // Nothing is left to do about a process that is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn classpath(jars: &Path) -> PathBuf {
    jars.join("*")
}

/// An address that nobody listens on at this moment; Kafka cannot tell which port it chose.
fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
