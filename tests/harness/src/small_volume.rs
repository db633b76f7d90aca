//! A file system of a given size that needs no privilege: a tmpfs in a user and mount namespace of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::NodeError;

/// What the process that holds the namespaces does: mounts, says so, and waits for its stdin to close.
const HOLD: &str = r#"mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat"#;

/// A small file system. It lives as long as this value: whoever is inside keeps it until it ends.
#[derive(Debug)]
pub struct SmallVolume {
    holder: Child,
    mounted_at: TempDir,
}

impl SmallVolume {
    /// Makes one of `bytes`. `None` if this machine gives no user namespaces to unprivileged processes; the reason was
    /// printed then.
    pub fn of(bytes: u64) -> Result<Option<Self>, NodeError> {
        let mounted_at = tempfile::Builder::new().prefix("levada-volume-").tempdir()?;
        let spawned = Command::new("unshare")
            .args(["--user", "--mount", "--map-root-user", "sh", "-c", HOLD, "hold"])
            .arg(bytes.to_string())
            .arg(mounted_at.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut holder = match spawned {
            Ok(holder) => holder,
            Err(error) => return Ok(unavailable(&format!("unshare cannot be run: {error}"))),
        };
        let mut said = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        if said.trim() != "mounted" {
            let status = holder.wait()?;
            return Ok(unavailable(&format!("a tmpfs in a namespace of its own cannot be mounted: {status}")));
        }
        Ok(Some(Self { holder, mounted_at }))
    }

    /// Where it is for those inside.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mounted_at.path()
    }

    /// Where the test, which is outside, finds the same.
    #[must_use]
    pub fn from_outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        self.path().components().skip(1).fold(root, |path, part| path.join(part))
    }

    /// A command that runs `program` inside.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials", "--target"]);
        command.arg(self.holder.id().to_string()).arg("--").arg(program);
        command
    }
}

fn unavailable<T>(reason: &str) -> Option<T> {
    println!("NOT RUN on this machine: {reason}; the chaos lane has this test with privilege");
    None
}

impl Drop for SmallVolume {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("the holder of a small volume could not be stopped: {error}");
        }
    }
}
