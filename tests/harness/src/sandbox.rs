//! A cluster of real processes, started by `levada sandbox`.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    sync::mpsc::RecvTimeoutError,
    thread,
    time::Duration,
};

use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    NodeError, Role, SandboxOptions, SandboxProcess, binary::without_options, levada_binary, log_tail::log_tail,
    port_block::port_block, stdout_lines::stdout_lines,
};

/// How long a sandbox may take to get ready before a test gives up; a hang becomes a failure that shows the logs.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// `sandbox.json`.
#[derive(Deserialize)]
struct Description {
    cluster_id: String,
    processes: Vec<SandboxProcess>,
}

/// A cluster of real processes with a directory of its own.
///
/// Dropping it kills them all and removes the directory. If the thread is panicking, the ends of their logs are printed
/// first.
#[derive(Debug)]
pub struct Sandbox {
    home: TempDir,
    sandbox: Child,
    /// The cluster's identity.
    pub cluster_id: String,
    processes: Vec<SandboxProcess>,
}

impl Sandbox {
    /// Starts a sandbox and waits until every process of it serves.
    pub fn start(options: &SandboxOptions) -> Result<Self, NodeError> {
        let home = tempfile::Builder::new().prefix("levada-sandbox-").tempdir()?;
        let binary = levada_binary()?;
        let mut command = Command::new(&binary);
        without_options(&mut command);
        command.arg("sandbox").arg("--dir").arg(home.path().join("cluster"));
        command.arg("--controllers").arg(options.controllers.to_string());
        command.arg("--brokers").arg(options.brokers.to_string());
        command.arg("--group-coordinators").arg(options.group_coordinators.to_string());
        command.arg("--base-port").arg(port_block()?.to_string());
        for (flag, settings) in [
            ("--controller-set", &options.controller_settings),
            ("--broker-set", &options.broker_settings),
            ("--group-coordinator-set", &options.group_coordinator_settings),
        ] {
            for (key, value) in settings {
                command.arg(flag).arg(format!("{key}={value}"));
            }
        }
        let log = File::create(home.path().join("sandbox.log"))?;
        let mut sandbox = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|source| NodeError::Start { path: binary, source })?;
        let lines = stdout_lines(sandbox.stdout.take());
        let mut started = Self { home, sandbox, cluster_id: String::new(), processes: Vec::new() };
        match lines.recv_timeout(READY_LIMIT) {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => {
                return Err(NodeError::NotReady { limit: READY_LIMIT, log: started.log() });
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = started.sandbox.wait()?;
                return Err(NodeError::EndedEarly { status, log: started.log() });
            }
        }
        let description = fs::read(started.home.path().join("cluster/sandbox.json"))?;
        let Description { cluster_id, processes } = serde_json::from_slice(&description)?;
        started.cluster_id = cluster_id;
        started.processes = processes;
        Ok(started)
    }

    /// Every process, controllers first.
    pub fn processes(&self) -> &[SandboxProcess] {
        &self.processes
    }

    /// Every process, to be struck.
    pub fn processes_mut(&mut self) -> &mut [SandboxProcess] {
        &mut self.processes
    }

    /// The broker with this id.
    pub fn broker(&mut self, id: u32) -> Result<&mut SandboxProcess, NodeError> {
        self.process(Role::Broker, id)
    }

    /// The controller with this id.
    pub fn controller(&mut self, id: u32) -> Result<&mut SandboxProcess, NodeError> {
        self.process(Role::Controller, id)
    }

    /// The group coordinator with this number; the first one has 2001.
    pub fn group_coordinator(&mut self, id: u32) -> Result<&mut SandboxProcess, NodeError> {
        self.process(Role::GroupCoordinator, id)
    }

    fn process(&mut self, role: Role, id: u32) -> Result<&mut SandboxProcess, NodeError> {
        let mut processes = self.processes.iter_mut();
        processes
            .find(|process| process.role == role && process.id == id)
            .ok_or_else(|| NodeError::NoSuchProcess(format!("{role:?} {id}")))
    }

    /// The ends of what the sandbox and its processes wrote to stderr.
    pub fn log(&self) -> String {
        let mut logs = format!("the sandbox wrote:\n{}", log_tail(&self.home.path().join("sandbox.log")));
        let mut files: Vec<_> = fs::read_dir(self.home.path().join("cluster"))
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("levada.log")))
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        for file in files {
            logs.push_str(&format!("\n{} wrote:\n{}", file.display(), log_tail(&file)));
        }
        logs
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test harness captures what this thread prints and shows it with the failure.
            println!("{}", self.log());
        }
        // What it started dies with it.
        if let Err(error) = self.sandbox.kill().and_then(|()| self.sandbox.wait()) {
            eprintln!("the sandbox of {} could not be stopped: {error}", self.home.path().display());
        }
        for process in &mut self.processes {
            if let Err(error) = process.end() {
                eprintln!("{process} could not be stopped: {error}");
            }
        }
    }
}
