//! A process of a sandbox that was started: is it ready, has it ended, and its end when asked.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use levada_service::shutdown::CancellationToken;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::failure::SandboxFailure;
use super::member::{Member, Role};
use super::tied::tie_to_this_process;
use crate::console::complain;

/// How long a process may take to stop before it is killed: more than any of them allows itself.
const DRAIN: Duration = Duration::from_secs(90);

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Running {
    member: Member,
    argv: Vec<String>,
    pid: u32,
    log_file: String,
    ready: Option<oneshot::Receiver<()>>,
    stop: CancellationToken,
    attending: JoinHandle<()>,
}

impl Running {
    /// Starts the process of a member whose configuration is written.
    pub(crate) fn start(dir: &Path, member: &Member, settings: &[String]) -> Result<Self, SandboxFailure> {
        let levada = std::env::current_exe().map_err(SandboxFailure::system("cannot tell which program this is"))?;
        let mut argv = vec![levada.display().to_string(), member.role.command().to_owned()];
        argv.extend(["--config".to_owned(), member.config_file(dir).display().to_string()]);
        for setting in settings {
            argv.extend(["--set".to_owned(), setting.clone()]);
        }
        let log_file = member.log_file(dir);
        let log = File::options().create(true).append(true).open(&log_file).map_err(SandboxFailure::file(&log_file))?;

        let mut command = Command::new(levada);
        command.args(argv.iter().skip(1)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        // Options of this shell are meant for one process, and would give every member the same number.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"LEVADA_")) {
            command.env_remove(name);
        }
        // An interrupt from the terminal is for the sandbox, which stops its processes in order.
        command.process_group(0);
        tie_to_this_process(&mut command);
        let mut child = command.spawn().map_err(SandboxFailure::system("cannot start a process"))?;
        let (Some(pid), Some(stdout)) = (child.id(), child.stdout.take()) else {
            return Err(SandboxFailure::Ended { member: member.to_string(), log_file });
        };
        let (told, ready) = oneshot::channel();
        let stop = CancellationToken::new();
        let attendant = Attendant { name: format!("{member} (pid {pid})"), pid, child, stop: stop.clone() };
        let attending = tokio::spawn(attendant.run(BufReader::new(stdout).lines(), told));
        let log_file = log_file.display().to_string();
        Ok(Self { member: member.clone(), argv, pid, log_file, ready: Some(ready), stop, attending })
    }

    /// Waits until it serves.
    pub(crate) async fn ready(&mut self) -> Result<(), SandboxFailure> {
        match self.ready.take() {
            Some(ready) => ready.await.map_err(|_| SandboxFailure::Ended {
                member: self.member.to_string(),
                log_file: self.log_file.clone().into(),
            }),
            None => Ok(()),
        }
    }

    /// Asks it to stop, without waiting.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has ended.
    pub(crate) async fn stopped(self) {
        if let Err(error) = self.attending.await {
            complain(format_args!("{}: {error}", self.member));
        }
    }

    /// What it is.
    pub(crate) fn member(&self) -> &Member {
        &self.member
    }

    /// What it does.
    pub(crate) fn role(&self) -> Role {
        self.member.role
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// What starts it again.
    pub(crate) fn argv(&self) -> &[String] {
        &self.argv
    }
}

/// Looks after one process until it has ended.
struct Attendant {
    name: String,
    pid: u32,
    child: Child,
    stop: CancellationToken,
}

impl Attendant {
    /// Tells when the process says that it is ready, and how it ended if nobody asked it to.
    async fn run(mut self, mut stdout: Lines<BufReader<ChildStdout>>, told: oneshot::Sender<()>) {
        let mut told = Some(told);
        let mut open = true;
        loop {
            tokio::select! {
                line = stdout.next_line(), if open => match line {
                    Ok(Some(line)) => if let Some(told) = told.take_if(|_| line.starts_with("ready ")) {
                        // Nobody waits any more if the sandbox is being stopped.
                        let _ = told.send(());
                    },
                    Ok(None) | Err(_) => open = false,
                },
                ended = self.child.wait() => {
                    match ended {
                        Ok(status) => complain(format_args!("{} has ended: {status}", self.name)),
                        Err(error) => complain(format_args!("{}: {error}", self.name)),
                    }
                    return;
                }
                () = self.stop.cancelled() => return self.end().await,
            }
        }
    }

    /// Ends the process, by force if it takes too long.
    async fn end(&mut self) {
        if let Err(error) = kill(Pid::from_raw(self.pid.cast_signed()), Signal::SIGTERM) {
            complain(format_args!("{} cannot be asked to stop: {error}", self.name));
        }
        if timeout(DRAIN, self.child.wait()).await.is_err() {
            complain(format_args!("{} did not stop within {} s and is killed", self.name, DRAIN.as_secs()));
            if let Err(error) = self.child.kill().await {
                complain(format_args!("{} cannot be killed: {error}", self.name));
            }
        }
    }
}
