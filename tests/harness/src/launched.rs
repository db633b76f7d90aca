//! A process that was launched and says on its first line of stdout that it serves.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::{NodeError, log_tail::log_tail, process::signal_process, stdout_lines::stdout_lines};

/// A process that was launched.
#[derive(Debug)]
pub(crate) struct Launched {
    child: Child,
    lines: Receiver<String>,
    /// Whether it has said that it serves.
    ready: bool,
}

impl Launched {
    /// Starts `command`, which appends what it writes to stderr to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self, NodeError> {
        let log = File::options().create(true).append(true).open(log)?;
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = spawned.map_err(|source| NodeError::Start { path: command.get_program().into(), source })?;
        Ok(Self { lines: stdout_lines(child.stdout.take()), child, ready: false })
    }

    /// Waits until it has said that it serves.
    ///
    /// # Errors
    /// If it has ended, or takes longer than `limit`; it goes on then.
    pub(crate) fn wait_until_ready(&mut self, limit: Duration, log: &Path) -> Result<(), NodeError> {
        if self.ready {
            return Ok(());
        }
        match self.lines.recv_timeout(limit) {
            Ok(_) => {
                self.ready = true;
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err(NodeError::NotReady { limit, log: log_tail(log) }),
            Err(RecvTimeoutError::Disconnected) => {
                Err(NodeError::EndedEarly { status: self.child.wait()?, log: log_tail(log) })
            }
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), NodeError> {
        signal_process(self.child.id(), signal)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, NodeError> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it is gone.
    pub(crate) fn wait(mut self) -> Result<ExitStatus, NodeError> {
        Ok(self.child.wait()?)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}
